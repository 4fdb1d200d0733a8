"""Casts for the tests of playback, and sessions of them."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from lucid_api.playback.casts import Cast, EventReader, Position
from lucid_api.playback.transcript import Line, Transcript, transcribe
from lucid_pipeline.archive import casts
from lucid_pipeline.archive.casts import parse_header
from lucid_pipeline.archive.chunking import MIB
from tests.support import Home

DEMO = Path(casts.__file__).parents[1] / "cli" / "demo" / "terminal.cast"

Output = tuple[float, str] | tuple[float, str, str]
"""Seconds from the start and text that was printed; or seconds, a code and data."""


def cast(*events: Output, columns: int = 80, rows: int = 24, version: int = 2) -> bytes:
    """A cast of these events, whose times are from the start whatever the version."""
    if version == 2:
        lines = [json.dumps({"version": 2, "width": columns, "height": rows})]
    else:
        lines = [json.dumps({"version": 3, "term": {"cols": columns, "rows": rows}})]
    before = 0.0
    for event in events:
        time, code, data = event if len(event) == 3 else (event[0], "o", event[1])
        lines.append(json.dumps([time if version == 2 else round(time - before, 6), code, data]))
        before = time
    return "".join(f"{line}\n" for line in lines).encode()


def parts_of(data: bytes, size: int = MIB) -> Iterable[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def transcript_of(data: bytes) -> Transcript:
    """The transcript of a whole cast."""
    header = parse_header(data)
    assert header is not None
    reader = EventReader(header.version, Position(0))
    return transcribe(reader.read(parts_of(data)), header.columns or 80, header.rows or 24)


def lines_of(*events: Output, columns: int = 80, rows: int = 24) -> list[Line]:
    """The lines of the transcript of these events."""
    transcript = transcript_of(cast(*events, columns=columns, rows=rows))
    return [transcript[index] for index in range(len(transcript))]


def texts_of(*events: Output, columns: int = 80, rows: int = 24) -> list[str]:
    return [line.text for line in lines_of(*events, columns=columns, rows=rows)]


def typed(text: str, start: float, pause: float = 0.1) -> Sequence[Output]:
    """Each character printed on its own, as the echo of what somebody types."""
    return [(start + number * pause, char) for number, char in enumerate(text)]


def archived_cast(home: Home, data: bytes) -> Cast:
    """The cast as a session that has been archived."""
    return Cast(home.reader(home.archive(data).manifest.session_id))
