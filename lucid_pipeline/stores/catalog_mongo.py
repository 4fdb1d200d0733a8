"""The catalog in a MongoDB database, for any number of threads, processes and machines.

A session is one document, and a change of it replaces what was read by what follows from it, where nobody changed it
meanwhile; else it is read again. So the server needs no transactions, which a single one does not have. What is more
than one document comes in an order in which a process may die at any point:

- What a stage hands over is stored first, in parts, and then named by the session; a part that no session names is
  never read.
- Duplicates of a session are let go before it fails for good, and again after it, for one that was found between.
- What is counted is counted afterwards (`mongo_tallies`).

A write whose answer got lost is found by its token.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from secrets import token_hex
from uuid import UUID

from bson import encode
from pymongo import ASCENDING
from pymongo.errors import BulkWriteError, DuplicateKeyError
from typing_extensions import override

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import SessionNotFound, TransientError, UsageError
from lucid_pipeline.stores import mongo_listing
from lucid_pipeline.stores.catalog import (
    ENDED,
    ArchivedSession,
    Arrival,
    Catalog,
    Failure,
    Holding,
    Order,
    Page,
    Position,
    Seal,
    SessionFilter,
    SessionRecord,
    Source,
    Stage,
    Standing,
    State,
    Statistics,
    microseconds,
)
from lucid_pipeline.stores.mongo_parts import MongoParts
from lucid_pipeline.stores.mongo_schema import SESSIONS, is_made, make_ready
from lucid_pipeline.stores.mongo_server import Document, MongoServer
from lucid_pipeline.stores.mongo_session import (
    Kept,
    counts_of,
    fingerprint_of,
    from_document,
    standing_of,
    to_document,
    unicode_of,
)
from lucid_pipeline.stores.mongo_tallies import COUNTED_AT_ONCE, MongoTallies

_STATES = tuple(State)
_TURN_SECONDS = 30
_MOST_TRIES = 100
_RELEASED = {"state": State.REGISTERED, "duplicate_of": None, "content_id": None}
_AT_ONCE = 500
_DUPLICATE_KEY = 11000


def is_there(url: str) -> bool:
    """Whether the database at a URL has a catalog.

    Raises:
        UsageError, TransientError: as `MongoCatalog`.
    """
    server = MongoServer(url)
    try:
        return is_made(server)
    finally:
        server.close()


class MongoCatalog(Catalog):
    """The catalog in the database at a URL, which is made where there is none.

    A process that forks must not use its parent's catalog, but open its own.

    Raises:
        UsageError: the URL is none, or the server is too old, does not know the user or forbids what has to be done; or
            the database is none of Lucid's, or has been written by a newer version.
        TransientError, PermanentError: as for any other call.
    """

    def __init__(self, url: str) -> None:
        self._server = MongoServer(url)
        try:
            make_ready(self._server)
        except BaseException:
            self._server.close()
            raise
        self._sessions = self._server.database[SESSIONS]
        self._parts = MongoParts(self._server)
        self._tallies = MongoTallies(self._server)
        self._changes = 0
        # Threads take turns, which is quicker than that each reads again what another one has changed.
        self._turn = threading.Lock()

    @override
    def register(self, session_id: UUID, source: Source, name: str, metadata: SessionMetadata) -> SessionRecord:
        return self._register(Arrival(session_id, source, name), metadata)

    @override
    def register_all(self, arrivals: Sequence[Arrival]) -> list[UUID]:
        known = self._by_fingerprint([arrival.source.fingerprint for arrival in arrivals])
        new = {arrival.session_id: arrival for arrival in arrivals if arrival.source.fingerprint not in known}
        for session_id in self._there(new):
            raise _taken(session_id)
        nothing = SessionMetadata()
        inserted = self._insert_all([_arrived(arrival, nothing) for arrival in new.values()])
        return [
            arrival.session_id if arrival.session_id in inserted else self._register(arrival, nothing).session_id
            for arrival in arrivals
        ]

    @override
    def registered(self, fingerprints: Collection[str], *, release: bool) -> set[str]:
        known = self._by_fingerprint(fingerprints)
        return {fingerprint for fingerprint, source in known.items() if source["release"] >= release}

    @override
    def get(self, session_id: UUID) -> SessionRecord:
        return self._read(session_id).record

    @override
    def page(self, wanted: SessionFilter, order: Order, after: Position | None, limit: int) -> Page:
        documents, rest = self._server.run(lambda: mongo_listing.find(self._sessions, wanted, order, after, limit))
        return Page([from_document(document).record for document in documents], rest)

    @override
    def waiting(self, standings: Collection[Standing], now: datetime, limit: int) -> list[SessionRecord]:
        due = microseconds(now)
        found = [record for point in standings for record in self._select("standing", _at(point, due), "_id", limit)]
        return sorted(found, key=lambda record: record.session_id)

    @override
    def removable(self, untried_since: datetime, limit: int) -> list[SessionRecord]:
        test = {"listed.removable": True, "source.tried_us": {"$lt": microseconds(untried_since)}}
        return self._select("removable", test, "_id", limit)

    @override
    def longest_unverified(self, limit: int) -> list[SessionRecord]:
        return self._select("proven_at", {"listed.proven_at": {"$gt": ""}}, "listed.proven_at", limit)

    @override
    def holding(self) -> Holding:
        self._settle()
        return self._tallies.holding()

    @override
    def statistics(self, since: date) -> Statistics:
        self._settle()
        oldest = self.longest_unverified(1)
        return Statistics(
            self._tallies.statuses(),
            self._tallies.holding(),
            self._tallies.sealed_by_day(since),
            oldest[0].proven_at if oldest else None,
        )

    @override
    def sealed(self) -> list[UUID]:
        test = {"listed.proven_at": {"$gt": ""}}
        found = self._server.run(lambda: list(self._sessions.find(test, {"_id": 1}, hint="proven_at")))
        return sorted(UUID(document["_id"]) for document in found)

    @override
    def unswept(self, sealed_before: datetime, after: UUID | None, limit: int) -> list[SessionRecord]:
        test = {
            "listed.unswept": True,
            "_id": {"$gt": str(after or "")},
            "seal.sealed_at": {"$lt": timestamp(sealed_before)},
        }
        return self._select("unswept", test, "_id", limit)

    @override
    def record_swept(self, session_ids: Collection[UUID]) -> None:
        for session_id in session_ids:
            with suppress(SessionNotFound):
                self._change(session_id, lambda kept: replace(kept, swept=True))

    @override
    def hand_over(self, session_id: UUID, stage: Stage, document: bytes, state: State) -> None:
        self.get(session_id)
        place = self._parts.store(session_id, document)

        def take(kept: Kept) -> Kept | None:
            record = kept.record
            if record.state in ENDED:
                return None
            attempts = 0 if _STATES.index(state) > _STATES.index(record.state) else record.attempts
            documents = {**kept.documents, stage.value: place}
            return replace(kept, documents=documents).having(state=state, attempts=attempts, failure=None)

        before, after = self._change(session_id, take)
        for stored in {place, *before.documents.values()} - {*after.documents.values()}:
            self._parts.drop(session_id, stored)

    @override
    def handed_over(self, session_id: UUID, stage: Stage) -> bytes | None:
        for _ in range(_MOST_TRIES):
            found = self._find_one({"_id": str(session_id)})
            place = from_document(found).documents.get(stage) if found else None
            document = self._parts.load(session_id, place) if place else None
            if place is None or document is not None:
                return document
        raise self._busy()

    @override
    def describe(
        self, session_id: UUID, length: int, duration_ms: int | None = None, started_at: str | None = None
    ) -> None:
        def learn(kept: Kept) -> Kept:
            metadata = kept.record.metadata
            whole = metadata.model_copy(update={"started_at": metadata.started_at or started_at})
            return kept.having(length=length, duration_ms=duration_ms, metadata=whole)

        self._change(session_id, learn)

    @override
    def complete(self, session_id: UUID, metadata: SessionMetadata) -> SessionMetadata:
        _, after = self._change(
            session_id, lambda kept: kept.having(metadata=kept.record.metadata.completed_by(metadata))
        )
        return after.record.metadata

    @override
    def record_content(self, session_id: UUID, content_id: bytes) -> UUID | None:
        before = self._read(session_id)
        if before.record.content_id == content_id and not before.deciding:
            return None
        self._release_duplicates(session_id)
        # Of two that look for each other at once the one with the lower id is first: never both are duplicates.
        _, kept = self._change(session_id, lambda kept: replace(kept, deciding=True).having(content_id=content_id))
        first = next(self._originals(kept), None) if _can_be_duplicate(kept) else None
        _, kept = self._change(session_id, lambda kept: _decided(kept, content_id, first))
        if first is None or kept.record.duplicate_of != first:
            return None
        self._parts.drop_all(session_id)
        if first not in self._originals(kept):
            # It failed, or has other content, since it was found.
            self._release(session_id, first)
            return None
        return first

    @override
    def record_seal(self, session_id: UUID, seal: Seal) -> None:
        def take(kept: Kept) -> Kept | None:
            known = kept.record.seal
            if known and seal.sequence <= known.sequence:
                return None
            nothing = {"failure": None, "attempts": 0, "duplicate_of": None, "damages": (), "verified_at": None}
            unsealed = replace(kept, swept=False, deciding=False, documents={})
            return unsealed.having(state=State.SEALED, seal=seal, **nothing)

        self._change(session_id, take)
        self._parts.drop_all(session_id)

    @override
    def record_failure(self, session_id: UUID, failure: Failure, *, counts: bool = True) -> None:
        def fail(kept: Kept) -> Kept | None:
            ended = kept.record.state in ENDED
            return None if ended else kept.having(failure=failure, attempts=kept.record.attempts + counts)

        is_final = failure.retry_at is None and self._read(session_id).record.state not in ENDED
        if is_final:
            self._release_duplicates(session_id)
        self._change(session_id, fail)
        if is_final:
            self._release_duplicates(session_id)

    @override
    def retry(self, session_id: UUID) -> None:
        def forget(kept: Kept) -> Kept:
            released = _RELEASED if kept.record.duplicate_of else {}
            return kept.having(failure=None, attempts=0, **released)

        self._change(session_id, forget)

    @override
    def record_verification(self, session_id: UUID, damages: Sequence[str], verified_at: str) -> None:
        self._change(session_id, lambda kept: kept.having(damages=tuple(damages), verified_at=verified_at))

    @override
    def record_removal_attempt(self, session_id: UUID, tried_at: datetime) -> None:
        self._change(session_id, lambda kept: replace(kept, tried_us=microseconds(tried_at)))

    @override
    def release_source(self, session_id: UUID) -> None:
        self._change(session_id, lambda kept: replace(kept, removed=True).having(source=None))

    @override
    def restore(self, *records: SessionRecord) -> None:
        inserted = self._insert_if_all_can_be(records)
        for record in records:
            if record.session_id not in inserted:
                self._put(record)
        self._settle()

    @override
    def restore_sealed(self, *sessions: ArchivedSession) -> list[SessionRecord]:
        new = [session.added_to(None) for session in sessions]
        inserted = self._insert_if_all_can_be(new)
        found = [
            unicode_of(record) if record.session_id in inserted else self._add(session)
            for session, record in zip(sessions, new, strict=True)
        ]
        self._settle()
        return found

    @override
    def close(self) -> None:
        self._server.close()

    def _register(self, arrival: Arrival, metadata: SessionMetadata) -> SessionRecord:
        source, session_id = arrival.source, arrival.session_id
        kept = _arrived(arrival, metadata)
        for _ in range(_MOST_TRIES):
            known = self._find_one({"fingerprint": fingerprint_of(source.fingerprint)}, "fingerprint")
            if known:
                return self._with_release(UUID(known["_id"]), source)
            if self._there([session_id]):
                raise _taken(session_id)
            if self._insert_all([kept]):
                return self.get(session_id)
        raise self._busy()

    def _with_release(self, session_id: UUID, source: Source) -> SessionRecord:
        """The session that a recording has, which is to be removed if that is asked for now."""

        def take(kept: Kept) -> Kept | None:
            known = kept.source or source
            new = replace(known, release=True, landed=known.landed or source.landed)
            return replace(kept, source=new) if source.release and new != known else None

        return self._change(session_id, take)[1].record

    def _add(self, session: ArchivedSession) -> SessionRecord:
        """Add what the archive says of a session that is there."""

        def take(kept: Kept) -> Kept | None:
            record = session.added_to(kept.record)
            same = replace(kept, record=record, swept=False, deciding=False, documents={})
            return None if record == kept.record else same

        before, after = self._change(session.session_id, take)
        if before.documents and not after.documents:
            self._parts.drop_all(session.session_id)
        return after.record

    def _put(self, record: SessionRecord) -> None:
        """Put a record in where there is one, or where its recording has a session."""
        for _ in range(_MOST_TRIES):
            source = record.source
            free = source if source and not self._by_fingerprint([source.fingerprint]) else None
            try:
                self._change(record.session_id, lambda kept, free=free: _restored(record, kept, free))  # type: ignore[misc]
            except SessionNotFound:
                if self._insert_all([replace(Kept.new(record), source=free)]):
                    return
            except DuplicateKeyError:
                continue  # somebody else has the recording since it was looked for
            else:
                return
        raise self._busy()

    def _insert_if_all_can_be(self, records: Sequence[SessionRecord]) -> set[UUID]:
        """Insert records that are new, after it has been found that the database can hold all of them."""
        new = [Kept.new(record) for record in records]
        self._server.once(lambda: [encode(to_document(kept)) for kept in new])
        return self._insert_all(new)

    def _insert_all(self, sessions: Sequence[Kept]) -> set[UUID]:
        """Insert sessions; returns those that are in now, and not those whose id or recording is taken."""
        inserted = set[UUID]()
        for start in range(0, len(sessions), _AT_ONCE):
            documents = [_inserted(kept) for kept in sessions[start : start + _AT_ONCE]]
            refused = self._server.run(lambda documents=documents: self._insert_many(documents))  # type: ignore[misc]
            inserted |= {UUID(one["_id"]) for number, one in enumerate(documents) if number not in refused}
        return inserted

    def _insert_many(self, documents: list[Document]) -> set[int]:
        """Insert documents; returns the numbers of those that have a key that is taken."""
        try:
            self._sessions.insert_many(documents, ordered=False)
        except BulkWriteError as error:
            errors = error.details["writeErrors"]
            is_taken = errors and all(found["code"] == _DUPLICATE_KEY for found in errors)
            if not is_taken or error.details["writeConcernErrors"]:
                raise
            return {found["index"] for found in errors}
        return set()

    def _change(self, session_id: UUID, change: Callable[[Kept], Kept | None]) -> tuple[Kept, Kept]:
        """Change a session in one step, or not at all where the change is None; returns what was and what is."""
        token = token_hex(8)
        with self._my_turn():
            found = self._server.run(lambda: self._try_to_change(session_id, change, token))
            self._changes += 1
            if self._changes % COUNTED_AT_ONCE == 0:
                self._tallies.settle_some()
        return found

    def _try_to_change(self, session_id: UUID, change: Callable[[Kept], Kept | None], token: str) -> tuple[Kept, Kept]:
        for _ in range(_MOST_TRIES):
            known = self._sessions.find_one({"_id": str(session_id)})
            if known is None:
                raise _not_found(session_id)
            before = from_document(known)
            after = None if known["change"] == token else change(before)
            if after is None:
                self._confirm(known)
                return before, before
            document = _changed(known, after, token)
            guard = {"_id": known["_id"], "version": known["version"]}
            if self._sessions.update_one(guard, {"$set": document, "$inc": {"version": 1}}).matched_count:
                return before, from_document({**known, **document})
        raise self._busy()

    def _confirm(self, known: Document) -> None:
        """Wait until a majority of the servers has what was read, else it might be lost with the one that had it.

        A write that changes nothing waits for all before it.
        """
        guard = {"_id": known["_id"], "version": known["version"]}
        self._sessions.update_one(guard, {"$set": {"version": known["version"]}})

    def _release_duplicates(self, session_id: UUID) -> None:
        """Let the duplicates of a session wait again: it may never be sealed, or not with their content."""
        test = {"duplicate_of": str(session_id)}
        found = self._server.run(lambda: list(self._sessions.find(test, {"_id": 1}, hint="duplicate_of")))
        for document in found:
            self._release(UUID(document["_id"]), session_id)

    def _release(self, session_id: UUID, original: UUID) -> None:
        def let_go(kept: Kept) -> Kept | None:
            return kept.having(**_RELEASED) if kept.record.duplicate_of == original else None

        self._change(session_id, let_go)

    def _originals(self, kept: Kept) -> Iterator[UUID]:
        """Other sessions with the content and the metadata of one, that are sealed or on their way."""
        record = kept.record
        test = {"content_id": record.content_id, "state": {"$ne": State.DUPLICATE.value}}
        query = self._sessions.find(test, hint="content_id").sort("_id", ASCENDING)
        for other in map(from_document, self._server.run(lambda: list(query.clone()))):
            failure = other.record.failure
            is_stuck = failure is not None and failure.retry_at is None
            is_later = other.deciding and other.record.session_id > record.session_id
            is_other = other.record.session_id != record.session_id and other.record.metadata == record.metadata
            if is_other and not is_stuck and not is_later:
                yield other.record.session_id

    def _select(self, index: str, test: Document, key: str, limit: int) -> list[SessionRecord]:
        """Sessions for which an index says that a test holds, in the order of a key."""
        if limit < 1:
            return []  # which the driver takes for no limit
        query = self._sessions.find(test, hint=index).sort(key, ASCENDING).limit(limit)
        return [from_document(found).record for found in self._server.run(lambda: list(query.clone()))]

    def _read(self, session_id: UUID) -> Kept:
        found = self._find_one({"_id": str(session_id)})
        if found is None:
            raise _not_found(session_id)
        return from_document(found)

    def _find_one(self, test: Document, index: str = "_id_") -> Document | None:
        return self._server.run(lambda: self._sessions.find_one(test, hint=index))

    def _there(self, session_ids: Collection[UUID]) -> list[UUID]:
        """Those of some sessions that are there."""
        test = {"_id": {"$in": [str(session_id) for session_id in session_ids]}}
        found = self._server.run(lambda: list(self._sessions.find(test, {"_id": 1}, hint="_id_")))
        return [UUID(document["_id"]) for document in found]

    def _by_fingerprint(self, fingerprints: Collection[str]) -> dict[str, Document]:
        """The sources that are known under some fingerprints."""
        test = {"fingerprint": {"$in": [fingerprint_of(fingerprint) for fingerprint in fingerprints]}}
        found = self._server.run(lambda: list(self._sessions.find(test, {"source": 1}, hint="fingerprint")))
        return {document["source"]["fingerprint"]: document["source"] for document in found}

    def _settle(self) -> None:
        with self._my_turn():
            self._tallies.settle()

    @contextmanager
    def _my_turn(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=_TURN_SECONDS):
            raise TransientError("the catalog is busy", "too many threads of this process use it at once")
        try:
            yield
        finally:
            self._turn.release()

    def _busy(self) -> TransientError:
        return TransientError("the catalog is busy", "others change the same session all the time")


def _arrived(arrival: Arrival, metadata: SessionMetadata) -> Kept:
    now, failure = timestamp(datetime.now(UTC)), arrival.failure
    record = SessionRecord(arrival.session_id, State.REGISTERED, now, metadata, arrival.name, arrival.source)
    return Kept.new(replace(record, failure=failure, attempts=1) if failure else record)


def _inserted(kept: Kept) -> Document:
    """The document of a new session, nothing of which has been counted."""
    document, token = to_document(kept), token_hex(8)
    uncounted = {**counts_of(document), "change": token}
    return {**document, "version": 1, "change": token, "counted": None, "counted_in": 0, "uncounted": uncounted}


def _changed(known: Document, after: Kept, token: str) -> Document:
    """The new document of a session, but for what has been counted of it."""
    document = to_document(after)
    counts, counted = counts_of(document), known["counted"] or {}
    # What waits to be counted may be in a batch already, after which what is counted is that.
    is_counted = not known.get("uncounted") and all(counted.get(name) == value for name, value in counts.items())
    uncounted = {} if is_counted else {"uncounted": {**counts, "change": token}}
    del document["_id"]  # which never changes
    return {**document, **uncounted, "change": token}


def _restored(record: SessionRecord, kept: Kept, free: Source | None) -> Kept | None:
    """What a restored record makes of what is there; None where that is newer."""
    if _is_older(record.seal, kept.record.seal):
        return None
    documents = {} if record.seal else kept.documents
    return replace(kept, record=record, source=kept.source or free, swept=False, deciding=False, documents=documents)


def _decided(kept: Kept, content_id: bytes, first: UUID | None) -> Kept:
    """A session that has its content, or is a duplicate of another one that had it first."""
    record = kept.record
    if first is None or record.content_id != content_id or record.state in ENDED:
        return replace(kept, deciding=False)
    duplicate = replace(kept, deciding=False, documents={})
    return duplicate.having(state=State.DUPLICATE, duplicate_of=first, attempts=0, failure=None)


def _can_be_duplicate(kept: Kept) -> bool:
    record = kept.record
    return bool(record.source and record.source.landed and record.length) and record.state not in ENDED


def _at(point: Standing, due_us: int) -> Document:
    """The test for sessions that stand there and may be worked on now."""
    if point.failed:
        return {"listed.standing": standing_of(point.state, "failed"), "failure.retry_us": {"$lte": due_us}}
    return {"listed.standing": standing_of(point.state, "fresh")}


def _is_older(seal: Seal | None, known: Seal | None) -> bool:
    return known is not None and (seal is None or seal.sequence < known.sequence)


def _taken(session_id: UUID) -> UsageError:
    return UsageError(f"the session id {session_id} is taken by another recording")


def _not_found(session_id: UUID) -> SessionNotFound:
    return SessionNotFound(f"there is no session {session_id}", "lucid list shows those that there are")
