"""From a recording to chunk objects: read, compress, encrypt, store. Needs a DEK and nothing that can decrypt later."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from lucid_pipeline.archive.chunk_table import ChunkObject, StoredObject
from lucid_pipeline.archive.codec import FRAME_HEADER, Codec, FrameCodec, frame_capacity
from lucid_pipeline.archive.encryption import Suite, encrypt_object, encrypted_length
from lucid_pipeline.archive.fetch import chunk_header
from lucid_pipeline.archive.flushing import Flusher
from lucid_pipeline.archive.keys import Dek, Recipient
from lucid_pipeline.archive.layout import chunk_key, sealed_key
from lucid_pipeline.archive.media import storage_policy
from lucid_pipeline.archive.parallel import Turns, Work, for_each_chunk, worker_count
from lucid_pipeline.archive.planning import ChunkedRecording
from lucid_pipeline.archive.ports import KeySlotStore, ObjectStore, Progress
from lucid_pipeline.archive.recording import RecordingFile
from lucid_pipeline.archive.sealed import SealedMetadata, SessionMetadata, content_id, seal
from lucid_pipeline.archive.sealing import SealingRequest
from lucid_pipeline.errors import LucidError


@dataclass(frozen=True, slots=True)
class Encryption:
    """How a session is encrypted: for whom, with which suite and preferred codec, by at most how many threads."""

    recipients: Sequence[Recipient]
    suite: Suite
    codec: Codec
    workers: int


@dataclass(frozen=True, slots=True)
class EncryptedSession:
    """What is handed to the side that seals, how many chunks have which codec, and what tells the content."""

    request: SealingRequest
    codecs: Mapping[Codec, int]
    content_id: bytes


@dataclass(frozen=True, slots=True)
class _Chunks:
    objects: list[ChunkObject]
    plaintext_sha256: bytes
    codecs: Mapping[Codec, int]


def encrypt_session(
    recording: RecordingFile,
    chunked: ChunkedRecording,
    metadata: SessionMetadata,
    session_id: UUID,
    encryption: Encryption,
    store: ObjectStore,
    keystore: KeySlotStore,
    progress: Progress,
) -> EncryptedSession:
    """Encrypt a recording under a new DEK: chunk objects, sealed metadata and key slots.

    The recording is read once, and memory is bounded by the number of workers times a few chunks. When this returns,
    all of it would survive a loss of power.

    Raises:
        TransientError: the recording changed meanwhile, or the store is full or does not answer. Another attempt
            has another DEK.

    Whatever is raised, what was stored in the archive by then is removed again, as far as the store lets that be done;
    key slots stay, and nothing refers to them.
    """
    dek = Dek.generate()
    commitment = dek.commitment(session_id)
    for recipient in encryption.recipients:
        keystore.put(session_id, commitment, recipient.wrap(dek, session_id))
    with _removed_on_failure(store) as stored_keys:
        chunks = _write_chunks(recording, chunked, session_id, dek, encryption, store, stored_keys, progress)
        recording.check_unchanged(chunked.file)
        described = chunked.describe(metadata, recording.path.name, chunks.plaintext_sha256)
        sealed = _write_sealed_metadata(described, session_id, encryption.suite, dek, store, stored_keys)
    request = SealingRequest(
        session_id=session_id,
        media_type=chunked.media_type,
        chunk_size=chunked.chunk_size,
        suite=encryption.suite.aead,
        dek_commitment=commitment,
        objects=chunks.objects,
        sealed=sealed,
        completeness=chunked.completeness,
    )
    return EncryptedSession(request, chunks.codecs, content_id(chunks.plaintext_sha256, chunked.completeness))


def discard_session(request: SealingRequest, store: ObjectStore, keystore: KeySlotStore) -> None:
    """Remove what was stored for a session that is not to be sealed, as far as the stores let that be done."""
    with suppress(LucidError):
        for key in (request.sealed.key, *(chunk.key for chunk in request.objects)):
            store.delete(key)
        keystore.delete(request.session_id, request.dek_commitment)


def _write_chunks(
    recording: RecordingFile,
    chunked: ChunkedRecording,
    session_id: UUID,
    dek: Dek,
    encryption: Encryption,
    store: ObjectStore,
    stored_keys: list[str],
    progress: Progress,
) -> _Chunks:
    plan, padded = chunked.plan, storage_policy(chunked.media_type).padded
    objects: dict[int, ChunkObject] = {}
    codecs: dict[int, Codec] = {}
    digest = sha256()

    def start_worker() -> Work:
        longest = min(plan.chunk_size, plan.length)
        frame_buffer = memoryview(bytearray(frame_capacity(longest)))
        object_buffer = memoryview(bytearray(encrypted_length(len(frame_buffer))))
        frames = FrameCodec(encryption.codec)

        def work(index: int, turns: Turns) -> None:
            chunk = plan[index]
            raw = frame_buffer[FRAME_HEADER.size : FRAME_HEADER.size + chunk.length]
            recording.read_into(raw, chunk.offset)
            with turns.turn(index):
                digest.update(raw)
            frame = frames.build(frame_buffer, chunk.length, padded=padded)
            header = chunk_header(encryption.suite, session_id, index, len(plan), padded=padded)
            data = encrypt_object(header, dek.secret, frame_buffer[: frame.length], object_buffer)
            stored = _chunk_object(session_id, index, data)
            stored_keys.append(stored.key)
            store.put(stored.key, data, durable=False)
            objects[index] = stored
            flushing.add(stored.key)
            codecs[index] = frame.codec
            progress(chunk.length)

        return work

    with Flusher(store) as flushing:
        for_each_chunk(len(plan), worker_count(encryption.workers, plan.chunk_size, len(plan)), start_worker)
    return _Chunks([objects[index] for index in range(len(plan))], digest.digest(), Counter(codecs.values()))


@contextmanager
def _removed_on_failure(store: ObjectStore) -> Iterator[list[str]]:
    """A list for the keys of what is about to be stored: a failed attempt's objects take room, and its DEK is lost.

    A key goes in before its object is put, since a store that fails may have stored it all the same.
    """
    keys: list[str] = []
    try:
        yield keys
    except BaseException:
        with suppress(LucidError):
            for key in keys:
                store.delete(key)
        raise


def _write_sealed_metadata(
    metadata: SealedMetadata,
    session_id: UUID,
    suite: Suite,
    dek: Dek,
    store: ObjectStore,
    stored_keys: list[str],
) -> StoredObject:
    data = seal(metadata, session_id, suite, dek)
    digest = sha256(data).digest()
    stored = StoredObject(key=sealed_key(session_id, digest), length=len(data), sha256=digest)
    stored_keys.append(stored.key)
    store.put(stored.key, data)
    return stored


def _chunk_object(session_id: UUID, index: int, data: memoryview) -> ChunkObject:
    digest = sha256(data).digest()
    return ChunkObject(index=index, key=chunk_key(session_id, index, digest), length=len(data), sha256=digest)
