"""Chunk objects: C2SP chunked encryption (c2sp.org/chunked-encryption, HKDF-Expand-SHA512) behind a 40-byte header.

The header is the *context* of the encryption, so an object proves its session, stream, index and flags. Each object has
a salt of its own, drawn at random for every attempt. Segments are 16 KiB; the last is always shorter, and may be empty.
"""

import os
import struct
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag
from hmac import compare_digest
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lucid_pipeline.archive.damage import DamageCode, DamageError

MAGIC = b"LUC1"
VERSION = 1
SEGMENT_BYTES = 16 * 1024
TAG_BYTES = 16
SALT_BYTES = 24
COMMITMENT_BYTES = 32
KEY_BYTES = 32

_NONCE_BYTES = 12
_SEALED_SEGMENT = SEGMENT_BYTES + TAG_BYTES
_INFO_PREFIX = b"c2sp.org/chunked-encryption@v1+"
_HEADER = struct.Struct(">4sBBBB16sIQI")

HEADER_BYTES = _HEADER.size
MESSAGE_OFFSET = HEADER_BYTES + SALT_BYTES + COMMITMENT_BYTES


class Suite(IntEnum):
    """The AEAD of a session, as in a chunk object's header; `aead` is its IANA name."""

    AES_256_GCM = 1
    CHACHA20_POLY1305 = 2

    @property
    def aead(self) -> str:
        """The name in the IANA registry of AEAD algorithms."""
        return f"AEAD_{self.name}"


class ChunkFlags(IntFlag):
    """Flags of a chunk object; all other bits are zero in version 1."""

    NONE = 0
    LAST = 1
    PADDED = 2
    SEALED_METADATA = 4


@dataclass(frozen=True, slots=True)
class ChunkHeader:
    """The first 40 bytes of a chunk object, which its encryption authenticates."""

    suite: Suite
    session_id: UUID
    index: int
    flags: ChunkFlags = ChunkFlags.NONE
    stream_id: int = 0

    def pack(self) -> bytes:
        """The header's 40 bytes."""
        return _HEADER.pack(
            MAGIC, VERSION, self.suite, self.flags, 0, self.session_id.bytes, self.stream_id, self.index, 0
        )

    def without_padding(self) -> "ChunkHeader":
        """The same header for a frame that is not padded."""
        return replace(self, flags=self.flags & ~ChunkFlags.PADDED)

    @classmethod
    def parse(cls, data: memoryview, where: str) -> "ChunkHeader":
        """Read the header of a chunk object.

        Raises:
            DamageError: `unsupported_format` for anything but version 1 as it is specified.
        """
        if len(data) < HEADER_BYTES:
            raise _unsupported(where, "shorter than a header")
        magic, version, suite, flags, zero8, session_id, stream_id, index, zero32 = _HEADER.unpack_from(data)
        if magic != MAGIC or version != VERSION:
            raise _unsupported(where, f"not version {VERSION} of the format")
        if suite not in Suite.__members__.values():
            raise _unsupported(where, f"unknown suite {suite}")
        if flags & ~sum(ChunkFlags) or zero8 or zero32:
            raise _unsupported(where, f"unknown flags {flags:#04x} or reserved bytes that are not zero")
        return cls(Suite(suite), UUID(bytes=session_id), index, ChunkFlags(flags), stream_id)


@dataclass(frozen=True, slots=True)
class _MessageKey:
    aead: AESGCM | ChaCha20Poly1305
    base_nonce: int
    commitment: bytes

    def nonce(self, segment: int) -> bytes:
        return (self.base_nonce ^ segment).to_bytes(_NONCE_BYTES, "big")


def encrypted_length(plaintext_length: int) -> int:
    """Length of the chunk object that holds so many plaintext bytes."""
    return MESSAGE_OFFSET + plaintext_length + (plaintext_length // SEGMENT_BYTES + 1) * TAG_BYTES


def plaintext_length(object_length: int) -> int | None:
    """Plaintext bytes in a chunk object of this length, or None where no message has such a length."""
    full, rest = divmod(object_length - MESSAGE_OFFSET, _SEALED_SEGMENT)
    return full * SEGMENT_BYTES + rest - TAG_BYTES if full >= 0 and rest >= TAG_BYTES else None


def encrypt_object(header: ChunkHeader, key: bytes, plaintext: memoryview, out: memoryview) -> memoryview:
    """Encrypt one chunk object into `out`, under a fresh random salt, and return the part of `out` that it fills.

    Args:
        header: becomes the context of the encryption.
        key: the session's DEK, 32 bytes.
        plaintext: the frame.
        out: at least `encrypted_length(len(plaintext))` bytes; must not overlap `plaintext`.
    """
    salt = os.urandom(SALT_BYTES)
    packed = header.pack()
    out[:HEADER_BYTES] = packed
    out[HEADER_BYTES : HEADER_BYTES + SALT_BYTES] = salt
    length = HEADER_BYTES + encrypt_message(header.suite, key, packed, salt, plaintext, out[HEADER_BYTES:])
    return out[:length]


def decrypt_object(header: ChunkHeader, key: bytes, data: memoryview, out: memoryview, where: str) -> memoryview:
    """Decrypt one chunk object into `out`, and return the part of `out` that it fills.

    Args:
        header: what the object has to be; taken from signed data and the reader's own count, never from the object.
        key: the session's DEK.
        data: the whole object.
        out: at least `plaintext_length(len(data))` bytes.
        where: what the object is, for the damage report.

    Raises:
        DamageError: `unsupported_format`, `commitment_mismatch` or `decrypt_failed`.
    """
    found = ChunkHeader.parse(data, where)
    if found != header:
        raise DamageError(DamageCode.COMMITMENT_MISMATCH, where, "it belongs to another session, stream or place")
    length = decrypt_message(header.suite, key, header.pack(), data[HEADER_BYTES:], out, where)
    return out[:length]


def encrypt_message(
    suite: Suite, key: bytes, context: bytes, salt: bytes, plaintext: memoryview, out: memoryview
) -> int:
    """Write the message (salt, commitment, segments) into `out`; returns its length."""
    message = _derive(suite, key, context, salt)
    out[:SALT_BYTES] = salt
    at = SALT_BYTES + COMMITMENT_BYTES
    out[SALT_BYTES:at] = message.commitment
    with _aead_turn(suite):
        for segment, start in enumerate(range(0, len(plaintext) + 1, SEGMENT_BYTES)):
            part = plaintext[start : start + SEGMENT_BYTES]
            message.aead.encrypt_into(message.nonce(segment), part, None, out[at : at + len(part) + TAG_BYTES])
            at += len(part) + TAG_BYTES
    return at


def decrypt_message(suite: Suite, key: bytes, context: bytes, data: memoryview, out: memoryview, where: str) -> int:
    """Check the commitment, then decrypt the message `data` into `out`; returns the plaintext's length."""
    length = plaintext_length(HEADER_BYTES + len(data))
    if length is None:
        raise DamageError(DamageCode.DECRYPT_FAILED, where, "no message has this length: it is cut or extended")
    at = SALT_BYTES + COMMITMENT_BYTES
    message = _derive(suite, key, context, bytes(data[:SALT_BYTES]))
    if not compare_digest(message.commitment, bytes(data[SALT_BYTES:at])):
        raise DamageError(DamageCode.COMMITMENT_MISMATCH, where, "another key, header or salt made this object")
    segment = 0
    try:
        with _aead_turn(suite):
            for segment, start in enumerate(range(0, length + 1, SEGMENT_BYTES)):
                count = min(SEGMENT_BYTES, length - start)
                part = data[at : at + count + TAG_BYTES]
                message.aead.decrypt_into(message.nonce(segment), part, None, out[start : start + count])
                at += len(part)
    except InvalidTag as error:
        raise DamageError(DamageCode.DECRYPT_FAILED, where, f"segment {segment} is not authentic") from error
    return length


def _derive(suite: Suite, key: bytes, context: bytes, salt: bytes) -> _MessageKey:
    if len(key) != KEY_BYTES:
        raise ValueError(f"a key has {KEY_BYTES} bytes")
    info = _INFO_PREFIX + suite.aead.encode() + b"\x00" + salt + context
    derived = HKDFExpand(SHA512(), KEY_BYTES + _NONCE_BYTES + COMMITMENT_BYTES, info).derive(key)
    cipher = AESGCM if suite is Suite.AES_256_GCM else ChaCha20Poly1305
    base_nonce = int.from_bytes(derived[KEY_BYTES : KEY_BYTES + _NONCE_BYTES], "big")
    return _MessageKey(cipher(derived[:KEY_BYTES]), base_nonce, derived[KEY_BYTES + _NONCE_BYTES :])


_aes_turn = threading.Lock()


def _aead_turn(suite: Suite) -> AbstractContextManager[object]:
    """One thread at a time where a segment takes only a few microseconds.

    AES in hardware seals 16 KiB faster than two threads can hand the interpreter lock to each other: two at once are
    slower than one. Other stages of other threads still run beside it.
    """
    return _aes_turn if suite is Suite.AES_256_GCM else nullcontext()


def _unsupported(where: str, detail: str) -> DamageError:
    return DamageError(DamageCode.UNSUPPORTED_FORMAT, where, detail)
