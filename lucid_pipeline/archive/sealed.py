"""Sealed metadata: what describes the contents of a session, encrypted with the session's key in one chunk object."""

from hashlib import sha256
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, FailFast, Field, model_validator

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
from lucid_pipeline.errors import PermanentError

LARGEST_METADATA = 64 * MIB
LARGEST_OBJECT = encrypted_length(frame_capacity(LARGEST_METADATA))


def _check_unicode(text: str) -> str:
    text.encode()
    return text


Text = Annotated[str, AfterValidator(_check_unicode)]
"""Text that JSON can hold: without lone surrogates, as which Python reads bytes that are no UTF-8."""


def content_id(plaintext_sha256: bytes, completeness: str) -> bytes:
    """What tells the content of a recording from any other, complete or not, without telling its digest; 32 bytes.

    For the catalog alone, which is confidential: whoever has the recording can tell its id.
    """
    return sha256(b"lucid/content@v1\0" + completeness.encode() + b"\0" + plaintext_sha256).digest()


class Terminal(Document):
    """Size of a terminal in character cells."""

    columns: Annotated[int, Field(ge=1, lt=2**16)]
    rows: Annotated[int, Field(ge=1, lt=2**16)]


class SessionMetadata(Document):
    """What is known of a session besides its recording. Times are RFC 3339; all fields are optional."""

    user: Text | None = None
    host: Text | None = None
    protocol: Text | None = None
    started_at: Text | None = None
    ended_at: Text | None = None
    tags: dict[Text, Text] = Field(default_factory=dict)

    def completed_by(self, other: "SessionMetadata") -> "SessionMetadata":
        """This, with what only the other knows: field by field, and tag by tag."""
        known = {name: value for name in SessionMetadata.model_fields if (value := getattr(self, name)) is not None}
        return other.model_copy(update={**known, "tags": {**other.tags, **self.tags}})


class RecordingMetadata(SessionMetadata):
    """A session's metadata with what its recording says: length in bytes, SHA-256, and for a cast its duration."""

    name: Text
    media_type: Text
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

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.first_ms is None) != (self.last_ms is None):
            raise ValueError("a chunk has a first and a last event, or none")
        return self


class SealedMetadata(Document):
    """The document inside the sealed metadata object."""

    versions: ClassVar = {"schema": ["lucid/sealed@v1"]}

    schema_: Annotated[Literal["lucid/sealed@v1"], Field(alias="schema")] = "lucid/sealed@v1"
    recording: RecordingMetadata
    chunks: Annotated[list[ChunkRow], FailFast()]

    def check(self, chunk_size: int, chunk_count: int, where: str) -> None:
        """Refuse rows that do not cut the recording as the manifest says.

        Raises:
            DamageError: `sealed_mismatch`.
        """
        if len(self.chunks) != chunk_count:
            raise DamageError(DamageCode.SEALED_MISMATCH, where, "it has not one row for each chunk")
        end = 0
        for index, row in enumerate(self.chunks):
            full = row.length == chunk_size or (index == chunk_count - 1 and row.length < chunk_size)
            if row.offset != end or not full:
                raise DamageError(DamageCode.SEALED_MISMATCH, where, "the rows do not cut the recording into chunks")
            end += row.length
        if end != self.recording.length:
            raise DamageError(DamageCode.SEALED_MISMATCH, where, "the rows do not add up to the recording")


def sealed_header(suite: Suite, session_id: UUID) -> ChunkHeader:
    """The header that a session's sealed metadata has to have."""
    return ChunkHeader(suite, session_id, 0, ChunkFlags.SEALED_METADATA | ChunkFlags.PADDED)


def seal(metadata: SealedMetadata, session_id: UUID, suite: Suite, dek: Dek) -> bytes:
    """The sealed metadata object: canonical JSON, zstd, padded, encrypted.

    Raises:
        PermanentError: it is larger than any reader would accept.
    """
    data = metadata.encode()
    if len(data) > LARGEST_METADATA:
        raise PermanentError(f"what describes the session has more than {LARGEST_METADATA} bytes", "give it fewer tags")
    buffer = memoryview(bytearray(frame_capacity(len(data))))
    buffer[codec.FRAME_HEADER.size : codec.FRAME_HEADER.size + len(data)] = data
    frame = FrameCodec(Codec.ZSTD).build(buffer, len(data), padded=True)
    out = memoryview(bytearray(encrypted_length(frame.length)))
    header = sealed_header(suite, session_id)
    return bytes(encrypt_object(header, dek.secret, buffer[: frame.length], out))


def unseal(data: memoryview, session_id: UUID, suite: Suite, dek: Dek, where: str) -> SealedMetadata:
    """Open a sealed metadata object.

    Raises:
        DamageError: as for any chunk object, and `sealed_mismatch` if what it holds is not sealed metadata.
    """
    buffer = memoryview(bytearray(plaintext_length(len(data)) or 0))
    header = sealed_header(suite, session_id)
    frame = decrypt_object(header, dek.secret, data, buffer, where)
    raw = parse_frame(frame, padded=True, largest=LARGEST_METADATA, where=where)
    return SealedMetadata.decode(bytes(raw), DamageCode.SEALED_MISMATCH, where)
