"""The time index of terminal recordings: asciicast v2 (absolute times) and v3 (intervals).

An event belongs to the chunk in which its line begins. Times are milliseconds from the start of the recording. A line
that is not an event has no time; nothing here refuses a recording.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lucid_pipeline.archive.chunking import MIB, ChunkPlan, ChunkSlice
from lucid_pipeline.archive.recording import RecordingFile

HEADER_BYTES = 64 * 1024

_EVENT_START = rb"\[[ \t]*(\d[^,\s\]_]{0,30})[ \t]*,"
_EVENT = re.compile(rb"\n" + _EVENT_START)
_LINE_OF_EVENT = re.compile(_EVENT_START)
_NUMBER_BYTES = 48
_EDGE_BYTES = 64 * 1024
_BLOCK_BYTES = MIB
_LATEST_MS = 2**53 - 1


@dataclass(frozen=True, slots=True)
class CastHeader:
    """What the first line of a cast says: version 2 or 3, size in character cells, start in seconds since 1970."""

    version: int
    columns: int | None
    rows: int | None
    timestamp: int | None


@dataclass(frozen=True, slots=True)
class EventTimes:
    """First and last event time of one chunk, in milliseconds; None where no event begins in it."""

    first_ms: int | None = None
    last_ms: int | None = None


def read_header(recording: RecordingFile) -> CastHeader | None:
    """The header of an asciicast v2 or v3, or None where the first line is no such header."""
    return parse_header(recording.read(0, HEADER_BYTES))


def parse_header(head: bytes) -> CastHeader | None:
    """The header in the first `HEADER_BYTES` of a recording, or None where its first line is no header of a cast."""
    line = head[:HEADER_BYTES].split(b"\n", 1)[0]
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(header, dict) or header.get("version") not in (2, 3):
        return None
    terminal = header.get("term", {}) if header["version"] == 3 else header
    columns, rows = ("cols", "rows") if header["version"] == 3 else ("width", "height")
    if not isinstance(terminal, dict):
        terminal = {}
    return CastHeader(
        header["version"],
        _positive(terminal.get(columns), below=2**16),
        _positive(terminal.get(rows), below=2**16),
        _positive(header.get("timestamp"), below=2**40),
    )


def index_events(recording: RecordingFile, header: CastHeader, plan: ChunkPlan) -> Iterator[EventTimes]:
    """The event times of each chunk in turn. Version 2 reads a chunk's edges, version 3 has to add all up."""
    if header.version == 2:
        return (_edge_times(recording, chunk) for chunk in plan)
    return _summed_times(recording, plan)


def event_seconds(line: bytes) -> float | None:
    """The number of seconds that a line begins with; None where it is no event, or the number is not finite."""
    match = _LINE_OF_EVENT.match(line)
    return _seconds(match) if match else None


def milliseconds(seconds: float) -> int:
    """Whole milliseconds, at most 2^53 - 1."""
    return round(min(seconds * 1000, _LATEST_MS))


def _edge_times(recording: RecordingFile, chunk: ChunkSlice) -> EventTimes:
    for reach in (_EDGE_BYTES, chunk.length):
        reach = min(reach, chunk.length)
        head = _lines_beginning(recording, chunk.offset, reach)
        tail = _lines_beginning(recording, chunk.offset + chunk.length - reach, reach)
        first = next((time for match in _EVENT.finditer(head) if (time := _milliseconds(match)) is not None), None)
        if first is not None:
            last = _last_time(tail)
            if last is not None:
                return EventTimes(first, last)
    return EventTimes()


def _last_time(block: bytes) -> int | None:
    at = len(block)
    while (at := block.rfind(b"\n[", 0, at)) >= 0:
        match = _EVENT.match(block, at)
        if match and (time := _milliseconds(match)) is not None:
            return time
    return None


def _summed_times(recording: RecordingFile, plan: ChunkPlan) -> Iterator[EventTimes]:
    elapsed = 0.0
    for chunk in plan:
        times = EventTimes()
        for start in range(chunk.offset, chunk.offset + chunk.length, _BLOCK_BYTES):
            length = min(_BLOCK_BYTES, chunk.offset + chunk.length - start)
            intervals = _intervals(_lines_beginning(recording, start, length))
            if not intervals:
                continue
            first = milliseconds(elapsed + intervals[0])
            elapsed += sum(intervals)
            times = EventTimes(first if times.first_ms is None else times.first_ms, milliseconds(elapsed))
        yield times


def _lines_beginning(recording: RecordingFile, offset: int, length: int) -> bytes:
    """All lines that begin in the range, each behind its newline; of the last one, enough to hold its time."""
    before = 1 if offset else 0
    block = recording.read(offset - before, before + length + _NUMBER_BYTES)
    beyond = block.find(b"\n[", before + length - 1)
    return block[:beyond] if beyond >= 0 else block


def _intervals(block: bytes) -> list[float]:
    try:
        intervals = [float(number) for number in _EVENT.findall(block)]
    except ValueError:
        intervals = [seconds for match in _EVENT.finditer(block) if (seconds := _seconds(match)) is not None]
    return intervals if all(map(math.isfinite, intervals)) else [x for x in intervals if math.isfinite(x)]


def _milliseconds(match: re.Match[bytes]) -> int | None:
    seconds = _seconds(match)
    return None if seconds is None else milliseconds(seconds)


def _seconds(match: re.Match[bytes]) -> float | None:
    try:
        seconds = float(match[1])
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _positive(value: object, *, below: int) -> int | None:
    return int(value) if isinstance(value, int | float) and 1 <= value < below else None
