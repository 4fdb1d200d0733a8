"""Recordings downloaded from a session API, beside `lucid export` of the same.

MB/s of both, and how far the memory of the service grew meanwhile; and how fast transcripts are made.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from rich.table import Table

from tests.bench.api_service import LUCID, connect, get, new_home, served
from tests.bench.corpora import MIB, write_terminal_recording, write_video
from tests.bench.measure import make_memory_resident, run

_REACH_OF_EXPORT = 0.5
_REACH_GROWTH = 160 * MIB
_PIECE = MIB


@dataclass(frozen=True)
class Result:
    """What one recording took; times in seconds, sizes in bytes, medians of all rounds."""

    kind: str
    size: int
    export_s: float
    download_s: float
    growth: int
    transcript_s: float | None = None

    @property
    def of_export(self) -> float:
        """The speed of the download as a part of that of the export."""
        return self.export_s / self.download_s

    @property
    def has_failed(self) -> bool:
        """Whether it is slower than half an export, or takes more memory than the archive library allows itself."""
        return self.of_export < _REACH_OF_EXPORT or self.growth > _REACH_GROWTH


def measure(folder: Path, size: int, rounds: int) -> Iterator[Result]:
    """Download recordings of so many bytes, so many times each."""
    kinds: list[tuple[str, Callable[[Path, int], None]]] = [
        ("video.mp4", write_video),
        ("terminal.cast", write_terminal_recording),
    ]
    environment = new_home(folder)
    for name, write in kinds:
        path = folder / name
        write(path, size)
        archived = run([LUCID, "archive", "--json", path], cwd=folder, env=environment).output
        session_id = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", archived)
        assert session_id, archived
        path.unlink()
        make_memory_resident(4 * size)
        yield _measured(name, session_id[0], folder, environment, rounds)


def table_of(results: Sequence[Result]) -> Table:
    """What people read."""
    table = Table(title="Recordings from the session API, beside lucid export", title_justify="left")
    for column in (
        "recording",
        "size",
        "export",
        "download",
        "of export",
        "memory grew by",
        "first page of transcript",
    ):
        table.add_column(column)
    for result in results:
        table.add_row(
            result.kind,
            f"{result.size / MIB:.0f} MiB",
            f"{result.export_s:.2f} s, {result.size / result.export_s / 1e6:.0f} MB/s",
            f"{result.download_s:.2f} s, {result.size / result.download_s / 1e6:.0f} MB/s",
            f"{result.of_export:.2f} (reach {_REACH_OF_EXPORT})",
            f"{result.growth / MIB:.0f} MiB (at most {_REACH_GROWTH // MIB})",
            f"{result.transcript_s:.1f} s" if result.transcript_s else "–",
        )
    return table


def _measured(name: str, session_id: str, folder: Path, environment: dict[str, str], rounds: int) -> Result:
    exports, downloads, size, growth, transcript = [], [], 0, 0, None
    target = folder / "exported"
    with served(folder, environment) as (pid, port):
        _download(port, session_id, "bytes=0-0")
        for _ in range(rounds):
            exports.append(run([LUCID, "export", session_id, "-o", target], cwd=folder, env=environment).wall_s)
            size = target.stat().st_size
            target.unlink()
            before = _peak_from_now(pid)
            started = time.perf_counter()
            assert _download(port, session_id) == size
            downloads.append(time.perf_counter() - started)
            growth = max(growth, _memory(pid, "VmHWM") - before)
        if name.endswith(".cast"):
            started = time.perf_counter()
            get(port, f"/api/v1/sessions/{session_id}/transcript?limit=5000")
            transcript = time.perf_counter() - started
    return Result(name, size, median(exports), median(downloads), growth, transcript)


def _download(port: int, session_id: str, byte_range: str | None = None) -> int:
    """Take all of a recording, or a range of it; returns how many bytes came."""
    connection = connect(port)
    buffer, length = bytearray(_PIECE), 0
    try:
        connection.request(
            "GET", f"/api/v1/sessions/{session_id}/content", headers={"Range": byte_range} if byte_range else {}
        )
        response = connection.getresponse()
        assert response.status in (200, 206), response.read()
        while count := response.readinto(buffer):
            length += count
    finally:
        connection.close()
    return length


def _peak_from_now(pid: int) -> int:
    """Let the kernel take the peak memory of a process anew; returns what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _memory(pid, "VmRSS")


def _memory(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
