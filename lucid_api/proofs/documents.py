"""What proofs look like to callers. Digests and hashes are SHA-256, in hex."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from lucid_api.proofs.proven import ProvenSession
from lucid_pipeline.archive.chunk_table import ChunkObject
from lucid_pipeline.archive.damage import Damage, DamageCode
from lucid_pipeline.archive.verify import VerificationReport

SessionId = Annotated[UUID, Field(description="Id of the session.", examples=["01a207bc-8e81-7370-a993-4daf2ca01f8c"])]
Hex = Annotated[
    str,
    Field(pattern="^[0-9a-f]{64}$", examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]),
]
KeyId = Annotated[
    str,
    Field(
        description="Id of the key that signed: the first 16 hex digits of the digest of the raw public key.",
        pattern="^[0-9a-f]{16}$",
        examples=["8a2c5a4f0f6b1d3e"],
    ),
]
Time = Annotated[str, Field(description="RFC 3339, in UTC.", examples=["2026-01-31T12:00:00.000Z"])]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ManifestReference(_Document):
    """The signed manifest that the answer goes back to."""

    sequence: int = Field(description="Its number; the highest one of a session counts.", ge=1, examples=[1])
    envelope_sha256: Hex = Field(description="Digest of its envelope, as `GET …/manifest` returns it.")
    signed_by: KeyId

    @classmethod
    def of(cls, session: ProvenSession) -> "ManifestReference":
        """The reference to the manifest of a session."""
        signed = session.signed
        return cls(
            sequence=signed.manifest.sequence, envelope_sha256=signed.envelope_sha256.hex(), signed_by=signed.key_id
        )


class TreeDocument(_Document):
    """The Merkle tree (RFC 9162) over the chunk objects."""

    size: int = Field(description="How many leaves it has: one for each chunk object.", ge=1, examples=[18])
    root: Hex = Field(description="Its root, as in the manifest.")


class ChunkDocument(_Document):
    """A row of the chunk table: one chunk object in the archive."""

    index: int = Field(description="Which chunk of the recording it holds, counted from 0.", ge=0, examples=[3])
    key: str = Field(
        description="Its name in the archive.",
        examples=["sessions/01a207bc-8e81-7370-a993-4daf2ca01f8c/chunks/00000003.9f86d081884c7d659a2feaa0c55ad015"],
    )
    length: int = Field(description="Bytes of the object.", ge=1, examples=[146515])
    sha256: Hex = Field(description="Digest of the object.")

    @classmethod
    def of(cls, chunk: ChunkObject) -> "ChunkDocument":
        """The row of a chunk object."""
        return cls(index=chunk.index, key=chunk.key, length=chunk.length, sha256=chunk.sha256.hex())


class ChunkPage(_Document):
    """A page of a session's chunk table, with what the signed manifest says of the whole of it."""

    session_id: SessionId
    manifest: ManifestReference
    chunk_table_sha256: Hex = Field(description="Digest of the stored table, as in the manifest.")
    chunk_size: int = Field(description="Raw bytes of each chunk but the last.", ge=1, examples=[8388608])
    chunk_count: int = Field(description="Chunks of the recording.", ge=1, examples=[18])
    stored_bytes: int = Field(description="Bytes of all chunk objects together.", ge=1, examples=[2637270])
    tree: TreeDocument
    chunks: list[ChunkDocument] = Field(description="The rows of this page, by ascending index.")

    @classmethod
    def of(cls, session: ProvenSession, indexes: range) -> "ChunkPage":
        """The page with these chunks."""
        manifest = session.signed.manifest
        stream = manifest.recording
        return cls(
            session_id=manifest.session_id,
            manifest=ManifestReference.of(session),
            chunk_table_sha256=stream.chunk_table_sha256.hex(),
            chunk_size=stream.chunk_size,
            chunk_count=stream.chunk_count,
            stored_bytes=stream.stored_bytes,
            tree=TreeDocument(size=stream.tree.size, root=stream.tree.root.hex()),
            chunks=[ChunkDocument.of(session.chunk(index)) for index in indexes],
        )


class InclusionProof(_Document):
    """That a chunk object is in the tree whose root is signed (RFC 9162, 2.1.3): all that a verifier needs.

    The leaf is `SHA-256(00 ‖ 01 ‖ length ‖ sha256)` of the chunk object, its length as 64 bits, big-endian. From there
    `hashes` lead up to `root`, each combined with what has been computed so far as `SHA-256(01 ‖ left ‖ right)`.
    """

    session_id: SessionId
    manifest: ManifestReference
    index: int = Field(description="Index of the leaf, which is that of the chunk.", ge=0, examples=[3])
    tree_size: int = Field(description="Leaves of the tree, as in the manifest.", ge=1, examples=[18])
    root: Hex = Field(description="Root of the tree, as in the manifest.")
    hashes: list[Hex] = Field(description="The inclusion proof, from the leaf's sibling upwards.", max_length=64)
    leaf_hash: Hex = Field(description="Hash of the leaf, which follows from `chunk`.")
    chunk: ChunkDocument

    @classmethod
    def of(cls, session: ProvenSession, index: int) -> "InclusionProof":
        """The proof for a chunk.

        Raises:
            NotFound: there is no such chunk.
        """
        chunk, manifest = session.chunk(index), session.signed.manifest
        return cls(
            session_id=manifest.session_id,
            manifest=ManifestReference.of(session),
            index=index,
            tree_size=manifest.recording.tree.size,
            root=manifest.recording.tree.root.hex(),
            hashes=[digest.hex() for digest in session.inclusion_proof(index)],
            leaf_hash=chunk.leaf.hex(),
            chunk=ChunkDocument.of(chunk),
        )


class VerificationRequest(_Document):
    """What to verify."""

    deep: bool = Field(
        default=False,
        strict=True,
        description="Also decrypt everything, and compare the plaintext with the digest taken when it was archived. "
        "Nothing of it is told. The service needs an identity for that.",
    )


class VerificationStatus(StrEnum):
    """How far a verification is: `finished` says nothing of what it found, and `failed` that it could not be made."""

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows."""
        return self not in (VerificationStatus.QUEUED, VerificationStatus.RUNNING)


class DamageDocument(_Document):
    """One finding."""

    code: DamageCode = Field(description="What it is: one of the codes of docs/format.md.")
    where: str = Field(description="Where it was found: mostly the name of an object in the archive.")
    detail: str = Field(description="What was seen there.")

    @classmethod
    def of(cls, damage: Damage) -> "DamageDocument":
        """The document of a finding."""
        return cls(code=damage.code, where=damage.where, detail=damage.detail)


class VerificationResult(_Document):
    """What a verification found."""

    intact: bool = Field(description="Whether no damage was found.")
    sequence: int | None = Field(description="Number of the manifest; null where none verifies.", examples=[1])
    signed_by: KeyId | None = Field(description="Id of the key that signed it.")
    root: Hex | None = Field(description="Root of the Merkle tree, as signed.")
    chunks_checked: int = Field(description="Chunk objects that are intact.", ge=0, examples=[18])
    bytes_checked: int = Field(description="Bytes that those have.", ge=0, examples=[2637270])
    damage_count: int = Field(description="How many damages were found.", ge=0, examples=[0])
    damage_codes: list[DamageCode] = Field(description="Their codes, each once.")

    @classmethod
    def of(cls, report: VerificationReport) -> "VerificationResult":
        """What a report says."""
        signed = report.signed
        return cls(
            intact=report.intact,
            sequence=signed.manifest.sequence if signed else None,
            signed_by=signed.key_id if signed else None,
            root=signed.manifest.recording.tree.root.hex() if signed else None,
            chunks_checked=report.chunks_checked,
            bytes_checked=report.bytes_checked,
            damage_count=len(report.damages),
            damage_codes=sorted({damage.code for damage in report.damages}),
        )


class Verification(_Document):
    """A verification that somebody asked for."""

    verification_id: UUID = Field(description="Its id.", examples=["01a20f5e-6d0f-7c43-b9a1-64f20dd3a7d5"])
    session_id: SessionId
    deep: bool = Field(description="Whether everything is decrypted, too.")
    status: VerificationStatus
    requested_by: str = Field(description="Who asked for it.", examples=["key:8a2c5a4f0f6b1d3e"])
    requested_at: Time
    started_at: Time | None = Field(default=None, description="When its turn came.")
    ended_at: Time | None = Field(default=None, description="When it ended.")
    bytes_done: int = Field(default=0, description="Bytes that have been checked so far.", ge=0, examples=[1048576])
    bytes_total: int = Field(description="Bytes that there are to check.", ge=0, examples=[2637270])
    result: VerificationResult | None = Field(default=None, description="What was found, once it is finished.")
    obstacle: str | None = Field(default=None, description="Why it could not be made, if it failed.")


class VerificationDetail(Verification):
    """A verification, with every damage that it found."""

    damages: list[DamageDocument] = Field(
        description="What was found, in the order of the chunks: the first 10,000 damages. `result` counts all."
    )


class VerificationPage(_Document):
    """A page of a session's verifications."""

    verifications: list[Verification] = Field(description="The newest first.")
