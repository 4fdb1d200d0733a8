"""Frames that no honest writer makes, encrypted by a writer gone bad and signed: only who decrypts can see it."""

from collections.abc import Iterator
from typing import Any

import lz4.frame
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import FRAME_HEADER, Codec, padme_length
from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.encryption import ChunkHeader
from tests.attacks.frame_forgery import LZ4, RAW, ZSTD, frame, lz4_with_dictionary, with_frame, zstd_of_zeros
from tests.attacks.support import (
    SEALED_FLAGS,
    Outcome,
    Session,
    build_frame,
    codes,
    damaged_inside,
    inspect,
    intact,
    open_reader,
    refusal,
    unreadable,
    verify,
)
from tests.support import noise


@pytest.mark.parametrize(
    ("payload", "codec"), [(RAW, Codec.STORED), (ZSTD, Codec.ZSTD), (LZ4, Codec.LZ4)], ids=["stored", "zstd", "lz4"]
)
def test_forging_a_right_frame_changes_nothing(payload: bytes, codec: Codec) -> None:
    """The means of the other tests add no damage of their own."""
    session = with_frame(frame(payload, codec, len(RAW)))
    assert inspect(session) == intact(session)


# From the future.


@pytest.mark.parametrize(
    "fields",
    [
        *(pytest.param({"codec": codec}, id=f"codec {codec}") for codec in (3, 4, 127, 255)),
        *(pytest.param({"flags": 1 << bit}, id=f"flag {bit}") for bit in range(8)),
        *(pytest.param({"zero16": 1 << bit}, id=f"reserved bit {bit}") for bit in range(16)),
        *(pytest.param({"zero32": 1 << bit}, id=f"reserved bit {bit} of the last word") for bit in range(0, 32, 5)),
    ],
)
def test_a_frame_from_the_future_is_not_supported(fields: dict[str, Any]) -> None:
    session = with_frame(frame(RAW, **fields))
    assert inspect(session) == damaged_inside(session, DamageCode.UNSUPPORTED_FORMAT, 0)


# Malformed.

MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\x00",
    "a header cut by a byte": bytes(15),
    "payload length beyond the frame": frame(RAW, payload_length=len(RAW) + 10_000),
    "payload length beyond the frame by a byte": frame(RAW, padding=b"", payload_length=len(RAW) + 1),
    "the largest payload length": frame(RAW, payload_length=2**32 - 1),
    "payload length cut by a byte": frame(RAW, payload_length=len(RAW) - 1),
    "payload length zero": frame(RAW, payload_length=0),
    "raw length above the payload": frame(RAW, raw_length=len(RAW) + 1),
    "raw length below the payload": frame(RAW, raw_length=len(RAW) - 1),
    "raw length above the chunk size": frame(RAW, raw_length=MIB + 1),
    "the largest raw length": frame(RAW, raw_length=2**32 - 1),
    "more raw bytes than a chunk": frame(bytes(MIB + 1), padding=bytes(padme_length(MIB + 17) - MIB - 17)),
    "padding too short": frame(RAW, padding=bytes(padme_length(len(RAW) + 16) - len(RAW) - 17)),
    "padding too long": frame(RAW, padding=bytes(padme_length(len(RAW) + 16) - len(RAW) - 15)),
    "padding missing": frame(RAW, padding=b""),
    "padding of another chunk": frame(RAW, padding=bytes(200_000)),
    "an empty zstd payload": frame(b"", Codec.ZSTD, len(RAW)),
    "an empty lz4 payload": frame(b"", Codec.LZ4, len(RAW)),
    "zstd that is stored": frame(RAW, Codec.ZSTD),
    "lz4 that is stored": frame(RAW, Codec.LZ4),
    "zstd that is lz4": frame(LZ4, Codec.ZSTD, len(RAW)),
    "lz4 that is zstd": frame(ZSTD, Codec.LZ4, len(RAW)),
    "zstd, cut": frame(ZSTD[:-1], Codec.ZSTD, len(RAW)),
    "lz4, cut": frame(LZ4[:-1], Codec.LZ4, len(RAW)),
    "lz4 without its end mark": frame(LZ4[:-4], Codec.LZ4, len(RAW)),
    "zstd, with a byte behind it": frame(ZSTD + b"\x00", Codec.ZSTD, len(RAW)),
    "lz4, with a byte behind it": frame(LZ4 + b"\x00", Codec.LZ4, len(RAW)),
    "zstd, two frames": frame(ZSTD + ZSTD, Codec.ZSTD, 2 * len(RAW)),
    "zstd, one frame of two": frame(ZSTD + ZSTD, Codec.ZSTD, len(RAW)),
    "lz4, two frames": frame(LZ4 + LZ4, Codec.LZ4, 2 * len(RAW)),
    "lz4, one frame of two": frame(LZ4 + LZ4, Codec.LZ4, len(RAW)),
    "zstd, inflating beyond the raw length": frame(ZSTD, Codec.ZSTD, len(RAW) - 1),
    "lz4, inflating beyond the raw length": frame(LZ4, Codec.LZ4, len(RAW) - 1),
    "zstd, ending before the raw length": frame(ZSTD, Codec.ZSTD, len(RAW) + 1),
    "lz4, ending before the raw length": frame(LZ4, Codec.LZ4, len(RAW) + 1),
    "zstd, behind a skippable frame": frame(b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + ZSTD, Codec.ZSTD, len(RAW)),
    "zstd, needing a dictionary": frame(
        zstandard.ZstdCompressor(dict_data=zstandard.ZstdCompressionDict(RAW[:1000])).compress(RAW),
        Codec.ZSTD,
        len(RAW),
    ),
    "zstd, naming a dictionary it does not need": frame(zstd_of_zeros(21, dictionary_id=7), Codec.ZSTD, MIB),
    "lz4, naming a dictionary it does not need": frame(lz4_with_dictionary(), Codec.LZ4, len(RAW)),
    "lz4, behind a skippable frame": frame(b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd" + LZ4, Codec.LZ4, len(RAW)),
    "zstd, without its length": frame(
        zstandard.ZstdCompressor(write_content_size=False).compress(RAW), Codec.ZSTD, len(RAW)
    ),
}


EMPTY: dict[str, bytes] = {
    "zstd of nothing": frame(zstandard.compress(b""), Codec.ZSTD, 0),
    "lz4 of nothing": frame(lz4.frame.compress(b""), Codec.LZ4, 0),
    "zstd without payload": frame(b"", Codec.ZSTD, 0),
    "lz4 without payload": frame(b"", Codec.LZ4, 0),
    "zstd, a skippable frame": frame(b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd", Codec.ZSTD, 0),
    "lz4, a skippable frame": frame(b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd", Codec.LZ4, 0),
    "stored, with a payload": frame(b"hidden", Codec.STORED, 0),
}


@pytest.mark.parametrize("data", EMPTY.values(), ids=EMPTY)
def test_an_empty_chunk_hides_nothing(data: bytes) -> None:
    session = with_frame(data, raw=b"")
    assert codes(verify(session, deep=True)) == (DamageCode.FRAME_MALFORMED,)


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_frame_is_refused(data: bytes) -> None:
    session = with_frame(data)
    assert inspect(session) == damaged_inside(session, DamageCode.FRAME_MALFORMED, 0)


def test_a_malformed_frame_costs_one_chunk(session: Session) -> None:
    session.store_frame(1, b"")
    assert inspect(session) == damaged_inside(session, DamageCode.FRAME_MALFORMED, 1)


@pytest.mark.parametrize("codec", Codec)
@pytest.mark.parametrize("where", [0, 1, -1])
def test_padding_that_is_not_zero_is_refused(codec: Codec, where: int) -> None:
    raw, payload, room = next(_with_room_for_padding(codec))
    padding = bytearray(room)
    padding[where] = 1
    session = with_frame(frame(payload, codec, len(raw), padding=bytes(padding)), raw)
    assert inspect(session) == damaged_inside(session, DamageCode.FRAME_MALFORMED, 0)


def _with_room_for_padding(codec: Codec) -> Iterator[tuple[bytes, bytes, int]]:
    """Raw bytes, their payload, and the length of its padding, which is at least 4."""
    compress = {Codec.STORED: bytes, Codec.ZSTD: zstandard.compress, Codec.LZ4: lz4.frame.compress}[codec]
    for length in range(1_000, 50_000, 7):
        payload = compress(noise(length // 2) + RAW[: length // 2])
        unpadded = FRAME_HEADER.size + len(payload)
        if padme_length(unpadded) - unpadded >= 4:
            yield noise(length // 2) + RAW[: length // 2], payload, padme_length(unpadded) - unpadded


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_no_single_byte_of_a_long_padding_can_carry_anything(data: st.DataObject) -> None:
    length = 70_000
    payload = bytes(length)
    room = padme_length(16 + length) - 16 - length
    padding = bytearray(room)
    padding[data.draw(st.integers(0, room - 1))] = data.draw(st.integers(1, 255))
    session = with_frame(frame(payload, padding=bytes(padding)), raw=payload)
    assert refusal(lambda: _read_all(session)) is DamageCode.FRAME_MALFORMED


def _read_all(session: Session) -> None:
    assert b"".join(open_reader(session).read()) == session.recording


def test_padding_has_to_be_announced_in_the_header() -> None:
    session = with_frame(frame(RAW), padded=False)
    assert inspect(session) == damaged_inside(session, DamageCode.FRAME_MALFORMED, 0)


def test_padding_that_is_announced_has_to_be_there() -> None:
    session = with_frame(frame(RAW, padding=b""), padded=True)
    assert inspect(session) == damaged_inside(session, DamageCode.FRAME_MALFORMED, 0)


def test_a_frame_that_is_not_padded_and_does_not_say_so_is_whole() -> None:
    session = with_frame(frame(RAW, padding=b""), padded=False)
    assert inspect(session) == intact(session)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(Codec), st.integers(0, 300))
def test_a_payload_of_any_bytes_is_refused_or_is_what_it_says(payload: bytes, codec: Codec, raw_length: int) -> None:
    session = with_frame(frame(payload, codec, raw_length), raw=b"?" * raw_length)
    report = codes(verify(session, deep=True))
    if codec is Codec.STORED and len(payload) == raw_length:
        assert report in ((), (DamageCode.PLAINTEXT_DIGEST_MISMATCH,))
    else:
        assert report == (DamageCode.FRAME_MALFORMED,)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([(ZSTD, Codec.ZSTD), (LZ4, Codec.LZ4)]), st.data())
def test_a_compressed_payload_with_any_change_is_refused_or_is_what_it_says(
    compressed: tuple[bytes, Codec], data: st.DataObject
) -> None:
    payload = bytearray(compressed[0])
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    session = with_frame(frame(bytes(payload), compressed[1], len(RAW)))
    found = codes(verify(session, deep=True))
    assert found in ((), (DamageCode.FRAME_MALFORMED,), (DamageCode.PLAINTEXT_DIGEST_MISMATCH,))


# What the frame holds is not what the metadata says.


@pytest.mark.parametrize("length", [0, 1, MIB - 1])
def test_a_chunk_of_another_raw_length_than_its_row_is_refused(session: Session, length: int) -> None:
    session.store_frame(1, build_frame(bytes(length)))
    assert inspect(session) == damaged_inside(session, DamageCode.SEALED_MISMATCH, 1)


def test_a_chunk_of_other_bytes_is_seen_where_the_whole_is_read(session: Session) -> None:
    """Writer and sealer together can lie about a part; the digest of the plaintext covers the whole."""
    session.store_frame(1, build_frame(b"\x01" * MIB))
    mismatch = DamageCode.PLAINTEXT_DIGEST_MISMATCH
    assert codes(verify(session)) == ()
    assert codes(verify(session, deep=True)) == (mismatch,)
    reader = open_reader(session)
    assert refusal(lambda: reader.copy_to(lambda _data, _at: None, 2, lambda _bytes: None)) is mismatch


def test_two_chunks_that_exchange_their_contents_are_seen_where_the_whole_is_read(session: Session) -> None:
    first, second = session.frame(0), session.frame(1)
    session.store_frame(0, second)
    session.store_frame(1, first)
    assert codes(verify(session, deep=True)) == (DamageCode.PLAINTEXT_DIGEST_MISMATCH,)


# Sealed metadata.


def test_sealed_metadata_cannot_be_a_bomb(session: Session) -> None:
    payload = zstandard.ZstdCompressor().compress(bytes(64 * MIB + 1))
    header = ChunkHeader(session.manifest.aead, session.session_id, 0, SEALED_FLAGS)
    session.store_sealed(session.encrypt(header, frame(payload, Codec.ZSTD, 64 * MIB + 1)))
    assert inspect(session) == unreadable(session, DamageCode.FRAME_MALFORMED)


def test_sealed_metadata_is_framed_like_a_chunk(session: Session) -> None:
    header = ChunkHeader(session.manifest.aead, session.session_id, 0, SEALED_FLAGS)
    for data, code in (
        (b"", DamageCode.FRAME_MALFORMED),
        (frame(RAW, flags=1), DamageCode.UNSUPPORTED_FORMAT),
        (frame(RAW, padding=b""), DamageCode.FRAME_MALFORMED),
        (frame(RAW), DamageCode.SEALED_MISMATCH),
    ):
        forged = session.copy()
        forged.store_sealed(session.encrypt(header, data))
        assert inspect(forged) == unreadable(forged, code)


def test_every_way_to_read_knows_the_same_damage(session: Session) -> None:
    """Two damaged chunks of three, with different codes: each range says its own."""
    session.store_frame(0, b"")
    session.store_frame(2, frame(bytes(300_000), flags=1))
    malformed, unsupported = DamageCode.FRAME_MALFORMED, DamageCode.UNSUPPORTED_FORMAT
    found = inspect(session)
    assert found == Outcome((), (malformed, unsupported), (malformed, None, unsupported), found.copied)
    assert found.copied in (malformed, unsupported)
