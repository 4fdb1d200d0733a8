"""A session as a document of a MongoDB catalog: one whole document, so that every change of it is one atomic step.

What the listing needs lies beside the record, in `listed`, and follows from it; so it cannot differ from it.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import PermanentError
from lucid_pipeline.stores.catalog import (
    ENDED,
    Failure,
    Seal,
    SessionRecord,
    Source,
    State,
    from_microseconds,
    in_unicode,
    microseconds,
)
from lucid_pipeline.stores.listed import Listed, listed
from lucid_pipeline.stores.mongo_server import Document

_COUNTED = ("status", "sealed", "stored", "length")

SCHEMA: Document = {
    "bsonType": "object",
    "required": ["version", "fingerprint", "state", "registered_at", "damages", "attempts", "listed"],
    "properties": {
        "_id": {"bsonType": "string"},
        "version": {"bsonType": ["int", "long"]},
        "change": {"bsonType": "string"},
        "fingerprint": {"bsonType": "string"},
        "state": {"enum": [state.value for state in State]},
        "registered_at": {"bsonType": "string"},
        "tags": {"bsonType": "array", "items": {"bsonType": "object", "required": ["name", "value"]}},
        "length": {"bsonType": ["int", "long", "null"]},
        "duration_ms": {"bsonType": ["int", "long", "null"]},
        "attempts": {"bsonType": ["int", "long"]},
        "damages": {"bsonType": "array", "items": {"bsonType": "string"}},
        "source": {"bsonType": ["object", "null"]},
        "seal": {"bsonType": ["object", "null"]},
        "failure": {"bsonType": ["object", "null"]},
        "listed": {"bsonType": "object", "required": ["status", "started", "terms"]},
    },
}
"""What the database lets in, in the words of MongoDB's `$jsonSchema`."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document lies: under a token that is given to no other, in so many parts."""

    token: str
    parts: int

    def names(self, session_id: UUID) -> Iterator[str]:
        """The keys of its parts, in their order."""
        return (f"{session_id}/{self.token}/{number}" for number in range(self.parts))


@dataclass(frozen=True, slots=True)
class Kept:
    """A record, and what the catalog keeps of a session beside it.

    `source` stays when the recording has been `removed`, as its fingerprint does. `documents` says where that is
    which the stages handed over. `deciding`: it has its content id, and does not know yet whether another had it first.
    """

    record: SessionRecord
    source: Source | None = None
    removed: bool = False
    tried_us: int = 0
    swept: bool = False
    deciding: bool = False
    documents: Mapping[str, Place] = field(default_factory=dict)

    @classmethod
    def new(cls, record: SessionRecord) -> "Kept":
        """What is kept of a session that was not there."""
        return cls(record, record.source)

    def having(self, **changes: Any) -> "Kept":
        """The same with another record."""
        return replace(self, record=replace(self.record, **changes))

    @property
    def is_removable(self) -> bool:
        """Whether the recording was found, and is to be removed, and lies there still."""
        source = self.source
        return bool(source and source.release and source.landed and not self.removed) and self.record.state in ENDED


def fingerprint_of(fingerprint: str) -> str:
    """The unique text of a recording; no session without one has it."""
    return f"={fingerprint}"


def to_document(kept: Kept) -> Document:
    """All of a session's document but its version, the token of its change and what has been counted of it."""
    record = unicode_of(kept.record)
    key, known = str(record.session_id), listed(record)
    metadata = record.metadata
    return {
        "_id": key,
        "fingerprint": fingerprint_of(kept.source.fingerprint) if kept.source else f"-{key}",
        "state": record.state.value,
        "registered_at": record.registered_at,
        "user": metadata.user,
        "host": metadata.host,
        "protocol": metadata.protocol,
        "started_at": metadata.started_at,
        "ended_at": metadata.ended_at,
        "tags": [{"name": name, "value": value} for name, value in metadata.tags.items()],
        "name": record.name,
        "source": _source_document(kept) if kept.source else None,
        "length": record.length,
        "duration_ms": record.duration_ms,
        "seal": asdict(record.seal) if record.seal else None,
        "swept": kept.swept,
        "failure": _failure_document(record.failure) if record.failure else None,
        "attempts": record.attempts,
        "duplicate_of": str(record.duplicate_of) if record.duplicate_of else None,
        "content_id": record.content_id,
        "deciding": kept.deciding,
        "verified_at": record.verified_at,
        "damages": list(record.damages),
        "documents": {stage: [place.token, place.parts] for stage, place in kept.documents.items()},
        "listed": _listed_document(kept, known),
    }


def from_document(document: Document) -> Kept:
    """What a document keeps.

    Raises:
        PermanentError: it is no session's.
    """
    try:
        return _parse(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        remedy = "make the catalog anew with lucid rebuild-catalog"
        raise PermanentError("a document of the catalog is damaged", remedy) from error


def counts_of(document: Document) -> Document:
    """What a session is counted by."""
    return {name: document["listed"][name] for name in _COUNTED}


def unicode_of(record: SessionRecord) -> SessionRecord:
    """A record whose texts a catalog can hold."""
    metadata, failure = record.metadata, record.failure
    texts = ("user", "host", "protocol", "started_at", "ended_at")
    return replace(
        record,
        name=_unicode(record.name),
        metadata=SessionMetadata(
            **{name: _unicode(getattr(metadata, name)) for name in texts},
            tags={in_unicode(name): in_unicode(value) for name, value in metadata.tags.items()},
        ),
        failure=failure and replace(failure, reason=in_unicode(failure.reason)),
        damages=tuple(map(in_unicode, record.damages)),
    )


def _unicode(text: str | None) -> str | None:
    return text and in_unicode(text)


def _listed_document(kept: Kept, known: Listed) -> Document:
    """What sessions are found by: as every catalog, and by what sensors and schedules ask."""
    record = kept.record
    failure, seal = record.failure, record.seal
    fate = "fresh" if failure is None else "failed" if failure.retry_at else "quarantined"
    return {
        **asdict(known),
        "status": known.status.value,
        "proof": known.proof.value if known.proof else "",
        "terms": sorted(known.terms),
        "standing": standing_of(record.state, fate),
        "removable": kept.is_removable,
        "unswept": seal is not None and not kept.swept,
        "proven_at": (record.proven_at or "") if seal else "",
    }


def standing_of(state: State, fate: str) -> str:
    """Where a session stands, and whether it is `fresh` there, has `failed`, or is `quarantined`."""
    return f"{state.value} {fate}"


def _source_document(kept: Kept) -> Document | None:
    if kept.source is None:
        return None
    source = kept.source
    return {
        "path": None if kept.removed else os.fsencode(source.path),
        "fingerprint": source.fingerprint,
        "release": source.release,
        "landed": source.landed,
        "abandoned": source.abandoned,
        "tried_us": kept.tried_us,
    }


def _failure_document(failure: Failure) -> Document:
    retry_us = microseconds(failure.retry_at) if failure.retry_at else None
    return {
        "stage": failure.stage,
        "reason": failure.reason,
        "permanent": failure.permanent,
        "retry_us": retry_us,
    }


def _parse(found: Document) -> Kept:
    source, failure = found["source"], found["failure"]
    known = _source(source) if source else None
    removed = bool(source) and source["path"] is None
    record = SessionRecord(
        session_id=UUID(found["_id"]),
        state=State(found["state"]),
        registered_at=found["registered_at"],
        metadata=SessionMetadata(
            user=found["user"],
            host=found["host"],
            protocol=found["protocol"],
            started_at=found["started_at"],
            ended_at=found["ended_at"],
            tags={tag["name"]: tag["value"] for tag in found["tags"]},
        ),
        name=found["name"],
        source=None if removed else known,
        length=found["length"],
        duration_ms=found["duration_ms"],
        seal=Seal(**found["seal"]) if found["seal"] else None,
        failure=_failure(failure) if failure else None,
        attempts=found["attempts"],
        duplicate_of=UUID(found["duplicate_of"]) if found["duplicate_of"] else None,
        content_id=found["content_id"],
        verified_at=found["verified_at"],
        damages=tuple(found["damages"]),
    )
    tried_us = source["tried_us"] if source else 0
    documents = {stage: Place(*place) for stage, place in found["documents"].items()}
    return Kept(record, known, removed, tried_us, found["swept"], found["deciding"], documents)


def _source(found: Document) -> Source:
    path = Path(os.fsdecode(found["path"] or b""))
    return Source(path, found["fingerprint"], found["release"], found["landed"], found["abandoned"])


def _failure(found: Document) -> Failure:
    return Failure(found["stage"], found["reason"], found["permanent"], from_microseconds(found["retry_us"]))
