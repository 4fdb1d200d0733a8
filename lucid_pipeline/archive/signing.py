"""Ed25519 signing keys and the public keys that verify their signatures."""

import os
from typing import ClassVar, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lucid_pipeline.archive.keys import key_id

_KEY_BYTES = 32

# The y-coordinates of the eight points of low order. Source: C2SP CCTV, ed25519, "low_order_A".
_P = 2**255 - 19
_Y8 = int("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826", 16)
_LOW_ORDER = frozenset((1, _P - 1, 0, _Y8, _P - _Y8))


class PublicKey:
    """The half that verifies; 32 raw bytes. A point of low order is refused: anyone can sign for such a key."""

    KIND: ClassVar = "lucid-public-key-v1"

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.id = key_id(raw)
        self._key = Ed25519PublicKey.from_public_bytes(raw)
        if _y_coordinate(raw) in _LOW_ORDER:
            raise ValueError("a public key of low order")

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature (64 bytes) is this key's over the message."""
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _y_coordinate(raw: bytes) -> int:
    """Of an encoded point (RFC 8032, 5.1.2), without the sign of x, and reduced where it is not canonical."""
    return (int.from_bytes(raw, "little") & (2**255 - 1)) % _P


class SigningKey:
    """The half that signs; 32 raw bytes (RFC 8032, 5.1.5). Never shown by `repr`."""

    KIND: ClassVar = "lucid-signing-key-v1"

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._key = Ed25519PrivateKey.from_private_bytes(raw)
        self.public = PublicKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(os.urandom(_KEY_BYTES))

    def sign(self, message: bytes) -> bytes:
        """The signature over the message, 64 bytes."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.public.id})"
