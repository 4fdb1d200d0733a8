"""The chunk table: the public list of a stream's chunk objects, and the Merkle tree over it."""

from json.encoder import encode_basestring
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import FailFast, Field
from typing_extensions import override

from lucid_pipeline.archive import merkle
from lucid_pipeline.archive.canonical import MAX_SAFE_INTEGER, BigInt
from lucid_pipeline.archive.codec import frame_capacity
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Digest, Document
from lucid_pipeline.archive.encryption import encrypted_length
from lucid_pipeline.archive.layout import chunk_key

LARGEST_TABLE = 256 * 1024 * 1024
_LEAF_VERSION = b"\x01"


class StoredObject(Document):
    """One object in the archive: its key, length in bytes and SHA-256."""

    key: str
    length: BigInt
    sha256: Digest


class ChunkObject(StoredObject):
    """A chunk object, and the index of the chunk that it holds."""

    index: BigInt

    @property
    def leaf(self) -> bytes:
        """Its leaf hash: over D = 01 ‖ length as u64, big-endian ‖ SHA-256 of the object."""
        return merkle.leaf_hash(_LEAF_VERSION + self.length.to_bytes(8, "big") + self.sha256)


def _number(value: int) -> str:
    return str(value) if abs(value) <= MAX_SAFE_INTEGER else f'"{value}"'


class ChunkTable(Document):
    """The chunk objects of one stream, in order, none missing."""

    versions: ClassVar = {"schema": ["lucid/chunk-table@v1"]}

    schema_: Annotated[Literal["lucid/chunk-table@v1"], Field(alias="schema")] = "lucid/chunk-table@v1"
    session_id: UUID
    stream_id: int = 0
    objects: Annotated[list[ChunkObject], FailFast(), Field(min_length=1)]

    @property
    def stored_bytes(self) -> int:
        """Bytes of all chunk objects together."""
        return sum(chunk.length for chunk in self.objects)

    @override
    def encode(self) -> bytes:
        # As for any document, but written out, since there can be half a million rows.
        rows = ",".join(
            f'{{"index":{_number(chunk.index)},"key":{encode_basestring(chunk.key)},'
            f'"length":{_number(chunk.length)},"sha256":"{chunk.sha256.hex()}"}}'
            for chunk in self.objects
        )
        head = f'"schema":"{self.schema_}","session_id":"{self.session_id}","stream_id":{_number(self.stream_id)}'
        return f'{{"objects":[{rows}],{head}}}'.encode()

    def leaves(self) -> list[bytes]:
        """The leaf hashes of the tree."""
        return [chunk.leaf for chunk in self.objects]

    def root(self) -> bytes:
        """The Merkle root over all chunk objects."""
        return merkle.root_hash(self.leaves())

    def check(self, session_id: UUID, chunk_size: int, where: str) -> None:
        """Refuse a table that is not of this session, or in which a chunk is missing, moved, misnamed or too large.

        Raises:
            DamageError: `chunk_table_mismatch`.
        """
        if self.session_id != session_id or self.stream_id != 0:
            raise DamageError(DamageCode.CHUNK_TABLE_MISMATCH, where, "the table is of another session or stream")
        largest = encrypted_length(frame_capacity(chunk_size))
        for index, chunk in enumerate(self.objects):
            if chunk.length > largest:
                detail = f"entry {index} is larger than any object of a chunk"
                raise DamageError(DamageCode.CHUNK_TABLE_MISMATCH, where, detail)
            if chunk.index != index or chunk.key != chunk_key(session_id, index, chunk.sha256):
                detail = f"entry {index} is not chunk {index} under its own name"
                raise DamageError(DamageCode.CHUNK_TABLE_MISMATCH, where, detail)
