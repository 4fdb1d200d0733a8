"""What the JSON documents of the format have in common: strict models, canonical bytes, one way to refuse."""

import base64
from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from lucid_pipeline.archive import canonical
from lucid_pipeline.archive.damage import DamageCode, DamageError


def _from_hex(value: Any) -> Any:
    if isinstance(value, str):
        data = bytes.fromhex(value)
        if len(data) != 32 or data.hex() != value:
            raise ValueError("a digest is 64 lower-case hex digits")
        return data
    return value


Digest = Annotated[bytes, BeforeValidator(_from_hex), PlainSerializer(bytes.hex)]
"""32 bytes, written as 64 lower-case hex digits."""


def _from_base64(value: Any) -> Any:
    if isinstance(value, str):
        data = base64.b64decode(value, validate=True)
        if _to_base64(data) != value:
            raise ValueError("not the one way to write these bytes in base64")
        return data
    return value


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


Base64 = Annotated[bytes, BeforeValidator(_from_base64), PlainSerializer(_to_base64)]
"""Bytes, written as base64 (RFC 4648, section 4)."""


class Document(BaseModel):
    """A JSON document, or a part of one: no unknown fields, no coercion of types, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    versions: ClassVar[Mapping[str, Collection[str]]] = {}
    """Fields that tell a version, and the values that this version of Lucid knows."""

    def encode(self) -> bytes:
        """The document's canonical bytes (RFC 8785)."""
        return canonical.encode(self.model_dump(mode="json", by_alias=True))

    @classmethod
    def decode(cls, data: bytes, code: DamageCode, where: str) -> Self:
        """Parse canonical bytes: exactly those that `encode` would make of what they say.

        Raises:
            DamageError: `unsupported_format` if a versioned field has a value from the future, else `code`.
        """
        try:
            document = cls.model_validate_json(data)
            if document.encode() != data:
                raise canonical.NotCanonical("not in canonical form")
        except ValueError as error:
            if name := cls._unknown_version(data):
                raise DamageError(DamageCode.UNSUPPORTED_FORMAT, where, f"this version knows no such {name}") from error
            raise DamageError(code, where, cls._reason(error)) from error
        return document

    @classmethod
    def _reason(cls, error: ValueError) -> str:
        """What is wrong, in words of this format alone: a forged document has no say in what a report shows."""
        if not isinstance(error, ValidationError):
            return str(error)
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        known = {field.alias or name for name, field in cls.model_fields.items()}
        place = f" in {first['loc'][0]}" if first["loc"] and first["loc"][0] in known else ""
        return f"not such a document: {first['type']}{place}"

    @classmethod
    def _unknown_version(cls, data: bytes) -> str | None:
        try:
            fields = canonical.decode(data)
        except canonical.NotCanonical:
            return None
        strings = {name: fields[name] for name in cls.versions if isinstance(fields.get(name), str)}
        return next((name for name, value in strings.items() if value not in cls.versions[name]), None)
