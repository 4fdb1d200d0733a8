"""Catalogs of any size, filled through the port: the same sessions every time, as an organisation might have them.

Few users and hosts have most sessions; users and hosts come and go with the years; nearly everything is sealed, and
nearly all of that intact. No session's recording or objects are there.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from uuid import UUID

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.stores.catalog import (
    Catalog,
    Failure,
    Seal,
    SessionRecord,
    Source,
    State,
    microseconds,
)

NEWEST = datetime(2026, 3, 1, tzinfo=UTC)
SPAN = timedelta(days=730)

_USERS = 400
_HOSTS = 900
_AT_ONCE = 2_000
_KINDS = (
    # protocol, media type, name ends in, shortest and longest in seconds, bytes a second
    ("ssh", "application/x-asciicast", "cast", 20, 7_200, 2_000),
    ("ssh", "application/x-asciicast", "cast", 20, 600, 9_000),
    ("rdp", "video/mp4", "mp4", 120, 14_400, 60_000),
    ("vnc", "video/webm", "webm", 60, 3_600, 45_000),
    ("kiosk", "application/octet-stream", "guac", 30, 1_800, 12_000),
)
_KIND_WEIGHTS = (50, 25, 15, 7, 3)
_TEAMS = ("payments", "platform", "database", "network", "desktop", "audit", "retail", "research")


def fill(catalog: Catalog, count: int, until: datetime = NEWEST) -> None:
    """Put so many sessions into a catalog, the newest of which started shortly before that moment."""
    coming = sessions(count, until)
    while records := list(islice(coming, _AT_ONCE)):
        catalog.restore(*records)


def sessions(count: int, until: datetime = NEWEST) -> Iterator[SessionRecord]:
    """So many sessions, spread evenly over two years, the oldest first."""
    random = Random(count)
    for number in range(count):
        yield _session(random, number / count, until - SPAN * (1 - number / count))


def _session(random: Random, age: float, started: datetime) -> SessionRecord:
    protocol, media_type, ending, shortest, longest, rate = random.choices(_KINDS, _KIND_WEIGHTS)[0]
    seconds = int(random.triangular(shortest, longest, shortest))
    length = int(seconds * rate * random.uniform(0.5, 1.5))
    registered = started + timedelta(seconds=seconds + 5)
    user = f"user{_popular(random, _USERS, age):03d}"
    host = f"{protocol}-{_popular(random, _HOSTS, age):03d}.example.org"
    record = SessionRecord(
        session_id=_session_id(random, registered),
        state=State.SEALED,
        registered_at=timestamp(registered),
        metadata=SessionMetadata(
            user=user,
            host=host,
            protocol=protocol,
            started_at=timestamp(started),
            ended_at=timestamp(started + timedelta(seconds=seconds)),
            tags={
                "team": random.choice(_TEAMS),
                "env": random.choices(("prod", "staging", "test"), (70, 20, 10))[0],
                "ticket": f"OPS-{random.randrange(1, 40_000)}",
            },
        ),
        name=f"{user}-{started:%Y%m%dT%H%M%S}.{ending}",
        length=length,
        duration_ms=seconds * 1000 if ending == "cast" else None,
    )
    return _with_fate(random, record, media_type, registered + timedelta(seconds=20))


def _with_fate(random: Random, record: SessionRecord, media_type: str, sealed: datetime) -> SessionRecord:
    fate = random.random()
    source = Source(Path("/srv/landing") / (record.name or ""), f"{random.getrandbits(256):064x}", landed=True)
    if fate < 0.004:
        failure = Failure("chunks", "the recording has gone", permanent=True)
        return replace(record, state=State.RECORDED, failure=failure, attempts=1, source=source)
    if fate < 0.006:
        failure = Failure("encrypted_chunks", "the disk is full", permanent=False, retry_at=sealed)
        return replace(record, state=State.CHUNKED, failure=failure, attempts=2, source=source)
    if fate < 0.012:
        return replace(record, state=random.choice(list(State)[:5]), source=source)
    seal = Seal(
        sequence=1,
        envelope_sha256=random.randbytes(32),
        key_id="0123456789abcdef",
        root=random.randbytes(32),
        suite="AEAD_CHACHA20_POLY1305",
        media_type=media_type,
        chunk_count=max(1, (record.length or 0) >> 20),
        stored_bytes=int((record.length or 0) * (0.2 if media_type.endswith("cast") else 1)) + 1000,
        sealed_at=timestamp(sealed),
    )
    if fate < 0.014:
        return replace(record, seal=seal, damages=("missing_object",), verified_at=timestamp(sealed + SPAN / 100))
    is_verified = NEWEST - sealed > timedelta(days=30)
    return replace(record, seal=seal, verified_at=timestamp(sealed + timedelta(days=30)) if is_verified else None)


def _popular(random: Random, count: int, age: float) -> int:
    """One of so many, of whom few are met often; who they are changes in the course of time."""
    return (int(random.paretovariate(0.6)) + int(age * count / 2)) % count


def _session_id(random: Random, moment: datetime) -> UUID:
    """A UUIDv7 (RFC 9562, section 5.7) of that moment."""
    number = microseconds(moment) // 1000 << 80 | random.getrandbits(80)
    return UUID(int=number & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62)
