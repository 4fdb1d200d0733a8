"""`python -m tests.bench.throughput`: many small sessions and a huge one dropped at once into a running `lucid up`.

Sessions an hour, how long each takes from its drop to its verified manifest, the memory of every process, and what
Dagster's storage takes. Exit status 1 if a session is lost, sealed twice or damaged.
"""

import argparse
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lucid_pipeline.home import Home
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import SessionFilter, SessionRecord, State, Status
from tests.bench.corpora import MIB, write_terminal_recording
from tests.bench.crowd import add_past_sessions

LUCID = Path(sys.executable).with_name("lucid")

_SINGLES = 9
_SECONDS_A_SESSION = 3.0
_REACH_AN_HOUR = 10_000
_REACH_MEDIAN = 20.0


@dataclass
class Result:
    """What came of one run; times in seconds, sizes in bytes."""

    sessions: int
    past: int
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    huge_latency: float | None = None
    single_latencies: list[float] = field(default_factory=list)
    idle_bytes: dict[str, int] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    storage_bytes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def an_hour(self) -> float:
        """Sessions an hour, from the first drop to the last small session's manifest."""
        return self.sessions / self.seconds * 3600

    def document(self) -> dict[str, Any]:
        return {**self.__dict__, "sessions_an_hour": self.an_hour}


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    results = []
    for past in options.past:
        with tempfile.TemporaryDirectory(prefix="lucid-throughput-", dir=options.dir) as folder:
            results.append(_measure(Path(folder) / "home", options.sessions, options.huge_mib * MIB, past))
    if options.json:
        json.dump([result.document() for result in results], sys.stdout, indent=2)
    else:
        _print(results)
    return int(any(result.problems for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-throughput", description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000, help="small sessions to drop at once")
    parser.add_argument("--huge-mib", type=int, default=1024, help="size of the huge one that is dropped with them")
    parser.add_argument("--past", type=int, nargs="+", default=[0, 10_000], help="sessions that are there already")
    parser.add_argument("--dir", type=Path, help="where to work; by default, in the folder for temporary files")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def _measure(folder: Path, count: int, huge: int, past: int) -> Result:
    home = Home(Settings(_env_prefix="LUCID_BENCH_", _env_file=None, home=folder))  # type: ignore[call-arg]
    result = Result(count, past)
    _say(f"{count} sessions, {past} there already")
    _lucid(folder, "init")
    if past:
        add_past_sessions(home, past)
    drops = _prepare(folder / "prepared", count, huge)
    with _up(folder) as processes, _Watch(processes) as watch:
        time.sleep(15)
        result.idle_bytes = watch.take_peak()
        before = _size(home.dagster_folder)
        started = time.time()
        dropped = {drop.name: _drop(drop, home.settings.landing_dir) for drop in drops}
        done = _wait_until_sealed(home, set(dropped), count * _SECONDS_A_SESSION + 600)
        result.peak_bytes = watch.take_peak()
        result.storage_bytes = (_size(home.dagster_folder) - before) // count
        latencies = {name: _sealed_at(record) - dropped[name] for name, record in done.items()}
        result.huge_latency = latencies.pop("huge.cast", None)
        result.latencies = sorted(latencies.values())
        result.seconds = max((_sealed_at(done[name]) for name in latencies), default=time.time()) - started
        result.single_latencies = sorted(_one_after_the_other(home, folder / "prepared"))
    result.problems = _problems(home, [*dropped, *(f"single-{n}.cast" for n in range(_SINGLES))])
    return result


def _prepare(folder: Path, count: int, huge: int) -> list[Path]:
    """The recordings, all different, in a folder of the landing folder's file system."""
    folder.mkdir()
    for number in range(count):
        _write_small(folder / f"small-{number}.cast")
    if huge:
        write_terminal_recording(folder / "huge.cast", huge)
    return sorted(folder.iterdir(), key=lambda path: path.name != "huge.cast")


def _write_small(path: Path) -> None:
    chance = random.Random(path.name)
    words = [f"{chance.getrandbits(32):08x}" for _ in range(64)]
    lines = [json.dumps([n / 10, "o", " ".join(chance.choices(words, k=12)) + "\r\n"]) for n in range(200)]
    header = {"version": 2, "width": 80, "height": 24, "timestamp": 1767225600, "title": path.name}
    path.write_text("\n".join([json.dumps(header), *lines]) + "\n")


def _drop(prepared: Path, landing: Path) -> float:
    """Let a finished recording land; returns when."""
    marker = landing / f"{prepared.name}.done"
    now = time.time()
    prepared.rename(landing / prepared.name)
    marker.touch()
    return now


def _one_after_the_other(home: Home, folder: Path) -> Iterator[float]:
    """How long single sessions take, each dropped at another moment between two looks of the sensors."""
    chance = random.Random(1)
    for number in range(_SINGLES):
        time.sleep(3 + 5 * chance.random())
        path = folder / f"single-{number}.cast"
        _write_small(path)
        at = _drop(path, home.settings.landing_dir)
        yield _sealed_at(_wait_until_sealed(home, {path.name}, 120)[path.name]) - at


def _wait_until_sealed(home: Home, names: set[str], seconds: float) -> Mapping[str, SessionRecord]:
    """The records of all that were sealed within so many seconds."""
    deadline = time.monotonic() + seconds
    done: dict[str, SessionRecord] = {}
    with home.catalog() as catalog:
        while len(done) < len(names) and time.monotonic() < deadline:
            time.sleep(0.5)
            newest = catalog.find(SessionFilter(statuses=[Status.SEALED]), len(names) + 1)
            done = {record.name: record for record in newest if record.name in names}
    return done


def _sealed_at(record: SessionRecord) -> float:
    assert record.seal
    return datetime.fromisoformat(record.seal.sealed_at).timestamp()


def _problems(home: Home, names: Sequence[str]) -> list[str]:
    """What is lost, sealed twice, or damaged."""
    with home.catalog() as catalog:
        records = [record for record in catalog.find(SessionFilter()) if record.name in set(names)]
    sealed = [record for record in records if record.state is State.SEALED]
    problems = [f"{name} was not sealed" for name in sorted(set(names) - {str(record.name) for record in sealed})]
    if len(records) > len(names):
        problems.append(f"{len(records)} sessions for {len(names)} recordings")
    manifests = [
        len(list((home.settings.home / "archive/sessions" / str(r.session_id)).glob("manifest.*"))) for r in sealed
    ]
    if any(number != 1 for number in manifests):
        problems.append("a session has more than one manifest")
    verified = json.loads(_lucid(home.settings.home, "verify", "--json", *(str(r.session_id) for r in sealed)))
    damaged = sum(not report["intact"] for report in verified)
    if damaged:
        problems.append(f"{damaged} sessions are damaged")
    return problems


class _Watch:
    """The memory of processes while they run: each one's share of what is resident (PSS), and the highest so far."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._peak: dict[str, int] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def take_peak(self) -> dict[str, int]:
        """The highest since the last call, by service; `all` of them at one moment, runs counted in."""
        with self._lock:
            peak, self._peak = self._peak, {}
        return peak

    def _look(self) -> None:
        while not self._ended.wait(1):
            now = {name: _pss(pid) for name, pid in self._processes.items()}
            now["all"] = sum(_pss(pid) for pid in _descendants(os.getpid()))
            with self._lock:
                self._peak = {name: max(size, self._peak.get(name, 0)) for name, size in now.items()}


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)


def _descendants(parent: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                ppid = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(ppid, []).append(int(entry.name))
    found, queue = [], list(children.get(parent, []))
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


@contextmanager
def _up(folder: Path) -> Iterator[Mapping[str, int]]:
    """A running `lucid up`; yields the process ids of its services."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with socket.create_server(("127.0.0.1", 0)) as free:
        variables = {**_environment(folder), "LUCID_API_PORT": str(free.getsockname()[1])}
    log = folder.parent / "up.log"
    with log.open("wb") as errors:
        command = [LUCID, "up", "--json", "--port", str(port)]
        process = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        assert process.stdout
        document = ""
        for line in process.stdout:
            document += line
            if line.rstrip() == "}":
                break
        if not document:
            raise SystemExit(log.read_text())
        yield json.loads(document)["processes"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


def _lucid(folder: Path, *arguments: str) -> str:
    done = subprocess.run([LUCID, *arguments], env=_environment(folder), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode > 1:
        raise SystemExit(f"lucid {arguments[0]} failed")
    return done.stdout


def _environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LUCID_", "DAGSTER_"))}
    return {**kept, "LUCID_HOME": str(folder)}


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _print(results: Sequence[Result]) -> None:
    table = Table(title="Sessions dropped at once into a running lucid up", title_justify="left")
    for column in ("", *(f"{result.past} sessions before" for result in results)):
        table.add_column(column)
    rows: list[tuple[str, Callable[[Result], str]]] = [
        ("sessions an hour", lambda r: f"{r.an_hour:,.0f} (reach {_REACH_AN_HOUR:,})"),
        ("from drop to manifest, s: p50 p95 max", lambda r: _distribution(r.latencies)),
        ("the huge one, s", lambda r: f"{r.huge_latency:.1f}" if r.huge_latency else "–"),
        ("one alone, s: p50 p95 max", lambda r: f"{_distribution(r.single_latencies)} (reach p50 {_REACH_MEDIAN:.0f})"),
        ("storage of Dagster a session", lambda r: f"{r.storage_bytes / 1024:.1f} KiB"),
        ("problems", lambda r: "; ".join(r.problems) or "none lost, none sealed twice, all verified"),
    ]
    for title, show in rows:
        table.add_row(title, *map(show, results))
    for name in results[0].idle_bytes:
        cells = (f"{r.idle_bytes.get(name, 0) / MIB:.0f} / {r.peak_bytes.get(name, 0) / MIB:.0f} MiB" for r in results)
        table.add_row(f"memory of {name}, idle / peak", *cells)
    Console(width=None if sys.stdout.isatty() else 140).print(table)


def _distribution(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{statistics.median(values):.1f} {values[int(0.95 * (len(values) - 1))]:.1f} {values[-1]:.1f}"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
