"""Encryption keys: the session's DEK, recipients and identities, and the key slots that wrap a DEK for a recipient.

A key slot is HPKE (RFC 9180) base mode, single shot, with MLKEM768_X25519, HKDF_SHA256 and CHACHA20_POLY1305. Whoever
holds only recipients can wrap and never unwrap.
"""

import os
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import ClassVar, Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import KEY_BYTES

COMMITMENT_BYTES = 32

_HPKE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_SLOT_INFO = b"lucid/keyslot@v1\x00"
_COMMIT_INFO = b"lucid/dek-commit@v1"
_MLKEM_SEED_BYTES = 64
_MLKEM_PUBLIC_BYTES = 1184
_X25519_BYTES = 32


def key_id(public: bytes) -> str:
    """The id of any public key: the first 16 hex digits of SHA-256 over its raw bytes."""
    return sha256(public).hexdigest()[:16]


class Dek:
    """A data encryption key: 32 random bytes, one for each attempt to encrypt a session. Never shown by `repr`."""

    __slots__ = ("secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise ValueError(f"a DEK has {KEY_BYTES} bytes")
        self.secret = secret

    @classmethod
    def generate(cls) -> Self:
        """A new random key."""
        return cls(os.urandom(KEY_BYTES))

    def commitment(self, session_id: UUID) -> bytes:
        """What the manifest says of this key: HKDF-Expand-SHA512(DEK, "lucid/dek-commit@v1" ‖ session id, 32)."""
        return HKDFExpand(SHA512(), COMMITMENT_BYTES, _COMMIT_INFO + session_id.bytes).derive(self.secret)

    def __repr__(self) -> str:
        return "Dek(…)"


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A DEK wrapped for one recipient: encapsulated key ‖ ciphertext, as HPKE's single shot makes it."""

    recipient_id: str
    wrapped: bytes


class Recipient:
    """The public half of an encryption key pair: ML-KEM-768 key (1184 bytes) ‖ X25519 key (32 bytes)."""

    KIND: ClassVar = "lucid-recipient-v1"

    def __init__(self, raw: bytes) -> None:
        if len(raw) != _MLKEM_PUBLIC_BYTES + _X25519_BYTES:
            raise ValueError(f"a recipient has {_MLKEM_PUBLIC_BYTES + _X25519_BYTES} bytes")
        self.raw = raw
        self.id = key_id(raw)
        x25519 = X25519PublicKey.from_public_bytes(raw[_MLKEM_PUBLIC_BYTES:])
        # Refuses a point of low order (RFC 7748, 6.1) here, where the key is read, and not when it is first used.
        X25519PrivateKey.generate().exchange(x25519)
        self._key = MLKEM768X25519PublicKey(MLKEM768PublicKey.from_public_bytes(raw[:_MLKEM_PUBLIC_BYTES]), x25519)

    def wrap(self, dek: Dek, session_id: UUID) -> KeySlot:
        """Make the key slot that this recipient's identity opens."""
        return KeySlot(self.id, _HPKE.encrypt(dek.secret, self._key, _slot_info(session_id, self.id)))


class Identity:
    """The private half: ML-KEM-768 seed (64 bytes) ‖ X25519 private key (32 bytes). Never shown by `repr`."""

    KIND: ClassVar = "lucid-identity-v1"

    def __init__(self, raw: bytes) -> None:
        if len(raw) != _MLKEM_SEED_BYTES + _X25519_BYTES:
            raise ValueError(f"an identity has {_MLKEM_SEED_BYTES + _X25519_BYTES} bytes")
        self.raw = raw
        mlkem = MLKEM768PrivateKey.from_seed_bytes(raw[:_MLKEM_SEED_BYTES])
        x25519 = X25519PrivateKey.from_private_bytes(raw[_MLKEM_SEED_BYTES:])
        self._key = MLKEM768X25519PrivateKey(mlkem, x25519)
        self.recipient = Recipient(mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """A new random identity."""
        return cls(MLKEM768PrivateKey.generate().private_bytes_raw() + os.urandom(_X25519_BYTES))

    def unwrap(self, slot: KeySlot, session_id: UUID, commitment: bytes) -> Dek:
        """Open a key slot, and refuse a DEK that is not the one the manifest commits to.

        Raises:
            DamageError: `decrypt_failed` if the slot is not for this identity and session, `commitment_mismatch` if it
                wraps another DEK.
        """
        where = f"key slot {slot.recipient_id}"
        try:
            dek = Dek(_HPKE.decrypt(slot.wrapped, self._key, _slot_info(session_id, self.recipient.id)))
        except (InvalidTag, ValueError) as error:
            raise DamageError(DamageCode.DECRYPT_FAILED, where, "the slot does not open") from error
        if not compare_digest(dek.commitment(session_id), commitment):
            raise DamageError(DamageCode.COMMITMENT_MISMATCH, where, "the slot wraps another key")
        return dek

    def __repr__(self) -> str:
        return f"Identity({self.recipient.id})"


def _slot_info(session_id: UUID, recipient_id: str) -> bytes:
    return _SLOT_INFO + session_id.bytes + bytes.fromhex(recipient_id)
