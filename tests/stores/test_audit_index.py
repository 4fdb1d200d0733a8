"""Finding events: the newest first, page by page, whatever became of index and record meanwhile."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.manifest import parse_time
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.audit_event import START, Action, AuditEvent, Entry, chained
from lucid_pipeline.stores.audit_index import AuditFilter, AuditIndex, Place
from lucid_pipeline.stores.audit_log import AuditLog

EVERYTHING = AuditFilter()
SESSIONS = [new_session_id() for _ in range(3)]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    with closing(AuditLog(tmp_path / "audit")) as log:
        yield log


@pytest.fixture
def index(log: AuditLog) -> Iterator[AuditIndex]:
    with closing(AuditIndex(log.path, log.path.with_name("index.sqlite3"))) as index:
        yield index


def numbers(index: AuditIndex, wanted: AuditFilter = EVERYTHING, limit: int = 100) -> list[int | None]:
    """The sequence numbers of the events that are found; None for what is not intact."""
    found = index.find(wanted, before=None, limit=limit)
    return [entry.event.sequence if entry.event else None for entry in found]


def pages(index: AuditIndex, wanted: AuditFilter, limit: int) -> Iterator[list[AuditEvent]]:
    before: Place | None = None
    while found := index.find(wanted, before=before, limit=limit):
        yield [entry.event for entry in found if entry.event]
        before = found[-1].place


def write_record(path: Path, entries: list[tuple[Entry, datetime]]) -> list[AuditEvent]:
    """A record with these moments, as no clock would tell them."""
    head, events = START, []
    for entry, moment in entries:
        events.append(chained(entry, head, moment))
        head = events[-1].head
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(event.line for event in events))
    return events


def test_the_newest_come_first(log: AuditLog, index: AuditIndex) -> None:
    assert numbers(index) == []
    log.append(*[Entry(Action.SIGN_OUT)] * 3)
    assert numbers(index) == [3, 2, 1]
    log.append(Entry(Action.SIGN_OUT))
    assert numbers(index) == [4, 3, 2, 1]
    assert numbers(index, limit=2) == [4, 3]


def test_each_filter_finds_what_it_says(log: AuditLog, index: AuditIndex) -> None:
    log.append(
        Entry(Action.CONTENT_PLAYED, subject="key:a", session_id=SESSIONS[0]),
        Entry(Action.CONTENT_PLAYED, subject="key:b", session_id=SESSIONS[1]),
        Entry(Action.SIGN_IN_FAILED),
        Entry(Action.KEY_CREATED, subject="key:a"),
    )
    assert numbers(index, AuditFilter(action=Action.CONTENT_PLAYED)) == [2, 1]
    assert numbers(index, AuditFilter(subject="key:a")) == [4, 1]
    assert numbers(index, AuditFilter(session_id=SESSIONS[1])) == [2]
    assert numbers(index, AuditFilter(action=Action.CONTENT_PLAYED, subject="key:a")) == [1]
    assert numbers(index, AuditFilter(session_id=SESSIONS[2])) == []


entries = st.lists(
    st.tuples(
        st.builds(
            Entry,
            st.sampled_from([Action.CONTENT_PLAYED, Action.SIGN_OUT]),
            subject=st.sampled_from([None, "key:a", "key:b"]),
            session_id=st.sampled_from([None, *SESSIONS]),
        ),
        st.integers(-5, 5).map(lambda seconds: NOON + timedelta(seconds=seconds)),
    ),
    max_size=40,
)
moments = st.none() | st.integers(-6, 6).map(lambda seconds: NOON + timedelta(seconds=seconds))
filters = st.builds(
    AuditFilter,
    action=st.sampled_from([None, Action.CONTENT_PLAYED]),
    subject=st.sampled_from([None, "key:a"]),
    session_id=st.sampled_from([None, SESSIONS[0]]),
    since=moments,
    until=moments,
)


def fits(event: AuditEvent, wanted: AuditFilter) -> bool:
    moment = parse_time(event.time)
    return (
        wanted.action in (None, event.action)
        and wanted.subject in (None, event.subject)
        and (wanted.session_id is None or str(wanted.session_id) == event.session_id)
        and (wanted.since is None or wanted.since <= moment)
        and (wanted.until is None or moment < wanted.until)
    )


@given(entries=entries, wanted=filters, limit=st.integers(1, 7))
def test_pages_are_all_that_fits_in_order_even_where_clocks_were_set_back(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[Entry, datetime]], wanted: AuditFilter, limit: int
) -> None:
    folder = tmp_path_factory.mktemp("audit")
    events = write_record(folder / "audit.jsonl", entries)
    with closing(AuditIndex(folder / "audit.jsonl", folder / "index.sqlite3")) as index:
        found = [event for page in pages(index, wanted, limit) for event in page]
    expected = sorted(
        (event for event in events if fits(event, wanted)), key=lambda event: (event.time, event.sequence)
    )
    assert found == expected[::-1]


def test_a_page_goes_on_where_the_last_one_ended_although_events_came_meanwhile(
    log: AuditLog, index: AuditIndex
) -> None:
    log.append(*[Entry(Action.SIGN_OUT)] * 5)
    found = []
    for page in pages(index, EVERYTHING, 2):
        found += [event.sequence for event in page]
        log.append(Entry(Action.AUDIT_READ))
    assert found == [5, 4, 3, 2, 1]


def test_an_altered_event_is_told_from_an_intact_one(log: AuditLog, index: AuditIndex) -> None:
    log.append(*[Entry(Action.SIGN_OUT, subject="key:a")] * 3)
    lines = log.path.read_bytes().splitlines(keepends=True)
    log.path.write_bytes(lines[0] + lines[1].replace(b"key:a", b"key:b") + lines[2])
    assert numbers(index) == [3, None, 1]
    log.path.write_bytes(lines[0] + lines[1].replace(b"key:a", b"key:c") + lines[2])
    assert numbers(index) == [3, None, 1], "altered after it was indexed"


def test_half_a_line_hides_nothing(log: AuditLog, index: AuditIndex) -> None:
    log.append(Entry(Action.SIGN_OUT))
    with log.path.open("ab") as file:
        file.write(b'{"action"')
    assert numbers(index) == [1]
    log.append(Entry(Action.SIGN_OUT))
    assert numbers(index) == [3, 2, 1]


def test_a_lost_index_is_made_anew(log: AuditLog) -> None:
    log.append(*[Entry(Action.SIGN_OUT)] * 3)
    for name in ("one.sqlite3", "two.sqlite3"):
        with closing(AuditIndex(log.path, log.path.with_name(name))) as index:
            assert numbers(index) == [3, 2, 1]


@pytest.mark.parametrize("lines", [1, 5])
def test_another_record_in_its_place_is_indexed_anew(log: AuditLog, index: AuditIndex, lines: int) -> None:
    log.append(*[Entry(Action.SIGN_OUT)] * 3)
    assert len(numbers(index)) == 3
    times = count()
    write_record(log.path, [(Entry(Action.AUDIT_READ), NOON + timedelta(seconds=next(times))) for _ in range(lines)])
    assert numbers(index) == list(range(lines, 0, -1))


def test_a_record_that_was_cut_is_indexed_anew(log: AuditLog, index: AuditIndex) -> None:
    log.append(*[Entry(Action.SIGN_OUT)] * 3)
    assert len(numbers(index)) == 3
    log.path.write_bytes(log.path.read_bytes().splitlines(keepends=True)[0])
    assert numbers(index) == [1]


def test_a_long_record_is_taken_in_step_by_step(
    log: AuditLog, index: AuditIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lucid_pipeline.stores.audit_index._LINES_AT_ONCE", 4)
    log.append(*[Entry(Action.SIGN_OUT)] * 10)
    assert numbers(index) == list(range(10, 0, -1))


def test_a_record_that_cannot_be_read_is_told(log: AuditLog, index: AuditIndex) -> None:
    log.path.parent.mkdir(exist_ok=True)
    log.path.symlink_to(log.path.parent)
    with pytest.raises(TransientError, match="cannot read the audit record"):
        numbers(index)


@pytest.mark.parametrize(
    "wanted",
    [
        EVERYTHING,
        AuditFilter(action=Action.SIGN_OUT),
        AuditFilter(subject="key:a"),
        AuditFilter(session_id=SESSIONS[0]),
        AuditFilter(since=NOON, until=NOON),
        AuditFilter(subject="key:a", since=NOON),
    ],
)
def test_no_page_looks_at_more_than_it_has(index: AuditIndex, log: AuditLog, wanted: AuditFilter) -> None:
    """The order of each index is that of the results, so nothing is sorted, and nothing passed over."""
    from lucid_pipeline.stores.audit_index import _search

    statement, values = _search(wanted, Place("2026-01-31T12:00:00.000Z", 7), 10)
    with closing(sqlite3.connect(log.path.with_name("index.sqlite3"))) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert len(plan) == 1, plan
    assert plan[0].startswith("SEARCH events USING INDEX events_by_"), plan
    assert "time" in plan[0], plan
