"""Frames with any fields and payloads, honest or not, and sessions that hold them."""

import struct
from contextlib import suppress
from hashlib import sha256

import lz4.frame
import zstandard

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import Codec, padme_length
from tests.attacks.support import Session, one_chunk

RAW = b"the same words over and over, " * 2_000
"""What the forged frames claim to hold; the sealed metadata agrees."""


def frame(
    payload: bytes,
    codec: int = Codec.STORED,
    raw_length: int | None = None,
    payload_length: int | None = None,
    flags: int = 0,
    zero16: int = 0,
    zero32: int = 0,
    padding: bytes | None = None,
) -> bytes:
    """A frame with any fields; by itself, a right one of `payload`."""
    length = len(payload) if payload_length is None else payload_length
    raw_length = len(payload) if raw_length is None else raw_length
    header = struct.pack(">BBHIII", codec, flags, zero16, raw_length, length, zero32)
    unpadded = len(header) + len(payload)
    return header + payload + (bytes(padme_length(unpadded) - unpadded) if padding is None else padding)


def with_frame(data: bytes, raw: bytes = RAW, *, padded: bool = True) -> Session:
    """A session of one chunk, whose metadata says that it holds `raw`."""
    session = one_chunk()
    session.recording = raw
    row = session.metadata.chunks[0].model_copy(update={"length": len(raw)})
    recording = session.metadata.recording.model_copy(update={"length": len(raw), "sha256": sha256(raw).digest()})
    session.change_metadata(chunks=[row], recording=recording)
    session.store_frame(0, data, padded=padded)
    return session


def zstd_of_zeros(window_log: int, dictionary_id: int = 0) -> bytes:
    """One MiB of zeros in a zstd frame, by hand (RFC 8878, section 3.1.1): its window, and the dictionary it names."""
    blocks = [(128 * 1024) << 3 | 1 << 1 | (number == 7) for number in range(8)]
    named = bytes([dictionary_id]) if dictionary_id else b""
    header = struct.pack("<IBB", 0xFD2FB528, 0x80 | len(named), (window_log - 10) << 3) + named + struct.pack("<I", MIB)
    return header + b"".join(struct.pack("<I", block)[:3] + b"\x00" for block in blocks)


def lz4_with_dictionary(dictionary_id: int = 7) -> bytes:
    """The words in an LZ4 frame that names a dictionary, though it needs none; the header's checksum is searched."""
    plain = lz4.frame.compress(RAW, store_size=False)
    magic, flags, block_size, rest = plain[:4], plain[4], plain[5], plain[7:]
    fields = bytes([flags | 1, block_size]) + struct.pack("<I", dictionary_id)
    for checksum in range(256):
        with suppress(RuntimeError):
            forged: bytes = magic + fields + bytes([checksum]) + rest
            lz4.frame.get_frame_info(forged)
            return forged
    raise AssertionError("no checksum fits")


ZSTD = zstandard.ZstdCompressor(level=3).compress(RAW)
LZ4 = lz4.frame.compress(RAW)
