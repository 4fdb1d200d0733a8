"""Reading a session back: manifest, chunk table, sealed metadata, then any range of bytes or of time.

Every byte that is returned is authentic: its chunk object has the digest that the signed chunk table names, and
decrypts under the session's key as the chunk of that very place.
"""

from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

from lucid_pipeline.archive.chunk_table import LARGEST_TABLE, ChunkObject, ChunkTable
from lucid_pipeline.archive.codec import parse_frame
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import (
    ChunkFlags,
    decrypt_object,
    plaintext_length,
)
from lucid_pipeline.archive.envelope import LARGEST_ENVELOPE
from lucid_pipeline.archive.fetch import check_header, chunk_header, fetch, fetch_stored
from lucid_pipeline.archive.keys import Dek, Identity
from lucid_pipeline.archive.layout import (
    SESSIONS,
    chunk_table_key,
    latest_sequence,
    manifest_key,
    sealed_key,
    session_prefix,
)
from lucid_pipeline.archive.manifest import Manifest, SignedManifest, open_envelope
from lucid_pipeline.archive.parallel import Turns, Work, for_each_chunk, in_order, worker_count
from lucid_pipeline.archive.ports import KeySlotStore, ObjectStore, Progress
from lucid_pipeline.archive.sealed import LARGEST_OBJECT, SealedMetadata, sealed_header, unseal
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.errors import SessionNotFound, UsageError

Decryptor = Callable[[ChunkObject, memoryview], memoryview | bytes]
"""Turns a chunk object into its raw bytes, which are good until the next call. Belongs to one thread."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What decrypts: identities, tried in order, and the keystore that holds the slots."""

    identities: Sequence[Identity]
    keystore: KeySlotStore

    def unlock(self, manifest: Manifest) -> Dek:
        """The DEK of a session.

        Raises:
            DamageError: `keyslot_missing` if there is no slot for any of the identities, else what is wrong with it.
        """
        session_id, commitment = manifest.session_id, manifest.dek_commitment
        damage = DamageError(
            DamageCode.KEYSLOT_MISSING, f"session {session_id}", "no key slot for any identity at hand"
        )
        for identity in self.identities:
            try:
                if slot := self.keystore.get(session_id, commitment, identity.recipient.id):
                    return identity.unwrap(slot, session_id, commitment)
            except DamageError as error:
                damage = error
        raise damage


@dataclass(frozen=True, slots=True)
class Known:
    """What a catalog knows of a session's newest manifest: its sequence number and its envelope's SHA-256."""

    sequence: int
    envelope_sha256: bytes


def archived_sessions(store: ObjectStore) -> Iterator[UUID]:
    """The ids of all sessions that have anything in the archive, oldest first."""
    for folder in store.list_folders(SESSIONS):
        with suppress(UsageError):
            yield parse_session_id(folder.removeprefix(SESSIONS).removesuffix("/"))


def load_manifest(
    session_id: UUID, store: ObjectStore, trusted: Sequence[PublicKey], known: Known | None = None
) -> SignedManifest:
    """The newest manifest of a session, its signature verified.

    Raises:
        SessionNotFound: the archive has nothing of this session, and nobody knows better.
        DamageError: `missing_object` if a newer manifest is known than is there, `object_digest_mismatch` if another
            one stands in its place, and all that `open_envelope` raises.
    """
    sequence = latest_sequence(session_id, store.list(session_prefix(session_id))) or 0
    if known and sequence < known.sequence:
        name = manifest_key(session_id, known.sequence)
        raise DamageError(DamageCode.MISSING_OBJECT, name, "the catalog knows this manifest")
    if not sequence:
        raise SessionNotFound(f"the archive has no manifest of session {session_id}", "see: lucid list")
    signed = load_manifest_of(session_id, sequence, store, trusted)
    name = manifest_key(session_id, sequence)
    if known and known.sequence == sequence and known.envelope_sha256 != signed.envelope_sha256:
        raise DamageError(DamageCode.OBJECT_DIGEST_MISMATCH, name, "it is not the manifest that the catalog knows")
    return signed


def load_manifest_of(
    session_id: UUID, sequence: int, store: ObjectStore, trusted: Sequence[PublicKey]
) -> SignedManifest:
    """The manifest of a session with this number, its signature verified.

    Raises:
        DamageError: `missing_object`, and all that `open_envelope` raises.
    """
    name = manifest_key(session_id, sequence)
    signed = open_envelope(bytes(fetch(name, LARGEST_ENVELOPE, store)), trusted, name)
    signed.manifest.check_place(session_id, sequence, name)
    return signed


def load_chunk_table(manifest: Manifest, store: ObjectStore) -> ChunkTable:
    """The chunk table that a manifest names, with its Merkle root checked.

    Raises:
        DamageError: `missing_object`, `chunk_table_mismatch` or `root_mismatch`.
    """
    stream = manifest.recording
    name = chunk_table_key(manifest.session_id, stream.chunk_table_sha256)
    data = fetch(name, LARGEST_TABLE, store)
    if sha256(data).digest() != stream.chunk_table_sha256:
        raise DamageError(DamageCode.CHUNK_TABLE_MISMATCH, name, "it is not the table that was signed")
    table = ChunkTable.decode(bytes(data), DamageCode.CHUNK_TABLE_MISMATCH, name)
    table.check(manifest.session_id, stream.chunk_size, name)
    if len(table.objects) != stream.chunk_count or table.stored_bytes != stream.stored_bytes:
        raise DamageError(DamageCode.CHUNK_TABLE_MISMATCH, name, "it lists other objects than the manifest counts")
    if table.root() != stream.tree.root:
        raise DamageError(DamageCode.ROOT_MISMATCH, name, "its Merkle root is not the signed one")
    return table


def load_sealed_object(manifest: Manifest, store: ObjectStore) -> memoryview:
    """The sealed metadata object that a manifest names, still encrypted.

    Raises:
        DamageError: `missing_object` or `sealed_mismatch`.
    """
    name = sealed_key(manifest.session_id, manifest.sealed_sha256)
    data = fetch(name, LARGEST_OBJECT, store)
    if sha256(data).digest() != manifest.sealed_sha256:
        raise DamageError(DamageCode.SEALED_MISMATCH, name, "it is not the sealed metadata that was signed")
    check_header(data, sealed_header(manifest.aead, manifest.session_id), name)
    return data


class SessionReader:
    """Random access to one session's recording."""

    def __init__(self, manifest: Manifest, store: ObjectStore, dek: Dek, metadata: SealedMetadata) -> None:
        self.manifest = manifest
        self.metadata = metadata
        self._store = store
        self._dek = dek
        self._table: ChunkTable | None = None

    @classmethod
    def open(cls, manifest: Manifest, store: ObjectStore, keys: Keys) -> "SessionReader":
        """Unlock a session and read its sealed metadata.

        Raises:
            DamageError: key slot or sealed metadata are missing or damaged.
        """
        dek = keys.unlock(manifest)
        name = sealed_key(manifest.session_id, manifest.sealed_sha256)
        data = load_sealed_object(manifest, store)
        metadata = unseal(data, manifest.session_id, manifest.aead, dek, name)
        metadata.check(manifest.recording.chunk_size, manifest.recording.chunk_count, name)
        return cls(manifest, store, dek, metadata)

    def __len__(self) -> int:
        """Length of the recording in bytes."""
        return self.metadata.recording.length

    @property
    def table(self) -> ChunkTable:
        """The chunk table, read and checked at first use."""
        if self._table is None:
            self._table = load_chunk_table(self.manifest, self._store)
        return self._table

    def read(self, start: int = 0, stop: int | None = None, *, workers: int = 1) -> Generator[bytes, None, None]:
        """The recording's bytes from `start` up to, not including, `stop`, a chunk at a time.

        With more than one worker, threads read the next chunks meanwhile; whoever takes no more closes the iterator.

        Raises:
            DamageError: a chunk is damaged. What was yielded before is whole.
        """
        rows, start = self.metadata.chunks, max(0, start)
        stop = len(self) if stop is None else min(stop, len(self))
        if start >= stop:
            return
        indexes, table = range(self._chunk_at(start), self._chunk_at(stop - 1) + 1), self.table

        def start_worker() -> Callable[[int], bytes]:
            read_chunk = self._chunk_reader(table)

            def read_part(index: int) -> bytes:
                offset = rows[index].offset
                return bytes(read_chunk(index)[max(0, start - offset) : stop - offset])

            return read_part

        yield from in_order(indexes, self._fitting(workers, len(indexes)), start_worker)

    def read_whole(self, workers: int = 1) -> Generator[bytes, None, None]:
        """The whole recording, a chunk at a time; the last one only if the plaintext's digest is right.

        Raises:
            DamageError: a chunk is damaged, or, behind all but the last, the whole is not what was archived.
        """
        digest, end = sha256(), 0
        with closing(self.read(workers=workers)) as parts:
            for part in parts:
                digest.update(part)
                end += len(part)
                if end == len(self):
                    self._check_digest(digest.digest())
                yield part
        self._check_digest(digest.digest())

    def read_times(self, first_ms: int, last_ms: int) -> Iterator[bytes]:
        """The bytes of all chunks that hold events of this span of time, and then to the end of the last event's line.

        Raises:
            ValueError: the recording has no time index.
        """
        start, stop = self.range_of_times(first_ms, last_ms)
        whole_line = not stop
        for part in self.read(start, stop):
            whole_line = part.endswith(b"\n")
            yield part
        for part in self.read(stop) if not whole_line else ():
            rest, newline, _ = part.partition(b"\n")
            yield rest + newline
            if newline:
                return

    def range_of_times(self, first_ms: int, last_ms: int) -> tuple[int, int]:
        """Start and stop offset of the chunks whose events fall into the span; an empty range if there are none.

        Raises:
            ValueError: the recording has no time index.
        """
        timed = [row for row in self.metadata.chunks if row.first_ms is not None and row.last_ms is not None]
        if not timed:
            raise ValueError("the recording has no time index")
        found = [row for row in timed if (row.first_ms or 0) <= last_ms and (row.last_ms or 0) >= first_ms]
        if not found:
            return 0, 0
        return found[0].offset, found[-1].offset + found[-1].length

    def copy_to(self, write_at: Callable[[memoryview | bytes, int], object], workers: int, progress: Progress) -> None:
        """Write the whole recording with several threads, each part to its offset, and check the plaintext's digest.

        Raises:
            DamageError: a chunk is damaged, or the whole is not what was archived; what was written is then of no use.
        """
        digest, rows, table = sha256(), self.metadata.chunks, self.table

        def start_worker() -> Work:
            read_chunk = self._chunk_reader(table)

            def work(index: int, turns: Turns) -> None:
                raw = read_chunk(index)
                with turns.turn(index):
                    digest.update(raw)
                write_at(raw, rows[index].offset)
                progress(len(raw))

            return work

        self._for_each_chunk(table, workers, start_worker)
        self._check_digest(digest.digest())

    def whole_ranges(self, workers: int, progress: Progress) -> list[tuple[int, int]]:
        """Start and stop offsets of all that can still be read, in order; finding that out takes reading all of it.

        Raises:
            DamageError: nothing can be read, since the chunk table is damaged.
        """
        rows, table, whole = self.metadata.chunks, self.table, set[int]()

        def start_worker() -> Work:
            read_chunk = self._chunk_reader(table)

            def work(index: int, _turns: Turns) -> None:
                with suppress(DamageError):
                    read_chunk(index)
                    whole.add(index)
                progress(rows[index].length)

            return work

        self._for_each_chunk(table, workers, start_worker)
        ranges: list[tuple[int, int]] = []
        for index in sorted(whole):
            start, stop = rows[index].offset, rows[index].offset + rows[index].length
            if ranges and ranges[-1][1] == start:
                start, _ = ranges.pop()
            ranges.append((start, stop))
        return [(start, stop) for start, stop in ranges if start < stop]

    def decryptor(self) -> Decryptor:
        """A function that decrypts chunk objects into a buffer of its own."""
        manifest, rows = self.manifest, self.metadata.chunks
        chunk_size = manifest.recording.chunk_size
        buffer = memoryview(bytearray(0))

        def decrypt(chunk: ChunkObject, data: memoryview) -> memoryview | bytes:
            nonlocal buffer
            expected = chunk_header(manifest.aead, manifest.session_id, chunk.index, len(rows))
            header = check_header(data, expected, chunk.key)
            needed = plaintext_length(len(data)) or 0
            if len(buffer) < needed:
                buffer = memoryview(bytearray(needed))
            frame = decrypt_object(header, self._dek.secret, data, buffer, chunk.key)
            padded = ChunkFlags.PADDED in header.flags
            raw = parse_frame(frame, padded=padded, largest=chunk_size, where=chunk.key)
            if len(raw) != rows[chunk.index].length:
                raise DamageError(DamageCode.SEALED_MISMATCH, chunk.key, "another raw length than the sealed metadata")
            return raw

        return decrypt

    def _chunk_reader(self, table: ChunkTable) -> Callable[[int], memoryview | bytes]:
        """A function that fetches and decrypts a chunk; its bytes are good until the next call. For one thread."""
        decrypt = self.decryptor()

        def read_chunk(index: int) -> memoryview | bytes:
            chunk = table.objects[index]
            return decrypt(chunk, fetch_stored(chunk, self._store))

        return read_chunk

    def _for_each_chunk(self, table: ChunkTable, workers: int, start_worker: Callable[[], Work]) -> None:
        for_each_chunk(len(table.objects), self._fitting(workers, len(table.objects)), start_worker)

    def _fitting(self, workers: int, chunks: int) -> int:
        return worker_count(workers, self.manifest.recording.chunk_size, chunks)

    def _check_digest(self, digest: bytes) -> None:
        if digest != self.metadata.recording.sha256:
            detail = "what was archived is not what decrypts"
            raise DamageError(DamageCode.PLAINTEXT_DIGEST_MISMATCH, "recording", detail)

    def _chunk_at(self, offset: int) -> int:
        return bisect_right(self.metadata.chunks, offset, key=lambda row: row.offset) - 1
