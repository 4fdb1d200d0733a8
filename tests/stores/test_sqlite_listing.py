"""What a page and the statistics cost, however many sessions there are."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from random import Random

import pytest

from lucid_pipeline.errors import UsageError
from lucid_pipeline.stores import catalog_sqlite, sqlite_listing
from lucid_pipeline.stores.catalog import (
    Order,
    Position,
    SessionFilter,
    Sort,
)
from lucid_pipeline.stores.catalog_sqlite import SqliteCatalog
from tests.bench import catalogs
from tests.stores.asked import (
    CONDITIONS,
    FILTERS,
    MIDDLE,
    NEVER_TOGETHER,
    NOTHING_SAID,
    ORDERS,
    PLAIN,
    SESSION_ID,
    SESSIONS,
    SINCE,
    UNTIL,
    do_something,
    name_of,
)

BOUND = 8_000  # steps of SQLite's machine
LATER = "(started,session_id)"
DAYS = catalogs.SPAN.days


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog of some size."""
    path = tmp_path_factory.mktemp("catalog") / "catalog.sqlite3"
    with closing(SqliteCatalog(path)) as catalog:
        catalogs.fill(catalog, SESSIONS)
    return path


@pytest.fixture
def catalog(path: Path) -> Iterator[SqliteCatalog]:
    with closing(SqliteCatalog(path)) as catalog:
        yield catalog


@pytest.fixture
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a catalog of millions is to Lucid, a small one is to these bounds."""
    for name, most in (("_FEW", 20), ("_MOST_WALKED", 200), ("_MOST_READ", 50)):
        monkeypatch.setattr(sqlite_listing, name, most)


@pytest.fixture
def always_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_listing, "_FEW", 10**9)


@pytest.fixture
def never_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_listing, "_FEW", -1)


def explained(connection: sqlite3.Connection, statement: str, values: tuple[object, ...]) -> list[str]:
    return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


def plan(catalog: SqliteCatalog, wanted: SessionFilter, order: Order) -> list[list[str]]:
    """What SQLite does for a first page and for a later one."""
    with catalog._file.reading() as connection:
        middle = Position(MIDDLE[order.by], SESSION_ID)
        searches = [sqlite_listing.plan(connection, wanted, order, after) for after in (None, middle)]
        return [explained(connection, search.statement, search.values) for search in searches]


def all_places(catalog: SqliteCatalog, wanted: SessionFilter, order: Order) -> list[Position]:
    """Where all that fit are, as the pages from the first to the last have them."""
    found: list[Position] = []
    after = None
    with catalog._file.reading() as connection:
        while True:
            places, after = sqlite_listing.find(connection, wanted, order, after, 500)
            found += places
            if after is None:
                return found


@contextmanager
def counted_steps(catalog: SqliteCatalog) -> Iterator[list[int]]:
    """How many steps SQLite's machine takes meanwhile, ten at a time."""
    steps: list[int] = []
    with catalog._file.reading() as connection:
        connection.set_progress_handler(lambda: steps.append(10), 10)
    yield steps
    with catalog._file.reading() as connection:
        connection.set_progress_handler(None, 0)


@pytest.mark.usefixtures("never_few")
@pytest.mark.parametrize("wanted", FILTERS, ids=name_of)
def test_where_many_fit_the_index_of_the_order_is_walked_and_nothing_is_sorted(
    catalog: SqliteCatalog, wanted: SessionFilter
) -> None:
    for order in ORDERS:
        for steps in plan(catalog, wanted, order):
            assert not any("TEMP B-TREE" in step for step in steps), steps
            [way] = [step for step in steps if "listing" in step]
            assert f"INDEX listing_by_{order.by}" in way or "INDEX listing_of_" in way


@pytest.mark.parametrize("bound", ["always_few", "never_few"])
@pytest.mark.parametrize("facet", PLAIN)
@pytest.mark.parametrize("descending", [True, False])
def test_in_the_order_of_the_start_one_condition_leads_straight_to_what_fits(
    catalog: SqliteCatalog, facet: str, descending: bool, bound: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(bound)
    straight = f"SEARCH listing USING COVERING INDEX listing_of_{facet} ({facet}=?"
    within = replace(PLAIN[facet], since=SINCE, until=UNTIL)
    for wanted, beginning in ((PLAIN[facet], ""), (within, "started>? AND started<?")):
        for steps, place in zip(
            plan(catalog, wanted, Order(Sort.STARTED, descending)), (beginning, LATER), strict=True
        ):
            assert any(step.startswith(straight) and place in step for step in steps), steps


@pytest.mark.usefixtures("always_few")
@pytest.mark.parametrize("wanted", [*CONDITIONS, *NEVER_TOGETHER], ids=name_of)
def test_where_few_fit_only_those_are_read(catalog: SqliteCatalog, wanted: SessionFilter) -> None:
    for order in ORDERS:
        for steps in plan(catalog, wanted, order):
            in_order = order.by is Sort.STARTED and not any("TEMP B-TREE" in step for step in steps)
            assert in_order or "SEARCH listing USING INTEGER PRIMARY KEY (rowid=?)" in steps
            assert not any(step.startswith(("SCAN listing", "SCAN terms")) for step in steps), steps


@pytest.mark.parametrize("wanted", [*CONDITIONS, *NEVER_TOGETHER], ids=name_of)
def test_for_whom_a_condition_holds_is_told_by_an_index(catalog: SqliteCatalog, wanted: SessionFilter) -> None:
    with catalog._file.reading() as connection:
        for condition in (*sqlite_listing._conditions(wanted), *sqlite_listing._times(wanted)):
            steps = explained(connection, condition.source, condition.source_values)
            assert any(step.startswith("SEARCH") for step in steps)
            assert not any(step.startswith("SCAN") for step in steps), steps


@pytest.mark.usefixtures("small_bounds")
@pytest.mark.parametrize("wanted", [*FILTERS, *NEVER_TOGETHER], ids=name_of)
def test_no_page_costs_more_than_the_bounds_allow(catalog: SqliteCatalog, wanted: SessionFilter) -> None:
    for order in ORDERS:
        for after in (None, Position(MIDDLE[order.by], SESSION_ID)):
            with counted_steps(catalog) as steps:
                catalog.page(wanted, order, after, 10)
            assert sum(steps) < BOUND


def test_without_bounds_a_page_would_cost_more(catalog: SqliteCatalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_listing, "_FEW", 20)
    with counted_steps(catalog) as steps:
        catalog.page(SessionFilter(protocol="ssh", media_type="video/mp4"), Order(), None, 10)
    assert sum(steps) > 3 * BOUND


@pytest.mark.parametrize("wanted", [*FILTERS, *NEVER_TOGETHER], ids=name_of)
def test_however_a_page_is_made_all_pages_have_the_same_sessions(
    catalog: SqliteCatalog, wanted: SessionFilter, request: pytest.FixtureRequest
) -> None:
    found = [all_places(catalog, wanted, order) for order in ORDERS]
    request.getfixturevalue("small_bounds")
    assert [all_places(catalog, wanted, order) for order in ORDERS] == found
    assert any(found) is (wanted not in NEVER_TOGETHER)


@pytest.mark.usefixtures("small_bounds")
def test_a_page_may_be_empty_and_still_go_on(catalog: SqliteCatalog) -> None:
    first = catalog.page(SessionFilter(text="ssh rdp"), Order(), None, 10)
    assert first.sessions == []
    assert first.next


def test_a_position_of_another_order_is_refused(catalog: SqliteCatalog) -> None:
    text, number = Position("", SESSION_ID), Position(1, SESSION_ID)
    for order, place in ((Order(Sort.LENGTH), text), (Order(Sort.USER), number), (Order(), number)):
        with pytest.raises(UsageError, match="no position"):
            catalog.page(NOTHING_SAID, order, place, 10)


def test_statistics_read_counts_and_no_sessions(catalog: SqliteCatalog) -> None:
    with counted_steps(catalog) as steps:
        statistics = catalog.statistics(date(2026, 2, 1))
    assert sum(statistics.sessions.values()) == SESSIONS
    assert sum(steps) < 20 * DAYS, "there is a count for each day"


def derived(path: Path) -> list[object]:
    """All that follows from the sessions, without the numbers that they happen to have."""
    with closing(sqlite3.connect(path)) as connection:
        statements = (
            "SELECT session_id, started, sealed, length, duration, user, host, protocol, media_type, status, proof,"
            " stored, terms FROM listing ORDER BY session_id",
            "SELECT term, session_id FROM terms JOIN listing USING (n) ORDER BY term, session_id",
            "SELECT * FROM tallies WHERE sessions <> 0 ORDER BY kind, name",
        )
        return [connection.execute(statement).fetchall() for statement in statements]


def made_anew(path: Path) -> list[object]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        catalog_sqlite._derive(connection)
        connection.execute("COMMIT")
    return derived(path)


def test_what_is_kept_beside_the_sessions_follows_from_them_whatever_was_done(tmp_path: Path) -> None:
    path, random = tmp_path / "catalog.sqlite3", Random(4711)
    with closing(SqliteCatalog(path)) as catalog:
        catalog.restore(*catalogs.sessions(40))
        known = catalog.find(NOTHING_SAID)
        for number in range(400):
            do_something(catalog, random, random.choice(known).session_id, number)
    assert derived(path) == made_anew(path)


def test_a_catalog_from_before_lists_what_it_has(tmp_path: Path) -> None:
    old, new = tmp_path / "old.sqlite3", tmp_path / "new.sqlite3"
    records = list(catalogs.sessions(50))
    with closing(sqlite3.connect(old)) as connection, connection:
        for statement in (statement for version in catalog_sqlite._MIGRATIONS[:2] for statement in version):
            connection.execute(statement)
        for record in records:
            catalog_sqlite._put(connection, record)
        connection.execute(f"PRAGMA application_id = {catalog_sqlite._SCHEMA.application_id}")
        connection.execute("PRAGMA user_version = 2")
    with closing(SqliteCatalog(old)) as migrated, closing(SqliteCatalog(new)) as fresh:
        fresh.restore(*records)
        assert migrated.find(SessionFilter(text="cast")) == fresh.find(SessionFilter(text="cast"))
    assert derived(old) == derived(new)
