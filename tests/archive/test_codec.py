"""Frames: from the raw bytes of one chunk to the plaintext that is encrypted, and back."""

import struct
import tracemalloc

import lz4.block
import lz4.frame
import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import (
    FRAME_HEADER,
    Codec,
    Frame,
    FrameCodec,
    frame_capacity,
    padme_length,
    parse_frame,
)
from lucid_pipeline.archive.damage import DamageCode, DamageError
from tests.support import mixture, noise, text

KIB = 1024


def build(raw: bytes, codec: Codec, *, padded: bool, dirt: int = 0xA5) -> tuple[bytes, Frame]:
    """A frame made in a buffer that was used before."""
    buffer = bytearray([dirt]) * frame_capacity(len(raw))
    buffer[16 : 16 + len(raw)] = raw
    frame = FrameCodec(codec).build(memoryview(buffer), len(raw), padded=padded)
    return bytes(buffer[: frame.length]), frame


def parse(frame: bytes, *, padded: bool = False, largest: int = MIB) -> bytes:
    return bytes(parse_frame(memoryview(frame), padded=padded, largest=largest, where="chunk 0"))


def handmade(
    codec: int,
    payload: bytes,
    raw_length: int,
    *,
    flags: int = 0,
    zero16: int = 0,
    zero32: int = 0,
    padding: bytes = b"",
) -> bytes:
    header = struct.pack(">BBHIII", codec, flags, zero16, raw_length, len(payload), zero32)
    return header + payload + padding


def refusal(frame: bytes, *, padded: bool = False, largest: int = MIB) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        parse(frame, padded=padded, largest=largest)
    assert refused.value.damage.where == "chunk 0"
    return refused.value.damage.code


REFUSALS = (DamageCode.FRAME_MALFORMED, DamageCode.UNSUPPORTED_FORMAT)


def outcome(frame: bytes, *, padded: bool, largest: int) -> bytes | DamageCode:
    """The raw bytes, or the code with which the frame is refused."""
    try:
        return parse(frame, padded=padded, largest=largest)
    except DamageError as error:
        return error.damage.code


raws = st.one_of(
    st.binary(max_size=3000),
    st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=40), st.integers(1, 2000)),
)
codecs = st.sampled_from(Codec)


@given(raw=raws, codec=codecs, padded=st.booleans(), dirt=st.integers(0, 255))
@example(raw=b"", codec=Codec.ZSTD, padded=True, dirt=1)
@example(raw=b"", codec=Codec.LZ4, padded=False, dirt=1)
@example(raw=bytes(500_000), codec=Codec.ZSTD, padded=True, dirt=1)
def test_a_frame_gives_back_its_bytes(raw: bytes, codec: Codec, padded: bool, dirt: int) -> None:
    data, frame = build(raw, codec, padded=padded, dirt=dirt)
    assert parse(data, padded=padded, largest=len(raw)) == raw
    assert frame.raw_length == len(raw)
    assert frame.length == len(data) <= frame_capacity(len(raw))
    assert frame.length == (padme_length(16 + frame.payload_length) if padded else 16 + frame.payload_length)
    assert frame.codec in (Codec.STORED, codec)


@given(raw=raws, codec=codecs, padded=st.booleans(), data=st.data())
def test_a_changed_frame_is_refused_or_says_the_same(
    raw: bytes, codec: Codec, padded: bool, data: st.DataObject
) -> None:
    """Never another exception, never more bytes than it may hold; the encryption around it does the authentication."""
    frame = bytearray(build(raw, codec, padded=padded)[0])
    position = data.draw(st.integers(0, len(frame) - 1))
    frame[position] ^= data.draw(st.integers(1, 255))
    found = outcome(bytes(frame), padded=padded, largest=len(raw))
    if position < 16:
        assert found in REFUSALS, "no bit of a frame's header is without meaning"
    else:
        assert found in REFUSALS or len(found) == len(raw)


@given(frame=st.binary(max_size=400), padded=st.booleans())
def test_any_bytes_are_refused_or_within_bounds(frame: bytes, padded: bool) -> None:
    found = outcome(frame, padded=padded, largest=100)
    assert found in REFUSALS or len(found) <= 100


@given(raw=raws, codec=codecs, padded=st.booleans(), data=st.data())
def test_a_cut_or_extended_frame_is_refused(raw: bytes, codec: Codec, padded: bool, data: st.DataObject) -> None:
    frame, _ = build(raw, codec, padded=padded)
    length = data.draw(st.integers(0, len(frame) + 100).filter(lambda length: length != len(frame)))
    other = (frame + bytes(100))[:length]
    assert refusal(other, padded=padded) is DamageCode.FRAME_MALFORMED


@given(raw=raws, codec=codecs, padded=st.booleans(), data=st.data())
def test_a_frame_with_another_raw_length_is_refused(
    raw: bytes, codec: Codec, padded: bool, data: st.DataObject
) -> None:
    frame = bytearray(build(raw, codec, padded=padded)[0])
    claimed = data.draw(st.integers(0, 2**32 - 1).filter(lambda length: length != len(raw)))
    struct.pack_into(">I", frame, 4, claimed)
    assert refusal(bytes(frame), padded=padded, largest=2**32 - 1) is DamageCode.FRAME_MALFORMED


@pytest.mark.parametrize("codec", Codec)
def test_text_is_compressed_with_the_preferred_codec(codec: Codec) -> None:
    raw = text(MIB)
    frame, made = build(raw, codec, padded=False)
    assert made.codec is codec
    assert frame[0] == codec
    assert codec is Codec.STORED or len(frame) < MIB // 4


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.LZ4])
@pytest.mark.parametrize("length", [0, 1, 50, 16 * KIB, MIB, 4 * MIB])
def test_noise_is_stored_as_it_is(codec: Codec, length: int) -> None:
    assert build(noise(length), codec, padded=False)[1].codec is Codec.STORED


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.LZ4])
@pytest.mark.parametrize(("percent", "expected"), [(1, False), (2, False), (5, True), (20, True)])
def test_what_saves_less_than_3_percent_is_stored(codec: Codec, percent: int, expected: bool) -> None:
    zeros = 200 * KIB * percent // 100
    raw = noise(200 * KIB - zeros) + bytes(zeros)
    assert (build(raw, codec, padded=False)[1].codec is codec) is expected


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.LZ4])
def test_whether_a_large_chunk_is_worth_compressing_is_told_by_five_slices_of_it(codec: Codec) -> None:
    """Compressing all of a video, to find that nothing is saved, would cost more than encrypting it."""
    raw, piece = bytearray(MIB), 16 * KIB
    starts = [slice_number * (MIB - piece) // 4 for slice_number in range(5)]
    for start in starts:
        raw[start : start + piece] = noise(piece, seed=start)
    assert build(bytes(raw), codec, padded=False)[1].codec is Codec.STORED
    raw[starts[2] : starts[2] + piece] = bytes(piece)
    assert build(bytes(raw), codec, padded=False)[1].codec is codec


@pytest.mark.parametrize("length", [0, 15, 16, 17, 100, KIB])
def test_a_frame_is_a_header_a_payload_and_nothing_else(length: int) -> None:
    raw = noise(length)
    expected = bytes([0, 0, 0, 0]) + length.to_bytes(4, "big") * 2 + bytes(4) + raw
    assert build(raw, Codec.STORED, padded=False)[0] == expected
    padded = build(raw, Codec.STORED, padded=True)[0]
    assert padded == expected + bytes(padme_length(len(expected)) - len(expected))


def test_a_buffer_is_used_again_for_frames_of_any_length() -> None:
    codec = FrameCodec(Codec.ZSTD)
    buffer = memoryview(bytearray(frame_capacity(MIB)))
    for raw in (mixture(MIB), b"", text(MIB), b"x", noise(MIB), text(MIB - 1, seed=3), b"x" * 100):
        buffer[16 : 16 + len(raw)] = raw
        frame = codec.build(buffer, len(raw), padded=True)
        assert parse(bytes(buffer[: frame.length]), padded=True) == raw


@pytest.mark.parametrize("codec", [3, 4, 0x7F, 0xFF])
def test_a_codec_from_the_future_is_not_supported(codec: int) -> None:
    assert refusal(handmade(codec, b"abc", 3)) is DamageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    "reserved",
    [{"flags": 1}, {"flags": 0x80}, {"zero16": 1}, {"zero16": 0x8000}, {"zero32": 1}, {"zero32": 0x80000000}],
)
def test_reserved_bits_that_are_set_are_not_supported(reserved: dict[str, int]) -> None:
    assert parse(handmade(0, b"abc", 3)) == b"abc"
    assert refusal(handmade(0, b"abc", 3, **reserved)) is DamageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("length", range(16))
def test_less_than_a_header_is_no_frame(length: int) -> None:
    assert refusal(bytes(length)) is DamageCode.FRAME_MALFORMED


def test_a_raw_length_above_the_chunk_size_is_refused() -> None:
    assert parse(handmade(0, bytes(100), 100), largest=100) == bytes(100)
    assert refusal(handmade(0, bytes(101), 101), largest=100) is DamageCode.FRAME_MALFORMED


@pytest.mark.parametrize("at", [0, 1, 40, 97, -1])
def test_padding_that_is_not_zero_is_refused(at: int) -> None:
    raw = noise(5000)
    frame = bytearray(build(raw, Codec.STORED, padded=True)[0])
    assert len(frame) - 5016 == 104
    frame[5016 + at if at >= 0 else -1] = 1
    assert refusal(bytes(frame), padded=True) is DamageCode.FRAME_MALFORMED


def test_padding_of_a_large_frame_is_looked_at_to_the_end() -> None:
    payload = bytes(2 * MIB + 1)
    length = padme_length(16 + len(payload))
    frame = bytearray(handmade(0, payload, len(payload), padding=bytes(length - 16 - len(payload))))
    assert length - 16 - len(payload) == 65519
    assert len(parse(bytes(frame), padded=True, largest=4 * MIB)) == len(payload)
    frame[-1] = 0x80
    assert refusal(bytes(frame), padded=True, largest=4 * MIB) is DamageCode.FRAME_MALFORMED


@pytest.mark.parametrize("more", [-1, 1, 8])
def test_padding_of_any_other_length_is_refused(more: int) -> None:
    frame = build(noise(5000), Codec.STORED, padded=True)[0]
    other = frame + bytes(more) if more > 0 else frame[:more]
    assert refusal(other, padded=True) is DamageCode.FRAME_MALFORMED
    assert refusal(frame, padded=False) is DamageCode.FRAME_MALFORMED


def bombs() -> dict[str, bytes]:
    """Frames that say they hold 1000 bytes and would become 64 MiB."""
    zeros = bytes(64 * MIB)
    declared = zstandard.ZstdCompressor().compress(zeros)
    undeclared = zstandard.ZstdCompressor(write_content_size=False).compress(zeros)
    lying = bytearray(zstandard.ZstdCompressor().compress(bytes(1000)))  # declares 1000 bytes, then holds the bomb
    blocks = undeclared[zstandard.frame_header_size(undeclared) :]
    return {
        "zstd that says so": handmade(1, declared, 1000),
        "zstd that says nothing": handmade(1, undeclared, 1000),
        "zstd that lies": handmade(1, bytes(lying[: zstandard.frame_header_size(bytes(lying))]) + blocks, 1000),
        "lz4 that says so": handmade(2, lz4.frame.compress(zeros), 1000),
        "lz4 that says nothing": handmade(2, lz4.frame.compress(zeros, store_size=False), 1000),
        "two lz4 frames": handmade(2, lz4.frame.compress(bytes(500)) * 2, 1000),
        "two zstd frames": handmade(1, zstandard.ZstdCompressor().compress(bytes(500)) * 2, 1000),
    }


BOMBS = bombs()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_unfolds(name: str) -> None:
    tracemalloc.start()
    try:
        assert refusal(BOMBS[name]) is DamageCode.FRAME_MALFORMED
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


@pytest.mark.parametrize(("window_log", "accepted"), [(23, True), (25, True), (26, False), (31, False)])
def test_a_zstd_window_above_32_mib_is_refused(window_log: int, accepted: bool) -> None:
    """RFC 8878, 3.1.1.1.2. A frame of 300 bytes can ask for as much memory as its header likes."""
    raw = noise(300)
    descriptor, window, content_size = 0x40, (window_log - 10) << 3, len(raw) - 256
    block = (len(raw) << 3 | 1).to_bytes(3, "little") + raw
    payload = b"\x28\xb5\x2f\xfd" + struct.pack("<BBH", descriptor, window, content_size) + block
    assert zstandard.get_frame_parameters(payload).window_size == 1 << window_log
    frame = handmade(1, payload, len(raw))
    assert outcome(frame, padded=False, largest=MIB) == (raw if accepted else DamageCode.FRAME_MALFORMED)


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.LZ4])
@pytest.mark.parametrize("raw", [b"", b"hello " * 100])
def test_bytes_behind_the_compressed_frame_are_refused(codec: Codec, raw: bytes) -> None:
    payload = zstandard.compress(raw) if codec is Codec.ZSTD else lz4.frame.compress(raw)
    assert refusal(handmade(codec, payload + b"\x00", len(raw))) is DamageCode.FRAME_MALFORMED
    assert refusal(handmade(codec, payload + b"junk", len(raw))) is DamageCode.FRAME_MALFORMED


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.LZ4])
def test_every_shortened_payload_is_refused(codec: Codec) -> None:
    raw = text(2000)
    payload = zstandard.compress(raw) if codec is Codec.ZSTD else lz4.frame.compress(raw)
    assert parse(handmade(codec, payload, len(raw))) == raw
    for length in range(len(payload)):
        assert refusal(handmade(codec, payload[:length], len(raw))) is DamageCode.FRAME_MALFORMED


@pytest.mark.parametrize(
    "payload",
    [
        zstandard.ZstdCompressor(write_content_size=False).compress(b"hello"),
        b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello",  # a skippable frame
        lz4.frame.compress(b"hello"),
        b"hello",
        b"",
    ],
    ids=["undeclared length", "skippable", "lz4", "raw", "empty"],
)
def test_what_is_not_one_zstd_frame_of_known_length_is_refused(payload: bytes) -> None:
    assert refusal(handmade(1, payload, 5)) is DamageCode.FRAME_MALFORMED


@pytest.mark.parametrize(
    "payload",
    [lz4.block.compress(b"hello"), zstandard.compress(b"hello"), b"hello", b""],
    ids=["lz4 block", "zstd", "raw", "empty"],
)
def test_what_is_not_one_lz4_frame_is_refused(payload: bytes) -> None:
    assert refusal(handmade(2, payload, 5)) is DamageCode.FRAME_MALFORMED


# Padmé, as Algorithm 1 of the PURBs paper has it, in floating point


def padme_of_the_paper(length: int) -> int:
    exponent = length.bit_length() - 1  # E = floor(log2 L)
    bits = (exponent).bit_length()  # S = floor(log2 E) + 1
    mask = 2 ** (exponent - bits) - 1
    return (length + mask) // (mask + 1) * (mask + 1)


@given(st.integers(2, 2**62))
def test_padme_lengths_are_those_of_the_paper(length: int) -> None:
    assert padme_length(length) == padme_of_the_paper(length)


@given(st.integers(0, 2**62))
def test_padding_never_shortens_and_costs_at_most_12_percent(length: int) -> None:
    assert length <= padme_length(length) <= length * 1.12
    if length > 2**20:
        assert padme_length(length) <= length * 1.0625


@given(st.integers(0, 2**40))
def test_a_padded_length_stays_as_it_is(length: int) -> None:
    assert padme_length(padme_length(length)) == padme_length(length)


@given(st.integers(0, 2**40), st.integers(0, 2**40))
def test_a_longer_frame_never_has_a_shorter_padded_length(one: int, other: int) -> None:
    assert padme_length(min(one, other)) <= padme_length(max(one, other))


@given(st.integers(4, 2**62))
def test_a_padded_length_tells_no_more_bits_than_its_exponent_has(length: int) -> None:
    """As in a float: the mantissa has no more bits than the exponent, so O(log log L) bits of the length remain."""
    padded = padme_length(length)
    mantissa = padded >> ((padded & -padded).bit_length() - 1)
    assert mantissa.bit_length() <= (padded.bit_length() - 1).bit_length() + 1


@pytest.mark.parametrize(
    ("length", "padded"),
    [
        (0, 0),
        (1, 1),
        (2, 2),
        (8, 8),
        (9, 10),
        (16, 16),
        (17, 18),
        (100, 104),
        (1000, 1024),
        (16400, 17408),
        (MIB, MIB),
        (MIB + 16, MIB + 32 * KIB),
        (8 * MIB + 16, 8 * MIB + 256 * KIB),
    ],
)
def test_padme_examples(length: int, padded: int) -> None:
    assert padme_length(length) == padded


def test_a_frame_header_has_16_bytes() -> None:
    assert FRAME_HEADER.size == 16
