"""Casts read event by event: the same events wherever one begins, and the same times as in the time index."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lucid_api.playback.casts import LONGEST_LINE, Event, EventReader, NotATerminal, Position
from lucid_pipeline.archive.chunking import MIB
from tests.api.playback.support import DEMO, archived_cast, cast, parts_of
from tests.support import Home

VERSIONS = pytest.mark.parametrize("version", [2, 3])


def read(data: bytes, version: int = 2, size: int = MIB) -> tuple[list[Event], EventReader]:
    reader = EventReader(version, Position(0))
    return list(reader.read(parts_of(data, size))), reader


def seen(data: bytes, version: int = 2) -> list[tuple[int, str, str]]:
    return [(event.time_ms, event.code, event.data) for event in read(data, version)[0]]


@VERSIONS
def test_times_are_from_the_start_whatever_the_version(version: int) -> None:
    data = cast((0.5, "a"), (1.25, "i", "b"), (1.25, "m", ""), (60, "r", "80x24"), version=version)
    assert seen(data, version) == [(500, "o", "a"), (1250, "i", "b"), (1250, "m", ""), (60_000, "r", "80x24")]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[",
        b"[]",
        b"[1]",
        b'[1, "o"]',
        b'[1, "o", 2]',
        b'[1, 2, "x"]',
        b'[-1, "o", "x"]',
        b'[NaN, "o", "x"]',
        b'[1e999, "o", "x"]',
        b'["1", "o", "x"]',
        b' [1, "o", "x"]',
        b'{"version": 2}',
        b"# a comment",
        b'[1, "o", "cut he',
        b'[1, "o", "x"] and more',
        b'[1, "' + b"o" * 100 + b'", "x"]',
        b"[" * 100_000,
        b'[1, "o", ' + b"[" * 100_000,
        b'[1, "o", ' + b"9" * 10_000 + b"]",
        b"\xff\xfe\x00",
    ],
)
def test_a_line_that_is_no_event_is_passed_over(line: bytes) -> None:
    header = cast()
    before, after = b'[0.5, "o", "before"]\n', b'[2, "o", "after"]\n'
    events, reader = read(header + before + line + b"\n" + after)
    assert [event.data for event in events] == ["before", "after"]
    assert reader.unreadable == (bool(line) and not line.startswith(b"#"))


def test_what_is_no_utf8_or_no_character_is_shown_as_such() -> None:
    """As in terminals: a broken byte, and half of a pair that a recorder wrote, become U+FFFD."""
    data = cast() + b'[1, "o", "a\xffb"]\n[2, "o", "a\\ud800b"]\n[3, "o", "\\ud83d\\ude00"]\n[4, "o", "\x1b[m\x00"]\n'
    assert [data for _, _, data in seen(data)] == ["a\ufffdb", "a\ufffdb", "😀", "\x1b[m\x00"]


def test_a_line_without_end_is_passed_over_in_little_memory() -> None:
    endless = b'[1, "o", "' + b"x" * (3 * LONGEST_LINE)
    events, reader = read(cast() + endless + b'"]\n[2, "o", "after"]\n')
    assert [event.data for event in events] == ["after"]
    assert reader.unreadable == 1
    events, reader = read(cast((1, "before")) + endless)
    assert [event.data for event in events] == ["before"]
    assert reader.unreadable == 1


def test_the_longest_line_that_is_read_is_read() -> None:
    line = b'[1, "o", "' + b"x" * (LONGEST_LINE - 12) + b'"]'
    assert len(line) == LONGEST_LINE
    assert len(read(cast() + line + b"\n")[0]) == 1


def test_a_last_line_without_a_line_feed_counts() -> None:
    assert seen(cast() + b'[1, "o", "x"]') == [(1000, "o", "x")]


lines = st.one_of(
    st.builds(
        lambda time, code, data: json.dumps([time, code, data]).encode(),
        st.floats(0, 1e6, allow_nan=False).map(lambda time: round(abs(time), 6)),
        st.sampled_from("oimrx"),
        st.text(max_size=20),
    ),
    st.sampled_from([b"", b"[1, 2]", b"nothing", b'[3, "o"', b"# 1", b'[-1, "o", ""]', b'[01.5, "o", ""]']),
    st.binary(max_size=10).map(lambda line: line.replace(b"\n", b"")),
)
bodies = st.lists(lines, max_size=20).map(b"\n".join)


@VERSIONS
@settings(max_examples=150)
@given(body=bodies, size=st.integers(1, 60))
@example(body=b'[1, "o", "a"]\n[1, "o", "b"]', size=1)
def test_it_does_not_matter_how_the_bytes_come(version: int, body: bytes, size: int) -> None:
    data = cast(version=version) + body
    (whole, one), (pieces, other) = read(data, version), read(data, version, size)
    assert whole == pieces
    assert (one.position, one.unreadable) == (other.position, other.unreadable)


@VERSIONS
@settings(max_examples=150)
@given(body=bodies, cut=st.integers(0, 20))
def test_reading_goes_on_where_it_stopped(version: int, body: bytes, cut: int) -> None:
    data = cast(version=version) + body
    whole, _ = read(data, version)
    reader = EventReader(version, Position(0))
    first = [event for _, event in zip(range(cut), reader.read([data]), strict=False)]
    position = reader.position if len(first) == cut else Position(len(data))
    rest = list(EventReader(version, position).read([data[position.offset :]]))
    together = first + rest if cut else rest
    assert [(event.offset, event.code, event.data) for event in together] == [
        (event.offset, event.code, event.data) for event in whole
    ]
    for ours, theirs in zip(together, whole, strict=True):
        assert abs(ours.time_ms - theirs.time_ms) <= 1


@given(st.binary(max_size=400), st.sampled_from([2, 3]), st.integers(1, 50))
def test_no_bytes_behind_a_header_are_refused(body: bytes, version: int, size: int) -> None:
    read(cast(version=version) + body, version, size)


def lengthy(version: int) -> bytes:
    """A cast of several chunks."""
    return cast(*[(n * 0.01, "x" * 500 + f"{n}\r\n") for n in range(5000)], version=version)


@VERSIONS
def test_from_the_start_of_any_chunk_come_the_events_that_begin_there_at_their_times(home: Home, version: int) -> None:
    data = lengthy(version)
    found = archived_cast(home, data)
    everything, _ = read(data, version)
    for row in found.reader.metadata.chunks:
        here = [event for event in everything if row.offset <= event.offset < row.offset + row.length]
        events = list(found.events(found.position_at(row.offset + 5), row.offset + row.length))
        assert [(event.offset, event.data) for event in events] == [(event.offset, event.data) for event in here]
        assert all(abs(ours.time_ms - right.time_ms) <= 1 for ours, right in zip(events, here, strict=True))
        assert (row.first_ms, row.last_ms) == (here[0].time_ms, here[-1].time_ms)


@VERSIONS
def test_a_chunk_that_begins_with_a_line_begins_with_an_event(home: Home, version: int) -> None:
    header = cast(version=version)
    filler = b'[1, "o", "' + b"x" * (MIB - len(header) - 13) + b'"]\n'
    found = archived_cast(home, header + filler + b'[2, "o", "second"]\n')
    (event,) = found.events(found.position_at(MIB))
    assert (event.offset, event.data) == (MIB, "second")
    assert event.time_ms == (2000 if version == 2 else 3000)


def test_the_demo_is_a_cast(home: Home) -> None:
    found = archived_cast(home, DEMO.read_bytes())
    assert (found.columns, found.rows) == (80, 24)
    events = list(found.events(Position(0)))
    assert events[-1].time_ms == found.reader.metadata.recording.duration_ms
    assert found.range_of_times(0, 10) == (0, len(found.reader))
    assert found.range_of_times(10**9, 10**9) == (0, 0)


@pytest.mark.parametrize(
    "data", [b"", b"no cast", b'{"version": 1}\n[1, "o", "x"]\n', b'{"version": 2, "title": "\xff"}\n']
)
def test_what_is_no_cast_is_no_terminal(home: Home, data: bytes) -> None:
    with pytest.raises(NotATerminal):
        archived_cast(home, data)


def test_a_cast_without_events_has_none(home: Home) -> None:
    found = archived_cast(home, b'{"version": 2}\n')
    assert (found.columns, found.rows) == (80, 24)
    assert list(found.events(Position(0))) == []
    assert found.range_of_times(0, 10) == (0, len(found.reader))
