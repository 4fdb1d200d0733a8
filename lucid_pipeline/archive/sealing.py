"""From chunk objects to a signed manifest. Sees ciphertext only, and signs no digest that it was told."""

from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from lucid_pipeline.archive.canonical import BigInt
from lucid_pipeline.archive.chunk_table import ChunkObject, ChunkTable, StoredObject
from lucid_pipeline.archive.chunking import CHUNK_SIZES
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Digest, Document
from lucid_pipeline.archive.envelope import LARGEST_ENVELOPE
from lucid_pipeline.archive.fetch import check_header, fetch, fetch_chunk, fetch_stored
from lucid_pipeline.archive.layout import chunk_table_key, manifest_key, sealed_key
from lucid_pipeline.archive.manifest import (
    Completeness,
    CompletenessState,
    Manifest,
    SignedManifest,
    Stream,
    Tree,
    open_envelope,
    suite_of,
    timestamp,
)
from lucid_pipeline.archive.parallel import Turns, Work, for_each_chunk, worker_count
from lucid_pipeline.archive.ports import ObjectExists, ObjectStore
from lucid_pipeline.archive.sealed import LARGEST_OBJECT, sealed_header
from lucid_pipeline.archive.signing import SigningKey


class SealingRequest(Document):
    """What the encrypting side says of a session's objects; every digest in it is checked against the objects."""

    session_id: UUID
    media_type: str
    chunk_size: int
    suite: str
    dek_commitment: Digest
    objects: list[ChunkObject]
    sealed: StoredObject
    completeness: CompletenessState = "complete"


class HashedChunks(Document):
    """The chunk table as it was stored, and the tree over it: made of digests of what the store returned."""

    chunk_table: StoredObject
    chunk_count: BigInt
    stored_bytes: BigInt
    root: Digest


def hash_chunks(request: SealingRequest, store: ObjectStore, workers: int) -> HashedChunks:
    """Read every object back, hash it, and store the chunk table over what was really there.

    Raises:
        DamageError: an object is missing, or is not what the encrypting side says it stored.
    """
    _check_request(request)
    session_id, objects, suite = request.session_id, request.objects, suite_of(request.suite)

    def start_worker() -> Work:
        def work(index: int, _turns: Turns) -> None:
            # Hashed here, and found to be what was told.
            fetch_chunk(objects[index], len(objects), suite, session_id, store)

        return work

    for_each_chunk(len(objects), worker_count(workers, request.chunk_size, len(objects)), start_worker)
    sealed = fetch_stored(request.sealed, store)
    check_header(sealed, sealed_header(suite, session_id), request.sealed.key)
    table = ChunkTable(session_id=session_id, objects=objects)
    data = table.encode()
    digest = sha256(data).digest()
    stored = StoredObject(key=chunk_table_key(session_id, digest), length=len(data), sha256=digest)
    _put_unless_there(store, stored.key, data)
    fetch_stored(stored, store)
    return HashedChunks(
        chunk_table=stored, chunk_count=len(objects), stored_bytes=table.stored_bytes, root=table.root()
    )


def _check_request(request: SealingRequest) -> None:
    """Refuse what no reader would accept; and no object is fetched under a name that is not its own."""
    if request.chunk_size not in CHUNK_SIZES or not request.objects:
        detail = "there is no chunk, or chunks have a size that is not allowed"
        raise DamageError(DamageCode.CHUNK_TABLE_MISMATCH, "the list of chunk objects", detail)
    told = ChunkTable(session_id=request.session_id, objects=request.objects)
    told.check(request.session_id, request.chunk_size, "the list of chunk objects")
    if request.sealed.key != sealed_key(request.session_id, request.sealed.sha256):
        raise DamageError(DamageCode.SEALED_MISMATCH, "sealed metadata", "it is not named by its digest")
    if request.sealed.length > LARGEST_OBJECT:
        raise DamageError(DamageCode.SEALED_MISMATCH, request.sealed.key, "it is larger than any sealed metadata")


def seal_session(
    request: SealingRequest,
    hashed: HashedChunks,
    key: SigningKey,
    store: ObjectStore,
    previous: SignedManifest | None = None,
) -> SignedManifest:
    """Sign the manifest, store it, and read it back.

    A manifest that another attempt has stored meanwhile under the same sequence number stays, and is returned instead
    if it verifies: a session is never sealed twice under one number.

    Raises:
        DamageError: the manifest that is found is not signed by this key.
    """
    manifest = _manifest(request, hashed, previous)
    name = manifest_key(request.session_id, manifest.sequence)
    _put_unless_there(store, name, manifest.sign(key))
    signed = open_envelope(bytes(fetch(name, LARGEST_ENVELOPE, store)), [key.public], name)
    signed.manifest.check_place(request.session_id, manifest.sequence, name)
    return signed


def _put_unless_there(store: ObjectStore, key: str, data: bytes) -> None:
    """Store an object, unless another attempt already did; the caller reads back whatever is there.

    An attempt that was killed may have stored it and not made it durable, so that is done here.
    """
    try:
        store.put(key, data)
    except ObjectExists:
        store.flush([key])


def _manifest(request: SealingRequest, hashed: HashedChunks, previous: SignedManifest | None) -> Manifest:
    stream = Stream(
        media_type=request.media_type,
        chunk_size=request.chunk_size,
        chunk_count=hashed.chunk_count,
        stored_bytes=hashed.stored_bytes,
        tree=Tree(size=hashed.chunk_count, root=hashed.root),
        chunk_table_sha256=hashed.chunk_table.sha256,
    )
    return Manifest(
        session_id=request.session_id,
        sequence=previous.manifest.sequence + 1 if previous else 1,
        previous=previous.envelope_sha256 if previous else None,
        created_at=timestamp(datetime.now(UTC)),
        suite=request.suite,
        dek_commitment=request.dek_commitment,
        streams=[stream],
        sealed_sha256=request.sealed.sha256,
        completeness=Completeness(state=request.completeness),
    )
