"""Sealed sessions as far as they are proven: a verified manifest, and the chunk table with its tree that it names.

They are kept for whoever asks next, since a chunk table can have half a million rows, and takes seconds to be checked.
"""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

from lucid_api.problems import NotFound, Problem, Unavailable
from lucid_pipeline.archive.chunk_table import ChunkObject, ChunkTable
from lucid_pipeline.archive.layout import chunk_key
from lucid_pipeline.archive.manifest import SignedManifest
from lucid_pipeline.archive.merkle import DIGEST_BYTES, HashedTree
from lucid_pipeline.archive.planning import MOST_CHUNKS
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import load_chunk_table, load_manifest, load_manifest_of
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.stores.catalog import SessionRecord, State

_MOST_SESSIONS = 1000
_MOST_ROWS = MOST_CHUNKS
"""Of all sessions that are kept; a row takes about 100 bytes."""

_HUGE = 20_000
"""Rows of which a chunk table is read by one thread at a time: while it is, a row takes more than a kilobyte."""


_MOST_WAITING = 8
"""Who wait for that, or have it: each keeps a thread from others."""

_RETRY = {"Retry-After": "10"}


class NotSealed(Problem):
    """The session has no manifest yet."""

    status, kind, title = NotFound.status, "not-sealed", "Not sealed yet"


class ProvenSession:
    """A verified manifest, and all of the chunk table that it names, in little memory."""

    def __init__(self, signed: SignedManifest, table: ChunkTable) -> None:
        self.signed = signed
        self._lengths = array("Q", (chunk.length for chunk in table.objects))
        self._digests = b"".join(chunk.sha256 for chunk in table.objects)
        self._tree = HashedTree(table.leaves())

    def __len__(self) -> int:
        """How many chunks there are."""
        return len(self._lengths)

    def chunk(self, index: int) -> ChunkObject:
        """A row of the table.

        Raises:
            NotFound: there is no such chunk.
        """
        if not 0 <= index < len(self):
            raise NotFound(f"there is no chunk {index}: the session has {len(self)}, counted from 0")
        digest = self._digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]
        key = chunk_key(self.signed.manifest.session_id, index, digest)
        return ChunkObject(index=index, key=key, length=self._lengths[index], sha256=digest)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """The inclusion proof of a chunk that is there (`HashedTree.inclusion_proof`)."""
        return self._tree.inclusion_proof(index)


class ProvenSessions:
    """The manifests and chunk tables of an archive, verified against trusted keys. Any thread may ask."""

    def __init__(self, archive: ObjectStore, trusted: Sequence[PublicKey]) -> None:
        self._archive = archive
        self._trusted = trusted
        self._lock = threading.Lock()
        self._huge = threading.Lock()
        self._waiting = threading.BoundedSemaphore(_MOST_WAITING)
        self._kept: OrderedDict[tuple[UUID, int], ProvenSession] = OrderedDict()

    def manifest(self, record: SessionRecord, sequence: int | None = None) -> SignedManifest:
        """A manifest of a session as the archive has it now: the one with this number, or the newest.

        Raises:
            NotSealed: there is none yet.
            NotFound: there is none with this number yet.
            DamageError: as `load_manifest`.
        """
        if record.seal is None:
            beside = f" of {record.duplicate_of}" if record.state is State.DUPLICATE else ""
            raise NotSealed(f"the session is {record.state}{beside}: nothing of it is signed")
        newest = load_manifest(record.session_id, self._archive, self._trusted, record.seal.known)
        if sequence is None or sequence == newest.manifest.sequence:
            return newest
        if sequence > newest.manifest.sequence:
            raise NotFound(f"the newest manifest of the session has the number {newest.manifest.sequence}")
        return load_manifest_of(record.session_id, sequence, self._archive, self._trusted)

    def session(self, record: SessionRecord, sequence: int | None = None) -> ProvenSession:
        """A session by its manifest with this number, or the newest one that the catalog knows.

        What was proven once is not read again: objects never change, and the catalog learns of every new manifest.

        Raises:
            NotSealed, NotFound, DamageError: as `manifest` and `load_chunk_table`.
            Unavailable: many others wait for large chunk tables.
        """
        found = self._recall(record, sequence)
        if found is None:
            signed = self.manifest(record, sequence)
            with self._turn(signed):
                found = self._recall(record, sequence) or self._keep(
                    ProvenSession(signed, load_chunk_table(signed.manifest, self._archive))
                )
        return found

    def _recall(self, record: SessionRecord, sequence: int | None) -> ProvenSession | None:
        if record.seal is None:
            return None
        key = (record.session_id, sequence or record.seal.sequence)
        with self._lock:
            found = self._kept.get(key)
            if found:
                self._kept.move_to_end(key)
        is_newest = sequence is None or sequence == record.seal.sequence
        if found and is_newest and found.signed.envelope_sha256 != record.seal.envelope_sha256:
            return None
        return found

    def _keep(self, session: ProvenSession) -> ProvenSession:
        manifest = session.signed.manifest
        with self._lock:
            self._kept[manifest.session_id, manifest.sequence] = session
            rows = sum(map(len, self._kept.values()))
            while len(self._kept) > _MOST_SESSIONS or (rows > _MOST_ROWS and len(self._kept) > 1):
                _, dropped = self._kept.popitem(last=False)
                rows -= len(dropped)
        return session

    @contextmanager
    def _turn(self, signed: SignedManifest) -> Iterator[None]:
        if signed.manifest.recording.chunk_count < _HUGE:
            yield
            return
        if not self._waiting.acquire(blocking=False):
            raise Unavailable("too many large chunk tables are being read; try again", headers=_RETRY)
        try:
            with self._huge:
                yield
        finally:
            self._waiting.release()
