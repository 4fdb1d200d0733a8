"""What happens in a run, told as server-sent events while it happens.

The id of an event is the cursor in Dagster's log from which its batch was read, and how many events of that batch it
ends: so a caller that lost its connection goes on after the very last event that it got.
"""

import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import anyio
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from pydantic import BaseModel

from lucid_api.problems import BadRequest
from lucid_api.runs.dagster import Dagster
from lucid_api.runs.decoding import Found, event_of
from lucid_api.runs.models import Run, RunEnd
from lucid_api.runs.problems import DagsterAway, DagsterFailed

ID = r"[A-Za-z0-9+/=]{0,100}~([0-9]{1,4}|end)"
"""What an id looks like."""

_END = "end"
_BATCH = 200
MOST_STREAMS = 64
MOST_OF_A_CALLER = 8
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.5, 3.0
_HEARTBEAT_SECONDS = 15.0
_LONGEST_STREAM_SECONDS = 600.0
"""After which a caller has to connect again, and show again who it is."""

_RECONNECT_MILLISECONDS = 2000


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a run's log: after so many events of the batch that follows a cursor. `ended`: after the last word."""

    cursor: str | None = None
    passed: int = 0
    ended: bool = False

    @classmethod
    def parse(cls, event_id: str | None) -> Self:
        """The position after the event with this id; the beginning for None."""
        if event_id is None:
            return cls()
        cursor, _, place = event_id.rpartition("~")
        if place == _END:
            return cls(cursor or None, ended=True)
        return cls(cursor or None, int(place))

    def __str__(self) -> str:
        return f"{self.cursor or ''}~{_END if self.ended else self.passed}"


@dataclass(slots=True)
class EventStream:
    """One caller's stream of one run's events, from a position in its log on.

    `is_stopping` says that the service is about to end: the stream ends then, and the caller connects again later.
    """

    dagster: Dagster
    run_id: str
    position: Position
    is_stopping: Callable[[], bool]
    _run: Run | None = None
    _events: Sequence[Found] = ()
    _next: str | None = None
    _has_more: bool = False
    _was_over: bool = False
    """Whether the run had ended before the last look already: what its process said at its end is there since."""

    async def begin(self) -> None:
        """Read the first events, so that what cannot be is a problem and not a stream.

        Raises:
            NotFound: there is no such run.
            BadRequest: the position is none in its log.
            DagsterAway: Dagster does not answer.
        """
        try:
            await self._read()
        except DagsterFailed as error:
            if self.position.cursor is None:
                raise
            raise BadRequest("the Last-Event-ID is none of this run's events") from error

    async def tell(self) -> AsyncIterator[bytes]:
        """The events as they are sent, until the run has ended, this service is about to, or it has taken very long."""
        yield format_sse_event(retry=_RECONNECT_MILLISECONDS)
        told = time.monotonic()
        deadline, pause = told + _LONGEST_STREAM_SECONDS, _SHORTEST_PAUSE
        while not self.is_stopping() and time.monotonic() < deadline:
            if self._events:
                for line in self._lines():
                    yield line
                told, pause = time.monotonic(), _SHORTEST_PAUSE
            elif end := self._end():
                yield end
                return
            elif time.monotonic() - told > _HEARTBEAT_SECONDS:
                yield KEEPALIVE_COMMENT
                told = time.monotonic()
            if not self._has_more:
                await anyio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 1.5)
            await self._look()

    async def _look(self) -> None:
        """Read what came since; while Dagster is away, that is nothing."""
        try:
            await self._read()
        except DagsterAway:
            self._events, self._has_more = (), False

    async def _read(self) -> None:
        self._was_over = self._run is not None and self._run.status.has_ended
        self._run, found = await self.dagster.events(self.run_id, self.position.cursor, _BATCH)
        self._events, self._next, self._has_more = found["events"], found["cursor"], found["hasMore"]

    def _lines(self) -> Iterator[bytes]:
        """The events that were read and not told yet; the position moves on with each."""
        cursor, count, after = self.position.cursor, len(self._events), Position(self._next)
        for place in range(self.position.passed, count):
            self.position = after if place + 1 == count else Position(cursor, place + 1)
            yield _line(event_of(self._events[place]), self.position)
        self.position, self._events = after, ()

    def _end(self) -> bytes | None:
        if self._run is None or not self._was_over:
            return None
        end = RunEnd(run_id=self.run_id, status=self._run.status)
        return _line(end, replace(self.position, ended=True), _END)


def _line(told: BaseModel, position: Position, event: str | None = None) -> bytes:
    return format_sse_event(data_str=told.model_dump_json(), event=event, id=str(position))
