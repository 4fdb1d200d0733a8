"""The catalog port: the index by which sessions are found, and where a session stands in the lineage.

The catalog is a cache of what manifests say, plus two things that exist nowhere else until a session is sealed: where
its recording lies, and what one stage hands to the next. Losing it loses no sealed session.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Protocol
from uuid import UUID

from lucid_pipeline.archive.manifest import SignedManifest, parse_time
from lucid_pipeline.archive.reader import Known
from lucid_pipeline.archive.sealed import SessionMetadata

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOUND_AT_ONCE = 1000


class State(StrEnum):
    """How far a session has come: the last stage that is done; or that it is another session once more."""

    REGISTERED = "registered"
    RECORDED = "recorded"
    CHUNKED = "chunked"
    ENCRYPTED = "encrypted"
    HASHED = "hashed"
    SEALED = "sealed"
    DUPLICATE = "duplicate"


ENDED = (State.SEALED, State.DUPLICATE)
"""The states that nothing follows."""


class Status(StrEnum):
    """What a session is shown as; it is one of these at a time.

    Damage outweighs a failure, and a failure the state. One that has failed is tried again by itself; one in quarantine
    waits for a person.
    """

    REGISTERED = "registered"
    RECORDED = "recorded"
    CHUNKED = "chunked"
    ENCRYPTED = "encrypted"
    HASHED = "hashed"
    SEALED = "sealed"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    DAMAGED = "damaged"


class ListedState(StrEnum):
    """The words by which people choose sessions: `waiting`, `failed` and what a session is shown as."""

    WAITING = "waiting"
    REGISTERED = "registered"
    RECORDED = "recorded"
    CHUNKED = "chunked"
    ENCRYPTED = "encrypted"
    HASHED = "hashed"
    SEALED = "sealed"
    DUPLICATE = "duplicate"
    FAILED = "failed"
    QUARANTINED = "quarantined"
    DAMAGED = "damaged"

    @property
    def statuses(self) -> Collection[Status]:
        """What those sessions are shown as: one that waits has come some way, and `failed` includes the quarantine."""
        match self:
            case ListedState.WAITING:
                return (Status.REGISTERED, Status.RECORDED, Status.CHUNKED, Status.ENCRYPTED, Status.HASHED)
            case ListedState.FAILED:
                return (Status.FAILED, Status.QUARANTINED)
        return (Status(self.value),)


class Proof(StrEnum):
    """What is known of a sealed session since its newest manifest: never verified, found intact, or found damaged."""

    NEVER = "never"
    INTACT = "intact"
    DAMAGED = "damaged"


class Stage(StrEnum):
    """What one stage hands to the next, as a document of bytes that only those two understand."""

    RECORDING = "recording"
    CHUNKS = "chunks"
    ENCRYPTED_CHUNKS = "encrypted_chunks"
    MERKLE_TREE = "merkle_tree"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a recording lies, and what tells this state of the file from any other.

    `fingerprint` is unique in a catalog: registering it again yields the session that has it, even when the recording
    has been removed. `release` says that the file is to be removed once its session is sealed and verified; `landed`,
    that nobody chose it, but it was found in the landing folder; `abandoned`, that its writer never finished it.
    """

    path: Path
    fingerprint: str
    release: bool = False
    landed: bool = False
    abandoned: bool = False


@dataclass(frozen=True, slots=True)
class Seal:
    """What the newest manifest of a session says. Sizes in bytes; digests are 32 bytes."""

    sequence: int
    envelope_sha256: bytes
    key_id: str
    root: bytes
    suite: str
    media_type: str
    chunk_count: int
    stored_bytes: int
    sealed_at: str

    @property
    def known(self) -> Known:
        """What tells a reader of the archive that it was turned back."""
        return Known(self.sequence, self.envelope_sha256)

    @classmethod
    def of(cls, signed: SignedManifest) -> "Seal":
        """The seal that a verified manifest is."""
        manifest, stream = signed.manifest, signed.manifest.recording
        return cls(
            sequence=manifest.sequence,
            envelope_sha256=signed.envelope_sha256,
            key_id=signed.key_id,
            root=stream.tree.root,
            suite=manifest.suite,
            media_type=stream.media_type,
            chunk_count=stream.chunk_count,
            stored_bytes=stream.stored_bytes,
            sealed_at=manifest.created_at,
        )


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a session stopped: at which stage, with which one line, and whether trying again can help.

    `retry_at` is when it will be tried again by itself; None for a session in quarantine, which waits for a person.
    """

    stage: str
    reason: str
    permanent: bool
    retry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A recording that is registered: under which id, where it lies, its name, and why it cannot be archived, if so."""

    session_id: UUID
    source: Source
    name: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """All that the catalog knows of one session.

    `length` is the recording's in bytes and `duration_ms` a cast's; both are None until they are known, and where a
    rebuilt catalog could not unseal them. `attempts` counts the failures since the session last came further. Times
    are RFC 3339 in UTC.
    """

    session_id: UUID
    state: State
    registered_at: str
    metadata: SessionMetadata = field(default_factory=SessionMetadata)
    name: str | None = None
    source: Source | None = None
    length: int | None = None
    duration_ms: int | None = None
    seal: Seal | None = None
    failure: Failure | None = None
    attempts: int = 0
    duplicate_of: UUID | None = None
    content_id: bytes | None = None
    verified_at: str | None = None
    damages: Sequence[str] = ()

    @property
    def proven_at(self) -> str | None:
        """When a sealed session was last known to be whole, or not: by its last verification, else by its sealing."""
        return self.verified_at or (self.seal.sealed_at if self.seal else None)

    @property
    def status(self) -> Status:
        """What the session is shown as."""
        if self.damages:
            return Status.DAMAGED
        if self.failure:
            return Status.FAILED if self.failure.retry_at else Status.QUARANTINED
        return Status(self.state.value)

    @property
    def proof(self) -> Proof | None:
        """What verifying a sealed session has shown; None for one that is not sealed."""
        if self.state is not State.SEALED:
            return None
        if self.damages:
            return Proof.DAMAGED
        return Proof.INTACT if self.verified_at else Proof.NEVER


@dataclass(frozen=True, slots=True)
class Description:
    """What the sealed metadata of a session says, as far as a catalog keeps it."""

    metadata: SessionMetadata
    name: str
    length: int
    duration_ms: int | None
    content_id: bytes


@dataclass(frozen=True, slots=True)
class ArchivedSession:
    """What the archive says of a sealed session.

    `registered_at` is when its id was made. `description` is None where its sealed metadata could not be read;
    `damages` are the codes of what was wrong with it, if anything was.
    """

    session_id: UUID
    seal: Seal
    registered_at: str
    description: Description | None = None
    damages: Sequence[str] = ()

    def added_to(self, known: SessionRecord | None) -> SessionRecord:
        """What is known of the session when this is told, and `known` was known before.

        A newer manifest takes the place of an older one, as `Catalog.record_seal` has it: whatever failed before it,
        or was found by verifying another one, says nothing of it. One that is older than the known one, or is another
        one under the same number, changes nothing. What the sealed metadata says counts; what it does not say, and all
        else, stays.
        """
        record = known or SessionRecord(self.session_id, State.SEALED, self.registered_at)
        if record.seal is None or record.seal.sequence < self.seal.sequence:
            record = replace(
                record,
                state=State.SEALED,
                seal=self.seal,
                failure=None,
                attempts=0,
                duplicate_of=None,
                verified_at=None,
                damages=(),
            )
        if record.seal != self.seal:
            return record
        if told := self.description:
            record = replace(
                record,
                metadata=told.metadata.completed_by(record.metadata),
                name=told.name,
                length=told.length,
                duration_ms=told.duration_ms,
                content_id=told.content_id,
            )
        return replace(record, damages=tuple(dict.fromkeys((*record.damages, *self.damages))))


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions to find: all conditions must hold, None and empty ones always do.

    `text` is a free text: each of its words begins a word of the session's name, user, host or protocol, or of the name
    or value of a tag; or the whole text, of 8 characters at least, begins the session's id. Words are runs of letters
    and digits, whatever their case; a text without any says nothing.

    `user`, `host`, `protocol` and `media_type` are compared as they are. Media types are known of sealed sessions only.
    Of `statuses` a session has any; `proof` only sealed ones have. `tags`, names with values, must all be there.
    `since` and `until` know their time zone, and bound when a session started (`started_us`; inclusive, and exclusive).
    """

    text: str | None = None
    user: str | None = None
    host: str | None = None
    protocol: str | None = None
    media_type: str | None = None
    statuses: Collection[Status] = ()
    proof: Proof | None = None
    since: datetime | None = None
    until: datetime | None = None
    tags: Collection[tuple[str, str]] = ()


class Sort(StrEnum):
    """By what sessions are sorted: when they started, were registered (their ids), were sealed; bytes; ms; user."""

    STARTED = "started"
    REGISTERED = "registered"
    SEALED = "sealed"
    LENGTH = "length"
    DURATION = "duration"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Order:
    """In which order to find sessions. What is not known of a session counts as less than all that is known.

    Text is compared by its code points. Sessions that are equal in `by` are sorted by their ids, in the same direction.
    """

    by: Sort = Sort.REGISTERED
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """A place in an order, next to a session or between two; `value` is the catalog's own."""

    value: int | str
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Page:
    """Sessions that were found, and where to go on; `next` is None where there are no more."""

    sessions: Sequence[SessionRecord]
    next: Position | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a session can stand: how far it has come, and whether it has failed since."""

    state: State
    failed: bool


@dataclass(frozen=True, slots=True)
class Holding:
    """How many sessions are sealed, their bytes in the archive, and those of the recordings whose length is known."""

    sessions: int = 0
    stored_bytes: int = 0
    raw_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Statistics:
    """How many sessions are shown as what, where there are any; what is sealed, in all and by the day, in UTC.

    `longest_unverified` is when the sealed session that was longest not verified was last known to be whole.
    """

    sessions: Mapping[Status, int]
    sealed: Holding
    sealed_by_day: Mapping[date, Holding]
    longest_unverified: str | None


def in_unicode(text: str) -> str:
    """Text as a catalog keeps it: what Unicode cannot hold is escaped."""
    return text.encode("utf-8", "backslashreplace").decode()


def microseconds(moment: datetime) -> int:
    """Microseconds from 1970 to a moment that knows its time zone."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_microseconds(count: int | None) -> datetime | None:
    """The moment, in UTC, that is so many microseconds from 1970."""
    return None if count is None else _EPOCH + timedelta(microseconds=count)


def started_us(metadata: SessionMetadata, registered_at: str) -> int | None:
    """When a session started, or was registered where that is not known; in microseconds from 1970, rounded down.

    A text that is no RFC 3339 time, for lack of a time zone among other things, says nothing.
    """
    for text in (metadata.started_at, registered_at):
        try:
            return microseconds(parse_time(text or ""))
        except ValueError:
            continue
    return None


class Catalog(Protocol):
    r"""The index of sessions. Any number of threads and processes may use one catalog at once.

    Text that Unicode cannot hold, such as a file name of loose bytes, is kept in escaped form (`\udcff`).

    What a call for many sessions does, it does for all of them, or for none where it cannot be done for one. Where the
    database is a server that is lost in the middle, it may be done for some; the same call again sees to the rest.

    All calls raise `TransientError` where the database is busy for too long, full or does not answer, and
    `PermanentError` where it is damaged or a number has more than 64 bits.
    """

    def register(self, session_id: UUID, source: Source, name: str, metadata: SessionMetadata) -> SessionRecord:
        """Add a session for a recording, or return the one that its fingerprint already has, unchanged.

        An existing session that was not to be released, and now is, is changed in this alone. Raises `UsageError` if
        the session's id is taken by another recording.
        """

    def register_all(self, arrivals: Sequence[Arrival]) -> list[UUID]:
        """Register many recordings at once, all or none, each as `register` does; returns the sessions that they have.

        A new session whose recording cannot be archived has failed once.
        """

    def registered(self, fingerprints: Collection[str], *, release: bool) -> set[str]:
        """Those of some fingerprints that a session has, for `release` one whose recording is to be removed."""

    def get(self, session_id: UUID) -> SessionRecord:
        """Raises `SessionNotFound`."""

    def find(self, wanted: SessionFilter, limit: int | None = None) -> list[SessionRecord]:
        """The sessions that fit, newest id first; at most `limit`."""
        found: list[SessionRecord] = []
        place: Position | None = None
        while limit is None or len(found) < limit:
            most = _FOUND_AT_ONCE if limit is None else min(limit - len(found), _FOUND_AT_ONCE)
            page = self.page(wanted, Order(), place, most)
            found += page.sessions
            place = page.next
            if place is None:
                break
        return found

    def page(self, wanted: SessionFilter, order: Order, after: Position | None, limit: int) -> Page:
        """Sessions that fit, in an order, from behind a position on: at most `limit`, which is 1 or more.

        A call takes no longer the more sessions there are. So a page can have less than `limit`, even none, and go on
        all the same: what was looked through so far held no more. Each session is on one page, unless it is changed
        meanwhile so that it has another place.
        """

    def waiting(self, standings: Collection[Standing], now: datetime, limit: int) -> list[SessionRecord]:
        """The sessions that stand at one of these points and may be worked on now, oldest id first.

        That is all that have not failed, and those whose failure is to be tried again by now; of each point, at most
        `limit`, so that none can crowd out another.
        """

    def removable(self, untried_since: datetime, limit: int) -> list[SessionRecord]:
        """Sessions that have ended, and whose recordings are to be removed and lie there still, oldest id first.

        Those whose removal has been tried since that moment are left out.
        """

    def longest_unverified(self, limit: int) -> list[SessionRecord]:
        """Sealed sessions, those first whose last verification, or sealing where there was none, is the oldest.

        The stages that seal a session read back what they sign, so that a new one is not in need of it at once.
        """

    def holding(self) -> Holding:
        """What is sealed, counted."""

    def statistics(self, since: date) -> Statistics:
        """What there is, counted; by the day from that day on. Counts are kept, and not made anew at every call."""

    def sealed(self) -> list[UUID]:
        """All sessions that are sealed, oldest id first."""

    def unswept(self, sealed_before: datetime, after: UUID | None, limit: int) -> list[SessionRecord]:
        """Sealed sessions in whose place no leftovers have been looked for since, in the order of their ids.

        Those that were sealed at that moment or later are left out, and those whose id is not above `after`.
        """

    def record_swept(self, session_ids: Collection[UUID]) -> None:
        """Record that no leftovers lie beside what the newest manifests of these sessions refer to."""

    def hand_over(self, session_id: UUID, stage: Stage, document: bytes, state: State) -> None:
        """Record that a stage is done: its document for the next one, and the state reached. Clears a failure.

        The attempts are counted anew if that is further than the session had come. One that has ended stays as it is.
        Raises `SessionNotFound`.
        """

    def handed_over(self, session_id: UUID, stage: Stage) -> bytes | None:
        """The newest document of a stage, or None if that stage has not been done, or the session is sealed."""

    def describe(
        self, session_id: UUID, length: int, duration_ms: int | None = None, started_at: str | None = None
    ) -> None:
        """Record what a recording says: its length (bytes), duration (ms) and start, unless a start is known already.

        Raises `SessionNotFound`.
        """

    def complete(self, session_id: UUID, metadata: SessionMetadata) -> SessionMetadata:
        """Add what was not known of a session to what was; returns both. Raises `SessionNotFound`."""

    def record_content(self, session_id: UUID, content_id: bytes) -> UUID | None:
        """Record what tells a session's content from any other.

        Returns:
            None, or the session of which this one now is a duplicate: it had that content first, with the same
            metadata, and is not in quarantine. Only a recording that landed can be a duplicate, and only one that is
            not empty.

        Raises `SessionNotFound`.
        """

    def record_seal(self, session_id: UUID, seal: Seal) -> None:
        """Record a manifest, unless it or a newer one is known; drop what stages handed over, and any failure.

        Of two manifests with one sequence number the first counts: the archive never changes an object.

        What was found by verifying an older one says nothing of this one, and is dropped as well.

        Raises `SessionNotFound`.
        """

    def record_failure(self, session_id: UUID, failure: Failure, *, counts: bool = True) -> None:
        """Record why a session stopped, and count the attempt if it counts; one that has ended is left as it is.

        Where it is not tried again by itself, its duplicates are no duplicates any more, and wait anew.

        Raises `SessionNotFound`.
        """

    def retry(self, session_id: UUID) -> None:
        """Forget a session's failure and the attempts, or that it is a duplicate. Raises `SessionNotFound`."""

    def record_verification(self, session_id: UUID, damages: Sequence[str], verified_at: str) -> None:
        """Record the outcome of a verification: the damages found, none if intact. Raises `SessionNotFound`."""

    def record_removal_attempt(self, session_id: UUID, tried_at: datetime) -> None:
        """Record that the removal of a recording was tried, and that it stays. Raises `SessionNotFound`."""

    def release_source(self, session_id: UUID) -> None:
        """Record that the recording has been removed: the session has no source from now on, but its fingerprint stays.

        Raises `SessionNotFound`.
        """

    def restore(self, *records: SessionRecord) -> None:
        """Put records in whole, all or none.

        A session that is there keeps its source; one whose manifest is newer than the record's is left as it is, so
        that an archive that was turned back cannot turn back what is known of it.
        """

    def restore_sealed(self, *sessions: ArchivedSession) -> list[SessionRecord]:
        """Add what the archive says of sealed sessions to what is known, all or none; returns what is known now.

        Each becomes what `ArchivedSession.added_to` makes of the record at that moment, whoever changes it meanwhile.
        """

    def close(self) -> None:
        """Give up all connections."""
