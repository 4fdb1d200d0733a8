"""What is found out about a recording before anything is encrypted: its kind, its cuts, its time index."""

import os
from datetime import UTC, datetime

from lucid_pipeline.archive import casts, media
from lucid_pipeline.archive.canonical import BigInt
from lucid_pipeline.archive.chunking import ChunkPlan
from lucid_pipeline.archive.documents import Document
from lucid_pipeline.archive.endings import has_end
from lucid_pipeline.archive.manifest import CompletenessState, timestamp
from lucid_pipeline.archive.recording import FileIdentity, RecordingFile
from lucid_pipeline.archive.sealed import (
    ChunkRow,
    RecordingMetadata,
    SealedMetadata,
    SessionMetadata,
    Terminal,
)
from lucid_pipeline.errors import PermanentError

MOST_CHUNKS = 500_000
"""As many as fit into a chunk table and into sealed metadata: 0.5 TB of terminal, 4 TB of video, 8 TB at most."""


class ChunkedRecording(Document):
    """A recording's chunk plan, with the event times of each chunk where the format has times."""

    file: FileIdentity
    media_type: str
    chunk_size: int
    rows: list[ChunkRow]
    terminal: Terminal | None
    duration_ms: BigInt | None
    recorded_at: str | None
    completeness: CompletenessState = "complete"

    @property
    def plan(self) -> ChunkPlan:
        """Where the recording is cut."""
        return ChunkPlan(self.file.length, self.chunk_size)

    def describe(self, metadata: SessionMetadata, name: str, plaintext_sha256: bytes) -> SealedMetadata:
        """The sealed metadata of this recording. What the caller says of the session outweighs what the file says."""
        described = metadata.model_dump()
        described["started_at"] = metadata.started_at or self.recorded_at
        recording = RecordingMetadata(
            **described,
            name=os.fsencode(name).decode("utf-8", "replace"),
            media_type=self.media_type,
            length=self.file.length,
            sha256=plaintext_sha256,
            terminal=self.terminal,
            duration_ms=self.duration_ms,
        )
        return SealedMetadata(recording=recording, chunks=self.rows)


def plan_recording(recording: RecordingFile, chunk_size: int | None, *, abandoned: bool = False) -> ChunkedRecording:
    """Find out what a recording is and where to cut it.

    Args:
        recording: is read only as far as its time index needs.
        chunk_size: in bytes; None for what suits the kind of recording.
        abandoned: its writer never finished it, so it is complete no more, even with its end.

    Raises:
        TransientError: the recording changed meanwhile.
        PermanentError: the recording has more chunks than the format's documents can list.
    """
    media_type = media.sniff(recording.read(0, media.SNIFF_BYTES))
    plan = ChunkPlan(len(recording), chunk_size or media.storage_policy(media_type).chunk_size)
    if len(plan) > MOST_CHUNKS:
        raise PermanentError(f"{recording.path} has more than {MOST_CHUNKS} chunks", "set a larger LUCID_CHUNK_SIZE")
    header = casts.read_header(recording) if media_type == media.ASCIICAST else None
    times = list(casts.index_events(recording, header, plan)) if header else [casts.EventTimes()] * len(plan)
    completeness = _completeness(recording, media_type) if abandoned else "complete"
    recording.check_unchanged()
    return ChunkedRecording(
        file=recording.identity,
        media_type=media_type,
        chunk_size=plan.chunk_size,
        rows=_rows(plan, times),
        terminal=_terminal(header),
        duration_ms=max((time.last_ms for time in times if time.last_ms is not None), default=None),
        recorded_at=_recorded_at(header),
        completeness=completeness,
    )


def _completeness(recording: RecordingFile, media_type: str) -> CompletenessState:
    return "recovered" if has_end(recording, media_type) else "truncated"


def _rows(plan: ChunkPlan, times: list[casts.EventTimes]) -> list[ChunkRow]:
    return [
        ChunkRow(offset=chunk.offset, length=chunk.length, first_ms=time.first_ms, last_ms=time.last_ms)
        for chunk, time in zip(plan, times, strict=True)
    ]


def _terminal(header: casts.CastHeader | None) -> Terminal | None:
    if header is None or header.columns is None or header.rows is None:
        return None
    return Terminal(columns=header.columns, rows=header.rows)


def _recorded_at(header: casts.CastHeader | None) -> str | None:
    if header is None or header.timestamp is None:
        return None
    try:
        return timestamp(datetime.fromtimestamp(header.timestamp, UTC))
    except (ValueError, OverflowError, OSError):
        return None
