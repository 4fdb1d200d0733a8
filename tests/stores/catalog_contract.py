"""What every adapter of the catalog port promises. An adapter's tests inherit `CatalogContract` and say where."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uuid_utils.compat import uuid7

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import PermanentError, SessionNotFound, UsageError
from lucid_pipeline.stores.catalog import (
    ArchivedSession,
    Arrival,
    Catalog,
    Description,
    Failure,
    Holding,
    ListedState,
    Order,
    Position,
    Proof,
    Seal,
    SessionFilter,
    SessionRecord,
    Sort,
    Source,
    Stage,
    Standing,
    State,
    Statistics,
    Status,
)
from lucid_pipeline.stores.catalog_url import open_catalog

ROOT = Path(__file__).parents[2]

METADATA = SessionMetadata(
    user="zoë",
    host="db-1",
    protocol="ssh",
    started_at="2026-03-01T09:30:00.125+01:00",
    ended_at="2026-03-01T10:00:00Z",
    tags={"case": "4711", "quote": "\"'; DROP TABLE sessions; --", "empty": "", "nul": "a\0b"},
)
SEAL = Seal(
    sequence=1,
    envelope_sha256=bytes(range(32)),
    key_id="0123456789abcdef",
    root=b"\xff" * 32,
    suite="AEAD_AES_256_GCM",
    media_type="application/x-asciicast",
    chunk_count=3,
    stored_bytes=2**40,
    sealed_at="2026-03-01T10:05:00.000Z",
)
DESCRIPTION = Description(METADATA, "a.cast", 2**40, 1_800_000, b"\x01" * 32)
FAILURE = Failure(stage="chunks", reason="the recording has gone", permanent=True)
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
REGISTERED_AT = "2026-03-02T00:00:00.000Z"

# Waits for a line on its standard input, then opens the catalog and registers recordings, some of which others register
# too; says which session has which.
REGISTER = """
import sys
from pathlib import Path
from uuid import uuid4
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.stores.catalog import Source
from lucid_pipeline.stores.catalog_url import open_catalog

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
catalog = open_catalog(url)
for n in range(count):
    for fingerprint in (f"shared {n}", f"{name} {n}"):
        record = catalog.register(uuid4(), Source(Path(f"/landing/{n}"), fingerprint), "a.cast", SessionMetadata())
        print(f"{fingerprint}={record.session_id}", flush=True)
catalog.close()
"""

# Registers sessions and hands over a document for each, without end; names each one when it is done.
WRITE = """
import sys
from pathlib import Path
from uuid import uuid4
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.stores.catalog import Source, Stage, State
from lucid_pipeline.stores.catalog_url import open_catalog

catalog = open_catalog(sys.argv[1])
while True:
    session_id = uuid4()
    metadata = SessionMetadata(tags={"id": str(session_id)})
    catalog.register(session_id, Source(Path("/landing/a"), str(session_id)), "a.cast", metadata)
    catalog.hand_over(session_id, Stage.CHUNKS, session_id.bytes * 1000, State.CHUNKED)
    print(session_id, flush=True)
"""


def script(source: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python process of its own."""
    command = [sys.executable, "-c", source, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def a_source(fingerprint: str = "one", *, release: bool = False, landed: bool = False) -> Source:
    return Source(Path("/landing/a.cast"), fingerprint, release, landed)


def register(catalog: Catalog, source: Source | None = None) -> UUID:
    session_id = uuid7()
    return catalog.register(session_id, source or a_source(str(session_id)), "a.cast", METADATA).session_id


def landed(catalog: Catalog) -> UUID:
    session_id = uuid7()
    source = Source(Path("/landing/a.cast"), str(session_id), release=True, landed=True)
    return catalog.register(session_id, source, "a.cast", METADATA).session_id


def a_record(state: State = State.SEALED, registered_at: str = REGISTERED_AT) -> SessionRecord:
    """A sealed record with all that there can be, but a failure."""
    return SessionRecord(
        session_id=uuid7(),
        state=state,
        registered_at=registered_at,
        metadata=METADATA,
        name="a.cast",
        source=Source(Path("/landing/a.cast"), str(uuid4()), release=True),
        length=2**40,
        duration_ms=1800_000,
        seal=SEAL,
        verified_at="2026-03-01T11:00:00.000Z",
        damages=("missing_object: sessions/…", "root_mismatch"),
    )


names = st.sampled_from(["ann", "Ann", "bob", "zoë", "%", "a\0b"])
zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-11))])
moments = st.builds(
    lambda microsecond, zone: datetime(2026, 3, 1, 0, 0, 0, microsecond, tzinfo=UTC).astimezone(zone),
    st.integers(0, 5),
    zones,
)
times = moments.map(datetime.isoformat)
no_times = st.sampled_from(["", "yesterday", "2026-03-01T00:00:00", "2026-02-30T00:00:00Z"])
media_types = st.sampled_from(["video/mp4", "application/x-asciicast"])
tags = st.dictionaries(names, names, max_size=3)
records = st.builds(
    SessionRecord,
    session_id=st.uuids(),
    state=st.sampled_from(State),
    registered_at=times,
    metadata=st.builds(
        SessionMetadata,
        user=st.none() | names,
        host=st.none() | names,
        protocol=st.none() | names,
        started_at=st.none() | times | no_times,
        tags=tags,
    ),
    name=st.none() | names,
    length=st.none() | st.integers(0, 2),
    duration_ms=st.none() | st.integers(0, 2),
    seal=st.none()
    | st.builds(
        lambda media_type, day: replace(SEAL, media_type=media_type, sealed_at=f"2026-03-0{day}T10:05:00.000Z"),
        media_types,
        st.integers(1, 3),
    ),
    failure=st.sampled_from([None, FAILURE, replace(FAILURE, permanent=False, retry_at=NOON)]),
    verified_at=st.none() | st.just(REGISTERED_AT),
    damages=st.just(()) | st.just(("missing_object",)),
)
filters = st.builds(
    SessionFilter,
    text=st.sampled_from([None, "", "-", "ann", "AN", "b", "bob ann", "%bo", "zoë", "ZOË", "b\0a", "nobody"]),
    user=st.none() | st.just("") | names,
    host=st.none() | st.just("") | names,
    protocol=st.none() | names,
    media_type=st.none() | media_types,
    statuses=st.just(()) | st.lists(st.sampled_from(Status), max_size=3),
    proof=st.none() | st.sampled_from(Proof),
    since=st.none() | moments,
    until=st.none() | moments,
    tags=st.lists(st.tuples(names, names), max_size=2),
)
# What is asked has one or two conditions mostly: with one of each kind, nothing would be found.
mostly_empty = st.builds(
    lambda wanted, kept: replace(SessionFilter(), **{name: getattr(wanted, name) for name in kept}),
    filters,
    st.sets(st.sampled_from([field.name for field in fields(SessionFilter)]), max_size=3),
)
orders = st.builds(Order, st.sampled_from(Sort), st.booleans())

WORDS = {"ann": ["ann"], "Ann": ["ann"], "bob": ["bob"], "zoë": ["zoë"], "%": [], "a\0b": ["a", "b"]}
ASKED = {"AN": ["an"], "bob ann": ["bob", "ann"], "%bo": ["bo"], "ZOË": ["zoë"], "b\0a": ["a", "b"], "-": [], "": []}


def started(record: SessionRecord) -> datetime:
    try:
        moment = datetime.fromisoformat(record.metadata.started_at or "")
    except ValueError:
        moment = None
    return moment if moment and moment.tzinfo else datetime.fromisoformat(record.registered_at)


def status_of(record: SessionRecord) -> str:
    if record.damages:
        return "damaged"
    if record.failure:
        return "failed" if record.failure.retry_at else "quarantined"
    return record.state


def proof_of(record: SessionRecord) -> str | None:
    if record.state != "sealed":
        return None
    found = "damaged" if record.damages else "intact"
    return found if record.damages or record.verified_at else "never"


def speaks_of(record: SessionRecord, text: str) -> bool:
    metadata = record.metadata
    texts = [record.name, metadata.user, metadata.host, metadata.protocol, *metadata.tags, *metadata.tags.values()]
    words = [word for said in texts if said for word in WORDS[said]]
    return all(any(word.startswith(asked) for word in words) for asked in ASKED.get(text, [text]))


def fits(record: SessionRecord, wanted: SessionFilter) -> bool:
    return (
        (not wanted.text or speaks_of(record, wanted.text))
        and (not wanted.user or record.metadata.user == wanted.user)
        and (not wanted.host or record.metadata.host == wanted.host)
        and (not wanted.protocol or record.metadata.protocol == wanted.protocol)
        and (not wanted.media_type or (record.seal is not None and record.seal.media_type == wanted.media_type))
        and (not wanted.statuses or status_of(record) in wanted.statuses)
        and (not wanted.proof or proof_of(record) == wanted.proof)
        and (wanted.since is None or started(record) >= wanted.since)
        and (wanted.until is None or started(record) < wanted.until)
        and set(wanted.tags) <= record.metadata.tags.items()
    )


def place_of(record: SessionRecord, by: Sort) -> tuple[object, UUID]:
    """What a record is sorted by: what is not known is less than anything."""
    known = {
        Sort.STARTED: started(record),
        Sort.REGISTERED: None,
        Sort.SEALED: record.seal.sealed_at if record.seal else "",
        Sort.LENGTH: -1 if record.length is None else record.length,
        Sort.DURATION: -1 if record.duration_ms is None else record.duration_ms,
        Sort.USER: record.metadata.user or "",
    }
    return known[by], record.session_id


def expected(sessions: list[SessionRecord], wanted: SessionFilter, order: Order) -> list[UUID]:
    """The ids of those that fit, sorted."""
    fitting = [record for record in sessions if fits(record, wanted)]
    fitting.sort(key=lambda record: place_of(record, order.by), reverse=order.descending)
    return [record.session_id for record in fitting]


def all_pages(catalog: Catalog, wanted: SessionFilter, order: Order, limit: int) -> list[SessionRecord]:
    """What all pages have, from the first to the last."""
    found: list[SessionRecord] = []
    place: Position | None = None
    while True:
        page = catalog.page(wanted, order, place, limit)
        assert len(page.sessions) <= limit
        found += page.sessions
        place = page.next
        if place is None:
            return found


class CatalogContract:
    @pytest.fixture
    def new_url(self) -> Callable[[], str]:
        """Makes the URL of a catalog that has never been opened, at every call of another."""
        raise NotImplementedError

    @pytest.fixture
    def url(self, new_url: Callable[[], str]) -> str:
        return new_url()

    @pytest.fixture
    def catalog(self, url: str) -> Iterator[Catalog]:
        with closing(open_catalog(url)) as catalog:
            yield catalog

    def test_a_registered_session_is_what_was_said_of_it(self, catalog: Catalog) -> None:
        session_id, before = uuid7(), datetime.now(UTC).replace(microsecond=0)
        record = catalog.register(session_id, a_source(release=True), "a.cast", METADATA)
        assert before <= datetime.fromisoformat(record.registered_at) <= datetime.now(UTC)
        assert record == SessionRecord(
            session_id=session_id,
            state=State.REGISTERED,
            registered_at=record.registered_at,
            metadata=METADATA,
            name="a.cast",
            source=a_source(release=True),
        )
        assert catalog.get(session_id) == record
        assert catalog.find(SessionFilter()) == [record]

    def test_what_is_written_is_there_when_the_catalog_is_opened_again(self, url: str) -> None:
        with closing(open_catalog(url)) as catalog:
            session_id = register(catalog)
            catalog.hand_over(session_id, Stage.CHUNKS, b"rows", State.CHUNKED)
            known = catalog.get(session_id)
        with closing(open_catalog(url)) as catalog:
            assert catalog.get(session_id) == known
            assert catalog.handed_over(session_id, Stage.CHUNKS) == b"rows"

    def test_a_fingerprint_has_one_session_whatever_is_said_later(self, catalog: Catalog) -> None:
        first = catalog.register(uuid7(), a_source(), "a.cast", METADATA)
        elsewhere = Source(Path("/elsewhere"), "one")
        assert catalog.register(uuid7(), elsewhere, "b.cast", SessionMetadata(user="bob")) == first
        assert catalog.find(SessionFilter()) == [first]

    def test_a_session_that_is_to_be_released_stays_so(self, catalog: Catalog) -> None:
        first = catalog.register(uuid7(), a_source(release=False), "a.cast", METADATA)
        to_release = replace(first, source=a_source(release=True))
        assert catalog.register(uuid7(), a_source(release=True), "b.cast", SessionMetadata()) == to_release
        assert catalog.register(uuid7(), a_source(release=False), "b.cast", SessionMetadata()) == to_release

    def test_a_session_id_is_never_given_to_a_second_recording(self, catalog: Catalog) -> None:
        first = catalog.register(uuid7(), a_source("one"), "a.cast", METADATA)
        with pytest.raises(UsageError, match="taken"):
            catalog.register(first.session_id, a_source("two"), "b.cast", METADATA)
        assert catalog.find(SessionFilter()) == [first]

    def test_a_path_of_any_bytes_comes_back(self, catalog: Catalog) -> None:
        path = Path("/landing/\udcff\udc80 \n'\".cast")
        record = catalog.register(uuid7(), Source(path, "one"), path.name, METADATA)
        assert record.source == Source(path, "one")
        assert record.name == "\\udcff\\udc80 \n'\".cast"

    def test_text_that_is_not_unicode_is_kept_escaped(self, catalog: Catalog) -> None:
        record = catalog.register(uuid7(), a_source(), "\udcff", METADATA)
        assert record.name == "\\udcff"
        catalog.record_failure(record.session_id, Failure("recording", "cannot read /landing/\udcff", permanent=True))
        failure = catalog.get(record.session_id).failure
        assert failure == Failure("recording", "cannot read /landing/\\udcff", permanent=True)
        catalog.record_verification(record.session_id, ["missing_object: \udcff"], REGISTERED_AT)
        assert catalog.get(record.session_id).damages == ("missing_object: \\udcff",)

    def test_a_number_that_does_not_fit_is_refused_and_changes_nothing(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        with pytest.raises(PermanentError, match="64 bits"):
            catalog.describe(session_id, 2**63, None)
        assert catalog.get(session_id) == known

    def test_a_session_that_is_not_there_is_not_found(self, catalog: Catalog) -> None:
        register(catalog)
        absent = uuid7()
        calls: list[Callable[[], object]] = [
            lambda: catalog.get(absent),
            lambda: catalog.hand_over(absent, Stage.CHUNKS, b"", State.CHUNKED),
            lambda: catalog.complete(absent, METADATA),
            lambda: catalog.record_content(absent, b"x" * 32),
            lambda: catalog.record_removal_attempt(absent, NOON),
            lambda: catalog.retry(absent),
            lambda: catalog.describe(absent, 1, None),
            lambda: catalog.record_seal(absent, SEAL),
            lambda: catalog.record_failure(absent, FAILURE),
            lambda: catalog.record_verification(absent, (), REGISTERED_AT),
            lambda: catalog.release_source(absent),
        ]
        for call in calls:
            with pytest.raises(SessionNotFound, match=str(absent)):
                call()
        assert catalog.handed_over(absent, Stage.CHUNKS) is None
        assert len(catalog.find(SessionFilter())) == 1

    def test_a_stage_finds_the_newest_document_of_the_one_before(self, catalog: Catalog) -> None:
        session_id, other = register(catalog), register(catalog)
        assert catalog.handed_over(session_id, Stage.CHUNKS) is None
        catalog.hand_over(session_id, Stage.RECORDING, b"", State.RECORDED)
        catalog.hand_over(session_id, Stage.CHUNKS, b"older", State.CHUNKED)
        catalog.hand_over(session_id, Stage.CHUNKS, b"newer\0\xff", State.CHUNKED)
        assert catalog.handed_over(session_id, Stage.RECORDING) == b""
        assert catalog.handed_over(session_id, Stage.CHUNKS) == b"newer\0\xff"
        assert catalog.handed_over(session_id, Stage.MERKLE_TREE) is None
        assert catalog.handed_over(other, Stage.CHUNKS) is None
        assert catalog.get(session_id).state is State.CHUNKED

    def test_a_document_may_be_large(self, catalog: Catalog) -> None:
        session_id, document = register(catalog), bytes(range(256)) * 40_000
        catalog.hand_over(session_id, Stage.CHUNKS, document, State.CHUNKED)
        assert catalog.handed_over(session_id, Stage.CHUNKS) == document

    def test_a_failure_is_known_until_a_stage_succeeds(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        catalog.record_failure(session_id, Failure("recording", "the disk is full", permanent=False))
        catalog.record_failure(session_id, FAILURE)
        assert catalog.get(session_id) == replace(known, failure=FAILURE, attempts=2)
        catalog.hand_over(session_id, Stage.RECORDING, b"", State.RECORDED)
        assert catalog.get(session_id) == replace(known, state=State.RECORDED)

    def test_attempts_count_until_the_session_comes_further(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        catalog.hand_over(session_id, Stage.ENCRYPTED_CHUNKS, b"", State.ENCRYPTED)
        catalog.record_failure(session_id, FAILURE)
        catalog.hand_over(session_id, Stage.ENCRYPTED_CHUNKS, b"again", State.ENCRYPTED)
        assert catalog.get(session_id).failure is None
        assert catalog.get(session_id).attempts == 1
        catalog.record_failure(session_id, FAILURE)
        assert catalog.get(session_id).attempts == 2
        catalog.hand_over(session_id, Stage.MERKLE_TREE, b"", State.HASHED)
        assert catalog.get(session_id).attempts == 0

    def test_a_failure_that_is_not_the_sessions_counts_as_no_attempt(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        away = Failure("recording", "the archive is away", permanent=False, retry_at=NOON)
        catalog.record_failure(session_id, away, counts=False)
        assert catalog.get(session_id) == replace(known, failure=away)

    def test_a_retry_forgets_failure_and_attempts(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        catalog.record_failure(session_id, FAILURE)
        catalog.retry(session_id)
        assert catalog.get(session_id) == known

    def test_many_recordings_are_registered_at_once_and_each_once(self, catalog: Catalog) -> None:
        known, new, bad = (Source(Path(f"/landing/{n}"), str(n), release=True, landed=True) for n in range(3))
        first = catalog.register(uuid7(), replace(known, release=False), "a.cast", METADATA)
        arrivals = [Arrival(uuid7(), known, "b"), Arrival(uuid7(), new, "new"), Arrival(uuid7(), bad, "bad", FAILURE)]
        assert catalog.registered(["0", "1", "2"], release=False) == {"0"}
        assert catalog.registered(["0", "1", "2"], release=True) == set()

        for _ in range(2):
            registered = catalog.register_all(arrivals)
            assert registered == [first.session_id, *(arrival.session_id for arrival in arrivals[1:])]
        for release in (False, True):
            assert catalog.registered(["0", "1", "2", "3"], release=release) == {"0", "1", "2"}
        assert catalog.get(first.session_id) == replace(first, source=known)
        record = catalog.get(registered[1])
        assert (record.state, record.name, record.source, record.failure) == (State.REGISTERED, "new", new, None)
        failed = catalog.get(registered[2])
        assert (failed.state, failed.failure, failed.attempts) == (State.REGISTERED, FAILURE, 1)
        assert catalog.register_all([]) == []
        assert catalog.registered([], release=True) == set()

    def test_of_many_recordings_all_are_registered_or_none(self, catalog: Catalog) -> None:
        taken = register(catalog)
        sources = [a_source("new"), a_source("of another")]
        arrivals = [
            Arrival(session_id, source, "a") for session_id, source in zip([uuid7(), taken], sources, strict=True)
        ]
        with pytest.raises(UsageError, match="is taken"):
            catalog.register_all(arrivals)
        assert catalog.registered(["new"], release=False) == set()

    def test_sessions_wait_where_they_stand_and_failed_ones_until_their_time(self, catalog: Catalog) -> None:
        fresh, failed, quarantined, further, sealed = (register(catalog) for _ in range(5))
        catalog.record_failure(failed, replace(FAILURE, permanent=False, retry_at=NOON))
        catalog.record_failure(quarantined, FAILURE)
        catalog.hand_over(further, Stage.RECORDING, b"", State.RECORDED)
        catalog.record_seal(sealed, SEAL)

        def waiting(*standings: Standing, at: datetime = NOON, limit: int = 10) -> list[UUID]:
            return [record.session_id for record in catalog.waiting(standings, at, limit)]

        registered, again = Standing(State.REGISTERED, failed=False), Standing(State.REGISTERED, failed=True)
        recorded = Standing(State.RECORDED, failed=False)
        assert waiting(registered) == [fresh]
        assert waiting(again) == [failed]
        assert waiting(again, at=NOON - timedelta(microseconds=1)) == []
        assert waiting(recorded, again, registered) == [fresh, failed, further]
        assert waiting(registered, again, limit=1) == [fresh, failed], "none crowds out another"
        catalog.retry(failed)
        assert waiting(registered, limit=1) == [fresh]
        catalog.record_failure(failed, replace(FAILURE, permanent=False, retry_at=NOON))
        assert waiting(Standing(State.SEALED, failed=True)) == waiting() == []
        assert catalog.get(failed).failure == replace(FAILURE, permanent=False, retry_at=NOON)

    def test_what_is_known_of_a_session_outweighs_what_is_added(self, catalog: Catalog) -> None:
        session_id = catalog.register(uuid7(), a_source(), "a", SessionMetadata(user="ann", tags={"a": "1"})).session_id
        added = SessionMetadata(user="bob", host="db-1", started_at="2026-01-01T00:00:00Z", tags={"a": "2", "b": "3"})
        whole = added.model_copy(update={"user": "ann", "tags": {"a": "1", "b": "3"}})
        for _ in range(2):
            assert catalog.complete(session_id, added) == whole
            assert catalog.get(session_id).metadata == whole
        assert [found.session_id for found in catalog.find(SessionFilter(host="db-1", tags=[("b", "3")]))] == [
            session_id
        ]

    def test_the_same_bytes_dropped_again_are_a_duplicate(self, catalog: Catalog) -> None:
        first, again, other, empty = (landed(catalog) for _ in range(4))
        chosen = register(catalog)
        catalog.complete(other, SessionMetadata(ended_at="2026-01-01T00:00:00Z", tags={"take": "2"}))
        for session_id in (first, again, other, chosen):
            catalog.describe(session_id, 7)
        catalog.describe(empty, 0)
        for session_id, original in ((first, None), (again, first), (other, None), (empty, None), (chosen, None)):
            catalog.hand_over(session_id, Stage.CHUNKS, b"rows", State.CHUNKED)
            assert catalog.record_content(session_id, b"x" * 32) == original
        duplicate = catalog.get(again)
        assert (duplicate.state, duplicate.duplicate_of) == (State.DUPLICATE, first)
        assert catalog.get(first).state is catalog.get(chosen).state is State.CHUNKED
        assert catalog.record_content(first, b"x" * 32) is None
        catalog.hand_over(again, Stage.CHUNKS, b"late", State.CHUNKED)
        catalog.record_failure(again, FAILURE)
        assert catalog.get(again) == duplicate
        assert catalog.handed_over(again, Stage.CHUNKS) is None

    def test_nothing_is_a_duplicate_of_what_is_in_quarantine(self, catalog: Catalog) -> None:
        stuck, tried, other, last = (landed(catalog) for _ in range(4))
        for session_id in (stuck, tried, other, last):
            catalog.describe(session_id, 7)
        catalog.record_content(stuck, b"x" * 32)
        catalog.record_failure(stuck, FAILURE)
        assert catalog.record_content(tried, b"x" * 32) is None
        catalog.record_failure(tried, replace(FAILURE, permanent=False, retry_at=NOON))
        assert catalog.record_content(other, b"x" * 32) == tried
        catalog.retry(stuck)
        assert catalog.record_content(last, b"x" * 32) == stuck

    def test_a_duplicate_waits_again_when_the_other_session_may_never_have_its_content(self, catalog: Catalog) -> None:
        quarantined, changed, retried = (self._duplicate(catalog, bytes([n]) * 32) for n in range(3))
        catalog.record_failure(quarantined[0], FAILURE)
        catalog.record_content(changed[0], b"other" * 6)
        catalog.retry(retried[1])
        for _, again in (quarantined, changed, retried):
            record = catalog.get(again)
            assert (record.state, record.duplicate_of, record.content_id) == (State.REGISTERED, None, None)

    def test_what_is_sealed_all_the_same_is_no_duplicate(self, catalog: Catalog) -> None:
        _, again = self._duplicate(catalog, b"x" * 32)
        catalog.record_seal(again, SEAL)
        assert (catalog.get(again).state, catalog.get(again).duplicate_of) == (State.SEALED, None)

    @staticmethod
    def _duplicate(catalog: Catalog, content_id: bytes) -> tuple[UUID, UUID]:
        """A session and its duplicate."""
        first, again = landed(catalog), landed(catalog)
        for session_id, original in ((first, None), (again, first)):
            catalog.describe(session_id, 7)
            assert catalog.record_content(session_id, content_id) == original
        return first, again

    def test_a_recording_is_removed_when_its_session_has_ended_and_not_tried_all_the_time(
        self, catalog: Catalog
    ) -> None:
        released, kept, unsealed, gone = (
            register(catalog, a_source(str(n), release=n != 1, landed=True)) for n in range(4)
        )
        moved = register(catalog, a_source("moved", release=True))
        catalog.record_seal(moved, SEAL)
        for session_id in (released, kept, gone):
            catalog.record_seal(session_id, SEAL)
        catalog.release_source(gone)
        assert [record.session_id for record in catalog.removable(NOON, 10)] == [released]
        catalog.record_removal_attempt(released, NOON)
        assert catalog.removable(NOON, 10) == []
        catalog.record_seal(unsealed, SEAL)
        later = NOON + timedelta(days=1)
        assert [record.session_id for record in catalog.removable(later, 10)] == [released, unsealed]
        assert [record.session_id for record in catalog.removable(later, 1)] == [released]

    def test_what_was_longest_not_verified_comes_first(self, catalog: Catalog) -> None:
        old, new, _unsealed = (register(catalog) for _ in range(3))
        for session_id in (old, new):
            catalog.record_seal(session_id, SEAL)
        catalog.record_verification(new, (), "2026-03-02T00:00:00.000Z")
        catalog.record_verification(old, (), "2026-03-01T00:00:00.000Z")
        catalog.record_seal(later := register(catalog), replace(SEAL, sealed_at="2026-03-01T12:00:00.000Z"))
        catalog.record_seal(never := register(catalog), replace(SEAL, sealed_at="2026-02-01T00:00:00.000Z"))
        assert [record.session_id for record in catalog.longest_unverified(10)] == [never, old, later, new]
        assert [record.session_id for record in catalog.longest_unverified(1)] == [never]
        catalog.record_verification(never, ("missing_object",), "2026-03-03T00:00:00.000Z")
        assert [record.session_id for record in catalog.longest_unverified(10)] == [old, later, new, never]

    def test_what_is_sealed_is_counted(self, catalog: Catalog) -> None:
        assert catalog.holding() == Holding()
        for size in (2**40, 1):
            catalog.record_seal(register(catalog), replace(SEAL, stored_bytes=size))
        register(catalog)
        assert catalog.holding() == Holding(2, 2**40 + 1)

    def test_all_that_is_sealed_is_listed(self, catalog: Catalog) -> None:
        assert catalog.sealed() == []
        first, unfinished, second = (register(catalog) for _ in range(3))
        catalog.hand_over(unfinished, Stage.MERKLE_TREE, b"", State.HASHED)
        for session_id in (second, first):
            catalog.record_seal(session_id, SEAL)
        assert catalog.sealed() == [first, second]

    def test_a_sealed_session_is_swept_once_for_every_manifest(self, catalog: Catalog) -> None:
        sealed_at = datetime(2026, 3, 1, 10, 5, tzinfo=UTC)
        first, second, _unsealed = (register(catalog) for _ in range(3))
        for session_id in (first, second):
            catalog.record_seal(session_id, SEAL)

        def unswept(after: UUID | None = None, limit: int = 10) -> list[UUID]:
            found = catalog.unswept(sealed_at + timedelta(milliseconds=1), after, limit)
            return [record.session_id for record in found]

        assert unswept() == [first, second]
        assert unswept(limit=1) == [first]
        assert unswept(first) == [second]
        assert catalog.unswept(sealed_at, None, 10) == []
        catalog.record_swept([first])
        assert unswept() == [second]
        catalog.record_swept([second])
        catalog.record_seal(second, SEAL)
        assert unswept() == []
        catalog.record_seal(first, replace(SEAL, sequence=2))
        assert unswept() == [first]

    def test_a_described_recording_has_a_length_and_perhaps_a_duration(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        catalog.describe(session_id, 2**53 + 1, 2**53 - 1)
        assert catalog.get(session_id) == replace(known, length=2**53 + 1, duration_ms=2**53 - 1)
        catalog.describe(session_id, 0, None)
        assert catalog.get(session_id) == replace(known, length=0, duration_ms=None)

    def test_a_seal_ends_the_lineage(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        for stage in Stage:
            catalog.hand_over(session_id, stage, b"document", State.HASHED)
        catalog.record_failure(session_id, FAILURE)
        catalog.record_seal(session_id, SEAL)
        assert catalog.get(session_id) == replace(known, state=State.SEALED, seal=SEAL)
        assert [catalog.handed_over(session_id, stage) for stage in Stage] == [None] * len(Stage)

    def test_a_sealed_session_stays_sealed(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        catalog.record_seal(session_id, SEAL)
        known = catalog.get(session_id)
        catalog.hand_over(session_id, Stage.CHUNKS, b"late", State.CHUNKED)
        catalog.record_failure(session_id, FAILURE)
        assert catalog.get(session_id) == known
        assert catalog.handed_over(session_id, Stage.CHUNKS) is None

    def test_the_newest_seal_counts_in_whatever_order_they_come(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        second, third = replace(SEAL, sequence=2), replace(SEAL, sequence=3, root=bytes(32))
        for seal, newest in ((second, second), (SEAL, second), (third, third), (second, third), (third, third)):
            catalog.record_seal(session_id, seal)
            assert catalog.get(session_id).seal == newest

    def test_the_last_verification_counts(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        damages = ("missing_object: …", "root_mismatch")
        for found, at in ((damages, "2026-03-01T00:00:00.000Z"), ((), "2026-03-02T00:00:00.000Z")):
            catalog.record_verification(session_id, found, at)
            assert catalog.get(session_id) == replace(known, damages=found, verified_at=at)

    def test_a_released_source_is_gone_and_still_recognised(self, catalog: Catalog) -> None:
        source = a_source(release=True)
        session_id = register(catalog, source)
        known = replace(catalog.get(session_id), source=None)
        for _ in range(2):
            catalog.release_source(session_id)
            assert catalog.get(session_id) == known
        assert catalog.register(uuid7(), source, "a.cast", METADATA) == known

    def test_a_restored_record_is_there_in_whole(self, catalog: Catalog) -> None:
        sealed, failed = a_record(), replace(a_record(State.RECORDED), seal=None, failure=FAILURE)
        bare = SessionRecord(uuid7(), State.SEALED, REGISTERED_AT)
        for record in (sealed, failed, bare):
            catalog.restore(record)
            catalog.restore(record)
            assert catalog.get(record.session_id) == record
        assert catalog.find(SessionFilter()) == [bare, failed, sealed]
        assert sealed.source
        assert catalog.register(uuid7(), sealed.source, "b.cast", SessionMetadata()) == sealed

    def test_a_restored_record_replaces_all_but_the_source(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        catalog.hand_over(session_id, Stage.CHUNKS, b"rows", State.CHUNKED)
        catalog.record_failure(session_id, FAILURE)
        restored = replace(a_record(), session_id=session_id, metadata=SessionMetadata(tags={"case": "other"}))
        catalog.restore(restored)
        assert catalog.get(session_id) == replace(restored, source=known.source)
        assert catalog.handed_over(session_id, Stage.CHUNKS) is None
        assert catalog.find(SessionFilter(tags=[("case", "4711")])) == []

    def test_a_fingerprint_stays_with_the_session_that_has_it(self, catalog: Catalog) -> None:
        first, second = a_record(), a_record()
        catalog.restore(first)
        catalog.restore(replace(second, source=first.source))
        assert catalog.get(first.session_id) == first
        assert catalog.get(second.session_id) == replace(second, source=None)

    def test_an_archive_that_was_turned_back_does_not_turn_back_the_catalog(self, catalog: Catalog) -> None:
        record = replace(a_record(), seal=replace(SEAL, sequence=2))
        catalog.restore(record)
        for older in (SEAL, None):
            catalog.restore(replace(record, seal=older, metadata=SessionMetadata(), state=State.HASHED))
            assert catalog.get(record.session_id) == record
        again = replace(record, metadata=SessionMetadata(user="bob"))
        catalog.restore(again)
        assert catalog.get(record.session_id) == again

    def test_what_the_archive_says_is_all_that_is_known_of_a_session_that_was_lost(self, catalog: Catalog) -> None:
        told = ArchivedSession(uuid7(), SEAL, REGISTERED_AT, DESCRIPTION, damages=("root_mismatch",))
        bare = ArchivedSession(uuid7(), SEAL, REGISTERED_AT)
        expected = SessionRecord(
            session_id=told.session_id,
            state=State.SEALED,
            registered_at=REGISTERED_AT,
            metadata=METADATA,
            name="a.cast",
            length=2**40,
            duration_ms=1_800_000,
            seal=SEAL,
            content_id=b"\x01" * 32,
            damages=("root_mismatch",),
        )
        unread = SessionRecord(bare.session_id, State.SEALED, REGISTERED_AT, seal=SEAL)
        for _ in range(2):
            assert catalog.restore_sealed(told, bare) == [expected, unread]
            assert catalog.find(SessionFilter()) == [unread, expected]
        assert catalog.find(SessionFilter(text="zoë")) == [expected]
        assert catalog.statistics(date(2026, 1, 1)).sealed.sessions == 2
        assert catalog.restore_sealed() == []

    def test_what_the_archive_says_is_added_to_what_is_known(self, catalog: Catalog) -> None:
        known = replace(a_record(), content_id=b"\x02" * 32)
        catalog.restore(known)
        told = ArchivedSession(known.session_id, SEAL, "2001-01-01T00:00:00.000Z")
        assert catalog.restore_sealed(told) == [known]
        other = SessionMetadata(user="bob", tags={"case": "1", "new": "2"})
        described = replace(
            told, description=replace(DESCRIPTION, metadata=other, name="b"), damages=("decrypt_failed",)
        )
        whole = other.completed_by(METADATA)
        after = replace(
            known, metadata=whole, name="b", content_id=b"\x01" * 32, damages=(*known.damages, "decrypt_failed")
        )
        for _ in range(2):
            assert catalog.restore_sealed(described) == [after]
            assert catalog.get(known.session_id) == after

    def test_a_manifest_that_the_archive_has_and_the_catalog_has_not_seals_the_session(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        known = catalog.get(session_id)
        catalog.hand_over(session_id, Stage.CHUNKS, b"rows", State.CHUNKED)
        catalog.record_failure(session_id, FAILURE)
        catalog.restore_sealed(ArchivedSession(session_id, SEAL, "2001-01-01T00:00:00.000Z"))
        sealed = replace(known, state=State.SEALED, seal=SEAL)
        assert catalog.get(session_id) == sealed
        assert catalog.handed_over(session_id, Stage.CHUNKS) is None
        catalog.record_verification(session_id, ["root_mismatch"], "2026-03-05T00:00:00.000Z")
        newer = replace(SEAL, sequence=2, sealed_at="2026-03-06T00:00:00.000Z")
        catalog.restore_sealed(ArchivedSession(session_id, newer, "2001-01-01T00:00:00.000Z"))
        assert catalog.get(session_id) == replace(sealed, seal=newer)

    def test_an_older_manifest_or_another_one_of_the_same_number_changes_nothing(self, catalog: Catalog) -> None:
        known = replace(a_record(), seal=replace(SEAL, sequence=2))
        catalog.restore(known)
        for seal in (SEAL, replace(SEAL, sequence=2, envelope_sha256=bytes(32))):
            told = ArchivedSession(known.session_id, seal, REGISTERED_AT, DESCRIPTION, damages=("decrypt_failed",))
            assert catalog.restore_sealed(told) == [known]
            assert catalog.get(known.session_id) == known

    def test_what_the_archive_says_is_added_all_or_none(self, catalog: Catalog) -> None:
        first = ArchivedSession(uuid7(), SEAL, REGISTERED_AT, DESCRIPTION)
        second = ArchivedSession(uuid7(), SEAL, REGISTERED_AT, replace(DESCRIPTION, duration_ms=2**63))
        with pytest.raises(PermanentError, match="64 bits"):
            catalog.restore_sealed(first, second)
        assert catalog.find(SessionFilter()) == []

    def test_whatever_is_recorded_while_the_archive_is_asked_stays(self, catalog: Catalog) -> None:
        known = [replace(a_record(), verified_at=None, damages=()) for _ in range(20)]
        catalog.restore(*known)
        told = [ArchivedSession(one.session_id, SEAL, REGISTERED_AT, DESCRIPTION) for one in known]
        with ThreadPoolExecutor(2) as threads:
            asked = threads.submit(lambda: [catalog.restore_sealed(*told) for _ in range(5)])
            for one in known:
                catalog.record_verification(one.session_id, ["root_mismatch"], "2026-03-05T00:00:00.000Z")
            asked.result()
        for one in known:
            after = catalog.get(one.session_id)
            assert (after.damages, after.verified_at) == (("root_mismatch",), "2026-03-05T00:00:00.000Z")
            assert after.content_id == DESCRIPTION.content_id

    def test_the_newest_session_comes_first_and_a_limit_keeps_it(self, catalog: Catalog) -> None:
        newest_first = sorted((register(catalog) for _ in range(5)), reverse=True)
        for limit in (None, 0, 1, 5, 6):
            found = [record.session_id for record in catalog.find(SessionFilter(), limit)]
            assert found == newest_first[:limit]

    @pytest.mark.parametrize(
        "started_at", ["2026-03-01T12:00:00+02:00", "2026-03-01t10:00:00z", "2026-03-01T10:00:00.000000999Z"]
    )
    def test_a_time_is_compared_as_the_moment_it_is(self, catalog: Catalog, started_at: str) -> None:
        catalog.restore(replace(a_record(), metadata=SessionMetadata(started_at=started_at)))
        moment, instant = datetime(2026, 3, 1, 10, tzinfo=UTC), timedelta(microseconds=1)
        assert catalog.find(SessionFilter(since=moment, until=moment + instant))
        assert not catalog.find(SessionFilter(since=moment + instant))
        assert not catalog.find(SessionFilter(until=moment))

    @settings(
        deadline=None,
        max_examples=100,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(sessions=st.lists(records, max_size=8, unique_by=lambda record: record.session_id), data=st.data())
    def test_what_fits_is_found_in_order_on_pages_of_any_size_and_nothing_else(
        self, new_url: Callable[[], str], sessions: list[SessionRecord], data: st.DataObject
    ) -> None:
        with closing(open_catalog(new_url())) as catalog:
            catalog.restore(*sessions)
            for wanted in data.draw(st.lists(mostly_empty, min_size=1, max_size=10)):
                order, limit = data.draw(orders), data.draw(st.integers(1, 5))
                found = [record.session_id for record in all_pages(catalog, wanted, order, limit)]
                assert found == expected(sessions, wanted, order)
                fitting = expected(sessions, wanted, Order())
                assert [record.session_id for record in catalog.find(wanted)] == fitting
                assert [record.session_id for record in catalog.find(wanted, limit)] == fitting[:limit]

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("zoë", "zoe\u0308.cast"),
            ("ZOË", "zoë.cast"),
            ("strasse", "STRAßE.cast"),
            ("ﬁle", "file.cast"),
            ("web-1", "WEB_12.log"),
            ("  4711\t", "case(4711)"),
            ("会议", "会议记录"),
            ("\udcff", "\udcff"),
        ],
    )
    def test_a_word_is_one_however_it_is_written(self, catalog: Catalog, text: str, name: str) -> None:
        session_id = catalog.register(uuid7(), a_source(), name, SessionMetadata()).session_id
        catalog.register(uuid7(), a_source("another"), "another", SessionMetadata())
        assert [record.session_id for record in catalog.find(SessionFilter(text=text))] == [session_id]

    def test_a_text_is_found_from_the_beginning_of_a_word_on(self, catalog: Catalog) -> None:
        register(catalog)
        for text, is_found in (("471", True), ("711", False), ("drop sess", True), ("drop session1", False)):
            assert bool(catalog.find(SessionFilter(text=text))) is is_found

    def test_a_session_is_found_by_the_beginning_of_its_id(self, catalog: Catalog) -> None:
        wanted, other = UUID("0195a2b3-ced2-739e-b6b0-63f19b0caa07"), UUID("0195a2b4-ced2-739e-b6b0-63f19b0caa07")
        for session_id in (wanted, other):
            catalog.register(session_id, a_source(str(session_id)), "a.cast", METADATA)
        for text in ("0195a2b3", "0195A2B3-", " 0195a2b3-ced2-7", str(wanted)):
            assert [record.session_id for record in catalog.find(SessionFilter(text=text))] == [wanted]
        assert catalog.find(SessionFilter(text="0195a2b")) == []
        assert catalog.find(SessionFilter(text="ced2-739e")) == []
        assert catalog.find(SessionFilter(text="0195a2b3", user="nobody")) == []

    def test_what_looks_like_an_id_can_be_a_word_as_well(self, catalog: Catalog) -> None:
        named = catalog.register(uuid7(), a_source(), "20260301.cast", METADATA).session_id
        register(catalog)
        assert [record.session_id for record in catalog.find(SessionFilter(text="20260301"))] == [named]

    def test_a_session_is_found_by_what_it_is_shown_as(self, catalog: Catalog) -> None:
        session_id, _other = register(catalog), catalog.register(uuid7(), a_source(), "a", SessionMetadata()).session_id

        def shown() -> set[ListedState]:
            listed = {state: catalog.find(SessionFilter(user="zoë", statuses=state.statuses)) for state in ListedState}
            assert all(records in ([], [catalog.get(session_id)]) for records in listed.values())
            return {state for state, records in listed.items() if records}

        assert shown() == {ListedState.REGISTERED, ListedState.WAITING}
        catalog.record_failure(session_id, replace(FAILURE, permanent=False, retry_at=NOON))
        assert shown() == {ListedState.FAILED}
        catalog.record_failure(session_id, FAILURE)
        assert shown() == {ListedState.FAILED, ListedState.QUARANTINED}
        catalog.hand_over(session_id, Stage.MERKLE_TREE, b"", State.HASHED)
        assert shown() == {ListedState.HASHED, ListedState.WAITING}
        catalog.record_seal(session_id, SEAL)
        assert shown() == {ListedState.SEALED}
        catalog.record_verification(session_id, ("root_mismatch",), REGISTERED_AT)
        assert shown() == {ListedState.DAMAGED}

    def test_what_was_a_duplicate_is_shown_as_waiting_again(self, catalog: Catalog) -> None:
        first, again = self._duplicate(catalog, b"x" * 32)
        [listed] = catalog.find(SessionFilter(statuses=[Status.DUPLICATE]))
        assert listed.session_id == again
        catalog.record_failure(first, FAILURE)
        assert catalog.find(SessionFilter(statuses=[Status.DUPLICATE])) == []
        assert catalog.get(again) in catalog.find(SessionFilter(statuses=[Status.REGISTERED]))

    def test_a_proof_counts_for_the_newest_manifest(self, catalog: Catalog) -> None:
        session_id = register(catalog)

        def proofs() -> list[Proof]:
            return [proof for proof in Proof if catalog.find(SessionFilter(proof=proof))]

        assert proofs() == []
        catalog.record_seal(session_id, SEAL)
        assert proofs() == [Proof.NEVER]
        catalog.record_verification(session_id, (), REGISTERED_AT)
        assert proofs() == [Proof.INTACT]
        catalog.record_verification(session_id, ("root_mismatch",), REGISTERED_AT)
        assert proofs() == [Proof.DAMAGED]
        catalog.record_seal(session_id, replace(SEAL, sequence=2))
        assert proofs() == [Proof.NEVER]

    def test_what_is_learnt_of_a_session_is_found_and_what_is_known_no_longer_is_not(self, catalog: Catalog) -> None:
        session_id = catalog.register(uuid7(), a_source(), "a.cast", SessionMetadata()).session_id
        catalog.complete(session_id, METADATA)
        catalog.describe(session_id, 7, 8)
        catalog.record_seal(session_id, SEAL)
        for wanted in (
            SessionFilter(text="zoë 4711 ssh"),
            SessionFilter(user="zoë", host="db-1", protocol="ssh", media_type=SEAL.media_type),
            SessionFilter(until=datetime(2026, 3, 2, tzinfo=UTC)),
        ):
            assert catalog.find(wanted) == [catalog.get(session_id)]
        catalog.restore(replace(catalog.get(session_id), metadata=SessionMetadata(user="ann")))
        assert catalog.find(SessionFilter(text="4711")) == catalog.find(SessionFilter(user="zoë")) == []
        assert catalog.find(SessionFilter(text="ann")) == [catalog.get(session_id)]

    @pytest.mark.parametrize("order", [Order(by, descending) for by in Sort for descending in (True, False)])
    def test_sessions_that_come_meanwhile_put_none_on_two_pages(self, catalog: Catalog, order: Order) -> None:
        known = {register(catalog) for _ in range(10)}
        first = catalog.page(SessionFilter(), order, None, 5)
        for _ in range(5):
            register(catalog)
        second = catalog.page(SessionFilter(), order, first.next, 100)
        found = [record.session_id for record in (*first.sessions, *second.sessions)]
        assert len(set(found)) == len(found)
        assert known <= set(found)

    def test_records_are_restored_all_or_none(self, catalog: Catalog) -> None:
        first, second = a_record(), replace(a_record(), length=2**63)
        with pytest.raises(PermanentError, match="64 bits"):
            catalog.restore(first, second)
        assert catalog.find(SessionFilter()) == []

    def test_statistics_count_what_there_is_now(self, catalog: Catalog) -> None:
        assert catalog.statistics(date(2026, 3, 1)) == Statistics({}, Holding(), {}, None)
        early, late, _waiting, failed, unknown = (register(catalog) for _ in range(5))
        catalog.describe(early, 1000)
        catalog.describe(late, 30)
        catalog.record_seal(early, replace(SEAL, stored_bytes=100))
        catalog.record_seal(late, replace(SEAL, stored_bytes=20, sealed_at="2026-03-02T23:59:59.999Z"))
        catalog.record_seal(unknown, replace(SEAL, stored_bytes=3, sealed_at="2026-02-28T00:00:00.000Z"))
        catalog.record_failure(failed, FAILURE)
        catalog.record_verification(late, (), "2026-03-05T00:00:00.000Z")
        catalog.record_verification(unknown, ("root_mismatch",), "2026-03-04T00:00:00.000Z")
        statistics = catalog.statistics(date(2026, 3, 1))
        assert statistics.sessions == {
            Status.SEALED: 2,
            Status.DAMAGED: 1,
            Status.REGISTERED: 1,
            Status.QUARANTINED: 1,
        }
        assert statistics.sealed == catalog.holding() == Holding(3, 123, 1030)
        assert statistics.sealed_by_day == {
            date(2026, 3, 1): Holding(1, 100, 1000),
            date(2026, 3, 2): Holding(1, 20, 30),
        }
        assert statistics.longest_unverified == SEAL.sealed_at

    def test_a_session_that_is_sealed_anew_is_counted_once(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        for sequence, size, day in ((1, 100, 1), (2, 70, 3)):
            sealed_at = f"2026-03-0{day}T10:05:00.000Z"
            catalog.record_seal(session_id, replace(SEAL, sequence=sequence, stored_bytes=size, sealed_at=sealed_at))
        catalog.describe(session_id, 1000)
        statistics = catalog.statistics(date(2026, 3, 1))
        assert statistics.sealed_by_day == {date(2026, 3, 3): Holding(1, 70, 1000)}
        assert statistics.sealed == Holding(1, 70, 1000)
        assert statistics.sessions == {Status.SEALED: 1}

    def test_threads_that_register_the_same_recordings_get_the_same_sessions(self, catalog: Catalog) -> None:
        fingerprints = [f"recording {n % 20}" for n in range(200)]
        with ThreadPoolExecutor(16) as threads:
            found = list(threads.map(lambda name: register(catalog, a_source(name)), fingerprints))
        assert len(dict.fromkeys(zip(fingerprints, found, strict=True))) == 20
        assert {record.session_id for record in catalog.find(SessionFilter())} == set(found)

    def test_of_two_seals_with_one_number_the_first_counts(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        catalog.record_seal(session_id, SEAL)
        catalog.record_seal(session_id, replace(SEAL, envelope_sha256=bytes(32)))
        assert catalog.get(session_id).seal == SEAL

    def test_of_two_seals_the_number_counts_whatever_the_clocks_of_their_writers_said(self, catalog: Catalog) -> None:
        early, late = replace(SEAL, sequence=2), replace(SEAL, sealed_at="2036-03-01T10:05:00.000Z")
        for seals in ((early, late), (late, early)):
            session_id = register(catalog)
            for seal in seals:
                catalog.record_seal(session_id, seal)
            assert catalog.get(session_id).seal == early

    def test_of_seals_that_come_at_once_the_newest_counts(self, catalog: Catalog) -> None:
        session_id = register(catalog)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda n: catalog.record_seal(session_id, replace(SEAL, sequence=n)), range(1, 41)))
        assert catalog.get(session_id).seal == replace(SEAL, sequence=40)

    def test_processes_that_open_a_fresh_catalog_at_once_all_find_their_sessions(self, url: str) -> None:
        with ExitStack() as stack:
            processes = [stack.enter_context(script(REGISTER, url, f"process {n}", 20)) for n in range(4)]
            assert [p.stdout.readline() for p in processes if p.stdout] == ["ready\n"] * 4
            for process in processes:
                assert process.stdin
                process.stdin.write("go\n")
                process.stdin.flush()
            printed = [process.communicate(timeout=120)[0] for process in processes]
            assert [process.returncode for process in processes] == [0] * 4
        sessions = {line for output in printed for line in output.splitlines()}
        assert len(sessions) == 20 + 4 * 20
        with closing(open_catalog(url)) as catalog:
            records = catalog.find(SessionFilter())
        assert {f"{r.source.fingerprint}={r.session_id}" for r in records if r.source} == sessions
        assert len(records) == len(sessions)

    def test_a_writer_that_is_killed_loses_nothing_it_finished_and_leaves_no_lock(self, url: str) -> None:
        finished: list[UUID] = []
        for lines in (1, 5, 20):
            with script(WRITE, url) as writer:
                assert writer.stdout
                finished += [UUID(writer.stdout.readline().strip()) for _ in range(lines)]
                writer.kill()
                finished += [UUID(line) for line in writer.stdout.read().splitlines() if len(line) == 36]
        with closing(open_catalog(url)) as catalog:
            assert all(catalog.handed_over(id_, Stage.CHUNKS) == id_.bytes * 1000 for id_ in finished)
            for record in catalog.find(SessionFilter()):
                document = catalog.handed_over(record.session_id, Stage.CHUNKS)
                assert (record.state is State.CHUNKED) is (document is not None)
                assert record.metadata.tags == {"id": str(record.session_id)}
            register(catalog)
