"""Chunk objects: C2SP chunked encryption behind a 40-byte header."""

import os
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import (
    HEADER_BYTES,
    MESSAGE_OFFSET,
    SEGMENT_BYTES,
    ChunkFlags,
    ChunkHeader,
    Suite,
    decrypt_object,
    encrypt_message,
    encrypt_object,
    encrypted_length,
    plaintext_length,
)
from tests.support import noise

SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
KEY = bytes(range(32))
HEADER = ChunkHeader(Suite.AES_256_GCM, SESSION, 3, ChunkFlags.LAST | ChunkFlags.PADDED)
LENGTHS = [0, 1, 15, 16, 17, 16383, 16384, 16385, 32767, 32768, 32769, 5 * 16384, 100_000]
SEALED = SEGMENT_BYTES + 16

headers = st.builds(
    ChunkHeader,
    st.sampled_from(Suite),
    st.uuids(),
    st.integers(0, 2**64 - 1),
    st.integers(0, 7).map(ChunkFlags),
    st.integers(0, 2**32 - 1),
)


def encrypt(plaintext: bytes, header: ChunkHeader = HEADER, key: bytes = KEY) -> bytes:
    out = memoryview(bytearray(encrypted_length(len(plaintext))))
    return bytes(encrypt_object(header, key, memoryview(plaintext), out))


def decrypt(data: bytes, header: ChunkHeader = HEADER, key: bytes = KEY) -> bytes:
    out = memoryview(bytearray(plaintext_length(len(data)) or 0))
    return bytes(decrypt_object(header, key, memoryview(data), out, "chunk 3"))


def refusal(data: bytes, header: ChunkHeader = HEADER, key: bytes = KEY) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        decrypt(data, header, key)
    assert refused.value.damage.where == "chunk 3"
    return refused.value.damage.code


def specification(header: ChunkHeader, key: bytes, salt: bytes, plaintext: bytes) -> bytes:
    """C2SP chunked encryption, written down from the specification once more, and slowly."""
    name, cipher = {
        Suite.AES_256_GCM: (b"AEAD_AES_256_GCM", AESGCM),
        Suite.CHACHA20_POLY1305: (b"AEAD_CHACHA20_POLY1305", ChaCha20Poly1305),
    }[header.suite]
    context = header.pack()
    info = b"c2sp.org/chunked-encryption@v1+" + name + b"\0" + salt + context
    okm = HKDFExpand(SHA512(), 32 + 12 + 32, info).derive(key)
    aead, base, commitment = cipher(okm[:32]), okm[32:44], okm[44:]
    segments = [plaintext[start : start + 16384] for start in range(0, len(plaintext), 16384)]
    if not segments or len(segments[-1]) == 16384:
        segments.append(b"")
    message = salt + commitment
    for counter, segment in enumerate(segments):
        nonce = bytes(a ^ b for a, b in zip(base, counter.to_bytes(12, "big"), strict=True))
        message += aead.encrypt(nonce, segment, b"")
    return context + message


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("length", LENGTHS)
def test_an_object_is_what_the_specification_says(suite: Suite, length: int) -> None:
    header, plaintext = replace(HEADER, suite=suite), noise(length)
    data = encrypt(plaintext, header)
    salt = data[HEADER_BYTES : HEADER_BYTES + 24]
    assert data == specification(header, KEY, salt, plaintext)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("length", LENGTHS)
def test_an_object_gives_back_its_plaintext(suite: Suite, length: int) -> None:
    header, plaintext = replace(HEADER, suite=suite), noise(length)
    data = encrypt(plaintext, header)
    assert decrypt(data, header) == plaintext
    assert len(data) == encrypted_length(length)
    assert plaintext_length(len(data)) == length


@given(plaintext=st.binary(max_size=40_000), header=headers, key=st.binary(min_size=32, max_size=32))
def test_any_plaintext_under_any_header_comes_back(plaintext: bytes, header: ChunkHeader, key: bytes) -> None:
    assert decrypt(encrypt(plaintext, header, key), header, key) == plaintext


def test_every_attempt_has_a_salt_of_its_own() -> None:
    objects = [encrypt(b"the same bytes") for _ in range(200)]
    assert len({data[HEADER_BYTES : HEADER_BYTES + 24] for data in objects}) == 200
    assert len({data[HEADER_BYTES + 24 :] for data in objects}) == 200


def test_the_salt_comes_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda length: b"\x5a" * length)
    assert encrypt(b"")[HEADER_BYTES : HEADER_BYTES + 24] == b"\x5a" * 24


@given(st.integers(0, 2**40))
def test_a_length_and_its_object_length_belong_together(length: int) -> None:
    segments = length // 16384 + 1
    assert encrypted_length(length) == 40 + 24 + 32 + length + 16 * segments
    assert plaintext_length(encrypted_length(length)) == length


@given(st.integers(0, 200_000))
def test_no_other_length_is_that_of_an_object(length: int) -> None:
    found = plaintext_length(length)
    assert found is None or encrypted_length(found) == length


@given(st.integers(-5, MESSAGE_OFFSET + 15))
def test_less_than_an_empty_message_has_no_length(length: int) -> None:
    assert plaintext_length(length) is None


# The header


def test_a_header_is_laid_out_as_the_format_says() -> None:
    header = ChunkHeader(Suite.CHACHA20_POLY1305, SESSION, 0x0102030405060708, ChunkFlags.PADDED, 0x0A0B0C0D)
    assert header.pack().hex(" ", -4) == (
        "4c554331 01020200 0190a1b2 c3d47e5f 8a9b0c1d 2e3f4a5b 0a0b0c0d 01020304 05060708 00000000"
    )
    assert HEADER_BYTES == 40


@given(headers)
def test_a_header_reads_back(header: ChunkHeader) -> None:
    assert ChunkHeader.parse(memoryview(header.pack() + b"more"), "") == header


def test_suites_and_flags_have_the_numbers_and_names_of_the_format() -> None:
    assert [(suite.value, suite.aead) for suite in Suite] == [(1, "AEAD_AES_256_GCM"), (2, "AEAD_CHACHA20_POLY1305")]
    assert (ChunkFlags.LAST, ChunkFlags.PADDED, ChunkFlags.SEALED_METADATA) == (1, 2, 4)


@pytest.mark.parametrize(
    ("offset", "value"),
    [(0, ord("l")), (3, ord("2")), (4, 0), (4, 2), (5, 0), (5, 3), (6, 0x08), (6, 0x83), (7, 1), (36, 1), (39, 0x80)],
)
def test_what_the_future_may_bring_is_not_supported(offset: int, value: int) -> None:
    data = bytearray(encrypt(b"plaintext"))
    data[offset] = value
    assert refusal(bytes(data)) is DamageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("length", [0, 1, 39])
def test_less_than_a_header_is_not_supported(length: int) -> None:
    assert refusal(encrypt(b"plaintext")[:length]) is DamageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "other",
    [
        {"session_id": UUID(int=SESSION.int ^ 1)},
        {"index": 2},
        {"index": 3 + 2**32},
        {"stream_id": 1},
        {"flags": ChunkFlags.PADDED},
        {"flags": ChunkFlags.LAST},
        {"flags": ChunkFlags.LAST | ChunkFlags.PADDED | ChunkFlags.SEALED_METADATA},
        {"suite": Suite.CHACHA20_POLY1305},
    ],
)
def test_an_object_of_another_place_is_refused_even_with_a_forged_header(other: dict[str, object]) -> None:
    elsewhere = replace(HEADER, **other)
    data = encrypt(b"plaintext", elsewhere)
    assert refusal(data) is DamageCode.COMMITMENT_MISMATCH
    assert refusal(HEADER.pack() + data[HEADER_BYTES:]) is DamageCode.COMMITMENT_MISMATCH


# Damage


@pytest.mark.parametrize("suite", Suite)
def test_any_flipped_bit_in_salt_or_commitment_is_found_before_decryption(suite: Suite) -> None:
    header = replace(HEADER, suite=suite)
    data = encrypt(b"plaintext", header)
    for bit in range(HEADER_BYTES * 8, MESSAGE_OFFSET * 8):
        assert refusal(flip(data, bit), header) is DamageCode.COMMITMENT_MISMATCH


@pytest.mark.parametrize("suite", Suite)
def test_any_flipped_bit_in_a_segment_or_its_tag_is_found(suite: Suite) -> None:
    header = replace(HEADER, suite=suite)
    data = encrypt(b"plaintext", header)
    for bit in range(MESSAGE_OFFSET * 8, len(data) * 8):
        assert refusal(flip(data, bit), header) is DamageCode.DECRYPT_FAILED


@given(st.data())
def test_any_flipped_bit_in_a_long_object_is_found(data: st.DataObject) -> None:
    whole = encrypt(noise(40_000))
    bit = data.draw(st.integers(MESSAGE_OFFSET * 8, len(whole) * 8 - 1))
    assert refusal(flip(whole, bit)) is DamageCode.DECRYPT_FAILED


def test_the_wrong_key_is_found_by_the_commitment() -> None:
    assert refusal(encrypt(b"plaintext"), key=bytes(32)) is DamageCode.COMMITMENT_MISMATCH


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        encrypt(b"", key=bytes(length))
    with pytest.raises(ValueError, match="32 bytes"):
        decrypt(encrypt(b""), key=bytes(length))


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("length", [0, 1, 100])
def test_every_cut_of_a_short_object_is_refused(suite: Suite, length: int) -> None:
    header = replace(HEADER, suite=suite)
    data = encrypt(noise(length), header)
    for cut in range(HEADER_BYTES, len(data)):
        assert refusal(data[:cut], header) is DamageCode.DECRYPT_FAILED


SEGMENTS: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "first two swapped": lambda s: [s[1], s[0], *s[2:]],
    "first dropped": lambda s: s[1:],
    "last dropped": lambda s: s[:-1],
    "last two dropped": lambda s: s[:-2],
    "one duplicated": lambda s: [s[0], s[0], *s[1:]],
    "one instead of another": lambda s: [s[0], s[0], *s[2:]],
    "last duplicated": lambda s: [*s, s[-1]],
    "a full one appended": lambda s: [*s, s[0]],
    "a tag appended": lambda s: [*s, bytes(16)],
    "a byte appended": lambda s: [*s, b"\0"],
    "a byte cut off": lambda s: [*s[:-1], s[-1][:-1]],
    "all but the last dropped": lambda s: s[-1:],
    "all dropped": lambda _: [],
    "reversed": lambda s: s[::-1],
}


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("length", [2 * 16384, 2 * 16384 + 1, 3 * 16384 - 1])
@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_can_neither_be_moved_nor_dropped_nor_added(suite: Suite, length: int, name: str) -> None:
    header = replace(HEADER, suite=suite)
    data = encrypt(noise(length), header)
    segments = [data[at : at + SEALED] for at in range(MESSAGE_OFFSET, len(data), SEALED)]
    assert len(segments) == 3
    damaged = data[:MESSAGE_OFFSET] + b"".join(SEGMENTS[name](segments))
    assert refusal(damaged, header) is DamageCode.DECRYPT_FAILED


def test_segments_of_two_objects_cannot_be_mixed() -> None:
    one, other = encrypt(noise(20_000)), encrypt(noise(20_000))
    border = MESSAGE_OFFSET + SEALED
    assert refusal(one[:border] + other[border:]) is DamageCode.DECRYPT_FAILED
    assert refusal(one[:MESSAGE_OFFSET] + other[MESSAGE_OFFSET:]) is DamageCode.DECRYPT_FAILED


@given(st.binary(max_size=300))
def test_no_bytes_behind_a_header_decrypt_by_chance(rest: bytes) -> None:
    assert refusal(HEADER.pack() + rest) in (DamageCode.DECRYPT_FAILED, DamageCode.COMMITMENT_MISMATCH)


def test_a_refusal_names_neither_key_nor_plaintext() -> None:
    data = encrypt(b"a secret plaintext")
    with pytest.raises(DamageError) as refused:
        decrypt(flip(data, len(data) * 8 - 1))
    said = repr(refused.value) + str(refused.value.damage)
    assert "secret" not in said
    assert KEY.hex() not in said


def test_a_buffer_may_be_larger_than_needed() -> None:
    plaintext = noise(20_000)
    out = memoryview(bytearray(b"\xff" * 100_000))
    data = bytes(encrypt_object(HEADER, KEY, memoryview(plaintext), out))
    assert len(data) == encrypted_length(20_000)
    assert bytes(out[len(data) :]) == b"\xff" * (100_000 - len(data))
    back = memoryview(bytearray(b"\xff" * 100_000))
    assert bytes(decrypt_object(HEADER, KEY, memoryview(data), back, "")) == plaintext
    assert bytes(back[20_000:]) == b"\xff" * 80_000


def test_a_known_salt_makes_a_known_message() -> None:
    """What the known-answer vectors rest on."""
    salt, plaintext = bytes(range(24)), noise(20_000)
    out = memoryview(bytearray(encrypted_length(len(plaintext)) - HEADER_BYTES))
    length = encrypt_message(HEADER.suite, KEY, HEADER.pack(), salt, memoryview(plaintext), out)
    assert HEADER.pack() + bytes(out[:length]) == specification(HEADER, KEY, salt, plaintext)


def flip(data: bytes, bit: int) -> bytes:
    flipped = bytearray(data)
    flipped[bit // 8] ^= 0x80 >> bit % 8
    return bytes(flipped)
