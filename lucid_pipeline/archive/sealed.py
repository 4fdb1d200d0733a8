"""Sealed metadata: what describes the contents of a session, encrypted with the session's key in one chunk object."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from lucid_pipeline.archive import codec
from lucid_pipeline.archive.canonical import BigInt
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import Codec, FrameCodec, frame_capacity, parse_frame
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Digest, Document
from lucid_pipeline.archive.encryption import (
    ChunkFlags,
    ChunkHeader,
    Suite,
    decrypt_object,
    encrypt_object,
    encrypted_length,
    plaintext_length,
)
from lucid_pipeline.archive.keys import Dek

LARGEST_METADATA = 64 * MIB
LARGEST_OBJECT = encrypted_length(frame_capacity(LARGEST_METADATA))

_FLAGS = ChunkFlags.SEALED_METADATA | ChunkFlags.PADDED


class Terminal(Document):
    """Size of a terminal in character cells."""

    columns: int
    rows: int


class SessionMetadata(Document):
    """What is known of a session besides its recording. Times are RFC 3339; all fields are optional."""

    user: str | None = None
    host: str | None = None
    protocol: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    tags: dict[str, str] = Field(default_factory=dict)


class RecordingMetadata(SessionMetadata):
    """A session's metadata with what its recording says: length in bytes, SHA-256, and for a cast its duration."""

    name: str
    media_type: str
    length: BigInt
    sha256: Digest
    terminal: Terminal | None = None
    duration_ms: BigInt | None = None


class ChunkRow(Document):
    """One chunk of the recording: raw offset and length in bytes, first and last event time in ms where known."""

    offset: BigInt
    length: BigInt
    first_ms: BigInt | None = None
    last_ms: BigInt | None = None


class SealedMetadata(Document):
    """The document inside the sealed metadata object."""

    schema_: Annotated[Literal["lucid/sealed@v1"], Field(alias="schema")] = "lucid/sealed@v1"
    recording: RecordingMetadata
    chunks: list[ChunkRow]

    def check(self, chunk_size: int, chunk_count: int, where: str) -> None:
        """Refuse rows that do not cut the recording as the manifest says.

        Raises:
            DamageError: `sealed_mismatch`.
        """
        offset = 0
        for row in self.chunks:
            if row.offset != offset or row.length > chunk_size:
                raise DamageError(DamageCode.SEALED_MISMATCH, where, "the rows of the chunks do not join up")
            offset += row.length
        if len(self.chunks) != chunk_count or offset != self.recording.length:
            raise DamageError(DamageCode.SEALED_MISMATCH, where, "the rows do not add up to the recording")


def seal(metadata: SealedMetadata, session_id: UUID, suite: Suite, dek: Dek) -> bytes:
    """The sealed metadata object: canonical JSON, zstd, padded, encrypted."""
    data = metadata.encode()
    if len(data) > LARGEST_METADATA:
        raise ValueError("the sealed metadata is too large")
    buffer = memoryview(bytearray(frame_capacity(len(data))))
    buffer[codec.FRAME_HEADER.size : codec.FRAME_HEADER.size + len(data)] = data
    frame = FrameCodec(Codec.ZSTD).build(buffer, len(data), padded=True)
    out = memoryview(bytearray(encrypted_length(frame.length)))
    header = ChunkHeader(suite, session_id, 0, _FLAGS)
    return bytes(encrypt_object(header, dek.secret, buffer[: frame.length], out))


def unseal(data: memoryview, session_id: UUID, suite: Suite, dek: Dek, where: str) -> SealedMetadata:
    """Open a sealed metadata object.

    Raises:
        DamageError: as for any chunk object, and `sealed_mismatch` if what it holds is not sealed metadata.
    """
    buffer = memoryview(bytearray(plaintext_length(len(data)) or 0))
    header = ChunkHeader(suite, session_id, 0, _FLAGS)
    frame = decrypt_object(header, dek.secret, data, buffer, where)
    raw = parse_frame(frame, padded=True, largest=LARGEST_METADATA, where=where)
    return SealedMetadata.decode(bytes(raw), DamageCode.SEALED_MISMATCH, where)
