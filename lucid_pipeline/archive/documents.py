"""What the JSON documents of the format have in common: strict models, canonical bytes, one way to refuse."""

import base64
from typing import Annotated, Any, Self

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
    return base64.b64decode(value, validate=True) if isinstance(value, str) else value


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


Base64 = Annotated[bytes, BeforeValidator(_from_base64), PlainSerializer(_to_base64)]
"""Bytes, written as base64 (RFC 4648, section 4)."""


class Document(BaseModel):
    """A JSON document, or a part of one: no unknown fields, no coercion of types, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    def encode(self) -> bytes:
        """The document's canonical bytes (RFC 8785)."""
        return canonical.encode(self.model_dump(mode="json", by_alias=True))

    @classmethod
    def decode(cls, data: bytes, code: DamageCode, where: str) -> Self:
        """Parse canonical bytes.

        Raises:
            DamageError: with this `code`, if the bytes are not canonical JSON or not such a document.
        """
        try:
            canonical.decode(data)
            return cls.model_validate_json(data)
        except ValueError as error:
            raise DamageError(code, where, reason(error)) from error


def reason(error: ValueError) -> str:
    """One line that says what is wrong with a document, without quoting what it holds."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error)
