"""Makes Lucid's known-answer vectors of format version 1: `python -m tests.vectors.make_luc1_vectors FOLDER`.

They were made once and are frozen in `luc1/`: a change of Lucid must never need new ones. All is made from a seed, but
for key slots, whose encapsulation draws its own randomness. Compressed payloads are those of the zstd and lz4 of
that day.
"""

import base64
import json
import random
import struct
import sys
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import lz4.frame
import zstandard

from lucid_pipeline.archive import canonical, envelope, merkle
from lucid_pipeline.archive.chunk_table import ChunkObject, ChunkTable
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import padme_length
from lucid_pipeline.archive.encryption import (
    HEADER_BYTES,
    MESSAGE_OFFSET,
    SEGMENT_BYTES,
    ChunkFlags,
    ChunkHeader,
    Suite,
    encrypt_message,
    encrypted_length,
)
from lucid_pipeline.archive.keys import Dek, Identity
from lucid_pipeline.archive.layout import chunk_key
from lucid_pipeline.archive.manifest import PAYLOAD_TYPE
from lucid_pipeline.archive.signing import SigningKey
from tests.vectors.luc1_model import assemble, plaintext

Json = dict[str, Any]

RANDOM = random.Random("Lucid's known-answer vectors of format version 1")
SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
OTHER_SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c")
SEALED_SEGMENT = SEGMENT_BYTES + 16
LAST, PADDED, SEALED = ChunkFlags.LAST, ChunkFlags.PADDED, ChunkFlags.SEALED_METADATA


def encrypt(header: ChunkHeader, key: bytes, salt: bytes, data: bytes) -> bytes:
    """A chunk object under a known salt."""
    out = memoryview(bytearray(encrypted_length(len(data))))
    encrypt_message(header.suite, key, header.pack(), salt, memoryview(data), out[HEADER_BYTES:])
    out[:HEADER_BYTES] = header.pack()
    return bytes(out)


def describe(header: ChunkHeader) -> Json:
    return {
        "suite": int(header.suite),
        "session_id": str(header.session_id),
        "stream_id": header.stream_id,
        "index": str(header.index),
        "flags": int(header.flags),
    }


# Chunk objects


def chunk_objects() -> Json:
    positive, negative = [], []
    for suite in Suite:
        key = RANDOM.randbytes(32)
        small = positive_object(f"{suite.name} small", ChunkHeader(suite, SESSION, 3, LAST | PADDED), key, 37)
        long = positive_object(f"{suite.name} three segments", ChunkHeader(suite, SESSION, 1), key, 2 * 16384 + 100)
        twin = positive_object(f"{suite.name} three more", ChunkHeader(suite, SESSION, 1), key, 2 * 16384 + 100)
        positive += [small, long, twin]
        for length in (0, 1, 16383, 16384, 16385, 32768):
            positive.append(
                positive_object(f"{suite.name} {length} bytes", ChunkHeader(suite, SESSION, 0, LAST), key, length)
            )
        farthest = ChunkHeader(suite, UUID(int=2**128 - 1), 2**64 - 1, LAST | PADDED | SEALED, 2**32 - 1)
        positive.append(positive_object(f"{suite.name} every field at its largest", farthest, key, 5))
        negative += damaged_small(small) + damaged_long(long, twin)
    return {"positive": positive, "negative": negative}


def positive_object(name: str, header: ChunkHeader, key: bytes, length: int) -> Json:
    salt = RANDOM.randbytes(24)
    data = encrypt(header, key, salt, plaintext(length))
    return {
        "name": name,
        "header": describe(header),
        "key": key.hex(),
        "salt": salt.hex(),
        "plaintext_length": length,
        "object_length": len(data),
        "object_begin": data[: MESSAGE_OFFSET + 16].hex(),
        "object_end": data[-16:].hex(),
        "object_sha256": sha256(data).hexdigest(),
        "object": data.hex() if len(data) < 256 else None,
    }


def damaged_small(base: Json) -> list[Json]:
    name = base["name"]
    return [
        {"name": f"{name}: {what}", "base": name, "object": parts, "read_as": read_as, "code": code}
        for what, code, parts, read_as in [*other_headers(base), *other_messages(base), *other_places(base)]
    ]


Damaged = tuple[str, str, list[Any], Json]


def with_byte(base: Json, offset: int, value: int) -> list[Any]:
    name, length = base["name"], base["object_length"]
    return [[name, 0, offset], f"{value:02x}", [name, offset + 1, length]]


def other_headers(base: Json) -> list[Damaged]:
    data = object_of(base)
    unsupported = [
        *(("magic", offset, data[offset] ^ 0x20) for offset in range(4)),
        *(("version", 4, value) for value in (0, 2, 255)),
        *(("suite", 5, value) for value in (0, 3, 255)),
        *(("flags", 6, 3 | 1 << bit) for bit in range(3, 8)),
        *(("reserved", 7, value) for value in (1, 0x80)),
        *(("reserved", offset, 1) for offset in range(36, 40)),
    ]
    elsewhere = [
        ("suite", 5, 3 - data[5]),
        *(("flags", 6, value) for value in (0, 1, 2, 7)),
        *(("session id", offset, data[offset] ^ 1) for offset in (8, 23)),
        *(("stream id", offset, 1) for offset in (24, 27)),
        *(("index", offset, 9) for offset in (28, 35)),
    ]
    return [
        (f"{what}, byte {offset} is {value:#04x}", code, with_byte(base, offset, value), {})
        for code, changes in (("unsupported_format", unsupported), ("commitment_mismatch", elsewhere))
        for what, offset, value in changes
    ]


def other_messages(base: Json) -> list[Damaged]:
    name, length, data = base["name"], base["object_length"], object_of(base)
    bytes_of = {
        "first byte of the salt": (40, "commitment_mismatch"),
        "last byte of the salt": (63, "commitment_mismatch"),
        "first byte of the commitment": (64, "commitment_mismatch"),
        "last byte of the commitment": (95, "commitment_mismatch"),
        "first byte of the ciphertext": (96, "decrypt_failed"),
        "last byte of the ciphertext": (length - 17, "decrypt_failed"),
        "first byte of the tag": (length - 16, "decrypt_failed"),
        "last byte of the tag": (length - 1, "decrypt_failed"),
    }
    return [
        *(
            (f"{what}, bit {bit:#04x} flipped", code, with_byte(base, offset, data[offset] ^ bit), {})
            for what, (offset, code) in bytes_of.items()
            for bit in (0x01, 0x80)
        ),
        *((f"cut to {cut} bytes", "unsupported_format", [[name, 0, cut]], {}) for cut in (0, 4, 39)),
        *(
            (f"cut to {cut} bytes", "decrypt_failed", [[name, 0, cut]], {})
            for cut in (40, 63, 64, 95, 96, 111, 112, length - 16, length - 1)
        ),
        *(
            (f"{more} zero bytes appended", "decrypt_failed", [[name, 0, length], "00" * more], {})
            for more in (1, 15, 16, 17)
        ),
    ]


def other_places(base: Json) -> list[Damaged]:
    name, length = base["name"], base["object_length"]
    whole: list[Any] = [[name, 0, length]]
    moved: list[Any] = [replace(header_of(base), index=4).pack().hex(), [name, HEADER_BYTES, length]]
    found: list[tuple[str, list[Any], Json]] = [
        ("read as another session", whole, {"session_id": str(OTHER_SESSION)}),
        ("read as another stream", whole, {"stream_id": 1}),
        ("read as another index", whole, {"index": "4"}),
        ("read as not the last", whole, {"flags": 2}),
        ("read as sealed metadata", whole, {"flags": 7}),
        ("read with another suite", whole, {"suite": 3 - base["header"]["suite"]}),
        ("read with another key", whole, {"key": "00" * 32}),
        ("moved, its header rewritten", moved, {"index": "4"}),
    ]
    return [(what, "commitment_mismatch", parts, read_as) for what, parts, read_as in found]


def object_of(base: Json) -> bytes:
    key, salt = bytes.fromhex(base["key"]), bytes.fromhex(base["salt"])
    return encrypt(header_of(base), key, salt, plaintext(base["plaintext_length"]))


def header_of(base: Json) -> ChunkHeader:
    fields = base["header"]
    return ChunkHeader(
        Suite(fields["suite"]),
        UUID(fields["session_id"]),
        int(fields["index"]),
        ChunkFlags(fields["flags"]),
        fields["stream_id"],
    )


def damaged_long(base: Json, twin: Json) -> list[Json]:
    name, length = base["name"], base["object_length"]
    borders = [MESSAGE_OFFSET, MESSAGE_OFFSET + SEALED_SEGMENT, MESSAGE_OFFSET + 2 * SEALED_SEGMENT, length]
    head = [name, 0, MESSAGE_OFFSET]
    first, second, short = ([name, borders[at], borders[at + 1]] for at in range(3))
    other_first, other_short = ([twin["name"], borders[at], borders[at + 1]] for at in (0, 2))
    rearranged = {
        "first two segments swapped": [head, second, first, short],
        "all segments reversed": [head, short, second, first],
        "first segment dropped": [head, second, short],
        "second segment dropped": [head, first, short],
        "last segment dropped": [head, first, second],
        "last two segments dropped": [head, first],
        "all segments dropped": [head],
        "first segment twice": [head, first, first, short],
        "second segment three times": [head, first, second, second, second, short],
        "last segment twice": [head, first, second, short, short],
        "a full segment appended": [head, first, second, short, first],
        "an empty segment's tag appended": [head, first, second, short, "00" * 16],
        "last byte cut off": [head, first, second, [name, borders[2], length - 1]],
        "cut at a tag": [head, first, second, [name, borders[2], length - 16]],
        "first segment of another object": [head, other_first, second, short],
        "last segment of another object": [head, first, second, other_short],
    }
    rearranged["salt and commitment of another object"] = [[name, 0, 40], [twin["name"], 40, 96], [name, 96, length]]
    negative = {"base": name, "read_as": {}}
    return [
        *(
            {"name": f"{name}: {what}", **negative, "object": parts, "code": "decrypt_failed"}
            for what, parts in rearranged.items()
        ),
        {
            "name": f"{name}: salt of another object",
            **negative,
            "object": [[name, 0, 40], [twin["name"], 40, 64], [name, 64, length]],
            "code": "commitment_mismatch",
        },
    ]


# Frames and padding


def frame(
    codec: int,
    raw_length: int,
    payload: bytes,
    *,
    flags: int = 0,
    zero16: int = 0,
    zero32: int = 0,
    padding: bytes = b"",
) -> bytes:
    return struct.pack(">BBHIII", codec, flags, zero16, raw_length, len(payload), zero32) + payload + padding


def padded(data: bytes) -> bytes:
    return data + bytes(padme_length(len(data)) - len(data))


def frames() -> Json:
    raw = b"Lucid keeps what happened, and says exactly what is damaged. " * 8
    zstd, lz = zstandard.ZstdCompressor(level=3).compress(raw), lz4.frame.compress(raw)
    noise = RANDOM.randbytes(101)

    def positive(name: str, data: bytes, raw: bytes, *, is_padded: bool = False) -> Json:
        return {"name": name, "frame": data.hex(), "padded": is_padded, "largest": MIB, "raw": raw.hex()}

    def negative(
        name: str, data: bytes, *, code: str = "frame_malformed", is_padded: bool = False, largest: int = MIB
    ) -> Json:
        return {"name": name, "frame": data.hex(), "padded": is_padded, "largest": largest, "code": code}

    good = [
        positive("stored, empty", frame(0, 0, b""), b""),
        positive("stored, one byte", frame(0, 1, b"x"), b"x"),
        positive("stored", frame(0, 101, noise), noise),
        positive("stored, empty, padded", padded(frame(0, 0, b"")), b"", is_padded=True),
        positive("stored, padded", padded(frame(0, 101, noise)), noise, is_padded=True),
        positive("zstd", frame(1, len(raw), zstd), raw),
        positive("zstd, padded", padded(frame(1, len(raw), zstd)), raw, is_padded=True),
        positive("zstd of zeros", frame(1, 5000, zstandard.compress(bytes(5000))), bytes(5000)),
        positive("lz4", frame(2, len(raw), lz), raw),
        positive("lz4, padded", padded(frame(2, len(raw), lz)), raw, is_padded=True),
        positive("lz4 without a declared length", frame(2, len(raw), lz4.frame.compress(raw, store_size=False)), raw),
    ]
    stored = frame(0, 101, noise)
    with_padding = padded(stored)
    first_padding = len(stored)
    bomb = bytes(MIB)
    undeclared = zstandard.ZstdCompressor(write_content_size=False)
    bad = [
        *(
            negative(f"codec {codec}", frame(codec, 101, noise), code="unsupported_format")
            for codec in (3, 4, 128, 255)
        ),
        *(
            negative(f"flags {flags:#04x}", frame(0, 101, noise, flags=flags), code="unsupported_format")
            for flags in (1, 128)
        ),
        *(
            negative(f"first zero field {v:#06x}", frame(0, 101, noise, zero16=v), code="unsupported_format")
            for v in (1, 0x8000)
        ),
        *(
            negative(f"second zero field {v:#010x}", frame(0, 101, noise, zero32=v), code="unsupported_format")
            for v in (1, 0x80000000)
        ),
        *(negative(f"cut to {length} bytes", stored[:length]) for length in (0, 1, 15, 16, 116)),
        negative("one byte too long", stored + b"\0"),
        negative("padding that is not announced", with_padding),
        negative("announced padding that is not there", stored, is_padded=True),
        negative("one byte of padding too little", with_padding[:-1], is_padded=True),
        negative("one byte of padding too much", with_padding + b"\0", is_padded=True),
        negative("padded to the next length but one", padded(with_padding + b"\0"), is_padded=True),
        negative(
            "first byte of padding is not zero",
            with_padding[:first_padding] + b"\1" + with_padding[first_padding + 1 :],
            is_padded=True,
        ),
        negative("last byte of padding is not zero", with_padding[:-1] + b"\x80", is_padded=True),
        negative("raw length above the chunk size", stored, largest=100),
        negative("stored, raw length too small", frame(0, 100, noise)),
        negative("stored, raw length too large", frame(0, 102, noise)),
        negative("payload length beyond the frame", struct.pack(">BBHIII", 0, 0, 0, 101, 102, 0) + noise),
        negative("payload length of 2^32 - 1", struct.pack(">BBHIII", 0, 0, 0, 101, 2**32 - 1, 0) + noise),
        negative("zstd, raw length too small", frame(1, len(raw) - 1, zstd)),
        negative("zstd, raw length too large", frame(1, len(raw) + 1, zstd)),
        negative("zstd, cut", frame(1, len(raw), zstd[:-1])),
        negative("zstd, a byte behind it", frame(1, len(raw), zstd + b"\0")),
        negative("zstd, a second frame behind it", frame(1, len(raw), zstd + zstandard.compress(b""))),
        negative("zstd, empty", frame(1, 0, zstandard.compress(b""))),
        negative("zstd without a declared length", frame(1, len(raw), undeclared.compress(raw))),
        negative("zstd, no payload", frame(1, 5, b"")),
        negative("zstd that is not zstd", frame(1, 101, noise)),
        negative("zstd in an lz4 frame", frame(2, len(raw), zstd)),
        negative("zstd that declares what it inflates to", frame(1, 1000, zstandard.compress(bomb))),
        negative("zstd that inflates without saying so", frame(1, 1000, undeclared.compress(bomb))),
        negative("lz4, raw length too small", frame(2, len(raw) - 1, lz)),
        negative("lz4, raw length too large", frame(2, len(raw) + 1, lz)),
        negative("lz4, cut", frame(2, len(raw), lz[:-1])),
        negative("lz4, a byte behind it", frame(2, len(raw), lz + b"\0")),
        negative("lz4, a second frame behind it", frame(2, len(raw), lz + lz4.frame.compress(b""))),
        negative("lz4, empty", frame(2, 0, lz4.frame.compress(b""))),
        negative("lz4, no payload", frame(2, 5, b"")),
        negative("lz4 that is not lz4", frame(2, 101, noise)),
        negative("lz4 in a zstd frame", frame(1, len(raw), lz)),
        negative("lz4 that inflates beyond its raw length", frame(2, 1000, lz4.frame.compress(bytes(64 * 1024)))),
    ]
    return {"positive": good, "negative": bad, "padme": padme_table()}


def padme_table() -> list[list[str]]:
    """Lengths and padded lengths, by Algorithm 1 of the paper once more."""

    def of_the_paper(length: int) -> int:
        exponent = length.bit_length() - 1
        low_bits = exponent - exponent.bit_length()
        step = 2**low_bits
        return -(-length // step) * step

    lengths = [
        *range(2, 70),
        *(2**n + more for n in range(7, 41) for more in (-1, 0, 1, 16)),
        *(10**n for n in range(2, 12)),
    ]
    return [[str(length), str(of_the_paper(length))] for length in sorted(set(lengths))]


# Sealed metadata

DOCUMENT: Json = {
    "schema": "lucid/sealed@v1",
    "recording": {
        "name": "größe.cast",
        "media_type": "application/x-asciicast",
        "length": MIB + 5,
        "sha256": sha256(b"the plaintext").hexdigest(),
        "started_at": "2026-01-02T03:04:05.000Z",
        "ended_at": None,
        "user": "alice",
        "host": "db-1.example.org",
        "protocol": "ssh",
        "tags": {"ticket": "OPS-7"},
        "terminal": {"columns": 80, "rows": 24},
        "duration_ms": 61000,
    },
    "chunks": [
        {"offset": 0, "length": MIB, "first_ms": 0, "last_ms": 60999},
        {"offset": MIB, "length": 5, "first_ms": None, "last_ms": None},
    ],
}


def sealed_metadata() -> Json:
    positive: list[Json] = []
    negative: list[Json] = []
    for suite in Suite:
        key = RANDOM.randbytes(32)
        common = {
            "suite": int(suite),
            "session_id": str(SESSION),
            "key": key.hex(),
            "chunk_size": MIB,
            "chunk_count": 2,
        }
        seal = sealer(suite, key)
        document = canonical.encode(DOCUMENT)
        for name, data in (("zstd", zstd_frame(document)), ("stored", stored_frame(document))):
            good = {"name": f"{suite.name} {name}", **common, "object": seal(data), "document": document.decode()}
            positive.append(good)
        negative += [
            {"name": f"{suite.name} {name}", **common, **read_as, "object": data, "code": code}
            for name, code, data, read_as in damaged_seals(seal, suite)
        ]
        negative += [
            {"name": f"{suite.name} {name}", **common, "object": seal(stored_frame(data)), "code": code}
            for name, code, data in other_documents()
        ]
    return {"positive": positive, "negative": negative}


def stored_frame(data: bytes) -> bytes:
    return padded(frame(0, len(data), data))


def zstd_frame(data: bytes) -> bytes:
    return padded(frame(1, len(data), zstandard.ZstdCompressor(level=3).compress(data)))


def damaged_seals(seal: Callable[..., str], suite: Suite) -> list[tuple[str, str, str, Json]]:
    document = canonical.encode(DOCUMENT)
    good = stored_frame(document)
    data = seal(good)
    last_byte = f"{int(data[-2:], 16) ^ 1:02x}"
    future = padded(frame(9, len(document), document))
    return [
        ("read as another session", "commitment_mismatch", data, {"session_id": str(OTHER_SESSION)}),
        ("read with another suite", "commitment_mismatch", data, {"suite": 3 - int(suite)}),
        ("read with another key", "commitment_mismatch", data, {"key": "11" * 32}),
        ("without the flag for sealed metadata", "commitment_mismatch", seal(good, flags=PADDED), {}),
        ("without the flag for padding", "commitment_mismatch", seal(good, flags=SEALED), {}),
        ("with the flag for the last chunk", "commitment_mismatch", seal(good, flags=LAST | PADDED | SEALED), {}),
        ("with the flags of a chunk", "commitment_mismatch", seal(good, flags=LAST | PADDED), {}),
        ("with index 1", "commitment_mismatch", seal(good, index=1), {}),
        ("with another last byte", "decrypt_failed", data[:-2] + last_byte, {}),
        ("cut by a byte", "decrypt_failed", data[:-2], {}),
        ("not padded", "frame_malformed", seal(frame(0, len(document), document)), {}),
        ("with dirty padding", "frame_malformed", seal(good[:-1] + b"\1"), {}),
        ("without a frame", "frame_malformed", seal(b""), {}),
        ("with a codec from the future", "unsupported_format", seal(future), {}),
    ]


def other_documents() -> list[tuple[str, str, bytes]]:
    text = canonical.encode(DOCUMENT)
    rows = DOCUMENT["chunks"]
    loose = {
        "that is empty": b"",
        "that is no JSON": b"\xff\xfe",
        "with a space too much": text + b" ",
        "with a key twice": text.replace(b'{"chunks":', b'{"chunks":[],"chunks":', 1),
    }
    wrong = {
        "that is another document": {},
        "without a schema": {k: v for k, v in DOCUMENT.items() if k != "schema"},
        "with an unknown field": {**DOCUMENT, "more": 1},
        "without rows": {**DOCUMENT, "chunks": []},
        "with a row too few": {**DOCUMENT, "chunks": rows[:1]},
        "with rows the other way round": {**DOCUMENT, "chunks": rows[::-1]},
        "with rows that leave a gap": with_row(1, offset=MIB + 1, length=4),
        "with rows that are too short": with_row(1, length=4),
        "with a row that is too long": with_row(0, length=MIB + 1),
        "with a digest in upper case": with_recording(sha256="AB" * 32),
        "with a small length as text": with_recording(length=str(MIB + 5)),
    }
    future = canonical.encode({**DOCUMENT, "schema": "lucid/sealed@v2"})
    found = {**loose, **{name: canonical.encode(value) for name, value in wrong.items()}}
    return [
        *((name, "sealed_mismatch", data) for name, data in found.items()),
        ("of a schema from the future", "unsupported_format", future),
    ]


def sealer(suite: Suite, key: bytes) -> Callable[..., str]:
    salt = RANDOM.randbytes(24)

    def seal(data: bytes, *, flags: ChunkFlags = PADDED | SEALED, index: int = 0) -> str:
        return encrypt(ChunkHeader(suite, SESSION, index, flags), key, salt, data).hex()

    return seal


def with_row(index: int, **fields: int) -> Json:
    rows = [dict(row) for row in DOCUMENT["chunks"]]
    rows[index].update(fields)
    return {**DOCUMENT, "chunks": rows}


def with_recording(**fields: Any) -> Json:
    return {**DOCUMENT, "recording": {**DOCUMENT["recording"], **fields}}


# Keys


def keys() -> Json:
    identity, other = Identity(RANDOM.randbytes(96)), Identity(RANDOM.randbytes(96))
    dek, other_dek = Dek(RANDOM.randbytes(32)), Dek(RANDOM.randbytes(32))
    commitments = [
        {"dek": secret.hex(), "session_id": str(session), "commitment": Dek(secret).commitment(session).hex()}
        for secret in (dek.secret, bytes(32), b"\xff" * 32)
        for session in (SESSION, OTHER_SESSION, UUID(int=0))
    ]
    identities = [
        {"identity": key.raw.hex(), "recipient": key.recipient.raw.hex(), "id": key.recipient.id}
        for key in (identity, other)
    ]
    mine = {"identity": identity.raw.hex(), "session_id": str(SESSION), "commitment": dek.commitment(SESSION).hex()}
    slot = identity.recipient.wrap(dek, SESSION).wrapped
    second = identity.recipient.wrap(other_dek, OTHER_SESSION).wrapped
    third = other.recipient.wrap(dek, SESSION).wrapped
    slots = [
        {"name": "a slot", **mine, "wrapped": slot.hex(), "dek": dek.secret.hex()},
        {
            "name": "of another session",
            "identity": identity.raw.hex(),
            "session_id": str(OTHER_SESSION),
            "commitment": other_dek.commitment(OTHER_SESSION).hex(),
            "wrapped": second.hex(),
            "dek": other_dek.secret.hex(),
        },
        {
            **mine,
            "name": "of another recipient",
            "identity": other.raw.hex(),
            "wrapped": third.hex(),
            "dek": dek.secret.hex(),
        },
    ]
    bases = {vector["name"]: bytes.fromhex(vector["wrapped"]) for vector in slots}

    def bad(name: str, code: str, parts: list[Any], **read_as: str) -> Json:
        assert assemble(parts, bases) is not None
        return {"name": name, **mine, **read_as, "wrapped": parts, "code": code}

    whole: list[Any] = [["a slot", 0, 1168]]
    forged = identity.recipient.wrap(other_dek, SESSION).wrapped
    flips = {"ML-KEM ciphertext": 0, "X25519 share": 1088, "wrapped DEK": 1120, "tag": 1167}
    negative = [
        bad("for another identity", "decrypt_failed", [["of another recipient", 0, 1168]]),
        bad("opened by another identity", "decrypt_failed", whole, identity=other.raw.hex()),
        bad("opened for another session", "decrypt_failed", whole, session_id=str(OTHER_SESSION)),
        bad("of another session", "decrypt_failed", [["of another session", 0, 1168]]),
        bad("that wraps another DEK", "commitment_mismatch", [forged.hex()]),
        bad("against another commitment", "commitment_mismatch", whole, commitment="00" * 32),
        bad(
            "against the commitment for another session",
            "commitment_mismatch",
            whole,
            commitment=dek.commitment(OTHER_SESSION).hex(),
        ),
        *(
            bad(
                f"{what} flipped",
                "decrypt_failed",
                [["a slot", 0, at], f"{slot[at] ^ 1:02x}", ["a slot", at + 1, 1168]],
            )
            for what, at in flips.items()
        ),
        *(
            bad(f"cut to {length} bytes", "decrypt_failed", [["a slot", 0, length]])
            for length in (0, 1, 1088, 1120, 1136, 1152, 1167)
        ),
        bad("extended by a byte", "decrypt_failed", [*whole, "00"]),
        bad(
            "encapsulation of one slot, DEK of another",
            "decrypt_failed",
            [["a slot", 0, 1120], ["of another recipient", 1120, 1168]],
        ),
        bad("all zero", "decrypt_failed", ["00" * 1168]),
    ]
    return {"commitments": commitments, "identities": identities, "positive": slots, "negative": negative}


# Merkle trees and chunk tables


def trees() -> Json:
    objects = []
    for index in range(9):
        digest = sha256(b"object %d" % index).digest()
        length = [112, 113, 16508, 1 << 20, (1 << 32) + 1, 2**53 - 1, 2**53, 2**64 - 1, 300][index]
        key = chunk_key(SESSION, index, digest)
        objects.append(ChunkObject(index=index, key=key, length=length, sha256=digest))
    leaves = [chunk.leaf for chunk in objects]
    roots = [merkle.root_hash(leaves[:size]).hex() for size in range(10)]
    inclusion = [
        {"index": index, "size": size, "proof": [node.hex() for node in merkle.inclusion_proof(leaves[:size], index)]}
        for size in range(1, 10)
        for index in range(size)
    ]
    consistency = [
        {"first": first, "second": second, "proof": [n.hex() for n in merkle.consistency_proof(leaves[:second], first)]}
        for second in range(1, 10)
        for first in range(1, second + 1)
    ]
    return {
        "objects": [
            {"index": c.index, "key": c.key, "length": str(c.length), "sha256": c.sha256.hex(), "leaf": c.leaf.hex()}
            for c in objects
        ],
        "roots": roots,
        "inclusion": inclusion,
        "consistency": consistency,
        "wrong_inclusion": wrong_inclusion(leaves, [vector for vector in inclusion if vector["size"] in (1, 3, 7, 8)]),
        "wrong_consistency": wrong_consistency([vector for vector in consistency if vector["second"] in (1, 3, 7, 8)]),
        "tables": chunk_tables(),
    }


def flip_hex(text: str) -> str:
    return f"{int(text[:2], 16) ^ 1:02x}{text[2:]}"


def wrong_inclusion(leaves: list[bytes], good: list[Json]) -> list[Json]:
    found = []
    for vector in good:
        index, size, proof = vector["index"], vector["size"], vector["proof"]
        leaf, root = leaves[index].hex(), merkle.root_hash(leaves[:size]).hex()
        base = {"leaf": leaf, "index": index, "size": size, "proof": proof, "root": root}
        found += [
            {**base, "what": "another leaf", "leaf": flip_hex(leaf)},
            {**base, "what": "another root", "root": flip_hex(root)},
            {**base, "what": "a node too many", "proof": [*proof, root]},
            {**base, "what": "beyond the tree", "index": size},
        ]
        if proof:
            found += [
                {**base, "what": "a node too few", "proof": proof[:-1]},
                {**base, "what": "another node", "proof": [flip_hex(proof[0]), *proof[1:]]},
                {**base, "what": "the index of its sibling", "index": index ^ 1},
            ]
    return found


def wrong_consistency(good: list[Json]) -> list[Json]:
    found = []
    for vector in good:
        proof, first, second = vector["proof"], vector["first"], vector["second"]
        changes: list[Json] = [
            {"what": "a node too many", "proof": [*proof, "00" * 32]},
            {"what": "no first tree", "first": 0},
        ]
        if proof:
            changes += [
                {"what": "a node too few", "proof": proof[:-1]},
                {"what": "another node", "proof": [flip_hex(proof[0]), *proof[1:]]},
                {"what": "the other way", "first": second, "second": first},
                {"what": "roots swapped", "swapped": True},
            ]
        found += [{"first": first, "second": second, "proof": proof, **change} for change in changes]
    return found


def chunk_tables() -> Json:
    def entry(index: int, length: int = 200) -> Json:
        digest = sha256(b"object %d" % index).digest()
        return {"index": index, "key": chunk_key(SESSION, index, digest), "length": length, "sha256": digest.hex()}

    def table(*objects: Json, **fields: Any) -> Json:
        return {
            "schema": "lucid/chunk-table@v1",
            "session_id": str(SESSION),
            "stream_id": 0,
            "objects": list(objects),
            **fields,
        }

    good = table(entry(0), entry(1), entry(2))
    decoded = ChunkTable.model_validate_json(canonical.encode(good))
    text = canonical.encode(good).decode()
    bad: dict[str, Json | str] = {
        "of another session": table(entry(0), session_id=str(OTHER_SESSION)),
        "of another stream": table(entry(0), stream_id=1),
        "without objects": table(),
        "without the first": table(entry(1), entry(2)),
        "without one in the middle": table(entry(0), entry(2)),
        "with two swapped": table(entry(1), entry(0)),
        "with one twice": table(entry(0), entry(0)),
        "with another index": table({**entry(0), "index": 1}),
        "with another digest": table({**entry(0), "sha256": "00" * 32}),
        "with another name": table({**entry(0), "key": entry(1)["key"]}),
        "with a name outside": table({**entry(0), "key": "../../etc/passwd"}),
        "with an object larger than any chunk makes": table(entry(0, 2 * MIB)),
        "with a length as text": table({**entry(0), "length": "200"}),
        "with a negative length": table({**entry(0), "length": -1}),
        "with a digest in upper case": table({**entry(0), "sha256": entry(0)["sha256"].upper()}),
        "with an unknown field": table(entry(0), more=1),
        "without a schema": {k: v for k, v in table(entry(0)).items() if k != "schema"},
        "with a key twice": text.replace('"objects":', '"objects":[],"objects":', 1),
        "with a space too much": text + " ",
        "that is empty": "",
    }
    negative = [
        {
            "name": name,
            "table": value if isinstance(value, str) else canonical.encode(value).decode(),
            "code": "chunk_table_mismatch",
        }
        for name, value in bad.items()
    ]
    future = canonical.encode(table(entry(0), schema="lucid/chunk-table@v2")).decode()
    negative.append({"name": "from the future", "table": future, "code": "unsupported_format"})
    positive = [{"name": "three chunks", "table": text, "root": decoded.root().hex(), "stored_bytes": 600}]
    return {"session_id": str(SESSION), "chunk_size": MIB, "positive": positive, "negative": negative}


# Manifests

MANIFEST: Json = {
    "completeness": {"gaps": [], "state": "complete"},
    "created_at": "2026-01-02T03:04:05.678Z",
    "dek_commitment": "22" * 32,
    "kdf": "HKDF-Expand-SHA512",
    "previous": None,
    "producer": {"name": "lucid", "version": "0.1.0"},
    "retention": None,
    "schema": "lucid/manifest@v1",
    "sealed_sha256": "33" * 32,
    "sequence": 1,
    "session_id": str(SESSION),
    "streams": [
        {
            "chunk_count": 2,
            "chunk_size": MIB,
            "chunk_table_sha256": "44" * 32,
            "id": 0,
            "media_type": "application/x-asciicast",
            "stored_bytes": 1234567,
            "tree": {"root": "55" * 32, "size": 2},
        }
    ],
    "suite": "AEAD_AES_256_GCM",
}


def manifests() -> Json:
    key, stranger = SigningKey(RANDOM.randbytes(32)), SigningKey(RANDOM.randbytes(32))

    def signed(fields: Json | bytes, kind: str = PAYLOAD_TYPE, by: SigningKey = key) -> str:
        return envelope.sign(fields if isinstance(fields, bytes) else canonical.encode(fields), kind, by).decode()

    def positive(name: str, fields: Json) -> Json:
        data = signed(fields)
        return {
            "name": name,
            "manifest": canonical.encode(fields).decode(),
            "envelope": data,
            "envelope_sha256": sha256(data.encode()).hexdigest(),
        }

    first = positive("AES, the first of a session", MANIFEST)
    big = {
        **MANIFEST["streams"][0],
        "chunk_count": str(2**53),
        "stored_bytes": str(2**64 - 1),
        "tree": {"root": "55" * 32, "size": str(2**53)},
    }
    gaps = {"state": "recovered", "gaps": [{"offset": 5, "length": 2**53 - 1}]}
    good = [
        first,
        positive("ChaCha20", {**MANIFEST, "suite": "AEAD_CHACHA20_POLY1305"}),
        positive("sealed again", {**MANIFEST, "sequence": 2, "previous": first["envelope_sha256"]}),
        positive("numbers of 2^53 and more, and gaps", {**MANIFEST, "streams": [big], "completeness": gaps}),
        positive("with retention", {**MANIFEST, "retention": {"until": "2033-01-01T00:00:00.000Z"}}),
    ]
    public = key.public
    return {
        "signing_key": key.raw.hex(),
        "public_key": public.raw.hex(),
        "key_id": public.id,
        "payload_type": PAYLOAD_TYPE,
        "positive": good,
        "negative": bad_envelopes(json.loads(first["envelope"]), signed, stranger)
        + bad_manifests(lambda fields: signed(fields)),
    }


def bad_envelopes(good: Json, signed: Callable[..., str], stranger: SigningKey) -> list[Json]:
    signature = good["signatures"][0]
    raw = base64.b64decode(signature["sig"])
    sig = {
        "flipped": base64.b64encode(bytes([raw[0] ^ 1]) + raw[1:]).decode(),
        "cut": base64.b64encode(raw[:-1]).decode(),
        "spare bits": signature["sig"][:-3] + chr(ord(signature["sig"][-3]) + 1) + "==",
    }

    def changed(**fields: Any) -> str:
        return canonical.encode({**good, **fields}).decode()

    text = canonical.encode(good).decode()
    other_payload = base64.b64encode(canonical.encode({**MANIFEST, "sequence": 1, "retention": {}})).decode()
    found = [
        ("signed by a stranger", "unknown_signer", signed(MANIFEST, by=stranger)),
        (
            "a stranger under the name of the key",
            "signature_invalid",
            signed(MANIFEST, by=stranger).replace(stranger.public.id, signature["keyid"]),
        ),
        (
            "under the name of a stranger",
            "unknown_signer",
            changed(signatures=[{**signature, "keyid": stranger.public.id}]),
        ),
        (
            "a key id in upper case",
            "unknown_signer",
            changed(signatures=[{**signature, "keyid": signature["keyid"].upper()}]),
        ),
        ("an empty key id", "unknown_signer", changed(signatures=[{**signature, "keyid": ""}])),
        (
            "a flipped bit in the signature",
            "signature_invalid",
            changed(signatures=[{**signature, "sig": sig["flipped"]}]),
        ),
        ("a signature that is cut", "signature_invalid", changed(signatures=[{**signature, "sig": sig["cut"]}])),
        ("an empty signature", "signature_invalid", changed(signatures=[{**signature, "sig": ""}])),
        (
            "spare bits of the signature set",
            "manifest_malformed",
            changed(signatures=[{**signature, "sig": sig["spare bits"]}]),
        ),
        ("no signature", "manifest_malformed", changed(signatures=[])),
        ("seventeen signatures", "manifest_malformed", changed(signatures=[signature] * 17)),
        ("another payload", "signature_invalid", changed(payload=other_payload)),
        ("another payload type", "unsupported_format", changed(payloadType="application/vnd.lucid.manifest.v2+json")),
        (
            "signed for another payload type",
            "signature_invalid",
            signed(MANIFEST, "application/json").replace("application/json", PAYLOAD_TYPE),
        ),
        ("a payload that is no base64", "manifest_malformed", changed(payload="?")),
        ("an unknown field", "manifest_malformed", changed(more=1)),
        ("a key twice", "manifest_malformed", text.replace('"payload":', '"payload":"","payload":', 1)),
        ("a newline too much", "manifest_malformed", text + "\n"),
        ("nothing", "manifest_malformed", ""),
        ("the manifest without an envelope", "manifest_malformed", canonical.encode(MANIFEST).decode()),
    ]
    return [{"name": name, "code": code, "envelope": data} for name, code, data in found]


def bad_manifests(signed: Callable[[Json | bytes], str]) -> list[Json]:
    stream = MANIFEST["streams"][0]
    text = canonical.encode(MANIFEST)
    malformed: dict[str, Json | bytes] = {
        "a key twice": text.replace(b'"sequence":1', b'"sequence":1,"sequence":1'),
        "a loose number": text.replace(b'"sequence":1', b'"sequence":1.0'),
        "a space": text.replace(b'"sequence":1', b'"sequence": 1'),
        "no JSON": b"\xff",
        "an unknown field": {**MANIFEST, "more": 1},
        **{f"no {name}": {k: v for k, v in MANIFEST.items() if k != name} for name in MANIFEST},
        "sequence 0": {**MANIFEST, "sequence": 0},
        "a first one with a previous": {**MANIFEST, "previous": "66" * 32},
        "a second one without a previous": {**MANIFEST, "sequence": 2},
        "a time without milliseconds": {**MANIFEST, "created_at": "2026-01-02T03:04:05Z"},
        "a time in another zone": {**MANIFEST, "created_at": "2026-01-02T03:04:05.678+01:00"},
        "a month 13": {**MANIFEST, "created_at": "2026-13-02T03:04:05.678Z"},
        "a digest in upper case": {**MANIFEST, "sealed_sha256": "AB" * 32},
        "a digest that is cut": {**MANIFEST, "dek_commitment": "22" * 31},
        "a session id in upper case": {**MANIFEST, "session_id": str(SESSION).upper()},
        "an unknown state": {**MANIFEST, "completeness": {"gaps": [], "state": "whole"}},
        "no streams": {**MANIFEST, "streams": []},
        "two streams": {**MANIFEST, "streams": [stream, stream]},
        "stream 1": {**MANIFEST, "streams": [{**stream, "id": 1}]},
        "chunks of 3 MiB": {**MANIFEST, "streams": [{**stream, "chunk_size": 3 * MIB}]},
        "a tree of another size": {**MANIFEST, "streams": [{**stream, "chunk_count": 3}]},
        "no chunks": {**MANIFEST, "streams": [{**stream, "chunk_count": 0, "tree": {"root": "55" * 32, "size": 0}}]},
        "a small number as text": {**MANIFEST, "streams": [{**stream, "stored_bytes": "5"}]},
    }
    future: dict[str, Json] = {
        "schema": {**MANIFEST, "schema": "lucid/manifest@v2"},
        "schema, in another form": {"schema": "lucid/manifest@v2", "what": "ever"},
        "suite": {**MANIFEST, "suite": "AEAD_AEGIS_256"},
        "key derivation": {**MANIFEST, "kdf": "HKDF-Expand-SHA3-512"},
    }
    return [
        *(
            {"name": f"signed, {name}", "code": "manifest_malformed", "envelope": signed(value)}
            for name, value in malformed.items()
        ),
        *(
            {"name": f"signed, future {name}", "code": "unsupported_format", "envelope": signed(value)}
            for name, value in future.items()
        ),
    ]


FILES: dict[str, Callable[[], Json]] = {
    "chunk_objects": chunk_objects,
    "frames": frames,
    "sealed_metadata": sealed_metadata,
    "keys": keys,
    "trees": trees,
    "manifests": manifests,
}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        with (folder / f"{name}.json").open("x", encoding="utf-8") as file:
            file.write(one_vector_a_line(make()) + "\n")


def one_vector_a_line(value: Any, level: int = 0) -> str:
    """JSON that shows a changed vector as a changed line."""
    inner, outer = " " * (level + 1), " " * level
    if isinstance(value, dict) and level < 3 and any(isinstance(item, list) for item in value.values()):
        pairs = (f"{json.dumps(name)}: {one_vector_a_line(item, level + 1)}" for name, item in value.items())
        return "{\n" + inner + f",\n{inner}".join(pairs) + "\n" + outer + "}"
    if isinstance(value, list) and value and level == 1:
        return (
            "[\n"
            + inner
            + f",\n{inner}".join(json.dumps(item, ensure_ascii=False) for item in value)
            + "\n"
            + outer
            + "]"
        )
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
