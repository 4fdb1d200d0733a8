"""What many tests need: a small Lucid home with its own keys, and bytes to archive."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import accumulate, count
from pathlib import Path
from typing import Any
from uuid import UUID

from lucid_pipeline.archive.chunk_table import ChunkObject, StoredObject
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import FRAME_HEADER, Codec, FrameCodec, frame_capacity
from lucid_pipeline.archive.encryption import Suite, encrypt_object, encrypted_length
from lucid_pipeline.archive.fetch import chunk_header
from lucid_pipeline.archive.keys import Dek, Identity
from lucid_pipeline.archive.layout import chunk_key, sealed_key
from lucid_pipeline.archive.manifest import SignedManifest
from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader, load_manifest
from lucid_pipeline.archive.sealed import ChunkRow, RecordingMetadata, SealedMetadata, SessionMetadata, seal
from lucid_pipeline.archive.sealing import SealingRequest, hash_chunks, seal_session
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.signing import PublicKey, SigningKey
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.archive.writer import Encryption
from lucid_pipeline.stores.keystore import Keystore
from lucid_pipeline.stores.object_store import open_object_store
from tests.servers.archives import store_url


@dataclass(frozen=True)
class Home:
    """An archive and a keystore below one folder, one identity that reads and one key that signs."""

    folder: Path
    identity: Identity = field(default_factory=Identity.generate)
    signing_key: SigningKey = field(default_factory=SigningKey.generate)
    _numbers: Iterator[int] = field(default_factory=count, repr=False)

    @property
    def archive_folder(self) -> Path:
        return self.folder / "archive"

    @property
    def keystore_folder(self) -> Path:
        return self.folder / "keystore"

    @property
    def store(self) -> ObjectStore:
        return open_object_store(store_url(self.folder, self.archive_folder.name), create=True)

    @property
    def keystore(self) -> Keystore:
        return Keystore(open_object_store(store_url(self.folder, self.keystore_folder.name), create=True))

    @property
    def keys(self) -> Keys:
        return Keys([self.identity], self.keystore)

    @property
    def trusted(self) -> list[PublicKey]:
        return [self.signing_key.public]

    def encryption(
        self, *, suite: Suite = Suite.AES_256_GCM, codec: Codec = Codec.ZSTD, workers: int = 2
    ) -> Encryption:
        return Encryption([self.identity.recipient], suite, codec, workers)

    def archive(
        self,
        recording: Path | bytes,
        *,
        suite: Suite = Suite.AES_256_GCM,
        codec: Codec = Codec.ZSTD,
        chunk_size: int | None = MIB,
        metadata: SessionMetadata | None = None,
        session_id: UUID | None = None,
        workers: int = 2,
    ) -> SignedManifest:
        """Archive a file, or bytes as a file of their own."""
        return archive_recording(
            recording if isinstance(recording, Path) else self.landing_file(recording),
            metadata or SessionMetadata(),
            session_id or new_session_id(),
            self.encryption(suite=suite, codec=codec, workers=workers),
            self.signing_key,
            self.store,
            self.keystore,
            chunk_size=chunk_size,
        )

    def landing_file(self, data: bytes) -> Path:
        path = self.folder / f"recording-{next(self._numbers)}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def verify(self, session_id: UUID, *, deep: bool = True) -> VerificationReport:
        return verify_session(session_id, self.store, self.trusted, workers=2, keys=self.keys if deep else None)

    def reader(self, session_id: UUID) -> SessionReader:
        signed = load_manifest(session_id, self.store, self.trusted)
        return SessionReader.open(signed.manifest, self.store, self.keys)

    def export(self, session_id: UUID, *, workers: int = 2) -> bytes:
        """The whole recording, as the command line exports it."""
        return export(self.reader(session_id), workers=workers)

    def object_path(self, key: str) -> Path:
        """The file of an object, for tests that damage it."""
        return self.archive_folder / key


def export(reader: SessionReader, *, workers: int = 2) -> bytes:
    """The whole recording by `SessionReader.copy_to`."""
    out = bytearray(len(reader))

    def write_at(data: memoryview | bytes, offset: int) -> None:
        out[offset : offset + len(data)] = data

    reader.copy_to(write_at, workers, lambda _bytes: None)
    return bytes(out)


def archive_by_hand(
    home: Home,
    parts: list[bytes],
    *,
    padded: list[bool],
    suite: Suite = Suite.AES_256_GCM,
    session_id: UUID | None = None,
    digest_of: bytes | None = None,
    duration_ms: int | None = None,
) -> SignedManifest:
    """A session of these very chunks, as another writer than Lucid's may cut and pad them, and describe them."""
    session_id, dek = session_id or new_session_id(), Dek.generate()
    objects = []
    for index, part in enumerate(parts):
        buffer = memoryview(bytearray(frame_capacity(len(part))))
        buffer[FRAME_HEADER.size : FRAME_HEADER.size + len(part)] = part
        frame = FrameCodec(Codec.ZSTD).build(buffer, len(part), padded=padded[index])
        header = chunk_header(suite, session_id, index, len(parts), padded=padded[index])
        out = memoryview(bytearray(encrypted_length(frame.length)))
        data = bytes(encrypt_object(header, dek.secret, buffer[: frame.length], out))
        digest = sha256(data).digest()
        key = chunk_key(session_id, index, digest)
        objects.append(ChunkObject(index=index, key=key, length=len(data), sha256=digest))
        home.store.put(key, data)
    whole = b"".join(parts)
    offsets = accumulate((len(part) for part in parts), initial=0)
    rows = [ChunkRow(offset=offset, length=len(part)) for offset, part in zip(offsets, parts, strict=False)]
    recording = RecordingMetadata(
        name="by hand",
        media_type="application/octet-stream",
        length=len(whole),
        sha256=sha256(whole if digest_of is None else digest_of).digest(),
        duration_ms=duration_ms,
    )
    data = seal(SealedMetadata(recording=recording, chunks=rows), session_id, suite, dek)
    digest = sha256(data).digest()
    sealed = StoredObject(key=sealed_key(session_id, digest), length=len(data), sha256=digest)
    home.store.put(sealed.key, data)
    commitment = dek.commitment(session_id)
    home.keystore.put(session_id, commitment, home.identity.recipient.wrap(dek, session_id))
    request = SealingRequest(
        session_id=session_id,
        media_type=recording.media_type,
        chunk_size=MIB,
        suite=suite.aead,
        dek_commitment=commitment,
        objects=objects,
        sealed=sealed,
    )
    return seal_session(request, hash_chunks(request, home.store, 1), home.signing_key, home.store)


def rows(database: Path, statement: str) -> list[tuple[Any, ...]]:
    """What a SQLite database that another process may be writing to answers now."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def noise(length: int, seed: int = 0) -> bytes:
    """Bytes that do not compress."""
    return random.Random(seed).randbytes(length)


def text(length: int, seed: int = 0) -> bytes:
    """Bytes that compress well, but are the same nowhere: numbered lines of words."""
    words = [random.Random(f"{seed}/{n}").randbytes(4).hex() for n in range(64)]
    picks = random.Random(seed)
    line = " ".join(picks.choices(words, k=200))
    lines = (b"%d %s\n" % (n, line.encode()) for n in count())
    out = bytearray()
    while len(out) < length:
        out += next(lines)
    return bytes(out[:length])


def mixture(length: int, seed: int = 0) -> bytes:
    """Half of it compresses and half of it does not, in turns of 192 KiB, and no two chunks are the same."""
    turn = 192 * 1024
    parts = (
        (noise if n % 2 else text)(min(turn, length - start), seed * 1000 + n)
        for n, start in enumerate(range(0, length, turn))
    )
    return b"".join(parts)
