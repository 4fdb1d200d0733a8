"""What sessions, and their counts, look like to callers. Sizes are in bytes, digests are SHA-256 in hex."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from lucid_api.proofs.documents import Hex, KeyId, SessionId, Time
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.stores.catalog import Failure, Holding, Proof, SessionRecord, State, Statistics, Status
from lucid_pipeline.stores.catalog import Seal as CatalogSeal

PLOTTED_DAYS = 90

_Bytes = Annotated[int, Field(ge=0, examples=[146515])]
_Count = Annotated[int, Field(ge=0, examples=[18])]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Seal(_Document):
    """What the newest manifest of a session says."""

    sequence: int = Field(description="Its number.", ge=1, examples=[1])
    envelope_sha256: Hex = Field(description="Digest of its envelope, as `get_manifest` returns it.")
    signed_by: KeyId
    root: Hex = Field(description="Root of the Merkle tree over the chunk objects.")
    suite: str = Field(description="How the session is encrypted.", examples=["AEAD_AES_256_GCM"])
    chunk_count: int = Field(description="How many chunks the recording has.", ge=1, examples=[18])
    stored_bytes: _Bytes = Field(description="Bytes of its chunk objects in the archive.")
    sealed_at: Time = Field(description="When it was signed.")

    @classmethod
    def of(cls, seal: CatalogSeal) -> "Seal":
        """The seal that the catalog knows of."""
        return cls(
            sequence=seal.sequence,
            envelope_sha256=seal.envelope_sha256.hex(),
            signed_by=seal.key_id,
            root=seal.root.hex(),
            suite=seal.suite,
            chunk_count=seal.chunk_count,
            stored_bytes=seal.stored_bytes,
            sealed_at=seal.sealed_at,
        )


class SessionFailure(_Document):
    """Why a session does not come further."""

    stage: str = Field(description="The stage that failed.", examples=["chunks"])
    reason: str = Field(description="What went wrong, in one line.", examples=["the recording has gone"])
    permanent: bool = Field(description="Whether trying again cannot help.")
    attempts: int = Field(description="How often it has failed since it last came further.", ge=0, examples=[1])
    retry_at: str | None = Field(
        description="When it is tried again by itself; null in quarantine, where it waits for a person.",
        examples=["2026-01-31T12:00:00.000Z"],
    )

    @classmethod
    def of(cls, failure: Failure, attempts: int) -> "SessionFailure":
        """The failure that the catalog knows of."""
        return cls(
            stage=failure.stage,
            reason=failure.reason,
            permanent=failure.permanent,
            attempts=attempts,
            retry_at=timestamp(failure.retry_at) if failure.retry_at else None,
        )


class Session(_Document):
    """A session, as the catalog knows it. What is not known is null."""

    session_id: SessionId
    state: Status = Field(
        description="What it is shown as: damaged, if verification found damage; failed or quarantined, if it does not "
        "come further; else the last stage that is done.",
        examples=["sealed"],
    )
    reached: State = Field(description="The last stage that is done, whatever happened since.", examples=["sealed"])
    registered_at: Time = Field(description="When its recording was registered.")
    name: str | None = Field(description="What its recording is called.", examples=["session.cast"])
    user: str | None = Field(description="Who was recorded.", examples=["ada"])
    host: str | None = Field(description="Where.", examples=["gate-1"])
    protocol: str | None = Field(description="How they were connected.", examples=["ssh"])
    started_at: str | None = Field(description="When it began.", examples=["2026-01-31T12:00:00Z"])
    ended_at: str | None = Field(description="When it ended.", examples=["2026-01-31T12:30:00Z"])
    tags: dict[str, str] = Field(description="Further facts, by their names.", examples=[{"ticket": "4711"}])
    length: int | None = Field(description="Bytes of the recording.", ge=0, examples=[146515])
    duration_ms: int | None = Field(description="Of a terminal cast, its length in ms.", ge=0, examples=[99900])
    media_type: str | None = Field(
        description="What the recording is; known of sealed sessions.", examples=["application/x-asciicast"]
    )
    seal: Seal | None = Field(description="What the newest manifest says; null before the session is sealed.")
    verified: Proof | None = Field(
        description="What was found when it was last verified since it was sealed: `intact`, `damaged`, or that it was "
        "`never` verified since; null before it is sealed.",
        examples=["intact"],
    )
    verified_at: str | None = Field(
        description="When it was last verified since it was sealed.", examples=["2026-01-31T12:00:00.000Z"]
    )
    damages: list[str] = Field(description="Codes of the damage that was found.", examples=[["root_mismatch"]])
    failure: SessionFailure | None = Field(description="Why it does not come further, if it failed.")
    duplicate_of: UUID | None = Field(
        description="The session that has the same recording, if it is a duplicate.",
        examples=["01a207bc-8e81-7370-a993-4daf2ca01f8c"],
    )

    @classmethod
    def of(cls, record: SessionRecord) -> "Session":
        """The session of a record."""
        return cls(
            session_id=record.session_id,
            state=record.status,
            reached=record.state,
            registered_at=record.registered_at,
            name=record.name,
            **record.metadata.model_dump(),
            length=record.length,
            duration_ms=record.duration_ms,
            media_type=record.seal.media_type if record.seal else None,
            seal=Seal.of(record.seal) if record.seal else None,
            verified=record.proof,
            verified_at=record.verified_at,
            damages=list(record.damages),
            failure=SessionFailure.of(record.failure, record.attempts) if record.failure else None,
            duplicate_of=record.duplicate_of,
        )


class SessionPage(_Document):
    """One page of sessions.

    It can have fewer than were asked for, even none, and still not be the last one: in an archive of millions, a page
    ends as well when so many sessions have been looked at that somebody would have to wait.
    """

    sessions: list[Session] = Field(description="The sessions of this page, in the order that was asked for.")
    next_cursor: str | None = Field(
        description="Where the next page begins, as in `Link`; null on the last one.", examples=["WyIxZjU2MCJd"]
    )


class Held(_Document):
    """Sessions that are sealed."""

    sessions: _Count = Field(description="How many.")
    stored_bytes: _Bytes = Field(description="Bytes of their chunk objects in the archive.")
    raw_bytes: _Bytes = Field(description="Bytes of their recordings, of which the length is known.")

    @classmethod
    def of(cls, holding: Holding) -> "Held":
        """What the catalog has counted."""
        return cls(sessions=holding.sessions, stored_bytes=holding.stored_bytes, raw_bytes=holding.raw_bytes)


class Day(Held):
    """Sessions that were sealed on one day, in UTC."""

    day: date = Field(description="The day.", examples=["2026-01-31"])


class StatisticsDocument(_Document):
    """What there is, counted."""

    sessions: _Count = Field(description="All sessions.")
    states: Mapping[Status, int] = Field(
        description="How many are shown as what.", examples=[dict.fromkeys(Status, 0) | {Status.SEALED: 18}]
    )
    sealed: Held = Field(description="All that are sealed.")
    days: list[Day] = Field(description=f"Those of each of the last {PLOTTED_DAYS} days, the oldest first.")
    longest_unverified: str | None = Field(
        description="When the sealed session that was longest not verified was last known to be whole: by its last "
        "verification, or else its sealing. Null if none is sealed.",
        examples=["2026-01-31T12:00:00.000Z"],
    )

    @classmethod
    def of(cls, found: Statistics, today: date) -> "StatisticsDocument":
        """What the catalog has counted, up to that day."""
        days = [today - timedelta(days=ago) for ago in reversed(range(PLOTTED_DAYS))]
        by_day = [(day, Held.of(found.sealed_by_day.get(day, Holding()))) for day in days]
        return cls(
            sessions=sum(found.sessions.values()),
            states={status: found.sessions.get(status, 0) for status in Status},
            sealed=Held.of(found.sealed),
            days=[Day(day=day, **held.model_dump()) for day, held in by_day],
            longest_unverified=found.longest_unverified,
        )
