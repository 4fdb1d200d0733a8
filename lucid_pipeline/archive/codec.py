"""Codecs, frames and padding: from the raw bytes of one chunk to the plaintext that is encrypted, and back.

A frame (docs/format.md, "Frame") is a 16-byte header, a payload and zero padding. Buffers are passed in and reused: at
chunk sizes an allocation costs more than the encryption.
"""

import struct
import threading
from dataclasses import dataclass
from enum import IntEnum

import lz4.frame
import zstandard

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import DamageCode, DamageError

FRAME_HEADER = struct.Struct(">BBHIII")
ZSTD_LEVEL = 3
SAVING_WORTHWHILE = 0.03

_SAMPLES = 5
_SAMPLE_BYTES = 16 * 1024
_ZEROS = bytes(64 * 1024)
_LARGEST_WINDOW = 32 * MIB
_LZ4_FLAGS = 4  # offset of the descriptor's flags, behind the magic number
_LZ4_DICTIONARY = 1


class Codec(IntEnum):
    """How a payload was made from the raw bytes; the number is the frame's first byte."""

    STORED = 0
    ZSTD = 1
    LZ4 = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame laid out at the start of a buffer: `length` bytes with padding, of which `payload_length` are payload."""

    codec: Codec
    raw_length: int
    payload_length: int
    length: int


class FrameCodec:
    """Makes frames with one preferred codec. It owns compression contexts, so every thread needs its own."""

    def __init__(self, preferred: Codec) -> None:
        self._preferred = preferred
        self._zstd = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self._probe = zstandard.ZstdCompressor(level=1)

    def build(self, buffer: memoryview, raw_length: int, *, padded: bool) -> Frame:
        """Turn raw bytes that lie at offset 16 of `buffer` into a frame at offset 0.

        Args:
            buffer: at least `frame_capacity(raw_length)` bytes.
            raw_length: length of the raw bytes.
            padded: whether the frame is padded with zeros to the next Padmé length.
        """
        start = FRAME_HEADER.size
        codec, payload_length = Codec.STORED, raw_length
        compressed = self._compress(buffer[start : start + raw_length])
        if compressed is not None:
            codec, payload_length = self._preferred, len(compressed)
            buffer[start : start + payload_length] = compressed
        FRAME_HEADER.pack_into(buffer, 0, codec, 0, 0, raw_length, payload_length, 0)
        unpadded = start + payload_length
        length = padme_length(unpadded) if padded else unpadded
        _clear(buffer[unpadded:length])
        return Frame(codec, raw_length, payload_length, length)

    def _compress(self, raw: memoryview) -> bytes | None:
        if self._preferred is Codec.STORED or not self._promises_saving(raw):
            return None
        compressed = self._zstd.compress(raw) if self._preferred is Codec.ZSTD else lz4.frame.compress(raw)
        return compressed if len(compressed) <= len(raw) * (1 - SAVING_WORTHWHILE) else None

    def _promises_saving(self, raw: memoryview) -> bool:
        """Compress a few slices only, with the fastest level, where the chunk is much larger than they are."""
        if len(raw) <= 4 * _SAMPLES * _SAMPLE_BYTES:
            return True
        stride = (len(raw) - _SAMPLE_BYTES) // (_SAMPLES - 1)
        sample = b"".join(raw[at * stride : at * stride + _SAMPLE_BYTES] for at in range(_SAMPLES))
        return len(self._probe.compress(sample)) <= len(sample) * (1 - SAVING_WORTHWHILE)


def frame_capacity(raw_length: int) -> int:
    """The longest frame that `raw_length` raw bytes can become."""
    return padme_length(FRAME_HEADER.size + raw_length)


def parse_frame(frame: memoryview, *, padded: bool, largest: int, where: str) -> memoryview | bytes:
    """The raw bytes of a decrypted frame; a view into it where they were stored as they are.

    Args:
        frame: the whole frame.
        padded: whether the chunk object's header says that the frame is padded.
        largest: the most raw bytes that it may hold, such as the chunk size of its stream.
        where: what the frame belongs to, for the damage report.

    Raises:
        DamageError: `unsupported_format` for a codec or flag from the future, `frame_malformed` for all else.
    """
    if len(frame) < FRAME_HEADER.size:
        raise _malformed(where, f"a frame has at least {FRAME_HEADER.size} bytes")
    codec, flags, zero16, raw_length, payload_length, zero32 = FRAME_HEADER.unpack_from(frame)
    if codec not in Codec.__members__.values() or flags or zero16 or zero32:
        raise DamageError(DamageCode.UNSUPPORTED_FORMAT, where, f"frame with codec {codec} and flags {flags}")
    if raw_length > largest:
        raise _malformed(where, f"raw length {raw_length} is above {largest}")
    unpadded = FRAME_HEADER.size + payload_length
    if unpadded > len(frame):
        raise _malformed(where, "the payload is longer than the frame")
    if len(frame) != (padme_length(unpadded) if padded else unpadded):
        raise _malformed(where, "the padding has the wrong length")
    if not _all_zero(frame[unpadded:]):
        raise _malformed(where, "the padding is not zero")
    if not raw_length and codec != Codec.STORED:
        raise _malformed(where, "an empty chunk is stored as it is")
    payload = frame[FRAME_HEADER.size : unpadded]
    raw = payload if codec == Codec.STORED else _decompress(Codec(codec), payload, raw_length, where)
    if len(raw) != raw_length:
        raise _malformed(where, f"{len(raw)} raw bytes, where the header says {raw_length}")
    return raw


def padme_length(length: int) -> int:
    """The Padmé length for `length` bytes: at most 12 % more, which hides all but O(log log n) bits of n.

    Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", 2019.
    """
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    low_bits = exponent - exponent.bit_length()
    mask = (1 << low_bits) - 1
    return (length + mask) & ~mask


_thread = threading.local()


def _decompress(codec: Codec, payload: memoryview, raw_length: int, where: str) -> bytes:
    """Inflate one whole frame of the codec; never makes more than one byte above `raw_length`."""
    try:
        if codec is Codec.ZSTD:
            return _decompress_zstd(payload, raw_length)
        if payload[_LZ4_FLAGS] & _LZ4_DICTIONARY:
            raise ValueError("the LZ4 frame names a dictionary")
        decompressor = lz4.frame.LZ4FrameDecompressor()
        raw: bytes = decompressor.decompress(payload, max_length=raw_length + 1)
        if not decompressor.eof or decompressor.unused_data:
            raise _malformed(where, "the LZ4 frame does not end with the payload, or inflates beyond its raw length")
        return raw
    except (zstandard.ZstdError, RuntimeError, ValueError, IndexError) as error:
        raise _malformed(where, f"the payload does not decompress: {error}") from error


def _decompress_zstd(payload: memoryview, raw_length: int) -> bytes:
    parameters = zstandard.get_frame_parameters(payload)
    if parameters.content_size != raw_length:
        raise ValueError("the zstd frame declares another length than the header")
    if parameters.window_size > _LARGEST_WINDOW:  # the library heeds a limit of its own only while it streams
        raise ValueError("the zstd frame asks for a window that is too large")
    if not hasattr(_thread, "zstd"):
        _thread.zstd = zstandard.ZstdDecompressor()
    raw: bytes = _thread.zstd.decompress(payload, allow_extra_data=False)
    return raw


def _clear(region: memoryview) -> None:
    for start in range(0, len(region), len(_ZEROS)):
        part = region[start : start + len(_ZEROS)]
        part[:] = _ZEROS[: len(part)]


def _all_zero(region: memoryview) -> bool:
    return all(
        region[start : start + len(_ZEROS)] == _ZEROS[: min(len(_ZEROS), len(region) - start)]
        for start in range(0, len(region), len(_ZEROS))
    )


def _malformed(where: str, detail: str) -> DamageError:
    return DamageError(DamageCode.FRAME_MALFORMED, where, detail)
