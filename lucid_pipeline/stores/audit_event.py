"""One event of the audit record, and how each is chained to the one before (docs/audit.md).

Here: what an event says, its line and its hash. Not here: the file that lines are appended to (`audit_log`), what is
wrong with one (`audit_check`), and how events are found (`audit_index`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Self
from uuid import UUID

from lucid_pipeline.archive import canonical
from lucid_pipeline.archive.documents import Digest, Document
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.errors import UsageError

LONGEST_LINE = 64 * 1024
"""Bytes of the longest line there can be, its end included."""

ORIGIN = sha256(b"lucid/audit-origin@v1").digest()
"""What the first event is chained to."""

_DOMAIN = b"lucid/audit@v1\0"
_LONGEST_TEXT = 256
_MOST_DETAILS = 16

Detail = str | int | bool | None


class Action(StrEnum):
    """What was done, or tried. A closed list: whoever adds to it also says in docs/audit.md when it is recorded."""

    CONTENT_PLAYED = "content.played"
    CONTENT_DOWNLOADED = "content.downloaded"
    CHUNKS_DOWNLOADED = "chunks.downloaded"
    TRANSCRIPT_READ = "transcript.read"
    CONTENT_SEARCHED = "content.searched"
    UPLOAD_RECEIVED = "upload.received"
    VERIFICATION_STARTED = "verification.started"
    RUN_STARTED = "run.started"
    RUN_CANCELED = "run.canceled"
    KEY_CREATED = "key.created"
    KEY_DELETED = "key.deleted"
    SIGN_IN_LINK_CREATED = "sign_in_link.created"
    SIGN_IN_SUCCEEDED = "sign_in.succeeded"
    SIGN_IN_FAILED = "sign_in.failed"
    SIGN_OUT = "sign_out"
    AUDIT_READ = "audit.read"
    LOG_RECOVERED = "log.recovered"


class Outcome(StrEnum):
    """What became of it. An action is recorded before it is done: `allowed` says that it might go ahead."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """What there is to record of an action; time, place in the chain and hash come with the recording.

    `subject` says who it was: a key or user, never a secret. `address` is where the request came from, `session_id` the
    session that it is about. `details` are few and small; text of more than 256 characters is cut.
    """

    action: Action
    outcome: Outcome = Outcome.ALLOWED
    subject: str | None = None
    address: str | None = None
    session_id: UUID | None = None
    request_id: str | None = None
    details: Mapping[str, Detail] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """A place in the chain: the event with this sequence number has this hash. Written as `number:hash`."""

    sequence: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The head that was noted so.

        Raises:
            UsageError: the text is no head.
        """
        number, _, digest = text.partition(":")
        try:
            head = cls(int(number), bytes.fromhex(digest))
        except ValueError:
            head = None
        if head is None or head.sequence < 1 or len(head.hash) != len(ORIGIN) or str(head) != text.lower():
            raise UsageError(f"{text[:80]!r} is no head of an audit record", "`lucid verify --audit` tells the head")
        return head


START = Head(0, ORIGIN)
"""Where an empty record stands."""


class AuditEvent(Document):
    """An event as it is recorded: one line of canonical JSON (RFC 8785).

    `time` is in UTC with milliseconds (RFC 3339), `sequence` counts from 1, `previous` is the hash of the event before.
    """

    sequence: int
    time: str
    action: str
    outcome: str
    subject: str | None
    address: str | None
    session_id: str | None
    request_id: str | None
    details: dict[str, Detail]
    previous: Digest
    hash: Digest

    @property
    def head(self) -> Head:
        """The head of a record that ends with this event."""
        return Head(self.sequence, self.hash)

    @property
    def line(self) -> bytes:
        """The event's line, its end included."""
        return self.encode() + b"\n"


class NotAnEvent(ValueError):
    """A line is not one of an audit record, or not what it was when it was written."""


def chained(entry: Entry, head: Head, moment: datetime) -> AuditEvent:
    """The event that follows `head`, recorded at `moment`."""
    if len(entry.details) > _MOST_DETAILS:
        raise ValueError(f"an event has at most {_MOST_DETAILS} details")
    body = {
        "sequence": head.sequence + 1,
        "time": timestamp(moment),
        "action": str(entry.action),
        "outcome": str(entry.outcome),
        "subject": _clean(entry.subject),
        "address": _clean(entry.address),
        "session_id": str(entry.session_id) if entry.session_id else None,
        "request_id": _clean(entry.request_id),
        "details": {name: _clean(value) for name, value in entry.details.items()},
    }
    return AuditEvent.model_validate({**body, "previous": head.hash, "hash": _hash(body, head.hash)})


def parse_event(line: bytes) -> AuditEvent:
    """The event of a line, without its end.

    Raises:
        NotAnEvent: the line is not canonical, not an event, or the event's hash is not its own.
    """
    try:
        event = AuditEvent.model_validate_json(line)
        body = event.model_dump(mode="json", exclude={"previous", "hash"})
        if event.encode() == line and _hash(body, event.previous) == event.hash:
            return event
    except ValueError as error:
        raise NotAnEvent("not an event") from error
    raise NotAnEvent("the event is not what it was when it was written")


def _hash(body: Mapping[str, Any], previous: bytes) -> bytes:
    return sha256(_DOMAIN + previous + canonical.encode(body)).digest()


def _clean(value: Detail) -> Detail:
    """A value that canonical JSON has a form for, whoever chose it."""
    if isinstance(value, str):
        return value[:_LONGEST_TEXT].encode("utf-8", "backslashreplace").decode()
    if isinstance(value, int) and abs(value) > canonical.MAX_SAFE_INTEGER:
        return str(value)
    return value
