"""What an SQLite catalog keeps beside its sessions, so that finding and counting cost the same however many there are.

All of it follows from the sessions, and is brought up to date in the transaction that changes one:

- `listing`, a row a session, has what sessions are found and sorted by, in columns that are never NULL: what is not
  known is less than all that is. Each order has an index that holds most columns that can be asked for
  (`listing_by_…`), each filter one in the order in which people look, by the start (`listing_of_…`).
- `terms` has, for each word and each tag, the numbers of the sessions that have it.
- `tallies` has the counts.

A page is made in one of three ways (`plan`). The index of a filter is sorted by the start, so one filter alone, in that
order, has its page there. Else, where one of the conditions holds for a few sessions only, those are read and sorted.
Else the index of the order is walked until the page is full, or until so much has been looked through that somebody
would have to wait: then the next page goes on from there.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import date
from operator import itemgetter
from typing import Any
from uuid import UUID

from lucid_pipeline.errors import UsageError
from lucid_pipeline.stores.catalog import (
    Holding,
    Order,
    Position,
    SessionFilter,
    SessionRecord,
    Sort,
    Status,
    in_unicode,
    microseconds,
)
from lucid_pipeline.stores.listed import listed, tag_term, tallies
from lucid_pipeline.stores.searching import beginning_of_ids, words

_FEW = 2_000
_MOST_WALKED = 100_000  # entries of an index, which hold all that is asked: 0.1 µs each
_MOST_READ = 20_000  # rows, 2 µs each

_LAST = "\U0010ffff"  # no word has it

_KEYS = {
    Sort.STARTED: "started",
    Sort.REGISTERED: "session_id",
    Sort.SEALED: "sealed",
    Sort.LENGTH: "length",
    Sort.DURATION: "duration",
    Sort.USER: "user",
}
_FACETS = ("user", "host", "protocol", "media_type", "status", "proof")
# In the index of every order. Not what changes at every stage: that would be written six times as often.
_IN_INDEX = ("session_id", "started", "user", "host", "protocol", "media_type")
_IN_ROW = ("status", "proof", "terms")
_COUNTED = ("status", "sealed", "stored", "length")

_TABLES = (
    "DROP TABLE IF EXISTS listing",
    "DROP TABLE IF EXISTS terms",
    "DROP TABLE IF EXISTS tallies",
    """CREATE TABLE listing (
        n          INTEGER PRIMARY KEY,
        session_id TEXT NOT NULL,
        started    INTEGER NOT NULL,  -- times in microseconds from 1970
        sealed     INTEGER NOT NULL,
        length     INTEGER NOT NULL,
        duration   INTEGER NOT NULL,
        user       TEXT NOT NULL,
        host       TEXT NOT NULL,
        protocol   TEXT NOT NULL,
        media_type TEXT NOT NULL,
        status     TEXT NOT NULL,
        proof      TEXT NOT NULL,
        stored     INTEGER NOT NULL,
        terms      TEXT NOT NULL  -- a line each, between two empty ones
    )""",
    "CREATE TABLE terms (term TEXT NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (term, n)) WITHOUT ROWID",
    """CREATE TABLE tallies (
        kind         TEXT NOT NULL,
        name         TEXT NOT NULL,
        sessions     INTEGER NOT NULL,
        stored_bytes INTEGER NOT NULL,
        raw_bytes    INTEGER NOT NULL,
        PRIMARY KEY (kind, name)
    ) WITHOUT ROWID""",
)
_INDEXES = (
    *(
        f"CREATE INDEX listing_by_{sort} ON listing ({', '.join(dict.fromkeys((key, *_IN_INDEX)))})"
        for sort, key in _KEYS.items()
    ),
    *(
        f"CREATE INDEX listing_of_{facet} ON listing ({facet}, started, session_id) WHERE {facet} <> ''"
        for facet in _FACETS
    ),
)

Row = Mapping[str, Any]


def make(connection: sqlite3.Connection, records: Iterable[SessionRecord]) -> None:
    """Make all of it anew, in the transaction at hand, from all records that there are."""
    for statement in _TABLES:
        connection.execute(statement)
    connection.execute("CREATE TEMP TABLE found (term TEXT NOT NULL, n INTEGER NOT NULL)")
    for record in records:
        row = _row(record)
        number = _insert(connection, row)
        connection.executemany("INSERT INTO found VALUES (?, ?)", [(term, number) for term in _terms(row)])
        _tally(connection, row, 1)
    # In their order, which is several times as fast as one by one.
    connection.execute("INSERT INTO terms SELECT term, n FROM found ORDER BY term, n")
    connection.execute("DROP TABLE found")
    for statement in _INDEXES:
        connection.execute(statement)


def update(connection: sqlite3.Connection, record: SessionRecord) -> None:
    """Bring all of it up to date with one session, in the transaction at hand."""
    new = _row(record)
    old = connection.execute("SELECT * FROM listing WHERE session_id = ?", (new["session_id"],)).fetchone()
    # An index is written to where a column of it is named, changed or not.
    changed = {column: value for column, value in new.items() if old is None or old[column] != value}
    if not changed:
        return
    if old is None:
        number, known = _insert(connection, new), set[str]()
    else:
        number, known = old["n"], _terms(old)
        assignments = ", ".join(f"{column} = :{column}" for column in changed)
        connection.execute(f"UPDATE listing SET {assignments} WHERE n = :n", {**changed, "n": number})
    if changed.keys() & set(_COUNTED):
        if old is not None:
            _tally(connection, old, -1)
        _tally(connection, new, 1)
    terms = _terms(new)
    connection.executemany("DELETE FROM terms WHERE term = ? AND n = ?", [(term, number) for term in known - terms])
    connection.executemany("INSERT INTO terms VALUES (?, ?)", [(term, number) for term in terms - known])


def find(
    connection: sqlite3.Connection, wanted: SessionFilter, order: Order, after: Position | None, limit: int
) -> tuple[list[Position], Position | None]:
    """The places of the sessions on a page, and where to go on, as `Catalog.page` has it."""
    if after and isinstance(after.value, str) is not (order.by in (Sort.USER, Sort.REGISTERED)):
        raise UsageError("this is no position in that order", "begin with the first page")
    search = plan(connection, wanted, order, after)
    rows = connection.execute(f"{search.statement} LIMIT ?", (*search.values, limit + 1))
    places = [_position(row) for row in rows]
    if len(places) > limit:
        return places[:limit], places[limit - 1]
    if not search.end:
        return places, None
    last = connection.execute(search.end, search.end_values).fetchone()
    return places, _position(last) if last else None


@dataclass(frozen=True, slots=True)
class Search:
    """A statement that finds places in their order; for a walk another one, for the place at which it has to rest."""

    statement: str
    values: tuple[object, ...]
    end: str = ""
    end_values: tuple[object, ...] = ()


def plan(connection: sqlite3.Connection, wanted: SessionFilter, order: Order, after: Position | None) -> Search:
    """How to find what is wanted: among a few sessions, or on a walk."""
    conditions, times = list(_conditions(wanted)), list(_times(wanted))
    if order.by is Sort.STARTED and len(conditions) == 1 and (facet := conditions[0].facet):
        return _walk(f"listing_of_{facet}", [*conditions, *_time_left(wanted, order, after)], [], order)
    counted = [(_count(connection, condition), condition) for condition in (*conditions, *times)]
    count, rarest = min(counted, key=itemgetter(0), default=(_FEW + 1, None))
    if rarest and count <= _FEW:
        return _among(rarest, [*conditions, *times, *_behind(order, after)], order)
    if order.by is not Sort.STARTED:
        return _walk(f"listing_by_{order.by}", [*_behind(order, after)], [*conditions, *times], order)
    return _walk("listing_by_started", list(_time_left(wanted, order, after)), conditions, order)


def holding(connection: sqlite3.Connection) -> Holding:
    """What is sealed, counted."""
    sums = "COALESCE(SUM(sessions), 0), COALESCE(SUM(stored_bytes), 0), COALESCE(SUM(raw_bytes), 0)"
    return Holding(*connection.execute(f"SELECT {sums} FROM tallies WHERE kind = 'sealed'").fetchone())


def statuses(connection: sqlite3.Connection) -> dict[Status, int]:
    """How many sessions are shown as what, where there are any."""
    rows = connection.execute("SELECT name, sessions FROM tallies WHERE kind = 'status' AND sessions > 0")
    return {Status(row["name"]): row["sessions"] for row in rows}


def sealed_by_day(connection: sqlite3.Connection, since: date) -> dict[date, Holding]:
    """What was sealed on each day from that one on, where there is any."""
    rows = connection.execute(
        "SELECT name, sessions, stored_bytes, raw_bytes FROM tallies"
        " WHERE kind = 'sealed' AND name >= ? AND sessions > 0 ORDER BY name",
        (since.isoformat(),),
    )
    return {date.fromisoformat(day): Holding(*counts) for day, *counts in rows}


@dataclass(frozen=True, slots=True)
class _Condition:
    """What has to hold for a row of the listing, and a statement for the numbers of all rows for which it does.

    `facet` is the one column that has to have one value; `needs_row` says that an order's index cannot tell.
    """

    test: str
    values: tuple[object, ...]
    source: str = ""
    source_values: tuple[object, ...] = ()
    facet: str = ""
    needs_row: bool = False


def _conditions(wanted: SessionFilter) -> Iterator[_Condition]:
    for facet in ("user", "host", "protocol", "media_type"):
        if value := getattr(wanted, facet):
            yield _is(facet, in_unicode(value))
    if wanted.proof:
        yield _is("proof", wanted.proof, needs_row=True)
    if len(chosen := sorted(set(wanted.statuses))) == 1:
        yield _is("status", *chosen, needs_row=True)
    elif chosen:
        places = ", ".join("?" * len(chosen))
        yield _columns(f"status <> '' AND status IN ({places})", *chosen, needs_row=True)
    for name, value in wanted.tags:
        term = tag_term(name, value)
        yield _Condition(
            "instr(terms, ?)", (f"\n{term}\n",), "SELECT n FROM terms WHERE term = ?", (term,), needs_row=True
        )
    yield from _text_conditions(wanted.text or "")


def _is(facet: str, value: str, *, needs_row: bool = False) -> _Condition:
    # SQLite takes an index of some rows only where it sees that they are those.
    return _columns(f"{facet} <> '' AND {facet} = ?", value, facet=facet, needs_row=needs_row)


def _columns(test: str, *values: object, facet: str = "", needs_row: bool = False) -> _Condition:
    return _Condition(test, values, f"SELECT n FROM listing WHERE {test}", values, facet, needs_row)


def _text_conditions(text: str) -> Iterator[_Condition]:
    found = [
        _Condition(
            "instr(terms, ?)",
            (f"\n{word}",),
            "SELECT n FROM terms WHERE term BETWEEN ? AND ?",
            (word, word + _LAST),
            needs_row=True,
        )
        for word in words(in_unicode(text))
    ]
    if ids := beginning_of_ids(text):
        test, values = "session_id BETWEEN ? AND ?", tuple(map(str, ids))
        found = [
            _Condition(
                f"({test} OR {' AND '.join(word.test for word in found)})",
                (*values, *(value for word in found for value in word.values)),
                f"SELECT n FROM listing WHERE {test} UNION ALL {found[0].source}",
                (*values, *found[0].source_values),
                needs_row=True,
            )
        ]
    yield from found


def _times(wanted: SessionFilter) -> Iterator[_Condition]:
    """The condition that the start has to meet."""
    since, until = _limits(wanted)
    limits = [limit for limit in (_not_before(since), _before(until)) if limit]
    if limits:
        test, values = _all(limits)
        yield _columns(test, *values)


def _limits(wanted: SessionFilter) -> tuple[int | None, int | None]:
    since, until = wanted.since, wanted.until
    return microseconds(since) if since else None, microseconds(until) if until else None


def _not_before(moment: int | None) -> _Condition | None:
    return None if moment is None else _Condition("started >= ?", (moment,))


def _before(moment: int | None) -> _Condition | None:
    return None if moment is None else _Condition("started < ?", (moment,))


def _behind(order: Order, after: Position | None) -> Iterator[_Condition]:
    """What is behind a position in an order."""
    if after:
        operator, key = "<" if order.descending else ">", _KEYS[order.by]
        if order.by is Sort.REGISTERED:
            yield _Condition(f"{key} {operator} ?", (str(after.session_id),))
        else:
            yield _Condition(f"({key}, session_id) {operator} (?, ?)", (after.value, str(after.session_id)))


def _time_left(wanted: SessionFilter, order: Order, after: Position | None) -> Iterator[_Condition]:
    """Where a walk by the start begins and where it ends.

    It begins at the limit or behind the position, whichever is further. SQLite, given both, would take either.
    """
    since, until = _limits(wanted)
    first, last = (until, since) if order.descending else (since, until)
    begin, end = (_before(first), _not_before(last)) if order.descending else (_not_before(first), _before(last))
    if begin and first is not None and after and isinstance(after.value, int):
        begin = begin if (after.value >= first if order.descending else after.value < first) else None
    yield from [begin] if begin else _behind(order, after)
    yield from [end] if end else []


def _count(connection: sqlite3.Connection, condition: _Condition) -> int:
    """For how many sessions a condition holds, if those are few, else one more than that."""
    statement = f"SELECT COUNT(*) FROM ({condition.source} LIMIT ?)"
    count: int = connection.execute(statement, (*condition.source_values, _FEW + 1)).fetchone()[0]
    return count


def _among(few: _Condition, conditions: Iterable[_Condition], order: Order) -> Search:
    tests, values = _all(conditions)
    statement = f"SELECT {_place(order)} FROM listing NOT INDEXED WHERE n IN ({few.source}) AND {tests}"
    return Search(f"{statement} {_in(order)}", (*few.source_values, *values))


def _walk(index: str, bounds: list[_Condition], conditions: list[_Condition], order: Order) -> Search:
    needs_row = any(condition.needs_row for condition in conditions)
    most = _MOST_READ if needs_row else _MOST_WALKED
    columns = [_place(order), *(_IN_INDEX if conditions else ()), *(_IN_ROW if needs_row else ())]
    limits, limit_values = _all(bounds)
    tests, test_values = _all(conditions)
    way = f"FROM listing INDEXED BY {index} WHERE {limits} {_in(order)}"
    return Search(
        f"SELECT value, id FROM (SELECT {', '.join(columns)} {way} LIMIT {most}) WHERE {tests}",
        (*limit_values, *test_values),
        f"SELECT {_place(order)} {way} LIMIT 1 OFFSET {most - 1}",
        limit_values,
    )


def _all(conditions: Iterable[_Condition]) -> tuple[str, tuple[object, ...]]:
    """One test for all conditions, and its values."""
    known = list(conditions)
    test = " AND ".join(condition.test for condition in known) or "TRUE"
    return test, tuple(value for condition in known for value in condition.values)


def _place(order: Order) -> str:
    """The columns that make a position."""
    value = "''" if order.by is Sort.REGISTERED else _KEYS[order.by]
    return f"{value} AS value, session_id AS id"


def _position(row: sqlite3.Row) -> Position:
    return Position(row["value"], UUID(row["id"]))


def _in(order: Order) -> str:
    direction = "DESC" if order.descending else "ASC"
    return "ORDER BY " + ", ".join(f"{key} {direction}" for key in dict.fromkeys((_KEYS[order.by], "session_id")))


def _row(record: SessionRecord) -> dict[str, Any]:
    """The row of a record as the catalog has it, whose texts are Unicode."""
    known = listed(record)
    row = {field.name: getattr(known, field.name) for field in fields(known)}
    terms = "\n".join(("", *sorted(known.terms), ""))
    return {"session_id": str(record.session_id), **row, "proof": known.proof or "", "terms": terms}


def _insert(connection: sqlite3.Connection, row: Row) -> int:
    places = ", ".join(f":{column}" for column in row)
    number = connection.execute(f"INSERT INTO listing ({', '.join(row)}) VALUES ({places})", row).lastrowid
    return number or 0


def _terms(row: Row | sqlite3.Row) -> set[str]:
    return {term for term in row["terms"].split("\n") if term}


def _tally(connection: sqlite3.Connection, row: Row | sqlite3.Row, sign: int) -> None:
    """Count a row in, or out with a negative sign."""
    connection.executemany(
        "INSERT INTO tallies VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET"
        " sessions = sessions + excluded.sessions, stored_bytes = stored_bytes + excluded.stored_bytes,"
        " raw_bytes = raw_bytes + excluded.raw_bytes",
        [
            (tally.kind, tally.name, sign, sign * tally.stored_bytes, sign * tally.raw_bytes)
            for tally in tallies(*(row[column] for column in _COUNTED))
        ],
    )
