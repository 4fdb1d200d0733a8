"""The time index of terminal recordings, compared with a plain model that parses every line as JSON."""

import io
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive import casts
from lucid_pipeline.archive.casts import CastHeader, EventTimes
from lucid_pipeline.archive.chunking import MIB, ChunkPlan, ChunkSlice
from lucid_pipeline.archive.planning import plan_recording
from lucid_pipeline.archive.recording import RecordingFile, open_recording

DEMO = Path(casts.__file__).parents[1] / "cli" / "demo" / "terminal.cast"
HEADERS = {
    2: b'{"version": 2, "width": 80, "height": 24}\n',
    3: b'{"version": 3, "term": {"cols": 80, "rows": 24}}\n',
}
LATEST_MS = 2**53 - 1


@contextmanager
def recording_of(data: bytes) -> Iterator[RecordingFile]:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        with open_recording(Path(file.name)) as recording:
            yield recording


def index(data: bytes, plan: Sequence[ChunkSlice] | ChunkPlan) -> list[EventTimes]:
    with recording_of(data) as recording:
        header = casts.read_header(recording)
        assert header is not None
        return list(casts.index_events(recording, header, plan))


def cut(length: int, size: int) -> list[ChunkSlice]:
    """Chunks of any size, so that a short recording has many borders."""
    starts = range(0, max(1, length), size)
    return [ChunkSlice(index, start, min(size, length - start)) for index, start in enumerate(starts)]


def time_of(line: bytes) -> Decimal | None:
    """Seconds in an event's line; None for what is not an event."""
    try:
        event = json.loads(line, parse_float=Decimal, parse_int=Decimal, parse_constant=lambda _name: None)
    except ValueError:
        return None
    if not isinstance(event, list) or len(event) < 2 or not isinstance(event[0], Decimal) or event[0].is_signed():
        return None
    return event[0]


def model(data: bytes, plan: Sequence[ChunkSlice] | ChunkPlan, version: int) -> list[EventTimes]:
    """The definition: an event belongs to the chunk in which its line begins."""
    times: list[list[int]] = [[] for _ in plan]
    begin, elapsed = 0, Decimal(0)
    for line in io.BytesIO(data):
        seconds = time_of(line) if begin else None
        if seconds is not None:
            elapsed = seconds if version == 2 else elapsed + seconds
            chunk = next(chunk.index for chunk in plan if chunk.offset <= begin < chunk.offset + chunk.length)
            times[chunk].append(min(round(elapsed * 1000), LATEST_MS))
        begin += len(line)
    return [EventTimes(found[0], found[-1]) if found else EventTimes() for found in times]


def assert_same(found: list[EventTimes], expected: list[EventTimes]) -> None:
    """Equal, but for what is lost by adding up binary fractions instead of decimal ones."""
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        for mine, right in ((ours.first_ms, theirs.first_ms), (ours.last_ms, theirs.last_ms)):
            assert (mine is None) == (right is None), (found, expected)
            if mine is not None and right is not None:
                assert abs(mine - right) <= 1 + right * 2**-45, (found, expected)


numbers = st.one_of(
    st.integers(0, 10**6).map(str),
    st.decimals(0, 10**6, places=6).map(str),
    st.floats(0, 10**6, allow_nan=False).map(abs).map(repr),
    st.sampled_from(["0", "0.0", "0.0005", "1e3", "1E-3", "2.5e+2", "1e-9"]),
)
events = st.builds(
    lambda space, number, gap, code, data: (
        b"[%s%s%s, %s, %s]" % (space, number.encode(), gap, json.dumps(code).encode(), json.dumps(data).encode())
    ),
    st.sampled_from([b"", b"", b" ", b"\t "]),
    numbers,
    st.sampled_from([b"", b"", b" "]),
    st.sampled_from("oimrx"),
    st.text(max_size=30),
)
malformed = st.sampled_from(
    [
        b"",
        b"[",
        b"]",
        b"[]",
        b"[,",
        b"[1]",
        b"[1.5]",
        b"[null, 1]",
        b"[true, 1]",
        b'["o", 3.5, "x"]',
        b"[-1.5, 2]",
        b"[-0.0, 2]",
        b"[[7, 8], 9]",
        b'{"version": 2}',
        b"# 12, a comment",
        b"12, 13",
        b"[x1, 2]",
        b"[1x, 2]",
        b"[1.2.3, 2]",
        b"[0x10, 2]",
        b"[1_0, 2]",
        b"[1 2, 3]",
        b"[NaN, 2]",
        b"[Infinity, 2]",
        b"\xff\xfe\x00",
    ]
)
bodies = st.lists(st.one_of(events, events, events, malformed), max_size=25).map(b"\n".join)


@pytest.mark.parametrize("version", [2, 3])
@settings(max_examples=200)
@given(body=bodies, newline=st.booleans(), size=st.integers(1, 120))
@example(body=b"[1, 2]\n[3, 4]", newline=True, size=len(HEADERS[2]))
@example(body=b"[1, 2]\n[3, 4]", newline=True, size=len(HEADERS[2]) + 1)
@example(body=b"[1, 2]\n[3, 4]", newline=False, size=1)
@example(body=b"", newline=False, size=7)
@example(body=b"[1, 2]\n[\n12, 13]", newline=True, size=7)
def test_the_index_is_that_of_parsing_every_line(version: int, body: bytes, newline: bool, size: int) -> None:
    data = HEADERS[version] + body + (b"\n" if newline else b"")
    plan = cut(len(data), size)
    assert_same(index(data, plan), model(data, plan, version))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("before_border", [-2, -1, 0, 1, 2, 3, 5, 20])
def test_an_event_belongs_to_the_chunk_in_which_its_line_begins(version: int, before_border: int) -> None:
    header = HEADERS[version]
    filler = b'[1.25, "o", "' + b"x" * (MIB - before_border - len(header) - 16) + b'"]\n'
    data = header + filler + b'[2.5, "o", "a line of some length, so that it ends in another chunk"]\n[4, "o", ""]\n'
    plan = ChunkPlan(len(data), MIB)
    assert len(header + filler) == MIB - before_border, "where the second event's line begins"
    second, third = (2500, 4000) if version == 2 else (3750, 7750)
    beyond_too = before_border > 0
    expected = [EventTimes(1250, second if beyond_too else 1250), EventTimes(third if beyond_too else second, third)]
    assert index(data, plan) == expected == model(data, plan, version)


@pytest.mark.parametrize("version", [2, 3])
def test_events_far_from_both_ends_of_a_chunk_are_found(version: int) -> None:
    """The ends are read first; a chunk whose ends are the middle of two huge lines has to be read whole."""
    filler = b'[1, "o", "' + b"x" * (MIB - 100_000) + b'"]\n'
    small = b'[2.25, "o", "in the middle"]\n'
    data = HEADERS[version] + filler + small + filler + small + filler
    plan = ChunkPlan(len(data), MIB)
    assert index(data, plan) == model(data, plan, version)


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_inside_one_long_line_has_no_times(version: int) -> None:
    data = HEADERS[version] + b'[1, "o", "' + b"x" * (3 * MIB) + b'"]\n[2, "o", ""]\n'
    plan = ChunkPlan(len(data), MIB)
    found = index(data, plan)
    assert found[1:3] == [EventTimes(), EventTimes()]
    assert found == model(data, plan, version)


@pytest.mark.parametrize("version", [2, 3])
def test_many_short_events_add_up_over_many_chunks(version: int) -> None:
    times = [0.000731 * (n if version == 2 else 1) for n in range(90_000)]
    data = HEADERS[version] + b"".join(b'[%.6f, "o", "some text that takes space"]\n' % time for time in times)
    plan = ChunkPlan(len(data), MIB)
    assert len(plan) > 3
    assert_same(index(data, plan), model(data, plan, version))


@pytest.mark.parametrize("version", [2, 3])
def test_a_line_that_is_cut_or_holds_broken_text_still_has_its_time(version: int) -> None:
    """A recorder that was killed leaves half a line, and terminals print bytes that are no UTF-8."""
    data = HEADERS[version] + b'[1, "o", "\xff\xfe"]\n[2, "o", "cut he'
    assert index(data, cut(len(data), len(data))) == [EventTimes(1000, 2000 if version == 2 else 3000)]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("number", [b"1e13", b"1e300", b"1e307", b"1e308", b"9" * 31])
def test_a_time_beyond_all_time_is_the_latest_there_is(version: int, number: bytes) -> None:
    data = HEADERS[version] + b'[1, "o", ""]\n' + b'[%s, "o", ""]\n' % number * 3
    assert index(data, cut(len(data), len(data))) == [EventTimes(1000, LATEST_MS)]


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("number", [b"1e309", b"1e999999", b"1" * 400, b"1e" + b"9" * 5000])
def test_a_number_that_no_computer_holds_is_no_refusal(version: int, number: bytes) -> None:
    data = HEADERS[version] + b'[1, "o", ""]\n[%s, "o", ""]\n[0.5, "o", ""]\n' % number
    (times,) = index(data, cut(len(data), len(data)))
    assert times.first_ms == 1000
    assert times.last_ms is not None


def test_a_malformed_line_does_not_change_the_times_around_it() -> None:
    short = b'[0.0004, "o", "x"]\n' * 10_000
    data = HEADERS[3] + b'[0, "o", ""]\n[1x, "o", ""]\n' + short
    assert index(data, cut(len(data), len(data))) == [EventTimes(0, 4000)]


@given(st.binary(max_size=300), st.sampled_from([2, 3]), st.integers(1, 50))
def test_no_bytes_behind_a_header_are_refused(body: bytes, version: int, size: int) -> None:
    data = HEADERS[version] + body
    assert len(index(data, cut(len(data), size))) == len(cut(len(data), size))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"version": 2, "width": 80, "height": 24}', CastHeader(2, 80, 24, None)),
        (b'{"version": 2, "width": 80, "height": 24, "timestamp": 1504467315}', CastHeader(2, 80, 24, 1504467315)),
        (b'{"version": 2, "timestamp": 1504467315.75}', CastHeader(2, None, None, 1504467315)),
        (b'{"version": 3, "term": {"cols": 100, "rows": 50}, "timestamp": 7}', CastHeader(3, 100, 50, 7)),
        (b'{"version": 3, "width": 80, "height": 24}', CastHeader(3, None, None, None)),
        (b'{"version": 3, "term": "xterm"}', CastHeader(3, None, None, None)),
        (b'{"version": 2, "width": "80", "height": null}', CastHeader(2, None, None, None)),
        (b'{"version": 2, "width": -80, "height": 0}', CastHeader(2, None, None, None)),
        (b'{"version": 2, "width": 65535, "height": 65536}', CastHeader(2, 65535, None, None)),
        (b'{"version": 2, "width": NaN, "height": Infinity}', CastHeader(2, None, None, None)),
        (b'{"version": 2, "width": 1e400, "timestamp": 1e300}', CastHeader(2, None, None, None)),
        (b'{"version": 2, "width": 1%s, "timestamp": 1%s}' % (b"0" * 400, b"0" * 40), CastHeader(2, None, None, None)),
        (b"", None),
        (b"{", None),
        (b"[2]", None),
        (b'{"version": 1}', None),
        (b'{"version": "2"}', None),
        (b'{"version": 4}', None),
        (b'{"version": [2]}', None),
        (b'{"version": 2' + b"9" * 5000 + b"}", None),
        (b'{"version": 2, "title": "\xff"}', None),
        (b'{"version": 2, "deep": ' + b"[" * 50_000, None),
        (b'{"version": 2, "title": "' + b"x" * 70_000 + b'"}', None),
    ],
)
def test_a_header_says_what_it_says_and_no_more(line: bytes, expected: CastHeader | None) -> None:
    with recording_of(line + b'\n[1, "o", ""]\n') as recording:
        assert casts.read_header(recording) == expected


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists), st.sampled_from([2, 3])
)
def test_no_header_of_a_cast_is_refused(value: Any, version: int) -> None:
    fields = {"version": version, "width": value, "height": value, "timestamp": value}
    with recording_of(json.dumps(fields | {"term": {"cols": value, "rows": value}}).encode()) as recording:
        header = casts.read_header(recording)
    assert header is not None
    assert header.version == version


def test_the_demo_cast_is_indexed_as_the_model_says(tmp_path: Path) -> None:
    data = DEMO.read_bytes()
    with open_recording(DEMO) as recording:
        planned = plan_recording(recording, None)
    (expected,) = model(data, planned.plan, 2)
    assert (planned.rows[0].first_ms, planned.rows[0].last_ms) == (expected.first_ms, expected.last_ms)
    assert planned.duration_ms == expected.last_ms
    assert planned.terminal is not None
    assert (planned.terminal.columns, planned.terminal.rows) == (80, 24)
