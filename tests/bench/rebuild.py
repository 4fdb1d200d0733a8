"""`make bench-rebuild`: `lucid rebuild-catalog` of a local archive, with and without the identity.

Then once more over the catalog that is there, and once more after it was killed in the middle. Exit status 1 where a
lost catalog is made again at fewer than 1,000 sessions a second.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lucid_pipeline.settings import Settings
from tests.bench import archives
from tests.bench.contest import say
from tests.bench.measure import Usage, run

_REACH = 1000
_LUCID = Path(sys.executable).with_name("lucid")


@dataclass(frozen=True)
class Rate:
    """A rebuild: of how many sessions, in which time, with how much CPU and memory (of the largest process)."""

    what: str
    sessions: int
    wall_s: float
    cpu_s: float
    peak_bytes: int
    reach: int | None = None

    @property
    def per_second(self) -> float:
        return self.sessions / self.wall_s


def measure(folder: Path, count: int) -> Iterator[Rate]:
    """Make an archive of so many sessions and rebuild its catalog in every way."""
    home = folder / "home"
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LUCID_HOME": str(home)}
    run([_LUCID, "init"], cwd=folder, env=environment)
    say(f"making an archive of {count:,} sessions")
    started = time.monotonic()
    archives.fill(Settings(home=home), count)
    say(f"that took {time.monotonic() - started:.0f} s")
    blind = {**environment, "LUCID_IDENTITY_FILE": str(folder / "none")}
    for what, given in (("without the identity", blind), ("with the identity", environment)):
        _lose_catalog(home)
        yield _rate(what, count, _rebuild(folder, given, restored=count), _REACH)
    yield _rate("all of it known already", count, _rebuild(folder, environment, unchanged=count))
    _lose_catalog(home)
    _kill_half_way(folder, environment, home)
    usage = run([_LUCID, "rebuild-catalog", "--json"], cwd=folder, env=environment)
    yield _rate("going on after a kill", _counts(usage)["restored"], usage)


def _rebuild(folder: Path, environment: Mapping[str, str], **expected: int) -> Usage:
    usage = run([_LUCID, "rebuild-catalog", "--json"], cwd=folder, env=environment)
    counts = _counts(usage)
    assert {name: counts[name] for name in expected} == expected
    return usage


def _counts(usage: Usage) -> Any:
    return json.loads(usage.output)


def _rate(what: str, sessions: int, usage: Usage, reach: int | None = None) -> Rate:
    return Rate(what, sessions, usage.wall_s, usage.cpu_s, usage.peak_bytes, reach)


def _lose_catalog(home: Path) -> None:
    for path in home.glob("catalog.sqlite3*"):
        path.unlink()


def _kill_half_way(folder: Path, environment: Mapping[str, str], home: Path) -> None:
    catalog = home / "catalog.sqlite3"
    with subprocess.Popen(
        [_LUCID, "rebuild-catalog"], cwd=folder, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not (catalog.exists() and catalog.stat().st_size > 2**20):
            time.sleep(0.01)
        process.kill()


def _table(rates: Sequence[Rate]) -> Table:
    table = Table(title="lucid rebuild-catalog, of a local archive", title_justify="left")
    for name in ("catalog", "sessions", "wall", "CPU", "largest process", "sessions/s", "reach"):
        table.add_column(name, justify="left" if name == "catalog" else "right", no_wrap=True)
    for rate in rates:
        colour = "green" if rate.per_second >= (rate.reach or 0) else "red"
        table.add_row(
            rate.what,
            f"{rate.sessions:,}",
            f"{rate.wall_s:.1f} s",
            f"{rate.cpu_s:.1f} s",
            f"{rate.peak_bytes / 2**20:.0f} MiB",
            f"[{colour}]{rate.per_second:,.0f}[/]",
            f"{rate.reach:,}" if rate.reach else "",
        )
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make bench-rebuild", description=__doc__)
    parser.add_argument("--sessions", type=int, default=100_000, help="how many (default %(default)s)")
    parser.add_argument("--dir", type=Path, help="where to work: 3 GB and 900,000 files for 100,000 sessions")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lucid-bench-rebuild-", dir=options.dir) as folder:
        rates = list(measure(Path(folder), options.sessions))
    if options.json:
        json.dump([{**asdict(rate), "per_second": rate.per_second} for rate in rates], sys.stdout, indent=2)
    else:
        Console(width=None if sys.stdout.isatty() else 120).print(_table(rates))
    return int(any(rate.reach and rate.per_second < rate.reach for rate in rates))


if __name__ == "__main__":
    sys.exit(main())
