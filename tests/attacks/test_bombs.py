"""What is small to store and large to open: a process of its own opens each, and measures what it costs.

A writer gone bad made them, and they are signed.
"""

import json
import resource
import struct
import subprocess
import sys
from collections.abc import Callable

import lz4.frame
import pytest
import zstandard

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import Codec
from lucid_pipeline.archive.damage import DamageCode
from tests.attacks.frame_forgery import frame, with_frame, zstd_of_zeros
from tests.attacks.support import Session, build_frame, inspect, one_chunk

BOMB_BYTES = 512 * MIB
MEMORY = 48 * MIB
"""What opening any of them may cost: a few times the chunk size, whatever it inflates to."""


def _zstd_bomb(declared: int) -> bytes:
    """512 MiB of zeros in a zstd frame whose header declares another length."""
    compressor = zstandard.ZstdCompressor(level=1).compressobj(size=BOMB_BYTES)
    parts = [compressor.compress(bytes(MIB)) for _ in range(BOMB_BYTES // MIB)]
    data = bytearray(b"".join(parts) + compressor.flush())
    at = data.index(struct.pack("<I", BOMB_BYTES), 4, 16)
    struct.pack_into("<I", data, at, declared)
    return bytes(data)


def _lz4_bomb(declared: int) -> bytes:
    """512 MiB of zeros in one LZ4 frame that declares another length, or none."""
    compressor = lz4.frame.LZ4FrameCompressor(block_size=lz4.frame.BLOCKSIZE_MAX4MB, auto_flush=True)
    parts = [compressor.begin(declared)]
    parts += [compressor.compress(bytes(MIB)) for _ in range(BOMB_BYTES // MIB)]
    bomb: bytes = b"".join(parts) + compressor.flush()
    return bomb


def _with_chunk_of_zeros(payload: bytes, codec: Codec) -> Session:
    """A session of one chunk of zeros, with as much of the payload as a chunk object can hold."""
    return with_frame(frame(payload[: MIB - 1_000], codec, MIB), raw=bytes(MIB))


def _with_metadata_of(items: bytes) -> Session:
    """A session whose metadata has 256 KiB of these in the place of rows."""
    session = one_chunk()
    recording = session.metadata.recording.encode()
    rows = items * (256 * 1024 // len(items)) + items[:-1]
    session.store_metadata(b'{"chunks":[%b],"recording":%b,"schema":"lucid/sealed@v1"}' % (rows, recording))
    return session


def _with_table_of(items: bytes) -> Session:
    """A session whose chunk table has 256 KiB of these in the place of entries."""
    session = one_chunk()
    entries = items * (256 * 1024 // len(items)) + items[:-1]
    start = b'{"objects":[%b],"schema":"lucid/chunk-table@v1",' % entries
    session.store_table(start + b'"session_id":"%b","stream_id":0}' % str(session.session_id).encode())
    return session


FRAMES: dict[str, Callable[[], Session]] = {
    "zstd that declares a chunk": lambda: _with_chunk_of_zeros(_zstd_bomb(MIB), Codec.ZSTD),
    "zstd that declares all of it": lambda: _with_chunk_of_zeros(_zstd_bomb(BOMB_BYTES), Codec.ZSTD),
    "zstd that declares 4 GiB": lambda: _with_chunk_of_zeros(_zstd_bomb(2**32 - 1), Codec.ZSTD),
    "lz4 that declares nothing": lambda: _with_chunk_of_zeros(_lz4_bomb(0), Codec.LZ4),
    "lz4 that declares all of it": lambda: _with_chunk_of_zeros(_lz4_bomb(BOMB_BYTES), Codec.LZ4),
}
WIDE_WINDOW: dict[str, Callable[[], Session]] = {
    "zstd that asks for a window of 2 GiB": lambda: _with_chunk_of_zeros(zstd_of_zeros(window_log=31), Codec.ZSTD),
}
METADATA: dict[str, Callable[[], Session]] = {
    "metadata with numbers for rows": lambda: _with_metadata_of(b"0,"),
    "metadata with empty rows": lambda: _with_metadata_of(b"{},"),
    "metadata with rows that nobody needs": lambda: _with_metadata_of(
        b'{"first_ms":null,"last_ms":null,"length":0,"offset":0},'
    ),
}
TABLES: dict[str, Callable[[], Session]] = {
    "table with numbers for entries": lambda: _with_table_of(b"0,"),
    "table with empty entries": lambda: _with_table_of(b"{},"),
}
ALL = FRAMES | WIDE_WINDOW | METADATA | TABLES


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_that_inflates_beyond_its_raw_length_is_refused_before_it_does(name: str) -> None:
    found, grown = _open_in_another_process(name)
    assert found == {DamageCode.FRAME_MALFORMED}
    assert grown < MEMORY


@pytest.mark.parametrize("name", WIDE_WINDOW)
def test_a_frame_that_asks_for_a_large_window_does_not_get_it(name: str) -> None:
    """Whether it is refused or, since a chunk needs no window, served."""
    found, grown = _open_in_another_process(name)
    assert found in (set(), {DamageCode.FRAME_MALFORMED})
    assert grown < MEMORY


@pytest.mark.parametrize("name", METADATA)
def test_metadata_cannot_make_much_of_its_errors(name: str) -> None:
    found, grown = _open_in_another_process(name)
    assert found == {DamageCode.SEALED_MISMATCH}
    assert grown < MEMORY


@pytest.mark.parametrize("name", TABLES)
def test_a_table_cannot_make_much_of_its_errors(name: str) -> None:
    found, grown = _open_in_another_process(name)
    assert found == {DamageCode.CHUNK_TABLE_MISMATCH}
    assert grown < MEMORY


def _open_in_another_process(name: str) -> tuple[set[str], int]:
    """Verify and read one of `ALL` in every way: the codes found, and by how many bytes the process grew."""
    command = [sys.executable, "-m", "tests.attacks.test_bombs", name]
    done = subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
    found, grown = json.loads(done.stdout)
    return set(found), grown


def _open(name: str) -> None:
    session = ALL[name]()
    inspect(with_frame(build_frame(bytes(MIB)), raw=bytes(MIB)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = inspect(session)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    found = {code for code in (*outcome.public, *outcome.deep, *outcome.ranges, outcome.copied) if code}
    sys.stdout.write(json.dumps([sorted(found), grown * (1 if sys.platform == "darwin" else 1024)]))


if __name__ == "__main__":
    _open(sys.argv[1])
