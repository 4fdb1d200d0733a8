"""Whether the audit record is the one that was written, and if not, where it stops being it (docs/audit.md).

A chain shows what was changed in the middle. What was cut off at the end, or written anew from some place on, shows
only against a head that was noted elsewhere.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from lucid_pipeline.archive.ports import Progress
from lucid_pipeline.errors import UsageError
from lucid_pipeline.paths import hint_for
from lucid_pipeline.stores.audit_event import LONGEST_LINE, START, Action, AuditEvent, Head, NotAnEvent, parse_event
from lucid_pipeline.stores.audit_log import opened_for_reading

_MOST_FINDINGS = 100


class Flaw(StrEnum):
    """What can be wrong with an audit record."""

    ALTERED = "altered"
    MISSING = "missing"
    MISPLACED = "misplaced"
    REPLACED = "replaced"
    UNFINISHED = "unfinished"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, slots=True)
class Finding:
    """A place where the record is not what was written: its line, counted from 1, and the event that it is about."""

    line: int
    sequence: int
    flaw: Flaw
    detail: str


@dataclass(frozen=True, slots=True)
class Recovery:
    """Half a line that a crash left: the event at `line` accounts for its bytes, which stand before it."""

    line: int
    bytes: int


@dataclass(slots=True)
class AuditReport:
    """What became of checking a record; the first finding is the first broken place, and at most 100 are kept."""

    events: int = 0
    head: Head = START
    findings: list[Finding] = field(default_factory=list)
    more_findings: int = 0
    recoveries: list[Recovery] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.findings


def check_audit_log(path: Path, noted: Head | None = None, progress: Progress = lambda _bytes: None) -> AuditReport:
    """Follow the chain from the first event to the last; a record that is not there is an empty one.

    Args:
        path: the record.
        noted: a head that was noted earlier, and has to be in the chain.
        progress: takes each number of bytes that have been checked.

    Raises:
        UsageError: the record cannot be read.
    """
    checker = _Checker(noted)
    try:
        with opened_for_reading(path) as (descriptor, size), os.fdopen(os.dup(descriptor), "rb") as file:
            for line in _lines(file, size):
                checker.take(line)
                progress(len(line))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(f"cannot read the audit record {path}: {error.strerror}", hint_for(error)) from error
    return checker.end()


def _lines(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Lines with their ends; one that is too long for an event comes in pieces, none of which is one."""
    while size > 0 and (line := file.readline(min(size, LONGEST_LINE))):
        size -= len(line)
        yield line


class _Checker:
    def __init__(self, noted: Head | None) -> None:
        self._noted = noted
        self._report = AuditReport()
        self._line = 1
        self._doubtful = _Doubtful()
        self._gaps: list[_Gap] = []

    def take(self, line: bytes) -> None:
        """The next line, its end included."""
        try:
            if not line.endswith(b"\n"):
                raise NotAnEvent("a line without its end")
            event = parse_event(line[:-1])
        except NotAnEvent:
            self._doubtful.add(line, self._line)
        else:
            self._follow(event)
            self._doubtful = _Doubtful()
        self._line += line.endswith(b"\n")

    def end(self) -> AuditReport:
        """The report, after the last line."""
        report, doubtful = self._report, self._doubtful
        if doubtful.unfinished:
            self._find(doubtful.first_line, report.head.sequence + 1, Flaw.UNFINISHED, "the last line, as by a crash")
        elif doubtful.lines:
            self._altered()
        for gap in self._gaps:
            if gap.lacking > 0:
                self._find(gap.line, gap.first, Flaw.MISSING, gap.detail)
        if self._noted and self._noted.sequence > report.head.sequence:
            detail = f"the record ends with event {report.head.sequence}"
            self._find(self._line, self._noted.sequence, Flaw.CUT_OFF, detail)
        report.findings.sort(key=lambda finding: finding.line)
        return report

    def _follow(self, event: AuditEvent) -> None:
        report = self._report
        report.events += 1
        if self._noted and event.sequence == self._noted.sequence and event.head != self._noted:
            self._find(self._line, event.sequence, Flaw.REPLACED, "this is another event than the one that was noted")
        if event.sequence <= report.head.sequence:
            self._misplaced(event.sequence)
            return
        lost = event.sequence - report.head.sequence - 1
        if self._doubtful.lines and not self._accounts_for_doubtful(event):
            self._altered()
            lost -= min(lost, self._doubtful.lines)
        elif not lost and event.previous != report.head.hash:
            self._find(self._line, event.sequence, Flaw.REPLACED, "it does not follow the event before it")
        elif event.action == Action.LOG_RECOVERED and not self._doubtful.lines:
            self._find(self._line, event.sequence, Flaw.ALTERED, "what a crash left before it is not there")
        if lost:
            self._lost(_Gap(self._line, event.sequence - lost, event.sequence - 1))
        report.head = event.head

    def _accounts_for_doubtful(self, event: AuditEvent) -> bool:
        """Whether an event says of the lines before it that a crash left them so."""
        doubtful, head = self._doubtful, self._report.head
        said = {"bytes": doubtful.bytes, "sha256": doubtful.sha256, "unfinished": True}
        follows = event.sequence == head.sequence + 1 and event.previous == head.hash
        if not (follows and event.action == Action.LOG_RECOVERED and event.details == said):
            return False
        self._report.recoveries.append(Recovery(self._line, doubtful.bytes))
        return True

    def _altered(self) -> None:
        sequence = self._report.head.sequence + 1
        self._find(self._doubtful.first_line, sequence, Flaw.ALTERED, "this is not what was written")

    def _lost(self, gap: "_Gap") -> None:
        if len(self._gaps) < _MOST_FINDINGS:
            self._gaps.append(gap)
        else:
            self._report.more_findings += 1

    def _misplaced(self, sequence: int) -> None:
        gap = next((gap for gap in self._gaps if gap.first <= sequence <= gap.last), None)
        if gap:
            gap.lacking -= 1
        detail = "it stands behind a later one" if gap else "it stands here once more"
        self._find(self._line, sequence, Flaw.MISPLACED, detail)

    def _find(self, line: int, sequence: int, flaw: Flaw, detail: str) -> None:
        if len(self._report.findings) < _MOST_FINDINGS:
            self._report.findings.append(Finding(line, sequence, flaw, detail))
        else:
            self._report.more_findings += 1


@dataclass(slots=True)
class _Gap:
    """Events that are not where they should be, before `line`; some may come later."""

    line: int
    first: int
    last: int
    lacking: int = field(init=False)

    def __post_init__(self) -> None:
        self.lacking = self.last - self.first + 1

    @property
    def detail(self) -> str:
        if self.first == self.last:
            return "it is not there"
        return f"{self.lacking} of the events {self.first} to {self.last} are not there"


class _Doubtful:
    """Lines in a row that are no events, until it is known what they are."""

    def __init__(self) -> None:
        self.lines = 0
        self.bytes = 0
        self.first_line = 0
        self._never_written = False
        self._ends = True
        self._digest = sha256()

    @property
    def unfinished(self) -> bool:
        """Whether they look as a crash leaves them."""
        return self._never_written or not self._ends

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def add(self, piece: bytes, line: int) -> None:
        self.first_line = self.first_line or line
        self.lines += piece.endswith(b"\n")
        self.bytes += len(piece)
        self._ends = piece.endswith(b"\n")
        self._never_written |= b"\0" in piece
        self._digest.update(piece)
