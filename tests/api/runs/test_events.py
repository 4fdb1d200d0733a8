"""A run's events, as a browser's `EventSource` has them: each once, in order, however often the connection breaks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.problems import Problem
from lucid_api.runs.events import Position, Streams
from tests.api.runs.conftest import Live
from tests.api.support import assert_problem


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


def test_streams_are_bounded_for_each_caller_and_in_all() -> None:
    streams = Streams()
    with contextmanager_stack(streams, ["a"] * 8):
        with pytest.raises(Problem) as refused, streams.one_of("a"):
            pass
        assert refused.value.status == 429
        with contextmanager_stack(streams, [f"b{n % 8}" for n in range(56)]), pytest.raises(Problem):
            streams.one_of("c").__enter__()
    with contextmanager_stack(streams, ["a"] * 8):
        pass


@contextmanager
def contextmanager_stack(streams: Streams, subjects: list[str]) -> Iterator[None]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        for subject in subjects:
            stack.enter_context(streams.one_of(subject))
        yield
