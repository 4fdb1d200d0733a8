"""By which index a MongoDB catalog finds what it is asked for, and how much it looks through for a page.

These tests listen to the questions on their way to the server. Every question says which index answers it (`hint`), and
the fields of that index have to be those that the question is about, in its order. MongoDB's own server is asked for
its plans as well; FerretDB, which looks through everything, has none to tell.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from random import Random
from typing import Any
from urllib.parse import urlsplit

import pytest
from bson import Int64
from pymongo import MongoClient
from pymongo.database import Database

from lucid_pipeline.stores import mongo_listing
from lucid_pipeline.stores.catalog import Catalog, Order, Position, SessionFilter, Standing, State
from lucid_pipeline.stores.catalog_mongo import MongoCatalog
from lucid_pipeline.stores.listed import tallies
from lucid_pipeline.stores.mongo_session import from_document, to_document
from tests.bench import catalogs
from tests.servers.mongo_proxy import Command, MongoProxy, Rule, mongo_proxy, pass_on
from tests.servers.mongodb import MongoDb
from tests.stores.asked import (
    CONDITIONS,
    FILTERS,
    MIDDLE,
    NEVER_TOGETHER,
    NOTHING_SAID,
    ORDERS,
    PLAIN,
    SESSION_ID,
    UNTIL,
    do_something,
    name_of,
)

SESSIONS = 60
OF_THE_CALL = {"lsid", "$db", "$clusterTime", "$readPreference", "txnNumber", "maxTimeMS", "readConcern", "cursor"}


@dataclass(frozen=True)
class Asked:
    """A question to the collection of sessions."""

    command: Command
    test: dict[str, Any]
    sort: Sequence[str]
    hint: str | None
    bounds: Sequence[int]
    """After how many documents it ends, whichever comes first; 0 means never."""


@dataclass
class Watched:
    """A catalog, the proxy that hears what it asks, and the database that answers."""

    catalog: MongoCatalog
    proxy: MongoProxy
    database: Database[Any]
    is_real: bool

    @cached_property
    def indexes(self) -> dict[str, list[str]]:
        """The fields of each index that the database has."""
        known = self.database["sessions"].index_information()
        return {index: [name for name, _ in about["key"]] for index, about in known.items()}

    @contextmanager
    def asking(self, rule: Rule = pass_on) -> Iterator[list[Asked]]:
        """What is asked meanwhile."""
        self.proxy.commands.clear()
        self.proxy.rule = rule
        found: list[Asked] = []
        yield found
        found += [asked for command in self.proxy.commands for asked in questions(command)]


@pytest.fixture(scope="module")
def watched(mongodb: MongoDb) -> Iterator[Watched]:
    url = mongodb.new_url()
    with (
        mongo_proxy(url) as proxy,
        closing(MongoClient(url)) as client,
        closing(MongoCatalog(proxy.database_url(url))) as catalog,
    ):
        catalogs.fill(catalog, SESSIONS)
        yield Watched(catalog, proxy, client[urlsplit(url).path[1:]], mongodb.is_real)


@pytest.fixture
def always_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_listing, "_count", lambda _sessions, _condition: 1)


@pytest.fixture
def never_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_listing, "_count", lambda _sessions, _condition: mongo_listing._FEW + 1)


def questions(command: Command) -> Iterator[Asked]:
    """What a command asks the collection of sessions."""
    if "sessions" not in command.values():
        return
    hint = command.get("hint")
    if "find" in command:
        limits = [command["limit"] + command.get("skip", 0)] if "limit" in command else []
        yield Asked(command, command["filter"], list(command.get("sort", {})), hint, limits)
    elif "aggregate" in command:
        first, *rest = command["pipeline"]
        sort = [name for stage in rest for name in stage.get("$sort", ())]
        limits = [stage["$limit"] for stage in rest if "$limit" in stage]
        yield Asked(command, first["$match"], sort, hint, limits)
    else:
        for update in command.get("updates", ()):
            yield Asked(command, update["q"], [], update.get("hint"), [])


def assert_answered_by_an_index(asked: Asked, watched: Watched) -> None:
    tests = list(all_tests(asked.test))
    equal = {name for name, test in tests if not isinstance(test, dict)}
    if equal == {"_id"} or (asked.hint is None and equal == {"_id", "version"}):
        return  # it is about one document
    assert asked.hint, asked
    fields = watched.indexes[asked.hint]
    led = [name for number, name in enumerate(fields) if set(fields[: number + 1]) <= equal]
    rest = fields[len(led) :]
    is_few = any(name == "_id" and isinstance(test, dict) and "$in" in test for name, test in tests)
    if is_few:
        assert asked.hint == "_id_"
    elif asked.sort:
        sort = [name for name in asked.sort if name not in equal]
        assert rest[: len(sort)] == sort, asked
    else:
        assert fields[0] in dict(tests), asked
    if watched.is_real and asked.command.keys() & {"find", "aggregate"}:
        assert_plan(asked, watched.database, sorts=is_few)


def assert_plan(asked: Asked, database: Database[Any], *, sorts: bool) -> None:
    command = {name: value for name, value in asked.command.items() if name not in OF_THE_CALL}
    if "aggregate" in command:
        command["cursor"] = {}
    stages = set(all_stages(database.command("explain", command, verbosity="queryPlanner")))
    assert "COLLSCAN" not in stages, asked
    assert stages & {"IXSCAN", "IDHACK", "COUNT_SCAN"}, asked
    assert sorts or "SORT" not in stages, asked


def all_tests(test: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in test.items():
        if name == "$and":
            for part in value:
                yield from all_tests(part)
        else:
            yield name, value


def all_stages(plan: Any) -> Iterator[str]:
    """The stages of the plan that was chosen, and not of others that were thought of."""
    if isinstance(plan, dict):
        for name, value in plan.items():
            if name == "stage":
                yield value
            elif name != "rejectedPlans":
                yield from all_stages(value)
    elif isinstance(plan, list):
        for part in plan:
            yield from all_stages(part)


def nothing_found(_command: Command, _forward: Callable[[], bytes]) -> Command:
    """The answer in place of a server, where the question is what counts: so that it goes on asking wherever it may."""
    return {"ok": 1.0, "cursor": {"id": Int64(0), "ns": "lucid.sessions", "firstBatch": []}}


def positions(order: Order) -> tuple[Position | None, Position]:
    return None, Position(MIDDLE[order.by], SESSION_ID)


@pytest.mark.parametrize("bound", ["always_few", "never_few"])
@pytest.mark.parametrize("wanted", [*FILTERS, *NEVER_TOGETHER], ids=name_of)
def test_a_page_is_found_by_indexes_whatever_is_asked_for_in_whichever_order(
    watched: Watched, wanted: SessionFilter, bound: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(bound)
    for order in ORDERS:
        for after in positions(order):
            with watched.asking(nothing_found) as found:
                watched.catalog.page(wanted, order, after, 10)
            assert found
            for asked in found:
                assert_answered_by_an_index(asked, watched)
            if bound == "never_few":
                assert all(asked.bounds and asked.bounds[0] <= mongo_listing._MOST_WALKED for asked in found), found


@pytest.mark.parametrize("wanted", [*CONDITIONS, *NEVER_TOGETHER], ids=name_of)
def test_to_know_whether_few_fit_no_more_than_those_are_counted(watched: Watched, wanted: SessionFilter) -> None:
    with watched.asking() as found:
        watched.catalog.page(wanted, Order(), None, 10)
    counts = [asked for asked in found if "$group" in str(asked.command)]
    assert counts
    assert all(asked.bounds == [mongo_listing._FEW + 1] for asked in counts)


@pytest.mark.parametrize("bound", ["always_few", "never_few"])
@pytest.mark.parametrize("facet", PLAIN)
def test_in_the_order_of_the_start_one_condition_leads_straight_to_what_fits(
    watched: Watched, facet: str, bound: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(bound)
    for order in (order for order in ORDERS if order.by == "started"):
        with watched.asking() as found:
            watched.catalog.page(PLAIN[facet], order, None, 10)
        assert {asked.hint for asked in found} == {f"of_{facet}"}
        assert [asked.bounds for asked in found] == [[11]]


def test_whatever_sensors_schedules_and_statistics_ask_is_answered_by_an_index(watched: Watched) -> None:
    catalog: Catalog = watched.catalog
    known = catalog.find(NOTHING_SAID, 5)
    fingerprints = [record.source.fingerprint for record in known if record.source]
    calls: list[Callable[[], object]] = [
        lambda: catalog.waiting([Standing(state, failed) for state in State for failed in (True, False)], UNTIL, 10),
        lambda: catalog.removable(UNTIL, 10),
        lambda: catalog.longest_unverified(10),
        catalog.sealed,
        lambda: catalog.unswept(UNTIL, SESSION_ID, 10),
        lambda: catalog.registered(fingerprints, release=True),
        lambda: catalog.statistics(date(2025, 1, 1)),
        lambda: catalog.record_content(known[0].session_id, b"x" * 32),
        lambda: catalog.restore(*known),
    ]
    for call in calls:
        with watched.asking() as found:
            call()
        assert found
        for asked in found:
            assert_answered_by_an_index(asked, watched)


def test_what_is_kept_beside_a_session_follows_from_it_and_counts_from_all_whatever_was_done(mongodb: MongoDb) -> None:
    url, random = mongodb.new_url(), Random(4711)
    with closing(MongoCatalog(url)) as catalog, closing(MongoClient[dict[str, Any]](url)) as client:
        catalog.restore(*catalogs.sessions(40))
        known = catalog.find(NOTHING_SAID)
        for number in range(100):
            do_something(catalog, random, random.choice(known).session_id, number)
            if number % 20 == 0:
                catalog.holding()
        catalog.holding()
        database = client.get_default_database()
        expected: Counter[tuple[str, str, str]] = Counter()
        for session in database["sessions"].find():
            assert to_document(from_document(session))["listed"] == session["listed"]
            listed = session["listed"]
            for tally in tallies(listed["status"], listed["sealed"], listed["stored"], listed["length"]):
                place = (tally.kind, tally.name)
                expected.update({(*place, "sessions"): 1, (*place, "stored_bytes"): tally.stored_bytes})
                expected[*place, "raw_bytes"] += tally.raw_bytes
        kept = {
            (tally["kind"], tally["name"], amount): tally[amount]
            for tally in database["tallies"].find()
            for amount in ("sessions", "stored_bytes", "raw_bytes")
        }
    assert +Counter(kept) == +expected
    assert all(amount >= 0 for amount in kept.values())
