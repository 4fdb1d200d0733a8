"""Archives of many sessions, quickly: whole, signed and sealed for real, each with a recording of a few bytes.

The same people, hosts and names as in `catalogs`. Nothing is synced: a benchmark survives no loss of power.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from multiprocessing import get_context

from typing_extensions import override

from lucid_pipeline.archive.chunk_table import ChunkObject, ChunkTable
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import FRAME_HEADER, Codec, FrameCodec, frame_capacity
from lucid_pipeline.archive.encryption import Suite, encrypt_object, encrypted_length
from lucid_pipeline.archive.fetch import chunk_header
from lucid_pipeline.archive.keys import Dek, Recipient
from lucid_pipeline.archive.layout import chunk_key, chunk_table_key, manifest_key, sealed_key
from lucid_pipeline.archive.manifest import Manifest, Stream, Tree
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.sealed import ChunkRow, RecordingMetadata, SealedMetadata, seal
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.home import Home
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import SessionRecord
from lucid_pipeline.stores.folder_store import FolderStore
from lucid_pipeline.stores.keystore import Keystore
from tests.bench import catalogs

_SUITE = Suite.AES_256_GCM
_PROCESSES = 2
_SHARE = 500


class _Unsynced(FolderStore):
    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        super().put(key, data, durable=False)


@dataclass(frozen=True)
class _Writer:
    store: ObjectStore
    keystore: Keystore
    recipients: list[Recipient]
    signing_key: SigningKey


def fill(settings: Settings, count: int) -> None:
    """Put so many sealed sessions into the folders of a home that `lucid init` has made."""
    sessions = catalogs.sessions(count)
    shares = iter(lambda: list(islice(sessions, _SHARE)), [])
    with get_context("fork").Pool(_PROCESSES) as pool:
        for _ in pool.imap_unordered(partial(_write_all, settings), shares):
            pass


def _write_all(settings: Settings, records: Iterable[SessionRecord]) -> None:
    home = Home(settings)
    archive, keystore = (_Unsynced(settings.home / name) for name in ("archive", "keystore"))
    writer = _Writer(archive, Keystore(keystore), home.encryption().recipients, home.signing_key())
    for record in records:
        _write(record, writer)


def _write(record: SessionRecord, writer: _Writer) -> None:
    session_id, dek, data = record.session_id, Dek.generate(), (record.name or "").encode()
    commitment = dek.commitment(session_id)
    for recipient in writer.recipients:
        writer.keystore.put(session_id, commitment, recipient.wrap(dek, session_id))
    chunk = _chunk(record, data, dek)
    digest = sha256(chunk).digest()
    entry = ChunkObject(index=0, key=chunk_key(session_id, 0, digest), length=len(chunk), sha256=digest)
    table = ChunkTable(session_id=session_id, objects=[entry])
    table_digest = sha256(table.encode()).digest()
    sealed = seal(_described(record, data), session_id, _SUITE, dek)
    sealed_digest = sha256(sealed).digest()
    manifest = Manifest(
        session_id=session_id,
        sequence=1,
        previous=None,
        created_at=record.registered_at,
        suite=_SUITE.aead,
        dek_commitment=commitment,
        streams=[
            Stream(
                media_type=record.seal.media_type if record.seal else "application/octet-stream",
                chunk_size=MIB,
                chunk_count=1,
                stored_bytes=len(chunk),
                tree=Tree(size=1, root=table.root()),
                chunk_table_sha256=table_digest,
            )
        ],
        sealed_sha256=sealed_digest,
    )
    writer.store.put(entry.key, chunk)
    writer.store.put(chunk_table_key(session_id, table_digest), table.encode())
    writer.store.put(sealed_key(session_id, sealed_digest), sealed)
    writer.store.put(manifest_key(session_id, 1), manifest.sign(writer.signing_key))


def _chunk(record: SessionRecord, data: bytes, dek: Dek) -> bytes:
    buffer = memoryview(bytearray(frame_capacity(len(data))))
    buffer[FRAME_HEADER.size : FRAME_HEADER.size + len(data)] = data
    frame = FrameCodec(Codec.STORED).build(buffer, len(data), padded=False)
    out = memoryview(bytearray(encrypted_length(frame.length)))
    return bytes(encrypt_object(chunk_header(_SUITE, record.session_id, 0, 1), dek.secret, buffer[: frame.length], out))


def _described(record: SessionRecord, data: bytes) -> SealedMetadata:
    recording = RecordingMetadata(
        **record.metadata.model_dump(),
        name=record.name or "",
        media_type=record.seal.media_type if record.seal else "application/octet-stream",
        length=len(data),
        sha256=sha256(data).digest(),
        duration_ms=record.duration_ms,
    )
    return SealedMetadata(recording=recording, chunks=[ChunkRow(offset=0, length=len(data))])
