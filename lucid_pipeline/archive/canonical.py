"""JSON as it is signed: RFC 8785 out, and a strict reader in.

Integers of 2**53 and more lose digits in many readers, and RFC 8785 refuses them, so they travel as decimal strings
(`BigInt`).
"""

import json
from typing import Annotated, Any

import rfc8785
from pydantic import BeforeValidator, Field, PlainSerializer

MAX_SAFE_INTEGER = 2**53 - 1


class NotCanonical(ValueError):
    """The bytes are not the RFC 8785 form of one JSON object."""


class DoubleKey(NotCanonical):
    """A key stands twice in one object; the message does not quote it."""

    def __init__(self, key: str) -> None:
        super().__init__("a key stands twice in one object")
        self.key = key


def encode(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value."""
    return rfc8785.dumps(value)


def decode(data: bytes) -> dict[str, Any]:
    """Parse one JSON object that must be in RFC 8785 form; a duplicate key, a NaN or a loose form is refused.

    Raises:
        NotCanonical: the bytes are anything else.
    """
    try:
        value = parse(data)
        canonical = rfc8785.dumps(value)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError) as error:
        raise NotCanonical(f"not canonical JSON: {error}") from error
    if not isinstance(value, dict):
        raise NotCanonical("not a JSON object")
    if canonical != data:
        raise NotCanonical("JSON, but not in RFC 8785 form")
    return value


def parse(data: bytes) -> Any:
    """Parse JSON in UTF-8, in whatever form, but without a duplicate key or a NaN.

    Raises:
        ValueError: the bytes are anything else.
        RecursionError: it is nested too deeply.
    """
    return json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise DoubleKey(key)
        found[key] = value
    return found


def _refuse_constant(name: str) -> None:
    raise NotCanonical(f"{name} is not a JSON number")


def _from_json(value: Any) -> Any:
    if isinstance(value, str):
        if not (value.isascii() and value.isdecimal()) or int(value) <= MAX_SAFE_INTEGER or value[0] == "0":
            raise ValueError("only an integer of 2**53 or more is written as a decimal string")
        return int(value)
    return value


def _to_json(value: int) -> int | str:
    return value if value <= MAX_SAFE_INTEGER else str(value)


BigInt = Annotated[int, Field(ge=0, lt=2**64, strict=True), BeforeValidator(_from_json), PlainSerializer(_to_json)]
"""A count or length from 0 to 2**64 - 1: a JSON number below 2**53, a decimal string from there on."""
