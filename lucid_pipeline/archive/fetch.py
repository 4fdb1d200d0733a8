"""Objects as the store returns them, checked against what they have to be."""

from hashlib import sha256
from uuid import UUID

from lucid_pipeline.archive.chunk_table import ChunkObject, StoredObject
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import ChunkFlags, ChunkHeader, Suite
from lucid_pipeline.archive.ports import ObjectMissing, ObjectStore


def fetch(key: str, limit: int, store: ObjectStore) -> memoryview:
    """An object, of which `limit` bytes are enough to be refused as too large.

    Raises:
        DamageError: `missing_object`.
    """
    try:
        return store.get(key, limit)
    except ObjectMissing as error:
        raise DamageError(DamageCode.MISSING_OBJECT, key, "the store has no such object") from error


def fetch_stored(stored: StoredObject, store: ObjectStore) -> memoryview:
    """An object that has to have a known length and digest.

    Raises:
        DamageError: `missing_object`, or `object_digest_mismatch` if it is another object.
    """
    data = fetch(stored.key, stored.length + 1, store)
    if len(data) != stored.length or sha256(data).digest() != stored.sha256:
        raise DamageError(DamageCode.OBJECT_DIGEST_MISMATCH, stored.key, "it is not the object that was stored")
    return data


def fetch_chunk(chunk: ChunkObject, count: int, suite: Suite, session_id: UUID, store: ObjectStore) -> memoryview:
    """The object of a chunk, one of `count`, which has to be the one that was stored, and made for its place.

    Raises:
        DamageError: as `fetch_stored` and `check_header`.
    """
    data = fetch_stored(chunk, store)
    check_header(data, chunk_header(suite, session_id, chunk.index, count), chunk.key)
    return data


def check_header(data: memoryview, expected: ChunkHeader, where: str) -> ChunkHeader:
    """Check what a chunk object says of itself, which needs no key; returns its header.

    Whether a chunk is padded is for its writer to choose; sealed metadata always is.

    Raises:
        DamageError: `unsupported_format`, or `commitment_mismatch` for the header of another place.
    """
    header = ChunkHeader.parse(data, where)
    is_chunk = ChunkFlags.SEALED_METADATA not in expected.flags
    if header != expected and not (is_chunk and header.without_padding() == expected.without_padding()):
        raise DamageError(DamageCode.COMMITMENT_MISMATCH, where, "it belongs to another session, stream or place")
    return header


def chunk_header(suite: Suite, session_id: UUID, index: int, count: int, *, padded: bool = False) -> ChunkHeader:
    """The header that chunk `index` of `count` has to have."""
    flags = (ChunkFlags.LAST if index == count - 1 else ChunkFlags.NONE) | (
        ChunkFlags.PADDED if padded else ChunkFlags.NONE
    )
    return ChunkHeader(suite, session_id, index, flags)
