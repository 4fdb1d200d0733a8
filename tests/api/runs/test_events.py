"""A run's events, as a browser's `EventSource` has them: each once, in order, however often the connection breaks."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from lucid_api.access.scopes import Scope
from lucid_api.runs.events import Position
from tests.api.live import Live
from tests.api.support import PREFIX, assert_problem
from tests.processes import eventually


@dataclass(frozen=True)
class Event:
    name: str
    id: str
    data: dict[str, Any]


def events_of(lines: Iterator[str]) -> Iterator[Event]:
    """Read a stream as the HTML standard has it read."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield Event(fields.get("event", "message"), fields["id"], json.loads(fields["data"]))
        fields = {}


def test_events_are_told_once_and_in_order_wherever_the_connection_broke(live: Live) -> None:
    [run] = live.take_on(live.record())
    path = f"/runs/{run['run_id']}/events"
    answer = live.api.get(path, Scope.SESSIONS_READ)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    *events, end = events_of(answer.iter_lines())
    assert {event.name for event in events} == {"message"}
    kinds = [event.data["type"] for event in events]
    for kind in ("run_enqueued", "run_start", "step_start", "asset_materialization", "step_success", "run_success"):
        assert kinds.count(kind) == 1, kind
    [made] = [event.data for event in events if event.data["type"] == "asset_materialization"]
    assert (made["session_id"], made["stage"]) == (run["first_session"], "recording")
    assert {"label": "size_bytes", "type": "int", "value": 1000} in made["metadata"]
    assert (end.name, end.data) == ("end", {"run_id": run["run_id"], "status": "success"})
    assert len({event.id for event in (*events, end)}) == len(events) + 1

    for place, event in enumerate(events):
        rest = live.api.get(path, Scope.SESSIONS_READ, headers={"Last-Event-ID": event.id})
        assert list(events_of(rest.iter_lines())) == [*events[place + 1 :], end]
    done = live.api.get(path, Scope.SESSIONS_READ, headers={"Last-Event-ID": end.id})
    assert (done.status_code, done.content) == (204, b"")


@pytest.mark.parametrize("event_id", ["", "x", "~", "~99999", "<script>~1", "~1;drop"])
def test_an_id_that_no_event_has_is_refused(live: Live, event_id: str) -> None:
    [run] = live.take_on(live.record())
    answer = live.api.get(f"/runs/{run['run_id']}/events", Scope.SESSIONS_READ, headers={"Last-Event-ID": event_id})
    assert_problem(answer, 422, "invalid")


def test_a_cursor_that_dagster_never_gave_is_refused(live: Live) -> None:
    [run] = live.take_on(live.record())
    answer = live.api.get(f"/runs/{run['run_id']}/events", Scope.SESSIONS_READ, headers={"Last-Event-ID": "AAAA~0"})
    assert_problem(answer, 400, "bad-request")


@pytest.mark.parametrize(
    ("position", "text"),
    [(Position(), "~0"), (Position("YQ==", 17), "YQ==~17"), (Position("YQ==", 3, ended=True), "YQ==~end")],
)
def test_a_position_is_read_as_it_was_written(position: Position, text: str) -> None:
    assert str(position) == text
    assert str(Position.parse(text)) == text
    assert Position.parse(None) == Position()


def long_run(live: Live) -> str:
    """A run that goes on until it is canceled, and is under way."""
    session_id = live.record(8_000_000_000)
    live.take_on(session_id)
    run_id: str = live.start(session_id).json()["runs"][0]["run_id"]
    eventually(lambda: live.run(run_id)["status"] == "started", every=0.1)
    return run_id


@contextmanager
def listening(live: Live, run_id: str, last: str | None = None) -> Iterator[Iterator[Event]]:
    """A connection as a browser has one."""
    headers = live.api.headers(Scope.SESSIONS_READ) | ({"Last-Event-ID": last} if last else {})
    with live.api.client.stream("GET", f"{PREFIX}/runs/{run_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        yield events_of(answer.iter_lines())


def test_what_happens_is_told_while_it_happens_and_after_a_break_goes_on_where_it_was(live: Live) -> None:
    run_id = long_run(live)
    before: list[Event] = []
    with listening(live, run_id) as events:
        for event in events:
            before.append(event)
            if event.data.get("type") == "step_start" and event.data["stage"] == "encrypted_chunks":
                break
    assert live.run(run_id)["ended_at"] is None, "told before the run has ended"
    live.api.ask("POST", f"/runs/{run_id}/cancellation", Scope.RUNS_WRITE)
    with listening(live, run_id, before[-1].id) as events:
        *after, end = events
    assert end.data == {"run_id": run_id, "status": "canceled"}
    with listening(live, run_id) as events:
        assert [event.data for event in (*before, *after, end)] == [event.data for event in events]


def test_each_stream_of_a_caller_that_is_gone_makes_room(live: Live) -> None:
    run_id = long_run(live)
    headers = live.api.headers(Scope.SESSIONS_READ)
    path = f"{PREFIX}/runs/{run_id}/events"
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(live.api.client.stream("GET", path, headers=headers))
        refused = live.api.client.get(path, headers=headers)
        assert int(assert_problem(refused, 429, "too-many-streams") and refused.headers["Retry-After"]) > 0
    answer = eventually(lambda: open_stream(live, path, headers), every=0.2)
    assert answer == 200
    live.api.ask("POST", f"/runs/{run_id}/cancellation", Scope.RUNS_WRITE)


def open_stream(live: Live, path: str, headers: dict[str, str]) -> int | None:
    with live.api.client.stream("GET", path, headers=headers) as answer:
        return answer.status_code if answer.status_code == 200 else None


def test_streams_end_when_the_service_does(live: Live) -> None:
    run_id = long_run(live)
    with listening(live, run_id) as events:
        next(events)
        began = time.monotonic()
        os.kill(live.up.pids["api"], signal.SIGTERM)
        assert "end" not in [event.name for event in events], "the run goes on"
        assert time.monotonic() - began < 10
    eventually(lambda: is_back(live), every=0.2)
    live.api.ask("POST", f"/runs/{run_id}/cancellation", Scope.RUNS_WRITE)
    live.ended(run_id)


def is_back(live: Live) -> bool:
    with suppress(httpx2.TransportError):
        return live.up.said("api       | is back") and live.api.client.get("/health/live").status_code == 200
    return False
