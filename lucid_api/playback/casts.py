"""A terminal cast (asciicast version 2 or 3), read event by event from any place in it.

Nothing is refused: a line that is no event is counted and passed over, as the time index does (docs/format.md, 10.1).
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lucid_pipeline.archive.casts import HEADER_BYTES, CastHeader, event_seconds, milliseconds, parse_header
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import Damage, DamageError
from lucid_pipeline.archive.media import ASCIICAST
from lucid_pipeline.archive.reader import SessionReader

LONGEST_LINE = 4 * MIB
_LONGEST_CODE = 16
_MICROSECONDS = 1_000_000
_LATEST_SECONDS = 2**53 / 1000
_SURROGATE = re.compile("[\ud800-\udfff]")
_decoder = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Event:
    """One event: where its line begins, when it was (ms from the start), its code (`o`, `i`, `m`, `r`, `x` ...)."""

    offset: int
    time_ms: int
    code: str
    data: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where to go on reading: an offset in the recording, and the time of the event before it in microseconds."""

    offset: int
    elapsed_us: int = 0


class EventReader:
    """Turns the bytes of a cast into events.

    Args:
        version: of the format, 2 or 3.
        begin: where the bytes begin.
        whole_line: whether a line begins there; else the rest of one is passed over.
        stop: where to stop: lines that begin there or later are not read.
        count_from: where to begin to count lines that are not understood.
    """

    def __init__(
        self, version: int, begin: Position, *, whole_line: bool = True, stop: int | None = None, count_from: int = 0
    ) -> None:
        self.unreadable = 0
        """How many lines were passed over that are neither events nor empty, nor comments, nor the header."""
        self._count_from = count_from
        self._counts_from_zero = version == 2
        self._offset, self._elapsed = begin.offset, begin.elapsed_us / _MICROSECONDS
        self._inside_line = not whole_line
        self._stop = stop

    @property
    def position(self) -> Position:
        """Where the line behind the newest event begins."""
        return Position(self._offset, round(min(self._elapsed, _LATEST_SECONDS) * _MICROSECONDS))

    def read(self, parts: Iterable[bytes | Position]) -> Iterator[Event]:
        """The events of these bytes, which follow each other; to be called once.

        A position among them says that bytes are missing, and where they go on.
        """
        rest = b""
        for part in parts:
            if isinstance(part, Position):
                self._offset, self._elapsed = part.offset, part.elapsed_us / _MICROSECONDS
                self._inside_line, rest = True, b""
                continue
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                if self._is_over():
                    return
                begin, self._offset = self._offset, self._offset + len(line) + 1
                if self._inside_line:
                    self._inside_line = False
                elif event := self._event(line, begin):
                    yield event
            if self._is_over():
                return
            rest = self._unless_endless(rest)
        begin, self._offset = self._offset, self._offset + len(rest)
        if not self._inside_line and (event := self._event(rest, begin)):
            yield event

    def _is_over(self) -> bool:
        return self._stop is not None and self._offset >= self._stop

    def _unless_endless(self, rest: bytes) -> bytes:
        """The line so far, or, where it is longer than any is read, nothing, and what follows of it is passed over."""
        if not self._inside_line and len(rest) <= LONGEST_LINE:
            return rest
        if not self._inside_line:
            self._count(self._offset)
        self._offset += len(rest)
        self._inside_line = True
        return b""

    def _event(self, line: bytes, offset: int) -> Event | None:
        seconds = event_seconds(line)
        if seconds is None:
            if offset and line.strip() and not line.startswith(b"#"):
                self._count(offset)
            return None
        self._elapsed = seconds if self._counts_from_zero else self._elapsed + seconds
        match _parsed(line):
            case [_, str(code), str(data), *_] if len(code) <= _LONGEST_CODE:
                return Event(offset, milliseconds(self._elapsed), _without_surrogates(code), _without_surrogates(data))
        self._count(offset)
        return None

    def _count(self, offset: int) -> None:
        self.unreadable += offset >= self._count_from


class Cast:
    """A session's recording that is a terminal cast.

    Raises:
        NotATerminal: it is not.
        DamageError: its first chunk is damaged.
    """

    def __init__(self, reader: SessionReader) -> None:
        header = _header(reader)
        if header is None:
            raise NotATerminal
        self.header: CastHeader = header
        self.reader = reader

    @property
    def columns(self) -> int:
        """How wide the terminal is at the start, in cells."""
        return self.header.columns or 80

    @property
    def rows(self) -> int:
        """How high the terminal is at the start, in cells."""
        return self.header.rows or 24

    def position_at(self, offset: int) -> Position:
        """Where the chunk with this offset begins, and the time of the last event before it, by the time index."""
        rows = self.reader.metadata.chunks
        index = min(offset // self.reader.manifest.recording.chunk_size, len(rows) - 1)
        before = (row.last_ms for row in reversed(rows[:index]) if row.last_ms is not None)
        return Position(rows[index].offset, next(before, 0) * 1000)

    def range_of_times(self, first_ms: int, last_ms: int) -> tuple[int, int]:
        """Start and stop offset of the chunks with events of this span of time; of a cast without times, all of it."""
        try:
            return self.reader.range_of_times(first_ms, last_ms)
        except ValueError:
            return 0, len(self.reader)

    def events(self, begin: Position, stop: int | None = None, count_from: int = 0) -> "Events":
        """The events of all lines that begin from `begin` up to, not including, the offset `stop`."""
        return Events(self, begin, len(self.reader) if stop is None else stop, count_from)


class Events:
    """Events of a cast, read as they are asked for; to be iterated once. Chunks that are damaged are left out."""

    def __init__(self, cast: Cast, begin: Position, stop: int, count_from: int) -> None:
        self._cast = cast
        self.damages: list[Damage] = []
        """What is wrong with the chunks that were left out so far."""
        whole_line = begin.offset == 0 or b"\n" in self._parts(begin.offset - 1, begin.offset)
        self.damages.clear()
        self._lines = EventReader(cast.header.version, begin, whole_line=whole_line, stop=stop, count_from=count_from)

    def __iter__(self) -> Iterator[Event]:
        """The events in the order of the recording."""
        return self._lines.read(self._parts(self.position.offset, len(self._cast.reader)))

    @property
    def unreadable(self) -> int:
        """How many lines were passed over so far."""
        return self._lines.unreadable

    @property
    def position(self) -> Position:
        """Where to go on after the newest event."""
        return self._lines.position

    def _parts(self, start: int, stop: int) -> Iterator[bytes | Position]:
        """What can be read, and where it goes on behind what cannot."""
        reader = self._cast.reader
        size = reader.manifest.recording.chunk_size
        while start < stop:
            end = min(stop, start - start % size + size)
            try:
                yield from reader.read(start, end)
            except DamageError as error:
                self.damages.append(error.damage)
                if end < stop:
                    yield self._cast.position_at(end)
            start = end


class NotATerminal(Exception):
    """The recording is no terminal cast."""


def _header(reader: SessionReader) -> CastHeader | None:
    if reader.manifest.recording.media_type != ASCIICAST:
        return None
    return parse_header(b"".join(reader.read(0, HEADER_BYTES)))


def _parsed(line: bytes) -> object:
    try:
        return _decoder.decode(line.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def _without_surrogates(text: str) -> str:
    """Text that can be encoded: JSON can name halves of pairs, as which recorders wrote bytes that were no UTF-8."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
