"""The corpora are the same on every machine, and look like what they stand for."""

import hashlib
import json
from pathlib import Path

import zstandard

from tests.bench.corpora import MIB, write_sparse, write_terminal_recording, write_video


def test_a_seed_always_makes_the_same_recording(tmp_path: Path) -> None:
    path = tmp_path / "terminal.cast"
    write_terminal_recording(path, 100_000)
    assert (
        hashlib.sha256(path.read_bytes()).hexdigest()
        == "a83b5312a5e947cc12286be902598ede9574ccc4e09edd1c359d903edd5d863e"
    )


def test_a_seed_always_makes_the_same_video(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, MIB + 1)
    assert (
        hashlib.sha256(path.read_bytes()).hexdigest()
        == "244a3bd014b0baa3543f2eabf9859c008405591fe2b7129d64c7ae9063134b15"
    )


def test_another_seed_makes_another_recording(tmp_path: Path) -> None:
    for seed in (1, 2):
        write_terminal_recording(tmp_path / f"{seed}.cast", 10_000, seed)
    assert (tmp_path / "1.cast").read_bytes() != (tmp_path / "2.cast").read_bytes()


def test_the_recording_is_an_asciicast_with_rising_times(tmp_path: Path) -> None:
    path = tmp_path / "terminal.cast"
    write_terminal_recording(path, 500_000)
    header, *events = [json.loads(line) for line in path.read_text().splitlines()]
    assert header["version"] == 2
    assert all(code == "o" and isinstance(text, str) for _, code, text in events)
    times = [time for time, _, _ in events]
    assert times == sorted(times)
    assert any(len(text) == 1 for _, _, text in events), "typed characters arrive one by one"


def test_the_recording_is_as_large_as_asked(tmp_path: Path) -> None:
    path = tmp_path / "terminal.cast"
    write_terminal_recording(path, 500_000)
    assert 500_000 <= path.stat().st_size < 600_000


def test_the_recording_compresses_like_real_terminal_output(tmp_path: Path) -> None:
    path = tmp_path / "terminal.cast"
    write_terminal_recording(path, 4 * MIB)
    data = path.read_bytes()
    ratio = len(data) / len(zstandard.ZstdCompressor(level=3).compress(data))
    assert 5 < ratio < 9


def test_the_video_has_exactly_the_size_asked_and_does_not_compress(tmp_path: Path) -> None:
    path = tmp_path / "video.mp4"
    write_video(path, MIB + 1)
    data = path.read_bytes()
    assert len(data) == MIB + 1
    assert len(zstandard.ZstdCompressor(level=3).compress(data)) >= len(data)


def test_a_sparse_file_occupies_no_space(tmp_path: Path) -> None:
    path = tmp_path / "zeros.bin"
    write_sparse(path, 64 * MIB)
    status = path.stat()
    assert status.st_size == 64 * MIB
    assert status.st_blocks * 512 < MIB
