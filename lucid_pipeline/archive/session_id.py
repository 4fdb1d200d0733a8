"""Session ids: UUIDv7 (RFC 9562), made here and nowhere else. Text from outside becomes an id only by `parse`."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import uuid_utils.compat

from lucid_pipeline.errors import UsageError

_VERSION = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BITS_BELOW_TIME = 80


def new_session_id() -> UUID:
    """A new id; ids made later sort behind it."""
    return uuid_utils.compat.uuid7()


def made_at(session_id: UUID) -> datetime:
    """When an id was made: the milliseconds from 1970 that a UUIDv7 begins with (RFC 9562, section 5.7).

    Raises:
        OverflowError: it names a time that no `datetime` can be, as one that was made up may.
    """
    return _EPOCH + timedelta(milliseconds=session_id.int >> _BITS_BELOW_TIME)


def parse_session_id(text: str) -> UUID:
    """The id that is written so.

    Raises:
        UsageError: the text is anything but a UUIDv7 in canonical form.
    """
    try:
        session_id = UUID(text)
    except ValueError:
        session_id = None
    if session_id is None or str(session_id) != text or session_id.version != _VERSION:
        raise UsageError(f"{text[:64]!r} is no session id", "`lucid list` shows the ids")
    return session_id
