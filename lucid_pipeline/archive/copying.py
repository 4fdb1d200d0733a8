"""A session from one store into another, verified on the way, and readable at each moment in both.

Every object is checked against what is signed, stored, read back and checked again. The manifest comes last, so that
whoever finds it finds all that it names. Nothing is deleted or replaced; what nothing refers to is not copied. What is
at the destination already is read and checked, and not copied again: so a copy that was cut off goes on.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from hashlib import sha256
from uuid import UUID

from lucid_pipeline.archive.chunk_table import ChunkTable, StoredObject
from lucid_pipeline.archive.damage import Damage, DamageError
from lucid_pipeline.archive.fetch import fetch_chunk, fetch_stored
from lucid_pipeline.archive.flushing import Flusher
from lucid_pipeline.archive.layout import (
    chunk_table_key,
    chunks_prefix,
    manifest_key,
    sealed_key,
    sequences,
    session_prefix,
)
from lucid_pipeline.archive.manifest import Manifest
from lucid_pipeline.archive.parallel import BUFFER_BUDGET, Allowance, Turns, for_each_chunk, worker_count
from lucid_pipeline.archive.ports import ObjectExists, ObjectStore, Progress
from lucid_pipeline.archive.reader import load_chunk_table, load_manifest_of, load_sealed_object
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.errors import TransientError

_MANY = 64
_TIMES_IN_MEMORY = 2  # as it was read, and as the client of a store sends it, or as it is read back


class Side(StrEnum):
    """Where damage was found."""

    SOURCE = "source"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True)
class Finding:
    """Damage, and on which side."""

    side: Side
    damage: Damage


@dataclass(slots=True)
class SessionCopy:
    """What became of copying a session: objects and bytes that were copied; all else was there already.

    With a finding, a manifest was not copied; with an obstacle, the source could not be read now.
    """

    session_id: UUID
    is_sealed: bool = False
    objects: int = 0
    stored_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    obstacle: str | None = None


class _SourceFailed(TransientError):
    """The source fails, which may be about one object; any other failure is the destination's, and about all."""


class _Stopped(Exception):
    """Nobody waits for the rest."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A session that is being copied: what was at the destination before, and what makes the rest durable there."""

    copied: SessionCopy
    there: Collection[str]
    flushing: Flusher


class Copier:
    """Copies sessions between two stores; any number of threads may ask it to, each for another session.

    Args:
        source: where the sessions are.
        destination: where they shall be.
        trusted: public keys whose signatures count.
        workers: how many threads work on a session of many chunks; of such there is one at a time.
        progress: told of the bytes of each object that was copied, from any thread.
    """

    def __init__(
        self,
        source: ObjectStore,
        destination: ObjectStore,
        trusted: Sequence[PublicKey],
        workers: int,
        progress: Progress = lambda _bytes: None,
    ) -> None:
        self._source = source
        self._destination = destination
        self._trusted = trusted
        self._workers = workers
        self._progress = progress
        self._memory = Allowance(BUFFER_BUDGET)
        self._one_of_many_chunks = threading.Lock()
        self._counting = threading.Lock()
        self._is_stopped = threading.Event()

    def stop(self) -> None:
        """Let all threads give up at their next object."""
        self._is_stopped.set()

    def copy(self, session_id: UUID) -> SessionCopy:
        """Copy all manifests of a session, the oldest first, each behind all that it names.

        Never raises for damage, or for a source that cannot be read.

        Raises:
            TransientError: the destination fails.
        """
        copied = SessionCopy(session_id)
        try:
            with _reading_the_source():
                found = sorted(sequences(session_id, self._source.list(session_prefix(session_id))))
            copied.is_sealed = bool(found)
            for sequence in found:
                copied.findings += self._copy_manifest(sequence, copied)
        except _SourceFailed as error:
            copied.obstacle = str(error)
        return copied

    def _copy_manifest(self, sequence: int, copied: SessionCopy) -> list[Finding]:
        session_id = copied.session_id
        try:
            with _reading_the_source():
                signed = load_manifest_of(session_id, sequence, self._source, self._trusted)
        except DamageError as error:
            return [Finding(Side.SOURCE, error.damage)]
        prefixes = (session_prefix(session_id), chunks_prefix(session_id))
        there = {key for prefix in prefixes for key in self._destination.list(prefix)}
        has_many = signed.manifest.recording.chunk_count > _MANY
        with self._one_of_many_chunks if has_many else nullcontext(), Flusher(self._destination) as flushing:
            under_way = _UnderWay(copied, there, flushing)
            findings = self._copy_named(signed.manifest, under_way, self._workers if has_many else 1)
        if findings:
            return findings
        with Flusher(self._destination) as flushing:
            name = manifest_key(session_id, sequence)
            return self._copy_whole({name: signed.envelope}, _UnderWay(copied, there, flushing))

    def _copy_named(self, manifest: Manifest, under_way: _UnderWay, workers: int) -> list[Finding]:
        """Copy all that a manifest names; returns what is damaged of it."""
        try:
            with _reading_the_source():
                table = load_chunk_table(manifest, self._source)
                sealed = load_sealed_object(manifest, self._source)
        except DamageError as error:
            return [Finding(Side.SOURCE, error.damage)]
        table_name = chunk_table_key(manifest.session_id, manifest.recording.chunk_table_sha256)
        sealed_name = sealed_key(manifest.session_id, manifest.sealed_sha256)
        return [
            *self._copy_chunks(manifest, table, under_way, workers),
            *self._copy_whole({table_name: table.encode(), sealed_name: sealed}, under_way),
        ]

    def _copy_chunks(self, manifest: Manifest, table: ChunkTable, under_way: _UnderWay, workers: int) -> list[Finding]:
        findings: dict[int, Finding] = {}
        count = len(table.objects)

        def work(index: int, _turns: Turns) -> None:
            chunk = table.objects[index]
            read = partial(fetch_chunk, chunk, count, manifest.aead, manifest.session_id, self._source)
            with self._memory.holding(_TIMES_IN_MEMORY * chunk.length):
                if finding := self._copy_object(chunk, read, under_way):
                    findings[index] = finding

        for_each_chunk(count, worker_count(workers, manifest.recording.chunk_size, count), lambda: work)
        return [findings[index] for index in sorted(findings)]

    def _copy_whole(self, objects: Mapping[str, bytes | memoryview], under_way: _UnderWay) -> list[Finding]:
        """Copy objects that have been read and checked."""
        copies = (
            self._copy_object(
                StoredObject(key=key, length=len(data), sha256=sha256(data).digest()), partial(_viewed, data), under_way
            )
            for key, data in objects.items()
        )
        return [finding for finding in copies if finding]

    def _copy_object(
        self, stored: StoredObject, read: Callable[[], memoryview], under_way: _UnderWay
    ) -> Finding | None:
        """Have an object at the destination, and read it back; another one that is there under its name stays."""
        if self._is_stopped.is_set():
            raise _Stopped
        if stored.key not in under_way.there:
            try:
                with _reading_the_source():
                    data = read()
            except DamageError as error:
                return Finding(Side.SOURCE, error.damage)
            self._put(stored, data, under_way.copied)
        try:
            fetch_stored(stored, self._destination)
        except DamageError as error:
            return Finding(Side.DESTINATION, error.damage)
        under_way.flushing.add(stored.key)
        return None

    def _put(self, stored: StoredObject, data: memoryview, copied: SessionCopy) -> None:
        try:
            self._destination.put(stored.key, data, durable=False)
        except ObjectExists:  # somebody else copies this session as well
            return
        with self._counting:
            copied.objects += 1
            copied.stored_bytes += stored.length
        self._progress(stored.length)


def _viewed(data: bytes | memoryview) -> memoryview:
    return memoryview(data)


@contextmanager
def _reading_the_source() -> Iterator[None]:
    try:
        yield
    except TransientError as error:
        raise _SourceFailed(error.message, error.hint) from error
