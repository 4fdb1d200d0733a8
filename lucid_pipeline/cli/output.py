"""What a person or a machine gets to see: tables and progress bars, or one JSON document on standard output."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Annotated, Protocol

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column, Table
from rich.text import Text

from lucid_pipeline.archive.ports import Progress as OnBytes
from lucid_pipeline.paths import printable
from lucid_pipeline.units import size

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]


class OnSessions(Protocol):
    """Takes numbers of sessions, and of bytes, that have just been done."""

    def __call__(self, sessions: int, count: int = 0) -> None:
        """May be called from any thread."""


_WIDE = 140  # columns, where no terminal says how many it has


@dataclass(frozen=True, slots=True)
class Output:
    """Where a command writes: results to standard output, all else to standard error."""

    as_json: bool

    @property
    def _people(self) -> Console:
        stream = sys.stderr if self.as_json else sys.stdout
        width = None if stream.isatty() or "COLUMNS" in os.environ else _WIDE
        return Console(file=stream, highlight=False, emoji=False, width=width)

    def result(self, document: object, *tables: object) -> None:
        """The outcome of a command: `document` for machines, tables and lines of text for people."""
        if self.as_json:
            json.dump(document, sys.stdout, indent=2)
            sys.stdout.write("\n")
        else:
            for shown in tables:
                self._people.print(Text(printable(shown)) if isinstance(shown, str) else shown)

    @contextmanager
    def progress(self, description: str, total: int | None) -> Iterator[OnBytes]:
        """A progress bar over `total` bytes, where that is known; what is yielded takes each number of bytes done."""
        with self._bar(DownloadColumn(binary_units=True), TransferSpeedColumn()) as bar:
            task = bar.add_task(escape(description), total=total)
            yield lambda count: bar.advance(task, count)

    @contextmanager
    def progress_of_sessions(self, description: str, total: int) -> Iterator[OnSessions]:
        """A progress bar over `total` sessions; what is yielded takes sessions and bytes done."""
        done, lock = 0, Lock()

        def advance(sessions: int, count: int = 0) -> None:
            nonlocal done
            with lock:
                done += count
                bar.update(task, advance=sessions, bytes=size(done) if done else "")

        with self._bar(MofNCompleteColumn(), TextColumn("sessions {task.fields[bytes]}")) as bar:
            task = bar.add_task(escape(description), total=total, bytes="")
            yield advance

    def _bar(self, *columns: ProgressColumn) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *columns,
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            transient=True,
            disable=self.as_json or not sys.stderr.isatty(),
        )


def warn(line: str) -> None:
    """Tell, in one line on standard error, what does not stop a command."""
    sys.stderr.write(f"warning: {printable(line)}\n")


def table(title: str | None, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A table; cells are taken as they are, control characters made visible. Ids stay in one piece, to be copied."""
    made = Table(
        *(Column(name, overflow="fold", no_wrap=name == "session") for name in columns),
        title=title,
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    for row in rows:
        made.add_row(*(cell(value) for value in row))
    return made


def facts(title: str, values: Mapping[str, object]) -> Table:
    """A two-column table of what is known; what is not known is left out."""
    made = Table(Column(), Column(overflow="fold"), title=cell(title), title_justify="left", show_header=False)
    for name, value in values.items():
        if value is not None and value != "":
            made.add_row(name, cell(value))
    return made


def cell(value: object) -> str:
    """A value as text for a table, where it can neither style nor disturb a terminal."""
    return escape(printable("" if value is None else str(value)))
