"""The manifest: what is signed of a session (docs/format.md, "Manifest")."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field

from lucid_pipeline import __version__
from lucid_pipeline.archive import envelope
from lucid_pipeline.archive.canonical import BigInt
from lucid_pipeline.archive.chunking import CHUNK_SIZES
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Digest, Document
from lucid_pipeline.archive.encryption import Suite
from lucid_pipeline.archive.layout import LAST_SEQUENCE
from lucid_pipeline.archive.signing import PublicKey, SigningKey

PAYLOAD_TYPE = "application/vnd.lucid.manifest.v1+json"
SCHEMA: Final = "lucid/manifest@v1"
KDF: Final = "HKDF-Expand-SHA512"

_SUITES = {suite.aead: suite for suite in Suite}
_HOURS_MINUTES = "([01][0-9]|2[0-3]):[0-5][0-9]"
_RFC_3339 = re.compile(
    rf"[0-9]{{4}}(-[0-9]{{2}}){{2}}[Tt]{_HOURS_MINUTES}:[0-9]{{2}}(\.[0-9]+)?([Zz]|[+-]{_HOURS_MINUTES})"
)


class Tree(Document):
    """Size and root of the Merkle tree over a stream's chunk objects."""

    size: BigInt
    root: Digest


class Stream(Document):
    """One stream of a session; stream 0 is the recording. Sizes in bytes."""

    id: Literal[0] = 0
    media_type: str
    chunk_size: int
    chunk_count: BigInt
    stored_bytes: BigInt
    tree: Tree
    chunk_table_sha256: Digest


class Gap(Document):
    """Bytes of the recording that were never received: `length` of them, missing at `offset`."""

    offset: BigInt
    length: BigInt


CompletenessState = Literal["complete", "recovered", "truncated"]
"""All there; not finished by its writer, with its end all the same; or without its end, as far as can be told."""


class Completeness(Document):
    """Whether the recording is all there."""

    state: CompletenessState = "complete"
    gaps: list[Gap] = Field(default_factory=list)


class Producer(Document):
    """The software that sealed the session."""

    name: str = "lucid"
    version: str = __version__


def timestamp(moment: datetime) -> str:
    """A moment as the manifest writes it: RFC 3339, UTC, milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """The moment that an RFC 3339 time names, rounded down to microseconds.

    Raises:
        ValueError: the text is no such time, or a leap second.
    """
    if not _RFC_3339.fullmatch(text):
        raise ValueError("not an RFC 3339 time")
    return datetime.fromisoformat(text.upper())


def _check_timestamp(text: str) -> str:
    try:
        same = timestamp(datetime.fromisoformat(text)) == text
    except OverflowError:
        same = False
    if not same:
        raise ValueError("not a time in UTC with milliseconds")
    return text


def _check_suite(name: str) -> str:
    if name not in _SUITES:
        raise ValueError("not a suite of this version")
    return name


class Manifest(Document):
    """Everything that is signed of one session."""

    versions: ClassVar = {"schema": [SCHEMA], "suite": list(_SUITES), "kdf": [KDF]}

    schema_: Annotated[Literal["lucid/manifest@v1"], Field(alias="schema")] = SCHEMA
    session_id: UUID
    sequence: Annotated[int, Field(ge=1, le=LAST_SEQUENCE)]
    previous: Digest | None
    created_at: Annotated[str, AfterValidator(_check_timestamp)]
    suite: Annotated[str, AfterValidator(_check_suite)]
    kdf: Literal["HKDF-Expand-SHA512"] = KDF
    dek_commitment: Digest
    streams: Annotated[list[Stream], Field(min_length=1, max_length=1)]
    sealed_sha256: Digest
    completeness: Completeness = Completeness()
    retention: dict[str, Any] | None = None
    producer: Producer = Producer()

    @property
    def recording(self) -> Stream:
        """The stream that is the recording."""
        return self.streams[0]

    @property
    def aead(self) -> Suite:
        """The suite of every object of the session."""
        return suite_of(self.suite)

    def check_place(self, session_id: UUID, sequence: int, where: str) -> None:
        """Refuse a manifest that was signed for another session, or under another number.

        Raises:
            DamageError: `manifest_malformed`.
        """
        if (self.session_id, self.sequence) != (session_id, sequence):
            raise DamageError(DamageCode.MANIFEST_MALFORMED, where, "it is the manifest of another session or sequence")

    def sign(self, key: SigningKey) -> bytes:
        """The signed envelope; these bytes are what is stored."""
        return envelope.sign(self.encode(), PAYLOAD_TYPE, key)

    @classmethod
    def decode(cls, data: bytes, code: DamageCode, where: str) -> Self:
        """Parse a manifest whose signature has been verified.

        Raises:
            DamageError: `unsupported_format` for a schema, suite or key derivation from the future, else `code`.
        """
        manifest = super().decode(data, code, where)
        stream, first = manifest.recording, manifest.sequence == 1
        if (manifest.previous is None) != first:
            raise DamageError(code, where, "only the first manifest of a session has no previous one")
        if stream.chunk_size not in CHUNK_SIZES or stream.tree.size != stream.chunk_count or not stream.chunk_count:
            raise DamageError(code, where, "chunk size, chunk count and tree size do not fit together")
        return manifest


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest whose signature has been verified: by which key, and in which envelope, with which SHA-256."""

    manifest: Manifest
    key_id: str
    envelope_sha256: bytes
    envelope: bytes = field(repr=False)


def open_envelope(data: bytes, trusted: Iterable[PublicKey], where: str) -> SignedManifest:
    """Verify a manifest's envelope, then parse those very bytes.

    Raises:
        DamageError: `manifest_malformed`, `unsupported_format`, `unknown_signer` or `signature_invalid`.
    """
    signed = envelope.verify(data, PAYLOAD_TYPE, trusted, where)
    manifest = Manifest.decode(signed.payload, DamageCode.MANIFEST_MALFORMED, where)
    return SignedManifest(manifest, signed.key_id, sha256(data).digest(), data)


def suite_of(aead: str) -> Suite:
    """The suite with this IANA name.

    Raises:
        DamageError: `unsupported_format` if this version knows no such suite.
    """
    if aead not in _SUITES:
        raise DamageError(DamageCode.UNSUPPORTED_FORMAT, "suite", "this version knows no such suite")
    return _SUITES[aead]
