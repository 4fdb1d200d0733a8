"""Names of objects in an archive (docs/format.md, "Object store layout"). All are made of ids, numbers and digests."""

import re
from collections.abc import Iterable, Iterator
from uuid import UUID

SESSIONS = "sessions/"
LAST_SEQUENCE = 2**31 - 1

_NAME_DIGITS = 32
_MANIFEST = re.compile(r"manifest\.([0-9]{4}|[1-9][0-9]{4,9})\.dsse\.json")
_REFERRED_TO = re.compile(
    rf"chunks/[0-9]{{8}}\.[0-9a-f]{{{_NAME_DIGITS}}}"
    rf"|chunk-table\.[0-9a-f]{{{_NAME_DIGITS}}}\.json|sealed\.[0-9a-f]{{{_NAME_DIGITS}}}\.luc"
)


def session_prefix(session_id: UUID) -> str:
    """Where everything of one session lies."""
    return f"{SESSIONS}{session_id}/"


def chunks_prefix(session_id: UUID) -> str:
    """Where the chunk objects of a session lie."""
    return f"{session_prefix(session_id)}chunks/"


def chunk_key(session_id: UUID, index: int, digest: bytes) -> str:
    """Name of a chunk object with this SHA-256."""
    return f"{chunks_prefix(session_id)}{index:08d}.{_short(digest)}"


def chunk_table_key(session_id: UUID, digest: bytes) -> str:
    """Name of the chunk table with this SHA-256."""
    return f"{session_prefix(session_id)}chunk-table.{_short(digest)}.json"


def sealed_key(session_id: UUID, digest: bytes) -> str:
    """Name of the sealed metadata with this SHA-256."""
    return f"{session_prefix(session_id)}sealed.{_short(digest)}.luc"


def manifest_key(session_id: UUID, sequence: int) -> str:
    """Name of the manifest envelope with this sequence number."""
    return f"{session_prefix(session_id)}manifest.{sequence:04d}.dsse.json"


def latest_sequence(session_id: UUID, keys: Iterable[str]) -> int | None:
    """The highest sequence number among the manifests in a session's keys."""
    return max(sequences(session_id, keys), default=None)


def sequences(session_id: UUID, keys: Iterable[str]) -> Iterator[int]:
    """The sequence numbers of the manifests in a session's keys."""
    prefix = session_prefix(session_id)
    names = (_MANIFEST.fullmatch(key.removeprefix(prefix)) for key in keys)
    return (number for name in names if name and (number := int(name[1])) <= LAST_SEQUENCE)


def may_be_referred_to(session_id: UUID, key: str) -> bool:
    """Whether a key is one of those objects of a session that count only if a manifest refers to them."""
    return bool(_REFERRED_TO.fullmatch(key.removeprefix(session_prefix(session_id))))


def _short(digest: bytes) -> str:
    return digest.hex()[:_NAME_DIGITS]
