"""A session that attackers of different power can forge, and what every way of reading it then says.

What an attacker may hold, alone or together:

- the archive: writes `Session.archive`;
- the keystore: writes `Session.keystore`;
- the writer's secrets, which are the recipients and the session's DEK: `encrypt_chunk`, `encrypt_metadata`;
- the sealer's secret, which is the signing key: `sign`, `sign_payload`, `list_chunks`, `store_chunks`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from lucid_pipeline.archive import envelope
from lucid_pipeline.archive.chunk_table import ChunkObject, ChunkTable
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import FRAME_HEADER, Codec, FrameCodec, frame_capacity
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import (
    MESSAGE_OFFSET,
    SEGMENT_BYTES,
    TAG_BYTES,
    ChunkFlags,
    ChunkHeader,
    Suite,
    decrypt_object,
    encrypt_object,
    encrypted_length,
    plaintext_length,
)
from lucid_pipeline.archive.keys import Dek, Identity, KeySlot
from lucid_pipeline.archive.layout import chunk_key, chunk_table_key, manifest_key, sealed_key
from lucid_pipeline.archive.manifest import PAYLOAD_TYPE, Manifest, Tree, open_envelope
from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, Known, SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SealedMetadata, SessionMetadata, unseal
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.archive.writer import Encryption
from lucid_pipeline.stores.keystore import Keystore
from tests.stores.memory_store import MemoryStore
from tests.support import noise

SEALED_FLAGS = ChunkFlags.SEALED_METADATA | ChunkFlags.PADDED
SEALED_SEGMENT = SEGMENT_BYTES + TAG_BYTES
LARGEST_SEALED_OBJECT = 69_273_712
"""Limit of the format for a sealed metadata object: 64 MiB of JSON, framed, padded and encrypted."""


@dataclass
class Session:
    """One archived session, all that its writer and its sealer know, and the means to forge it."""

    session_id: UUID
    recording: bytes
    archive: MemoryStore
    keystore: MemoryStore
    identity: Identity
    signing_key: SigningKey

    def copy(self) -> "Session":
        """The same session, stored apart."""
        archive, keystore = MemoryStore(dict(self.archive.objects)), MemoryStore(dict(self.keystore.objects))
        return replace(self, archive=archive, keystore=keystore)

    @property
    def keys(self) -> Keys:
        return Keys([self.identity], Keystore(self.keystore))

    @property
    def dek(self) -> Dek:
        return self.keys.unlock(self.manifest)

    # Names and contents of what is stored.

    @property
    def manifest_name(self) -> str:
        return max(name for name in self.archive.objects if "/manifest." in name)

    @property
    def slot_name(self) -> str:
        (name,) = self.keystore.objects
        return name

    @property
    def table_name(self) -> str:
        return chunk_table_key(self.session_id, self.manifest.recording.chunk_table_sha256)

    @property
    def sealed_name(self) -> str:
        return sealed_key(self.session_id, self.manifest.sealed_sha256)

    @property
    def manifest(self) -> Manifest:
        data = self.archive.objects[self.manifest_name]
        return open_envelope(data, [self.signing_key.public], self.manifest_name).manifest

    @property
    def known(self) -> Known:
        """What a catalog that saw the newest manifest knows of it."""
        return Known(self.manifest.sequence, sha256(self.archive.objects[self.manifest_name]).digest())

    @property
    def table(self) -> ChunkTable:
        return ChunkTable.decode(self.archive.objects[self.table_name], DamageCode.CHUNK_TABLE_MISMATCH, "table")

    @property
    def metadata(self) -> SealedMetadata:
        data = memoryview(self.archive.objects[self.sealed_name])
        return unseal(data, self.session_id, self.manifest.aead, self.dek, self.sealed_name)

    @property
    def chunks(self) -> list[bytes]:
        """The chunk objects, in order."""
        return [self.archive.objects[chunk.key] for chunk in self.table.objects]

    def chunk_name(self, index: int) -> str:
        return self.table.objects[index].key

    def frame(self, index: int) -> bytes:
        """The decrypted frame of a chunk."""
        data = memoryview(self.chunks[index])
        out = memoryview(bytearray(plaintext_length(len(data)) or 0))
        header = ChunkHeader.parse(data, "chunk")
        return bytes(decrypt_object(header, self.dek.secret, data, out, "chunk"))

    def spans(self) -> list[tuple[int, int]]:
        """Start and stop of every chunk in the recording."""
        return [(start, min(start + MIB, len(self.recording))) for start in range(0, len(self.recording), MIB)]

    # The writer's means: needs the DEK.

    def header(self, index: int, count: int | None = None) -> ChunkHeader:
        """The header of a chunk as an honest writer makes it."""
        last = index == (count or len(self.table.objects)) - 1
        flags = ChunkFlags.PADDED | (ChunkFlags.LAST if last else ChunkFlags.NONE)
        return ChunkHeader(self.manifest.aead, self.session_id, index, flags)

    def encrypt(self, header: ChunkHeader, plaintext: bytes) -> bytes:
        out = memoryview(bytearray(encrypted_length(len(plaintext))))
        return bytes(encrypt_object(header, self.dek.secret, memoryview(plaintext), out))

    def encrypt_metadata(self, data: bytes) -> bytes:
        """A sealed metadata object that holds any bytes."""
        return self.encrypt(ChunkHeader(self.manifest.aead, self.session_id, 0, SEALED_FLAGS), build_frame(data))

    # The sealer's means: needs the signing key.

    def sign(self, **changes: Any) -> None:
        """Sign the manifest again with other values, in the place of the one that is there."""
        self.sign_payload(self.manifest.model_copy(update=changes).encode())

    def sign_stream(self, **changes: Any) -> None:
        """Sign the manifest again with other values for its stream."""
        self.sign(streams=[self.manifest.recording.model_copy(update=changes)])

    def sign_payload(self, payload: bytes, payload_type: str = PAYLOAD_TYPE, key: SigningKey | None = None) -> None:
        """Sign any bytes as the newest manifest."""
        self.archive.objects[self.manifest_name] = envelope.sign(payload, payload_type, key or self.signing_key)

    def store_table(self, data: bytes, **changes: Any) -> None:
        """Make any bytes the signed chunk table."""
        digest = sha256(data).digest()
        self.archive.objects[chunk_table_key(self.session_id, digest)] = data
        self.sign_stream(chunk_table_sha256=digest, **changes)

    def list_chunks(self, objects: Sequence[ChunkObject], **table_changes: Any) -> None:
        """Sign a chunk table with these entries, and whatever follows from them."""
        table = self.table.model_copy(update={"objects": list(objects), **table_changes})
        self.store_table(
            table.encode(),
            chunk_count=len(objects),
            stored_bytes=table.stored_bytes,
            tree=Tree(size=len(objects), root=table.root()),
        )

    def store_chunks(self, chunks: Sequence[bytes]) -> None:
        """Make these the session's chunk objects, each under its right name, and sign them."""
        entries = [chunk_entry(self.session_id, index, data) for index, data in enumerate(chunks)]
        for entry, data in zip(entries, chunks, strict=True):
            self.archive.objects[entry.key] = data
        self.list_chunks(entries)

    def store_chunk(self, index: int, data: bytes) -> None:
        """Put another object in the place of one chunk, and sign it."""
        chunks = self.chunks
        chunks[index] = data
        self.store_chunks(chunks)

    def store_sealed(self, data: bytes) -> None:
        """Make any bytes the signed sealed metadata object."""
        digest = sha256(data).digest()
        self.archive.objects[sealed_key(self.session_id, digest)] = data
        self.sign(sealed_sha256=digest)

    # The writer and the sealer together.

    def store_frame(self, index: int, frame: bytes, *, padded: bool = True) -> None:
        """Encrypt any bytes as the frame of a chunk, and sign it."""
        header = self.header(index) if padded else self.header(index).without_padding()
        self.store_chunk(index, self.encrypt(header, frame))

    def store_metadata(self, data: bytes) -> None:
        """Encrypt any bytes as the sealed metadata, and sign it."""
        self.store_sealed(self.encrypt_metadata(data))

    def change_metadata(self, **changes: Any) -> None:
        self.store_metadata(self.metadata.model_copy(update=changes).encode())

    def reseal(self) -> None:
        """Seal the session once more, as honest software does: the next sequence number beside the old manifest."""
        previous = sha256(self.archive.objects[self.manifest_name]).digest()
        manifest = self.manifest.model_copy(update={"sequence": self.manifest.sequence + 1, "previous": previous})
        self.archive.put(manifest_key(self.session_id, manifest.sequence), manifest.sign(self.signing_key))

    # Whoever writes the keystore, and knows the recipients.

    def store_slot(self, slot: KeySlot, commitment: bytes | None = None) -> None:
        """Put a slot into the keystore, over one that is there."""
        fresh = MemoryStore()
        Keystore(fresh).put(self.session_id, commitment or self.manifest.dek_commitment, slot)
        self.keystore.objects.update(fresh.objects)


def chunk_entry(session_id: UUID, index: int, data: bytes) -> ChunkObject:
    """The right entry of a chunk table for a chunk object."""
    digest = sha256(data).digest()
    return ChunkObject(index=index, key=chunk_key(session_id, index, digest), length=len(data), sha256=digest)


def build_frame(raw: bytes, codec: Codec = Codec.ZSTD, *, padded: bool = True) -> bytes:
    """A frame as an honest writer makes it."""
    buffer = memoryview(bytearray(frame_capacity(len(raw))))
    buffer[FRAME_HEADER.size : FRAME_HEADER.size + len(raw)] = raw
    frame = FrameCodec(codec).build(buffer, len(raw), padded=padded)
    return bytes(buffer[: frame.length])


def flip(data: bytes, bit: int) -> bytes:
    """The same bytes with one bit flipped; bit 0 is the lowest of the first byte."""
    flipped = bytearray(data)
    flipped[bit // 8] ^= 1 << bit % 8
    return bytes(flipped)


def segments(data: bytes) -> list[bytes]:
    """The encrypted segments of a chunk object."""
    return [data[at : at + SEALED_SEGMENT] for at in range(MESSAGE_OFFSET, len(data), SEALED_SEGMENT)]


def with_segments(data: bytes, parts: Iterable[bytes]) -> bytes:
    """The chunk object with other segments behind its header, salt and commitment."""
    return data[:MESSAGE_OFFSET] + b"".join(parts)


# What every way of reading says.

Codes = tuple[DamageCode, ...]


@dataclass(frozen=True)
class Outcome:
    """What every way to verify and to read a session said of it.

    `public` and `deep` are the codes of `verify_session` without and with keys. `ranges` has, for each chunk's own
    range of bytes, the code that `SessionReader.read` raised, or None where it served them. `copied` is the same for
    `copy_to`.
    """

    public: Codes
    deep: Codes
    ranges: tuple[DamageCode | None, ...]
    copied: DamageCode | None


def inspect(session: Session, known: Known | None = None) -> Outcome:
    """Verify and read a session in every way; any error but damage passes through.

    Bytes that a read returns are always the recording's own, whatever else the attack does.
    """
    return Outcome(
        public=codes(verify(session, known=known)),
        deep=codes(verify(session, deep=True, known=known)),
        ranges=tuple(refusal(range_reading(session, *span, known)) for span in session.spans()),
        copied=refusal(lambda: check_copy(session, known)),
    )


def verify(
    session: Session, *, deep: bool = False, known: Known | None = None, store: ObjectStore | None = None
) -> VerificationReport:
    return verify_session(
        session.session_id,
        store or session.archive,
        [session.signing_key.public],
        workers=2,
        keys=session.keys if deep else None,
        known=known,
    )


def codes(report: VerificationReport) -> Codes:
    return tuple(damage.code for damage in report.damages)


def open_reader(session: Session, known: Known | None = None, store: ObjectStore | None = None) -> SessionReader:
    archive = store or session.archive
    signed = load_manifest(session.session_id, archive, [session.signing_key.public], known)
    return SessionReader.open(signed.manifest, archive, session.keys)


def refusal(work: Callable[[], object]) -> DamageCode | None:
    """The code of the damage that stops this work, or None if nothing does."""
    try:
        work()
    except DamageError as error:
        return error.damage.code
    return None


def range_reading(session: Session, start: int, stop: int, known: Known | None = None) -> Callable[[], None]:
    return lambda: check_read(session, start, stop, known)


def check_read(
    session: Session, start: int, stop: int, known: Known | None = None, store: ObjectStore | None = None
) -> None:
    """Read a range, and check every part of it as soon as it comes."""
    at = start
    for part in open_reader(session, known, store).read(start, stop):
        assert part == session.recording[at : at + len(part)]
        at += len(part)
    assert at == stop


def check_copy(session: Session, known: Known | None = None, store: ObjectStore | None = None) -> None:
    """Copy the whole recording, and check that it is whole; of a copy that fails nothing is promised."""
    out = bytearray(len(session.recording))

    def write_at(data: memoryview | bytes, offset: int) -> None:
        out[offset : offset + len(data)] = data

    open_reader(session, known, store).copy_to(write_at, 2, lambda _bytes: None)
    assert out == session.recording


def check_whole(session: Session) -> None:
    """Read the whole recording, and check every part of it as soon as it comes."""
    at = 0
    for part in open_reader(session).read_whole():
        assert part == session.recording[at : at + len(part)]
        at += len(part)
    assert at == len(session.recording)


def intact(session: Session) -> Outcome:
    return Outcome((), (), (None,) * len(session.spans()), None)


def refused(session: Session, code: DamageCode) -> Outcome:
    """Damage before any chunk is looked at: nothing is served, and verification has one finding."""
    return Outcome((code,), (code,), (code,) * len(session.spans()), code)


def unreadable(session: Session, code: DamageCode) -> Outcome:
    """Damage that only the holder of an identity can see, and that nothing can be read with."""
    return Outcome((), (code,), (code,) * len(session.spans()), code)


def damaged(session: Session, code: DamageCode, *indexes: int) -> Outcome:
    """Damaged chunks that anyone can see; all others are served."""
    ranges = tuple(code if index in indexes else None for index in range(len(session.spans())))
    found = (code,) * len(indexes)
    return Outcome(found, found, ranges, code)


def damaged_inside(session: Session, code: DamageCode, *indexes: int) -> Outcome:
    """Damaged chunks that only the holder of an identity can see; all others are served."""
    seen = damaged(session, code, *indexes)
    return Outcome((), seen.deep, seen.ranges, seen.copied)


# Sessions to attack.


def recording_of(chunks: int, tail: int = 300_000) -> bytes:
    """A recording of so many chunks of 1 MiB, the last one shorter; each chunk object has three segments."""
    lengths = [MIB] * (chunks - 1) + [tail]
    return b"".join(noise(40_000, seed) + bytes(length - 40_000) for seed, length in enumerate(lengths))


def new_session(recording: bytes, suite: Suite = Suite.AES_256_GCM, like: Session | None = None) -> Session:
    """Archive a recording; `like` another session, under the same keys."""
    session = Session(
        uuid7(),
        recording,
        MemoryStore(),
        MemoryStore(),
        like.identity if like else Identity.generate(),
        like.signing_key if like else SigningKey.generate(),
    )
    archive_again(session, suite)
    return session


def archive_again(session: Session, suite: Suite = Suite.AES_256_GCM) -> None:
    """One more attempt to archive the same session; like every attempt it has a DEK of its own."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "session.bin")
        path.write_bytes(session.recording)
        archive_recording(
            path,
            SessionMetadata(user="ada", host="kiosk-1", tags={"ticket": "17"}),
            session.session_id,
            Encryption([session.identity.recipient], suite, Codec.ZSTD, workers=2),
            session.signing_key,
            session.archive,
            Keystore(session.keystore),
            chunk_size=MIB,
        )


@cache
def _archived(chunks: int, tail: int, suite: Suite) -> Session:
    recording = noise(tail) if chunks == 1 else recording_of(chunks, tail)
    return new_session(recording, suite)


def three_chunks(suite: Suite = Suite.AES_256_GCM) -> Session:
    """A session of three chunks, to do anything with."""
    return _archived(3, 300_000, suite).copy()


def one_chunk(suite: Suite = Suite.AES_256_GCM) -> Session:
    """A session of 100 bytes, to do anything with."""
    return _archived(1, 100, suite).copy()
