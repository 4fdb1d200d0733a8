"""A request for runs whose answer from Dagster gets lost: nothing is started twice, and nothing is forgotten."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from secrets import token_hex
from typing import TypeVar

import httpx2
import pytest
from anyio import to_thread

from lucid_api.access.scopes import Scope
from lucid_api.runs import requests
from lucid_api.runs.dagster import Dagster
from lucid_api.runs.models import Outcome
from lucid_api.runs.problems import DagsterAway, OutcomeUnknown
from lucid_api.runs.requests import RunStarter, Started
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.instance.processes import registered_process
from tests.api.live import Live

T = TypeVar("T")


@dataclass
class Line:
    """What is between the service and Dagster: it can lose requests to start runs, or the answers to them.

    `lost` says of each such request, in their order, what is lost.
    """

    url: str
    lost: list[str]
    _client: httpx2.AsyncClient = field(default_factory=lambda: httpx2.AsyncClient(timeout=60, trust_env=False))

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            lengths = [
                line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            ]
            body = await reader.readexactly(int(lengths[0]))
            loses = self.lost.pop(0) if b"launchRun(" in body and self.lost else "nothing"
            if loses == "the request":
                return
            answer = await self._client.post(
                f"{self.url}/graphql", content=body, headers={"Content-Type": "application/json"}
            )
            if loses == "the answer":
                return
            length = len(answer.content)
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n".encode())
            writer.write(answer.content)
            await writer.drain()
        finally:
            writer.close()


@asynccontextmanager
async def dagster_behind(live: Live, *lost: str) -> AsyncIterator[Dagster]:
    line = Line(live.up.document["dagster_url"], list(lost))
    async with await asyncio.start_server(line, "127.0.0.1", 0) as server:
        dagster = Dagster(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        try:
            yield dagster
        finally:
            await dagster.close()
            await line._client.aclose()


def ask(live: Live, mark: str, work: Callable[[RunStarter], T], *lost: str) -> T:
    """What comes of a request with this mark, as an endpoint works on it."""

    async def main() -> T:
        async with dagster_behind(live, *lost) as dagster:
            starter = RunStarter(live.lucid.opened, live.catalog, dagster, mark)
            return await to_thread.run_sync(work, starter)

    return asyncio.run(main())


def runs_of(live: Live, mark: str) -> list[str]:
    found = live.api.get("/runs", Scope.SESSIONS_READ, params={"request": mark}).json()["runs"]
    return [run["run_id"] for run in found]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_PAUSE_SECONDS", 0.1)


def outcomes(started: Started) -> list[tuple[Outcome, str | None]]:
    return [(session.outcome, session.run_id) for session in started.sessions]


def test_a_run_whose_start_was_not_confirmed_is_found_by_its_mark(live: Live) -> None:
    session_id, mark = live.record(), token_hex(8)
    started = ask(live, mark, lambda starter: starter.start([session_id]), "the answer")
    [run_id] = runs_of(live, mark)
    assert outcomes(started) == [(Outcome.STARTED, run_id)]
    assert [run.run_id for run in started.runs] == [run_id]
    live.ended(run_id)


def test_a_run_that_was_not_started_is_told_and_its_session_waits(live: Live) -> None:
    session_id, mark = live.record(), token_hex(8)
    with pytest.raises(OutcomeUnknown):
        ask(live, mark, lambda starter: starter.start([session_id]), "the request")
    assert runs_of(live, mark) == []
    [run] = live.take_on(session_id)
    assert run["status"] == "success"


def test_the_same_request_again_goes_on_where_it_broke_off(live: Live) -> None:
    first, between, last = live.record(), live.record(), live.record()
    live.take_on(first, between, last)
    live.take_on(between)
    mark = token_hex(8)
    with pytest.raises(DagsterAway):
        ask(live, mark, lambda starter: starter.start([first, last]), "nothing", "the request")
    [run_id] = runs_of(live, mark)
    started = ask(live, mark, lambda starter: starter.start([first, last]))
    assert {outcome for outcome, _ in outcomes(started)} == {Outcome.STARTED}
    assert len(runs_of(live, mark)) == 2
    assert outcomes(started)[0][1] == run_id
    for run in started.runs:
        assert live.ended(run.run_id)["status"] == "success"


def test_a_request_starts_so_many_runs_and_the_others_wait_for_their_turn(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "MOST_RUNS", 1)
    near, far = live.record(), live.record()
    live.take_on(near)
    mark = token_hex(8)
    started = ask(live, mark, lambda starter: starter.start([far, near]))
    [run_id] = runs_of(live, mark)
    assert outcomes(started) == [(Outcome.WAITING, None), (Outcome.STARTED, run_id)], "the one nearest to its end"
    live.ended(run_id)
    live.take_on(far)


def test_what_lucid_archive_has_claimed_is_left_to_it(live: Live) -> None:
    session_id = live.record()
    folder = live.lucid.home / "dagster"
    with open_instance(folder) as instance, registered_process(instance, folder) as process:
        process.claim([str(session_id)])
        started = ask(live, token_hex(8), lambda starter: starter.start([session_id]))
    assert outcomes(started) == [(Outcome.IN_HAND, None)]
    assert started.runs == []
