"""What a chain shows, and what it shows only beside a head that was noted elsewhere."""

import random
from contextlib import closing
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.manifest import parse_time
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.errors import UsageError
from lucid_pipeline.stores.audit_check import AuditReport, check_audit_log
from lucid_pipeline.stores.audit_event import START, Action, Entry, Head, chained, parse_event
from lucid_pipeline.stores.audit_log import AuditLog

EVENTS = 7
HALF = b'{"action":"content.pl'


@cache
def record() -> tuple[bytes, ...]:
    """The lines of a whole record, in which a crash has left half a line before the fourth event."""
    with TemporaryDirectory() as folder:
        with closing(AuditLog(Path(folder))) as log:
            log.append(*[Entry(Action.CONTENT_PLAYED, subject=f"key:{n}", session_id=new_session_id()) for n in "123"])
            path = log.path
        with path.open("ab") as file:
            file.write(HALF)
        with closing(AuditLog(Path(folder))) as log:
            log.append(*[Entry(Action.KEY_CREATED, details={"label": "x\ny", "n": n}) for n in range(3)])
        return tuple(path.read_bytes().splitlines(keepends=True))


def events() -> tuple[bytes, ...]:
    return tuple(line for line in record() if not line.endswith(b"#\n"))


def check(data: bytes, noted: Head | None = None) -> AuditReport:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.jsonl"
        path.write_bytes(data)
        return check_audit_log(path, noted)


def flaws(data: bytes, noted: Head | None = None) -> list[tuple[int, int, str]]:
    return [(found.line, found.sequence, str(found.flaw)) for found in check(data, noted).findings]


def head_of(line: bytes) -> Head:
    return parse_event(line.rstrip(b"\n")).head


def test_a_whole_record_is_intact_and_tells_its_head() -> None:
    report = check(b"".join(record()))
    assert (report.intact, report.events) == (True, EVENTS)
    assert report.head == head_of(record()[-1])
    assert [(recovery.line, recovery.bytes) for recovery in report.recoveries] == [(5, len(HALF) + 2)]


def test_no_record_is_an_empty_one(tmp_path: Path) -> None:
    report = check_audit_log(tmp_path / "audit.jsonl")
    assert (report.intact, report.events, report.head) == (True, 0, START)


@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    whole = bytearray(b"".join(record()))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    line = bytes(whole[:place]).count(b"\n") + 1
    found = check(bytes(whole)).findings
    assert found
    assert abs(found[0].line - line) <= 1, "the line, the event that accounts for it, or what that accounts for"


@given(st.data())
def test_any_byte_too_many_or_too_few_is_found(data: st.DataObject) -> None:
    whole = b"".join(record())
    place = data.draw(st.integers(0, len(whole) - 1))
    added = data.draw(st.binary(max_size=3))
    assert not check(whole[:place] + added + whole[place + (not added) :]).intact


@given(st.integers(0, EVENTS), st.integers(1, EVENTS))
def test_any_removed_lines_are_found_but_for_the_last(first: int, count: int) -> None:
    lines = record()
    left = lines[:first] + lines[first + count :]
    if first + count < len(lines):
        assert not check(b"".join(left)).intact


@given(st.permutations(range(EVENTS + 1)))
def test_any_other_order_is_found(order: list[int]) -> None:
    lines = record()
    assert check(b"".join(lines[n] for n in order)).intact == (order == sorted(order))


@given(st.integers(0, EVENTS), st.integers(0, EVENTS + 1))
def test_any_line_that_stands_twice_is_found(which: int, where: int) -> None:
    lines = record()
    assert not check(b"".join((*lines[:where], lines[which], *lines[where:]))).intact


@given(st.integers(0, EVENTS + 1), st.binary(max_size=80))
def test_any_added_line_is_found(where: int, added: bytes) -> None:
    lines = record()
    assert not check(b"".join((*lines[:where], added + b"\n", *lines[where:]))).intact


def test_each_flaw_is_named_at_the_first_place_where_it_shows() -> None:
    lines = list(events()[:3])
    altered = [lines[0], lines[1].replace(b"key:2", b"key:9"), lines[2]]
    assert flaws(b"".join(altered)) == [(2, 2, "altered")]
    assert flaws(b"".join(lines[1:])) == [(1, 1, "missing")]
    assert flaws(lines[0] + lines[2]) == [(2, 2, "missing")]
    assert flaws(lines[1] + lines[0] + lines[2]) == [(2, 1, "misplaced")]
    assert flaws(b"".join([*lines[:2], *lines[1:]])) == [(3, 2, "misplaced")]
    assert flaws(b"".join(lines) + b"{") == [(4, 4, "unfinished")]
    assert flaws(b"".join(lines) + b"{}\n") == [(4, 4, "altered")]


def test_an_event_that_was_written_anew_with_a_hash_of_its_own_does_not_fit_the_next() -> None:
    lines = events()
    first, second = parse_event(lines[0][:-1]), parse_event(lines[1][:-1])
    forged = chained(Entry(Action.SIGN_OUT, subject="nobody"), first.head, parse_time(second.time))
    assert flaws(b"".join([lines[0], forged.line, lines[2]])) == [(3, 3, "replaced")]


def test_what_is_cut_off_at_the_end_shows_only_against_a_noted_head() -> None:
    lines = events()[:3]
    noted = head_of(lines[2])
    assert check(lines[0] + lines[1]).intact
    assert flaws(lines[0] + lines[1], noted) == [(3, 3, "cut_off")]
    assert flaws(b"", noted) == [(1, 3, "cut_off")]
    assert check(b"".join(record()), noted).intact, "a record that has grown since"


def test_what_is_written_anew_from_some_place_on_shows_only_against_a_noted_head() -> None:
    lines = events()[:3]
    forged, head = [lines[0]], head_of(lines[0])
    for line in lines[1:]:
        event = chained(Entry(Action.SIGN_OUT), head, parse_time(parse_event(line[:-1]).time))
        forged.append(event.line)
        head = event.head
    assert check(b"".join(forged)).intact
    assert flaws(b"".join(forged), head_of(lines[2])) == [(3, 3, "replaced")]


def test_a_flood_of_flaws_is_counted_and_not_kept() -> None:
    lines = events()[:2]
    report = check(b"".join(lines) + lines[1] * 500)
    assert (len(report.findings), report.more_findings) == (100, 400)


def test_an_endless_line_takes_no_memory_and_is_a_flaw() -> None:
    noise = random.Random(1).randbytes(3_000_000).replace(b"\n", b"x")
    assert flaws(events()[0] + noise + b"\n" + events()[1]) == [(2, 2, "altered")]


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "0:" + "0" * 64, "1:" + "0" * 63, "x:" + "0" * 64, "1:" + "g" * 64, "+1:" + "0" * 64]
)
def test_what_is_no_head_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="head"):
        Head.parse(text)


def test_a_head_is_read_as_it_is_told() -> None:
    head = head_of(events()[4])
    assert Head.parse(str(head)) == head
    assert Head.parse(str(head).upper()) == head
