"""What the client makes of a webserver that is away, slow, cut off, of another version, or something else."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from lucid_api.problems import NotFound, Problem
from lucid_api.runs import dagster
from lucid_api.runs.dagster import Dagster
from lucid_api.runs.problems import DagsterAway, DagsterFailed, OutcomeUnknown
from lucid_pipeline.course.runs import PlannedRun
from lucid_pipeline.course.stages import SEAL
from lucid_pipeline.errors import UsageError
from tests.processes import free_port

RUN_ID = "8f0f6a3c-31a3-4b8f-9c2f-6f2f3a0f9a51"
PLANNED = PlannedRun(SEAL, SEAL.stages, ["a"], {"dagster/partition": "a"})
CUT_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"
HANGS = b""


def answer(document: object, status: str = "200 OK") -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


@dataclass
class Webserver:
    """A server that gives one answer after the other, the last one again and again; None closes the connection."""

    answers: list[bytes | None]
    asked: int = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
            said = self.answers[min(self.asked, len(self.answers) - 1)]
            self.asked += 1
            if said == HANGS:
                await reader.read()
            writer.write(said or b"")
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def asking(*answers: bytes | None) -> AsyncIterator[tuple[Dagster, Webserver]]:
    webserver = Webserver(list(answers))
    server = await asyncio.start_server(webserver, "127.0.0.1", 0)
    async with server:
        client = Dagster(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        try:
            yield client, webserver
        finally:
            await client.close()


def outcome(question: Callable[[Dagster], Awaitable[Any]], *answers: bytes | None) -> tuple[Any, int]:
    """What comes of a question, a problem or the answer, and how often it was asked."""

    async def ask() -> tuple[Any, int]:
        async with asking(*answers) as (client, webserver):
            try:
                return await question(client), webserver.asked
            except Problem as problem:
                return problem, webserver.asked

    return asyncio.run(ask())


def ask_run(client: Dagster) -> Awaitable[Any]:
    return client.run(RUN_ID)


def launch(client: Dagster) -> Awaitable[Any]:
    return client.launch(PLANNED, {})


RUN = {
    "__typename": "Run",
    "runId": RUN_ID,
    "jobName": "seal",
    "status": "SUCCESS",
    "creationTime": 1.5,
    "startTime": 2.0,
    "endTime": None,
    "tags": [{"key": "dagster/partition", "value": "a"}, {"key": "lucid/backlog", "value": "seal"}],
    "assetSelection": [{"path": ["manifest"]}, {"path": ["merkle_tree"]}],
    "repositoryOrigin": {"repositoryLocationName": "session-storage"},
}


def test_nothing_listens() -> None:
    client = Dagster(f"http://127.0.0.1:{free_port()}")
    for question in (ask_run, launch):
        with pytest.raises(DagsterAway) as caught:
            asyncio.run(question(client))
        assert not isinstance(caught.value, OutcomeUnknown), "it was never sent"
        assert int(caught.value.headers["Retry-After"]) > 0


@pytest.mark.parametrize("url", ["", "nonsense", "ftp://127.0.0.1", "http://", "http://[::1", "file:///etc/passwd"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="LUCID_DAGSTER_URL"):
        Dagster(url)


@pytest.mark.parametrize(
    "said", [None, CUT_OFF, b"SSH-2.0-OpenSSH_9.2\r\n", answer(b"<html>502</html>", "502 Bad Gateway")]
)
def test_a_question_is_asked_again_where_there_was_no_answer_and_then_given_up(said: bytes | None) -> None:
    problem, asked = outcome(ask_run, said)
    assert isinstance(problem, DagsterAway)
    assert asked == 3


def test_a_question_that_is_answered_the_second_time_is_answered() -> None:
    run, asked = outcome(ask_run, None, answer({"data": {"runOrError": RUN}}))
    assert (run.run_id, run.status, run.first_session, run.stages) == (
        RUN_ID,
        "success",
        "a",
        ["merkle_tree", "manifest"],
    )
    assert run.tags == {"lucid/backlog": "seal"}
    assert asked == 2


@pytest.mark.parametrize("said", [None, CUT_OFF, answer(b"<html>502</html>", "502 Bad Gateway")])
def test_what_starts_something_is_asked_once_and_its_outcome_is_not_known(said: bytes | None) -> None:
    problem, asked = outcome(launch, said)
    assert isinstance(problem, OutcomeUnknown)
    assert asked == 1


def test_a_webserver_that_hangs_is_given_up_and_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagster, "_TIMEOUT", 0.2)
    monkeypatch.setattr(dagster, "_LONG_TIMEOUT", 0.2)
    problem, asked = outcome(ask_run, HANGS)
    assert isinstance(problem, DagsterAway)
    assert asked == 1
    problem, asked = outcome(launch, HANGS)
    assert isinstance(problem, OutcomeUnknown)


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        ({"__typename": "RunNotFoundError"}, NotFound),
        (
            {"__typename": "PythonError", "className": "KeyError", "message": "'secret'\n  File \"/home/x.py\""},
            DagsterFailed,
        ),
        ({"__typename": "SomethingNew"}, DagsterFailed),
        ({**RUN, "status": "DREAMING"}, DagsterFailed),
    ],
)
def test_an_answer_that_is_no_run_is_a_problem_that_tells_nothing_of_dagsters_inside(
    found: object, kind: type[Problem], caplog: pytest.LogCaptureFixture
) -> None:
    problem, asked = outcome(ask_run, answer({"data": {"runOrError": found}}, "500 Internal Server Error"))
    assert type(problem) is kind
    assert asked == 1
    assert not {"secret", "KeyError", "x.py", "DREAMING", "SomethingNew"} & set(
        problem.detail.replace("/", " ").split()
    )
    assert "x.py" not in caplog.text


@pytest.mark.parametrize("said", [{"errors": [{"message": "Cannot query field"}]}, {"data": None}, [], "text", {}])
def test_a_webserver_that_understands_other_questions_has_failed(
    said: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        problem, asked = outcome(ask_run, answer(said, "400 Bad Request"))
    assert isinstance(problem, DagsterFailed)
    assert asked == 1
    assert "400" in caplog.text
