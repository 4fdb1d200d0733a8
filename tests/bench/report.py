"""What a run says: two tables for people, one document for machines."""

import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from tests.bench.contest import Results, Series
from tests.bench.contestants import LIBRARY
from tests.bench.corpora import MIB
from tests.bench.targets import Verdict, verdicts


def print_tables(results: Results, scale: float, rounds: int) -> None:
    # In a file or a pipe there is no width to fit, and a wrapped table is hard to quote.
    console = Console() if sys.stdout.isatty() else Console(width=150)
    console.print(_measurements(results, rounds))
    console.print(_targets(verdicts(results), scale))
    for contestant, reason in results.absent.items():
        console.print(f"{contestant}: {reason}", markup=False, highlight=False)


def to_document(results: Results, scale: float, rounds: int, versions: dict[str, str]) -> dict[str, object]:
    """The same as the tables, every sample included; sizes in bytes, times in seconds."""
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "architecture": platform.machine(),
            "system": platform.platform(),
        },
        "scale": scale,
        "rounds": rounds,
        "versions": versions,
        "absent": results.absent,
        "measurements": [_measurement(results, series) for series in results.series],
        "targets": [asdict(verdict) for verdict in verdicts(results)],
    }


def _measurements(results: Results, rounds: int) -> Table:
    table = Table(
        title=f"Archive and export, seconds as median of {rounds} rounds",
        caption="seconds: what is compared, for Lucid the work inside the process, imports aside; "
        "wall: the whole process; peak: the largest process, at least the benchmark's own; "
        "growth: peak over the imported process.",
    )
    for header in ("work", "contestant"):
        table.add_column(header, no_wrap=True)
    for header in ("seconds", "spread", "wall", "cpu", "/ Lucid", "peak MiB", "growth MiB", "stored MiB"):
        table.add_column(header, justify="right", no_wrap=True)
    previous = ""
    for one in sorted(results.series, key=lambda series: _order(results, series)):
        if previous and one.work != previous:
            table.add_section()
        table.add_row("" if one.work == previous else one.work, one.contestant, *_cells(results, one))
        previous = one.work
    return table


def _order(results: Results, series: Series) -> int:
    """Rows of the same work together, works and contestants as they were first run."""
    return [one.work for one in results.series].index(series.work)


def _cells(results: Results, one: Series) -> list[str]:
    times = [sample.seconds for sample in one.samples]
    ratio, growth = _ratio(results, one), one.growth_bytes()
    return [
        f"{one.seconds():.2f}",
        f"{min(times):.2f}-{max(times):.2f}",
        f"{one.wall_s():.2f}",
        f"{one.cpu_s():.2f}",
        "-" if ratio is None else f"{ratio:.2f} x",
        f"{one.peak_bytes() / MIB:.0f}",
        "-" if growth is None else f"{growth / MIB:.0f}",
        f"{one.stored_bytes / MIB:.1f}" if one.stored_bytes else "-",
    ]


def _ratio(results: Results, one: Series) -> float | None:
    """How many times as long as the library it took."""
    library = results.find(LIBRARY, one.operation, one.corpus)
    return one.seconds() / library.seconds() if library else None


def _targets(rows: Sequence[Verdict], scale: float) -> Table:
    note = None if scale == 1 else f"Corpora at {scale:g} of their size: start-up weighs more, and these do not count."
    table = Table(
        "work",
        "beside",
        "reach",
        "seen",
        "reached",
        title="Numbers to reach",
        caption=note,
    )
    table.columns[0].no_wrap = True
    words = {True: "[green]yes[/green]", False: "[red]no[/red]", None: "not run"}
    for row in rows:
        table.add_row(row.work, row.against, row.reach, row.seen or "-", words[row.reached])
    return table


def _measurement(results: Results, one: Series) -> dict[str, object]:
    return {
        "operation": one.operation,
        "corpus": one.corpus,
        "contestant": one.contestant,
        "work_s": one.seconds(),
        "wall_s": one.wall_s(),
        "cpu_s": one.cpu_s(),
        "ratio_to_lucid": _ratio(results, one),
        "peak_bytes": one.peak_bytes(),
        "growth_bytes": one.growth_bytes(),
        "stored_bytes": one.stored_bytes or None,
        "samples_s": [sample.seconds for sample in one.samples],
    }
