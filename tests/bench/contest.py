"""The rounds: the same bytes through every contestant in turn, and every export compared with its source."""

import hashlib
import os
import shutil
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench.contestants import Contestant, Lucid, Sample
from tests.bench.corpora import MIB, write_sparse
from tests.bench.measure import CommandFailed, make_memory_resident

Operation = str
ARCHIVE: Operation = "archive"
EXPORT: Operation = "export"

_MEMORY = 3 * 1024 * MIB
"""As much as the page cache takes in one turn: an archive of the largest corpus, its export, and buffers."""


@dataclass(frozen=True)
class Corpus:
    """A file that every contestant archives, with the SHA-256 that its export must have."""

    label: str
    path: Path
    sha256: str

    @classmethod
    def read(cls, label: str, path: Path) -> "Corpus":
        """Hash the file, which also brings it into the page cache."""
        return cls(label, path, _sha256(path))


@dataclass
class Series:
    """One contestant's samples of one operation on one corpus."""

    contestant: str
    operation: Operation
    corpus: str
    samples: list[Sample] = field(default_factory=list)
    stored_bytes: int = 0

    @property
    def work(self) -> str:
        return f"{self.operation} {self.corpus}"

    def seconds(self) -> float:
        """Median over the rounds of what section 7 compares."""
        return statistics.median(sample.seconds for sample in self.samples)

    def wall_s(self) -> float:
        return statistics.median(sample.usage.wall_s for sample in self.samples)

    def cpu_s(self) -> float:
        return statistics.median(sample.usage.cpu_s for sample in self.samples)

    def peak_bytes(self) -> int:
        return max(sample.usage.peak_bytes for sample in self.samples)

    def growth_bytes(self) -> int | None:
        """Worst growth over the imported process; None for a peer."""
        return max((sample.inner.growth_bytes for sample in self.samples if sample.inner), default=None)


@dataclass
class Results:
    """Everything that was seen."""

    series: list[Series] = field(default_factory=list)
    absent: dict[str, str] = field(default_factory=dict)

    def find(self, contestant: str, operation: Operation, corpus: str) -> Series | None:
        key = (contestant, operation, corpus)
        return next((one for one in self.series if (one.contestant, one.operation, one.corpus) == key), None)

    def record(self, contestant: str, operation: Operation, corpus: str, sample: Sample) -> Series:
        series = self.find(contestant, operation, corpus)
        if series is None:
            series = Series(contestant, operation, corpus)
            self.series.append(series)
        series.samples.append(sample)
        return series


class ExportDiffers(Exception):
    """A contestant restored other bytes than it was given."""


class Contest:
    """Runs contestants below `base`, and collects what they took. Who fails is out: see `results.absent`."""

    def __init__(self, base: Path, contestants: Iterable[Contestant]) -> None:
        self._base = base
        self.results = Results()
        self._contestants: list[Contestant] = []
        for contestant in contestants:
            if missing := contestant.missing():
                self._leave_out(contestant, f"skipped: {missing}")
            else:
                self._contestants.append(contestant)

    @property
    def contestants(self) -> Sequence[Contestant]:
        return tuple(self._contestants)

    def compete(self, corpus: Corpus, rounds: int) -> None:
        """One warm-up and `rounds` counted rounds of archive and export; contestants alternate, each round begins
        with another one."""
        for number in range(rounds + 1):
            say(f"{corpus.label}: {f'round {number} of {rounds}' if number else 'warm-up'}")
            results = self.results if number else Results()
            first = number % max(1, len(self.contestants))
            for contestant in [*self.contestants[first:], *self.contestants[:first]]:
                self._attempt(contestant, partial(_turn, contestant, corpus=corpus, results=results))

    def archive_sparse(self, label: str, size: int) -> None:
        """Archive `size` zero bytes once with each Lucid contestant, for its memory."""
        source = self._base / "zeros.bin"
        write_sparse(source, size)
        for contestant in self.contestants:
            if isinstance(contestant, Lucid):
                say(f"{label}: {contestant.name}")
                archive = partial(_archive, contestant, source=source, label=label, results=self.results)
                self._attempt(contestant, archive)
        source.unlink()

    def _attempt(self, contestant: Contestant, turn: Callable[[Path], None]) -> None:
        home = self._base / "home"
        home.mkdir()
        try:
            turn(home)
        except (CommandFailed, ExportDiffers) as error:
            self._contestants.remove(contestant)
            if isinstance(error, CommandFailed):
                say(error.errors)
            self._leave_out(contestant, f"failed: {error}")
        finally:
            shutil.rmtree(home)

    def _leave_out(self, contestant: Contestant, reason: str) -> None:
        self.results.absent[contestant.name] = reason
        say(f"{contestant.name}: {reason}")


def _turn(contestant: Contestant, home: Path, corpus: Corpus, results: Results) -> None:
    _archive(contestant, home, corpus.path, corpus.label, results)
    if contestant.exports:
        _export(contestant, home, corpus, results)


def _archive(contestant: Contestant, home: Path, source: Path, label: str, results: Results) -> None:
    contestant.prepare(home)
    _settle()
    sample = contestant.archive(home, source)
    results.record(contestant.name, ARCHIVE, label, sample).stored_bytes = contestant.stored_bytes(home)


def _export(contestant: Contestant, home: Path, corpus: Corpus, results: Results) -> None:
    target = home / "restored"
    target.mkdir()
    _settle()
    sample = contestant.export(home, corpus.path, target)
    restored = target / corpus.path.name
    if not restored.is_file() or _sha256(restored) != corpus.sha256:
        raise ExportDiffers(f"the export of {corpus.label} differs from its source")
    results.record(contestant.name, EXPORT, corpus.label, sample)


def _settle() -> None:
    """Write out what the previous turn left dirty, and make memory resident, so that nobody pays for another's bytes.

    On a virtual machine, memory that was freed goes back to the host, and the next one to use it waits for each page.
    """
    os.sync()
    make_memory_resident(_MEMORY)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def say(text: str) -> None:
    """Progress, for whoever waits; never part of the result."""
    print(text, file=sys.stderr, flush=True)


def size_label(size: int) -> str:
    """`512 MiB`, `8 GiB`: the shorter of the two."""
    return f"{size // (1024 * MIB)} GiB" if size % (1024 * MIB) == 0 else f"{size / MIB:.4g} MiB"
