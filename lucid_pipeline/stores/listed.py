"""What sessions are found, sorted and counted by: it follows from a record, and is the same for every catalog."""

import json
from dataclasses import dataclass

from lucid_pipeline.archive.manifest import parse_time
from lucid_pipeline.stores.catalog import (
    Proof,
    SessionRecord,
    Status,
    from_microseconds,
    in_unicode,
    microseconds,
    started_us,
)
from lucid_pipeline.stores.searching import words_of

NO_TIME = -(2**62)
NO_NUMBER = -1


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of a session; what is not is less than all that is: `NO_TIME`, `NO_NUMBER` or no text.

    Times are microseconds from 1970, `length` and `stored` bytes, `duration` ms. `terms` are the words by which
    the session is found and, as `tag_term` has them, its tags.
    """

    started: int
    sealed: int
    length: int
    duration: int
    user: str
    host: str
    protocol: str
    media_type: str
    status: Status
    proof: Proof | None
    stored: int
    terms: frozenset[str]


def listed(record: SessionRecord) -> Listed:
    """What a record, whose texts are Unicode, is found, sorted and counted by."""
    metadata, seal = record.metadata, record.seal
    started = started_us(metadata, record.registered_at)
    return Listed(
        started=NO_TIME if started is None else started,
        sealed=_moment(seal.sealed_at) if seal else NO_TIME,
        length=NO_NUMBER if record.length is None else record.length,
        duration=NO_NUMBER if record.duration_ms is None else record.duration_ms,
        user=metadata.user or "",
        host=metadata.host or "",
        protocol=metadata.protocol or "",
        media_type=seal.media_type if seal else "",
        status=record.status,
        proof=record.proof,
        stored=seal.stored_bytes if seal else NO_NUMBER,
        terms=frozenset({*words_of(record), *(tag_term(name, value) for name, value in metadata.tags.items())}),
    )


@dataclass(frozen=True, slots=True)
class Tally:
    """What a session adds to a count: that of a status, or of what was sealed on a day, which is the `name`."""

    kind: str
    name: str
    stored_bytes: int = 0
    raw_bytes: int = 0


def tallies(status: str, sealed: int, stored: int, length: int) -> list[Tally]:
    """The counts that a session is in, of what is `listed` of it."""
    counted = [Tally("status", status)]
    if stored != NO_NUMBER:
        counted.append(Tally("sealed", _day(sealed), stored, max(0, length)))
    return counted


def tag_term(name: str, value: str) -> str:
    """One line that no word is."""
    return json.dumps([in_unicode(name), in_unicode(value)])


def _moment(text: str) -> int:
    try:
        return microseconds(parse_time(text))
    except ValueError:
        return NO_TIME


def _day(moment: int) -> str:
    at = from_microseconds(None if moment == NO_TIME else moment)
    return at.date().isoformat() if at else ""
