"""Memory, file descriptors and threads are bounded by settings, not by what is archived. Measured from outside."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from lucid_pipeline.course.partitions import LONGEST_RANGE
from lucid_pipeline.stores.catalog import State
from tests.cli.support import Lucid, Text, entries
from tests.end_to_end.support import MIB, sessions, watch
from tests.servers.archives import IN_BUCKETS
from tests.servers.catalogs import IN_MONGODB
from tests.support import noise

GIB = 1024 * MIB

MOST_GROWTH = 160 * MIB
"""More than a process needs that has loaded everything and archived one byte."""

SAME = 32 * MIB
"""What the length of a recording may change."""

MOST_DESCRIPTORS = 40
"""Some twenty-five of them are there before the first recording: Dagster's storage keeps its files open."""

FEW = 4
MOST_THREADS_BESIDE_WORKERS = 3 + 4 * IN_BUCKETS + 4 * IN_MONGODB
"""The clients of buckets and of MongoDB have some of their own."""

LONG = 8 * GIB
MEDIUM = 256 * MIB


@dataclass(frozen=True)
class Peak:
    """The most that one process had at once; memory in bytes."""

    memory: int = 0
    descriptors: int = 0
    threads: int = 0

    def or_more(self, other: "Peak") -> "Peak":
        return Peak(
            max(self.memory, other.memory),
            max(self.descriptors, other.descriptors),
            max(self.threads, other.threads),
        )


def peak_of(lucid: Lucid, *arguments: Text) -> Peak:
    """Run a command that has to succeed; what it printed is lost."""
    peak = Peak()

    def look(process: Path) -> None:
        nonlocal peak
        fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        if "VmHWM" in fields:  # else it is a zombie
            memory = int(fields["VmHWM"].split()[0]) * 1024
            peak = peak.or_more(Peak(memory, len(entries(process / "fd")), int(fields["Threads"])))

    with lucid.start(*arguments, stdout=subprocess.DEVNULL, stderr=None) as process:
        watch(process, look)
    assert process.returncode == 0
    assert peak.memory > 10 * MIB, "it was seen"
    return peak


def assert_bounded(peak: Peak, idle: Peak, workers: int) -> None:
    assert peak.memory - idle.memory <= MOST_GROWTH
    assert peak.descriptors <= MOST_DESCRIPTORS + workers * IN_BUCKETS, "each worker may have a connection"
    assert peak.threads <= workers + MOST_THREADS_BESIDE_WORKERS


def sparse(path: Path, length: int) -> Path:
    """A file of zeros that takes no room."""
    with path.open("wb") as file:
        file.truncate(length)
    return path


def archived(lucid: Lucid, path: Path) -> str:
    """The id of the session of a file that has been archived."""
    [record] = [record for record in sessions(lucid) if record.name == path.name]
    assert record.state is State.SEALED
    assert record.length == path.stat().st_size
    return str(record.session_id)


# From 64 MiB to 8 GiB.


def test_eight_gigabytes_take_no_more_than_64_megabytes(lucid: Lucid) -> None:
    """Zeros, which zstd makes very small, and which are read, compressed, encrypted and hashed like anything else."""
    lengths = (1, 64 * MIB, LONG)
    files = [sparse(lucid.folder / f"{length}.bin", length) for length in lengths]
    lucid = lucid.having(workers="2")
    assert_same([peak_of(lucid, "archive", path) for path in files])
    ids = [archived(lucid, path) for path in files]
    assert_same([peak_of(lucid, "verify", "--deep", session_id) for session_id in ids])
    assert_same([peak_of(lucid, "export", session_id, "-o", "-") for session_id in ids])


def assert_same(peaks: list[Peak]) -> None:
    """That of a long recording as that of a short one, and both within bounds above that of a tiny one."""
    idle, short, long = peaks
    for peak in (short, long):
        assert_bounded(peak, idle, workers=2)
    assert long.memory - short.memory <= SAME
    assert long.descriptors - short.descriptors <= FEW


# Settings.


@pytest.fixture(scope="module")
def idle(made_home: Lucid, tmp_path_factory: pytest.TempPathFactory) -> Peak:
    """What it takes to archive next to nothing."""
    folder = tmp_path_factory.mktemp("idle")
    (folder / "tiny").write_bytes(b"x")
    return peak_of(made_home.copy(folder / "lucid").inside(folder), "archive", "tiny")


@pytest.mark.parametrize(
    ("codec", "workers", "chunk_size"),
    [("stored", 2, "8MiB"), ("zstd", 2, "8MiB"), ("stored", 64, "16MiB"), ("zstd", 64, "1MiB")],
)
def test_what_does_not_compress_stays_within_the_bounds_of_the_settings(
    lucid: Lucid, idle: Peak, codec: str, workers: int, chunk_size: str
) -> None:
    path = lucid.folder / "noise.bin"
    path.write_bytes(noise(64 * MIB))
    settings = lucid.having(codec=codec, workers=str(workers), chunk_size=chunk_size)
    assert_bounded(peak_of(settings, "archive", path), idle, workers)
    session_id = archived(settings, path)
    assert_bounded(peak_of(settings, "export", session_id, "-o", lucid.folder / "out"), idle, workers)
    assert (lucid.folder / "out").read_bytes() == path.read_bytes()
    (lucid.folder / "out").unlink()
    path.unlink()


def test_neither_descriptors_nor_memory_grow_with_the_number_of_chunks(lucid: Lucid) -> None:
    few, many = (sparse(lucid.folder / f"{length}.bin", length) for length in (4 * MIB, MEDIUM))
    small_chunks = lucid.having(chunk_size="1MiB", workers="2")
    short, long = (peak_of(small_chunks, "archive", path) for path in (few, many))
    assert long.descriptors - short.descriptors <= FEW
    assert long.memory - short.memory <= SAME
    session_id = archived(small_chunks, many)
    out = lucid.folder / "out"
    exported = peak_of(small_chunks, "export", session_id, "-o", out)
    assert exported.descriptors <= short.descriptors
    assert exported.memory <= short.memory, "an export loads much less than Dagster"
    assert out.stat().st_size == MEDIUM
    out.unlink()


def test_neither_descriptors_nor_memory_grow_with_the_number_of_recordings(lucid: Lucid, idle: Peak) -> None:
    folder = lucid.folder / "many"
    folder.mkdir()
    for number in range(LONGEST_RANGE + 10):
        (folder / f"{number}.bin").write_bytes(noise(number, seed=number))
    peak = peak_of(lucid.having(workers="2"), "archive", "--move", folder)
    assert list(folder.iterdir()) == []
    assert peak.descriptors <= MOST_DESCRIPTORS
    assert peak.memory - idle.memory <= SAME
    assert peak.threads <= 2 + MOST_THREADS_BESIDE_WORKERS


@pytest.mark.parametrize("workers", [1, 3])
def test_there_are_no_more_threads_than_workers_and_a_few(lucid: Lucid, workers: int) -> None:
    path = sparse(lucid.folder / "zeros.bin", 128 * MIB)
    threads = peak_of(lucid.having(workers=str(workers), chunk_size="1MiB"), "archive", path).threads
    assert workers < threads <= workers + MOST_THREADS_BESIDE_WORKERS
