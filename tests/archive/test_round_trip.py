"""What goes in comes out: every size at a border, every codec, both suites, every chunk size."""

import tempfile
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB
from lucid_pipeline.archive.codec import Codec
from lucid_pipeline.archive.encryption import Suite
from lucid_pipeline.archive.reader import load_chunk_table
from tests.support import Home, export, mixture, noise, text

LARGEST = 3 * max(CHUNK_SIZES)
SEVERAL = "several chunks"
SIZES = {
    "0": lambda _chunk: 0,
    "1": lambda _chunk: 1,
    "16383": lambda _chunk: 16383,
    "16384": lambda _chunk: 16384,
    "16385": lambda _chunk: 16385,
    "one chunk minus one": lambda chunk: chunk - 1,
    "one chunk": lambda chunk: chunk,
    "one chunk plus one": lambda chunk: chunk + 1,
    SEVERAL: lambda chunk: 2 * chunk + 16385,
}


@cache
def recording() -> bytes:
    """Every recording here is a beginning of this one, half of which compresses."""
    return mixture(LARGEST)


def ranges(size: int, chunk_size: int) -> list[tuple[int, int]]:
    """The ends, the borders of segments, the borders of chunks, and what is beyond."""
    found = [(0, 0), (0, 1), (0, size), (size - 1, size), (size, size), (size - 1, size + 100), (size, size + 1)]
    found += [(16383, 16386), (16384, 16384), (size // 3, size // 3 + 1000)]
    for border in range(chunk_size, size + 1, chunk_size):
        found += [(border - 1, border), (border, border + 1), (border - 1, border + 1), (border - 5000, border + 5000)]
    return sorted({(max(0, start), max(0, stop)) for start, stop in found if start <= stop})


@pytest.mark.parametrize("chunk_size", CHUNK_SIZES, ids=lambda size: f"{size // MIB}MiB")
@pytest.mark.parametrize("suite", Suite, ids=lambda suite: suite.name)
@pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name)
@pytest.mark.parametrize("size", SIZES)
def test_every_byte_comes_back(size: str, codec: Codec, suite: Suite, chunk_size: int, home: Home) -> None:
    data = recording()[: SIZES[size](chunk_size)]
    manifest = home.archive(data, suite=suite, codec=codec, chunk_size=chunk_size).manifest
    session_id, stream = manifest.session_id, manifest.recording
    assert (manifest.aead, stream.chunk_size) == (suite, chunk_size)
    assert stream.chunk_count == max(1, -(-len(data) // chunk_size))
    if len(data) > 1000 and codec is not Codec.STORED:
        assert stream.stored_bytes < len(data) * 0.8
    for deep in (False, True):
        report = home.verify(session_id, deep=deep)
        assert report.intact, report.damages
        assert report.chunks_checked == stream.chunk_count
        assert report.bytes_checked == stream.stored_bytes
    reader = home.reader(session_id)
    assert len(reader) == len(data)
    assert reader.metadata.recording.sha256 == sha256(data).digest()
    assert export(reader) == data
    for start, stop in ranges(len(data), chunk_size):
        assert b"".join(reader.read(start, stop)) == data[start:stop], (start, stop)


def test_every_codec_is_really_used(home: Home) -> None:
    """The proof that the matrix above is one of codecs: they make objects of three different lengths."""
    stored = [
        home.archive(recording()[: 3 * MIB], codec=codec).manifest.recording.stored_bytes
        for codec in (Codec.STORED, Codec.ZSTD, Codec.LZ4)
    ]
    assert len(set(stored)) == 3


@settings(max_examples=40)
@given(
    size=st.integers(0, 3 * MIB + 100),
    seed=st.integers(0, 2**32),
    make=st.sampled_from([mixture, noise, text]),
    suite=st.sampled_from(Suite),
    codec=st.sampled_from(Codec),
    workers=st.integers(1, 4),
    cuts=st.lists(st.tuples(st.integers(0, 3 * MIB), st.integers(0, 3 * MIB)), max_size=4),
)
@example(size=3 * MIB, seed=0, make=text, suite=Suite.AES_256_GCM, codec=Codec.LZ4, workers=3, cuts=[(MIB, 2 * MIB)])
def test_recordings_of_any_size_come_back(
    size: int,
    seed: int,
    make: Callable[[int, int], bytes],
    suite: Suite,
    codec: Codec,
    workers: int,
    cuts: list[tuple[int, int]],
) -> None:
    data = make(size, seed)
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        session_id = home.archive(data, suite=suite, codec=codec, workers=workers).manifest.session_id
        assert home.verify(session_id, deep=True).intact
        reader = home.reader(session_id)
        assert export(reader, workers=workers) == data
        for start, stop in cuts:
            assert b"".join(reader.read(start, stop)) == data[start:stop]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, UUID]:
    """A session of six chunks and a bit, for many small reads."""
    home = Home(tmp_path_factory.mktemp("large"))
    return home, home.archive(recording()[: 6 * MIB + 12345]).manifest.session_id


@settings(max_examples=150)
@given(start=st.integers(0, 7 * MIB), length=st.integers(0, 3 * MIB) | st.integers(0, 100))
@example(start=0, length=7 * MIB)
@example(start=MIB, length=0)
@example(start=6 * MIB + 12345, length=1)
def test_any_range_is_exact(large: tuple[Home, UUID], start: int, length: int) -> None:
    home, session_id = large
    parts = list(home.reader(session_id).read(start, start + length))
    assert b"".join(parts) == recording()[: 6 * MIB + 12345][start : start + length]
    assert all(0 < len(part) <= MIB for part in parts)


def test_a_range_without_an_end_reads_to_the_end(large: tuple[Home, UUID]) -> None:
    home, session_id = large
    assert b"".join(home.reader(session_id).read(5 * MIB - 1)) == recording()[5 * MIB - 1 : 6 * MIB + 12345]
    assert b"".join(home.reader(session_id).read()) == recording()[: 6 * MIB + 12345]


@pytest.mark.parametrize(("start", "stop"), [(10, 5), (-10, 0), (3 * MIB, MIB), (0, -1), (7 * MIB, 8 * MIB)])
def test_a_range_of_nothing_is_empty(large: tuple[Home, UUID], start: int, stop: int) -> None:
    home, session_id = large
    assert list(home.reader(session_id).read(start, stop)) == []


def test_a_range_reads_no_more_chunks_than_it_needs(large: tuple[Home, UUID], monkeypatch: pytest.MonkeyPatch) -> None:
    home, session_id = large
    reader = home.reader(session_id)
    fetched = []
    get = type(home.store).get
    monkeypatch.setattr(
        type(home.store), "get", lambda store, key, limit: (fetched.append(key), get(store, key, limit))[1]
    )
    list(reader.read(2 * MIB + 5, 3 * MIB + 5))
    chunks = [key for key in fetched if "/chunks/" in key]
    table = load_chunk_table(reader.manifest, home.store)
    assert chunks == [table.objects[2].key, table.objects[3].key]


@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_the_number_of_workers_changes_nothing(workers: int, large: tuple[Home, UUID]) -> None:
    home, session_id = large
    assert home.export(session_id, workers=workers) == recording()[: 6 * MIB + 12345]
    again = home.archive(recording()[: 6 * MIB + 12345], workers=workers).manifest.session_id
    assert home.export(again) == recording()[: 6 * MIB + 12345]


def test_the_file_stays_as_it_was(home: Home) -> None:
    path = home.landing_file(recording()[:MIB])
    before = path.stat()
    home.archive(path)
    after = path.stat()
    assert path.read_bytes() == recording()[:MIB]
    assert (before.st_mtime_ns, before.st_ino, before.st_mode) == (after.st_mtime_ns, after.st_ino, after.st_mode)


def test_the_same_recording_twice_shares_no_bytes(home: Home) -> None:
    """Another DEK and other salts each time: nobody sees that it is the same."""
    sessions = [home.archive(recording()[: 2 * MIB]).manifest for _ in range(2)]
    one, other = (load_chunk_table(manifest, home.store).objects for manifest in sessions)
    assert not {chunk.sha256 for chunk in one} & {chunk.sha256 for chunk in other}
    assert sessions[0].dek_commitment != sessions[1].dek_commitment
    salts = {home.object_path(chunk.key).read_bytes()[40:64] for chunk in (*one, *other)}
    assert len(salts) == 4
