"""What a MongoDB server and the network do to a catalog: nothing that was recorded is lost or counted twice, and work
goes on by itself.

The server is a real one that is really stopped, or a real one behind a proxy that loses, delays and holds up what is
said. What no server of the tests can be brought to say (that it is the primary no more, that this user may not write,
that its disk is full), the proxy says in its place.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from threading import Event
from uuid import UUID

import pytest

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.errors import LucidError, TransientError, UsageError
from lucid_pipeline.stores import mongo_parts, mongo_server
from lucid_pipeline.stores.catalog import (
    Arrival,
    Catalog,
    Failure,
    Order,
    SessionFilter,
    SessionRecord,
    Stage,
    State,
    Status,
)
from lucid_pipeline.stores.catalog_mongo import MongoCatalog
from tests.processes import eventually
from tests.servers.mongo_proxy import (
    Command,
    Cut,
    MongoProxy,
    lose_the_answer,
    mongo_proxy,
    name_of,
    once,
    pass_on,
    refuse,
)
from tests.servers.mongodb import MongoDb, Process, or_skip, own_server
from tests.stores.catalog_contract import SEAL, a_record, a_source, landed, register

CHANGES = ("update", "insert", "delete")
NOT_PRIMARY = [(10107, "NotWritablePrimary"), (189, "PrimarySteppedDown"), (11602, "InterruptedDueToReplStateChange")]
TROUBLE = Failure("chunks", "the disk is full", permanent=False)


@dataclass(frozen=True)
class Proxied:
    """A catalog behind a proxy, and the same one straight away, for what is true afterwards."""

    catalog: MongoCatalog
    proxy: MongoProxy
    straight: MongoCatalog
    url: str


@pytest.fixture
def proxied(mongodb: MongoDb) -> Iterator[Proxied]:
    url = mongodb.new_url()
    with (
        mongo_proxy(url) as proxy,
        closing(MongoCatalog(url)) as straight,
        closing(MongoCatalog(proxy.database_url(url))) as catalog,
    ):
        yield Proxied(catalog, proxy, straight, url)


@pytest.fixture
def own_mongodb() -> Iterator[Process]:
    """A server that a test may stop."""
    with or_skip(own_server()) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_server, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(mongo_server, "_CALL_SECONDS", 1)


def everything(catalog: Catalog, session_id: UUID) -> None:
    """All that happens to a session from its failure on to its seal."""
    catalog.complete(session_id, SessionMetadata(tags={"more": "1"}))
    catalog.describe(session_id, 7, 8)
    catalog.record_failure(session_id, TROUBLE)
    catalog.hand_over(session_id, Stage.CHUNKS, b"rows", State.CHUNKED)
    catalog.record_content(session_id, session_id.bytes * 2)
    catalog.record_seal(session_id, SEAL)
    catalog.record_verification(session_id, (), "2026-03-05T00:00:00.000Z")
    catalog.record_swept([session_id])


def what_became_of(catalog: Catalog, session_id: UUID) -> SessionRecord:
    """All that is the same for two sessions to which the same happened."""
    record = catalog.get(session_id)
    return replace(record, session_id=UUID(int=0), registered_at="", source=None, content_id=None)


def assert_counts_are_true(catalog: Catalog) -> None:
    """The counts that are kept are those of the sessions that there are."""
    known = catalog.find(SessionFilter())
    kept = catalog.statistics(date(2026, 1, 1))
    assert kept.sessions == {status: n for status in Status if (n := sum(r.status is status for r in known))}
    sealed = [record for record in known if record.seal]
    assert kept.sealed.sessions == len(sealed)
    assert kept.sealed.stored_bytes == sum(record.seal.stored_bytes for record in sealed if record.seal)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_whose_answer_is_lost_is_made_once(proxied: Proxied, name: str) -> None:
    """As is that of every second change of this kind."""
    expected = landed(proxied.straight)
    everything(proxied.straight, expected)
    seen = [0]

    def lose_some(command: Command, forward: Callable[[], bytes]) -> bytes:
        answer = forward()
        seen[0] += name_of(command) == name
        if name_of(command) == name and seen[0] % 2:
            raise Cut
        return answer

    session_id = landed(proxied.straight)
    proxied.proxy.rule = lose_some
    everything(proxied.catalog, session_id)
    assert seen[0]
    assert what_became_of(proxied.straight, session_id) == what_became_of(proxied.straight, expected)
    assert proxied.catalog.get(session_id).attempts == 0
    assert_counts_are_true(proxied.catalog)
    assert_counts_are_true(proxied.straight)


def test_an_attempt_is_counted_once_and_a_session_registered_once_when_the_answer_is_lost(proxied: Proxied) -> None:
    proxied.proxy.rule = once(lose_the_answer, "insert")
    session_id = register(proxied.catalog)
    proxied.proxy.rule = once(lose_the_answer, "update")
    proxied.catalog.record_failure(session_id, TROUBLE)
    assert proxied.straight.get(session_id).attempts == 1
    proxied.proxy.rule = once(lose_the_answer, "insert")
    arrivals = [Arrival(new_session_id(), a_source(str(n)), "a") for n in range(5)]
    assert proxied.catalog.register_all(arrivals) == [arrival.session_id for arrival in arrivals]
    assert len(proxied.straight.find(SessionFilter())) == 6


@pytest.mark.parametrize(("code", "name"), NOT_PRIMARY)
def test_when_the_primary_steps_down_the_next_one_is_asked(proxied: Proxied, code: int, name: str) -> None:
    """FerretDB has no replicas, and one MongoDB of the tests neither: the proxy says what the old primary says."""
    session_id = register(proxied.catalog)
    for command in ("find", "update"):
        proxied.proxy.rule = once(refuse(code, name), command)
        proxied.catalog.record_failure(session_id, TROUBLE)
    assert proxied.straight.get(session_id).attempts == 2


def test_what_is_not_on_a_majority_of_servers_is_not_taken_for_recorded(proxied: Proxied) -> None:
    """The write is done, but the server says that no majority has it in time; as MongoDB's own would."""

    def no_majority(_command: Command, forward: Callable[[], bytes]) -> Command:
        forward()
        return {"ok": 1.0, "n": 1, "nModified": 1, "writeConcernError": {"code": 64, "errmsg": "a stand-in"}}

    session_id = register(proxied.catalog)
    proxied.proxy.rule = once(no_majority, "update")
    proxied.proxy.commands.clear()
    proxied.catalog.record_seal(session_id, SEAL)
    updates = [command for command in proxied.proxy.commands if name_of(command) == "update"]
    assert len(updates) == 2, "the second one changes nothing, and waits for the first one's majority"
    assert all(command["writeConcern"]["w"] == "majority" for command in updates)
    assert proxied.straight.get(session_id).seal == SEAL


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("code", "name", "kind", "told"),
    [
        (13, "Unauthorized", UsageError, "does not let this user.*readWrite"),
        (14031, "OutOfDiskSpace", TransientError, "disk of .* is full"),
        (10107, "NotWritablePrimary", TransientError, "does not answer|cannot do this now"),
    ],
)
def test_a_server_that_does_not_write_is_told_in_one_line_and_still_read(
    proxied: Proxied, code: int, name: str, kind: type[LucidError], told: str
) -> None:
    session_id = register(proxied.catalog)
    proxied.proxy.rule = lambda command, forward: (refuse(code, name) if name_of(command) in CHANGES else pass_on)(
        command, forward
    )
    for change in (
        lambda: proxied.catalog.record_seal(session_id, SEAL),
        lambda: register(proxied.catalog),
        lambda: proxied.catalog.hand_over(session_id, Stage.CHUNKS, b"rows", State.CHUNKED),
    ):
        with pytest.raises(kind, match=told) as refused:
            change()
        assert "\n" not in str(refused.value)
        assert refused.value.hint
    assert proxied.catalog.get(session_id).state is State.REGISTERED
    proxied.proxy.rule = pass_on
    proxied.catalog.record_seal(session_id, SEAL)
    assert_counts_are_true(proxied.catalog)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_slow_is_waited_for_and_one_that_hangs_is_not(mongodb: MongoDb) -> None:
    hangs = Event()

    def slowly(command: Command, forward: Callable[[], bytes]) -> bytes:
        time.sleep(0.1)
        return forward()

    def never(command: Command, forward: Callable[[], bytes]) -> bytes:
        hangs.wait(60)
        return forward()

    url = mongodb.new_url()
    with mongo_proxy(url) as proxy, closing(MongoCatalog(proxy.database_url(url))) as catalog:
        proxy.rule = slowly
        session_id = register(catalog)
        everything(catalog, session_id)
        proxy.rule = never
        began = time.monotonic()
        with pytest.raises(TransientError, match="does not answer"):
            catalog.get(session_id)
        assert time.monotonic() - began < 10
        proxy.rule = pass_on
        hangs.set()
        assert catalog.get(session_id).state is State.SEALED


def test_of_two_writers_of_one_session_none_undoes_what_the_other_did(proxied: Proxied) -> None:
    session_id = register(proxied.straight)
    has_read, goes_on = Event(), Event()

    def hold_up(_command: Command, forward: Callable[[], bytes]) -> bytes:
        has_read.set()
        goes_on.wait(30)
        return forward()

    proxied.proxy.rule = once(hold_up, "update")
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(proxied.catalog.record_seal, session_id, SEAL)
        assert has_read.wait(30)
        newer = replace(SEAL, sequence=2)
        proxied.straight.record_seal(session_id, newer)
        proxied.straight.record_verification(session_id, ["root_mismatch"], "2026-03-05T00:00:00.000Z")
        goes_on.set()
        late.result(30)
    record = proxied.straight.get(session_id)
    assert (record.seal, record.damages) == (newer, ("root_mismatch",))
    assert_counts_are_true(proxied.straight)


STEPS: dict[str, Callable[[Catalog, UUID], object]] = {
    "hand_over": lambda catalog, id_: catalog.hand_over(id_, Stage.CHUNKS, b"x" * 25, State.CHUNKED),
    "record_content": lambda catalog, id_: catalog.record_content(id_, id_.bytes[::-1] * 2),
    "record_seal": lambda catalog, id_: catalog.record_seal(id_, SEAL),
    "record_failure": lambda catalog, id_: catalog.record_failure(id_, replace(TROUBLE, permanent=True)),
    "restore": lambda catalog, id_: catalog.restore(replace(a_record(), session_id=id_, source=None)),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_process_may_die_at_any_point_and_the_next_one_goes_on(
    mongodb: MongoDb, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_parts, "_PART", 10)
    url = mongodb.new_url()
    with closing(MongoCatalog(url)) as straight:
        monkeypatch.setattr(mongo_server, "_PATIENCE_SECONDS", 0)
        monkeypatch.setattr(mongo_server, "_CALL_SECONDS", 0.5)
        number, is_done = 0, False
        while not is_done:
            session_id = original_of_a_duplicate(straight)
            with dying_after(url, number) as catalog:
                is_done = not raises_transient(lambda: STEPS[name](catalog, session_id))  # noqa: B023
            STEPS[name](straight, session_id)
            assert_counts_are_true(straight)
            assert_whole(straight, session_id, name)
            number += 1
        assert number > 1


def original_of_a_duplicate(catalog: Catalog) -> UUID:
    """A session that has landed, with content, and a duplicate of it."""
    first, again = landed(catalog), landed(catalog)
    content = first.bytes * 2
    for session_id in (first, again):
        catalog.describe(session_id, 7)
        catalog.record_content(session_id, content)
    assert catalog.get(again).duplicate_of == first
    return first


def assert_whole(catalog: Catalog, session_id: UUID, name: str) -> None:
    record = catalog.get(session_id)
    document = catalog.handed_over(session_id, Stage.CHUNKS)
    assert (document is not None) is (record.state is State.CHUNKED)
    for other in catalog.find(SessionFilter(statuses=[Status.DUPLICATE])):
        assert other.duplicate_of
        original = catalog.get(other.duplicate_of)
        assert original.content_id == other.content_id or original.seal
        assert original.failure is None or original.failure.retry_at
    if name in ("record_seal", "restore"):
        assert record.state is State.SEALED


@contextmanager
def dying_after(url: str, number: int) -> Iterator[MongoCatalog]:
    """A catalog whose process dies after so many commands."""
    with mongo_proxy(url) as proxy, closing(MongoCatalog(proxy.database_url(url))) as catalog:
        proxy.commands.clear()

        def die(command: Command, forward: Callable[[], bytes]) -> bytes:
            if len(proxy.commands) > number:
                proxy.go()
                raise Cut
            return forward()

        proxy.rule = die
        yield catalog


def raises_transient(call: Callable[[], object]) -> bool:
    try:
        call()
    except TransientError:
        return True
    return False


def test_a_server_that_is_killed_and_started_again_is_waited_for(own_mongodb: Process) -> None:
    """In the middle of a batch: whatever was recorded is there, and the rest is recorded when it is back."""
    with closing(MongoCatalog(f"{own_mongodb.url}/lucid")) as catalog:
        ids = [register(catalog) for _ in range(40)]

        def seal(session_id: UUID) -> None:
            catalog.hand_over(session_id, Stage.MERKLE_TREE, b"tree", State.HASHED)
            catalog.record_seal(session_id, SEAL)

        with ThreadPoolExecutor(4) as threads:
            sealed = [threads.submit(seal, session_id) for session_id in ids]
            eventually(lambda: sum(one.done() for one in sealed) > 5, every=0.01)
            own_mongodb.stop(kill=True)
            assert not all(one.done() for one in sealed)
            own_mongodb.start()
            for one in sealed:
                one.result(60)
        assert catalog.sealed() == sorted(ids)
        assert_counts_are_true(catalog)


@pytest.mark.usefixtures("impatient")
def test_a_server_that_stays_away_is_told_in_one_line_until_it_is_back(own_mongodb: Process) -> None:
    with closing(MongoCatalog(f"{own_mongodb.url}/lucid")) as catalog:
        session_id = register(catalog)
        own_mongodb.stop()
        calls: list[Callable[[], object]] = [
            lambda: catalog.get(session_id),
            lambda: catalog.page(SessionFilter(), Order(), None, 10),
            lambda: catalog.record_seal(session_id, SEAL),
            lambda: catalog.statistics(date(2026, 1, 1)),
        ]
        for call in calls:
            began = time.monotonic()
            with pytest.raises(TransientError, match=r"127\.0\.0\.1:\d+ does not answer") as told:
                call()
            assert time.monotonic() - began < 10
            assert "\n" not in str(told.value)
        own_mongodb.start()
        catalog.record_seal(session_id, SEAL)
        assert catalog.get(session_id).state is State.SEALED
