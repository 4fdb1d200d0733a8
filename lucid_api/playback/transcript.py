"""The text of a terminal cast: what a person saw, line by line, each with the time at which it was written.

A terminal (`terminal`) prints the events, and three things make a line of the transcript:

- it scrolled off the screen, pushed out by text below it, as the output of commands does;
- it was replaced or deleted, having stood there for `SETTLED_MS`: pages of `less`, a screen that was cleared;
- it stood on the screen when the recording, or a full-screen program, ended.

So a progress bar or a line that is being typed is one line, as it was last, and a program that draws its screen again
and again does not flood the transcript: of a line that only changed a little, or whose digits did, the last state
counts.
What was typed and not echoed, such as a password, never stood on the screen, and input events are not looked at.
"""

import re
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import eq
from sys import getsizeof

from lucid_api.playback.casts import Event
from lucid_api.playback.screen import Row, Screen
from lucid_api.playback.terminal import Terminal
from lucid_pipeline.archive.damage import Damage

SETTLED_MS = 250
"""What stood on the screen for so long was seen."""

_GLANCE_MS = 1000
_BATCH = 256
_FORGOTTEN_MS = 60_000
_FEW_ROWS = 4
_FEW_NUMBERS = 3
_MOST_KINDS = 2000
_MOST_OF_A_KIND = 50
_LONGEST_LINE = 32 * 1024
_MOST_CHARACTERS = 8 * 1024 * 1024
_MOST_LINES = 400_000
_MOST_WORK = 20_000_000
_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
_WORD = re.compile(r"[^\W\d_]+")
_DIGIT = re.compile(r"\d")
_MOST_NUMBERS = 100
_CELLS = 8
"""Of rows that are compared, those that cost about as much as a row that is moved."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text, when its first character was written and when it last changed (ms), and on which screen."""

    text: str
    start_ms: int
    end_ms: int
    alternate: bool = False


class Transcript:
    """Lines in the order of their starts, packed: one string and arrays take far less room than as many objects."""

    def __init__(self, lines: Iterable[Line], *, unreadable: int = 0, cut: bool = False) -> None:
        texts: list[str] = []
        self._begins, self._starts, self._ends = array("q"), array("q"), array("q")
        self._alternate = bytearray()
        length = 0
        for line in lines:
            texts.append(line.text)
            self._begins.append(length)
            self._starts.append(line.start_ms)
            self._ends.append(line.end_ms)
            self._alternate.append(line.alternate)
            length += len(line.text) + 1
        self.text = "\n".join(texts)
        """All of it, with a line feed between two lines; no line has one."""
        self.unreadable = unreadable
        """How many lines of the recording were no events."""
        self.cut = cut
        """Whether there was more than is kept."""
        self.damages: Sequence[Damage] = ()
        """What is wrong with the parts of the recording that are left out."""

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._begins)

    def __getitem__(self, index: int) -> Line:
        """A line by its number, from 0."""
        begin = self._begins[index]
        end = self._begins[index + 1] - 1 if index + 1 < len(self) else len(self.text)
        return Line(self.text[begin:end], self._starts[index], self._ends[index], bool(self._alternate[index]))

    def within(self, first_ms: int, last_ms: int, begin: int = 0) -> Iterator[int]:
        """The numbers of the lines, from `begin` on, that were written in this span of time, at least in part."""
        for index in range(begin, len(self)):
            if self._starts[index] > last_ms:
                return
            if self._ends[index] >= first_ms:
                yield index

    def line_at(self, position: int) -> tuple[int, int]:
        """Which line a position of `text` is in, and where in that line."""
        index = bisect_right(self._begins, position) - 1
        return index, position - self._begins[index]

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes."""
        return getsizeof(self.text) + 3 * self._begins.itemsize * len(self) + len(self._alternate)


def transcribe(events: Iterable[Event], columns: int, rows: int, report_from: int = 0) -> Transcript:
    """The transcript of the events of a cast.

    Args:
        events: in order; those before `report_from` only set the screen.
        columns: width of the terminal at first, in cells.
        rows: height of it.
        report_from: offset in the recording from which on what happens is told.
    """
    lines: list[Line] = []
    characters, cut = 0, False
    transcriber = Transcriber(columns, rows)
    for event in events:
        if 0 < report_from <= event.offset:
            transcriber.begin()
            report_from = 0
        transcriber.handle(event)
        if not report_from and (finished := transcriber.take()):
            lines += finished
            characters += sum(len(line.text) for line in finished)
        cut = characters > _MOST_CHARACTERS or len(lines) > _MOST_LINES or transcriber.work > _MOST_WORK
        if cut:
            break
    else:
        if report_from:
            transcriber.begin()
        transcriber.finish()
    lines += transcriber.take()
    lines.sort(key=lambda line: line.start_ms)
    return Transcript(lines, unreadable=transcriber.unreadable, cut=cut)


@dataclass(slots=True)
class _Kept:
    """Cells that left the screen: when they were written, where, and whether the row above them went on in them."""

    cells: str
    start_ms: int
    end_ms: int
    continues: bool
    alternate: bool


class Transcriber:
    """Watches a terminal, and tells what a person saw on it."""

    def __init__(self, columns: int, rows: int) -> None:
        self._screen = Screen(columns, rows, self)
        self._terminal = Terminal(self._screen)
        self._lines: list[Line] = []
        self._scrolled: list[_Kept] = []
        self._gone: list[_Kept] = []
        self._open: _Kept | None = None
        self._told_lines = _Lines()
        self._told_since = self._now = self._burst = self._settled = self._alternate_since = 0
        self.unreadable = 0
        """How many events do not hold what their code promises."""

    @property
    def work(self) -> int:
        """What it has cost so far, in rows that were moved, made or looked at."""
        return self._screen.work

    def handle(self, event: Event) -> None:
        """Let the terminal print an event, or have its size changed. Times do not go back."""
        if event.code not in ("o", "r"):
            return
        now = max(self._now, event.time_ms)
        if now - self._now >= SETTLED_MS or now - self._settled >= _GLANCE_MS:
            self._settle()
            self._settled = self._burst = now
        self._now = now
        if event.code == "o":
            self._terminal.feed(event.data, now)
        elif size := _SIZE.fullmatch(event.data):
            self._screen.resize(int(size[1]), int(size[2]))
        else:
            self.unreadable += 1

    def take(self) -> list[Line]:
        """The lines that are finished since the last call."""
        lines, self._lines = self._lines, []
        return lines

    def begin(self) -> None:
        """Forget what has been, and do not tell what stands on the screen."""
        self._settle()
        for row in (*self._screen.rows, *(self._screen.main or ())):
            row.told = row.text
        self._open = None
        self._lines.clear()

    def finish(self) -> None:
        """The recording is over: what is still on the screen has been seen."""
        self._settle()
        for row in self._screen.main or self._screen.rows:
            self._keep(self._scrolled, row, row.text, row.first_ms, row.last_ms, alternate=False)
        self._flush_all()
        if self._screen.is_alternate:
            self._tell_alternate()

    # What the terminal tells

    def scrolled_off(self, row: Row) -> None:
        """Keep the row, and what stood in it before, if that was something else."""
        start_ms = row.first_ms
        if row.seen and row.seen != row.text and not _is_same_line(row):
            self._keep_seen(row)
            start_ms = max(start_ms, self._burst)
        self._keep(self._scrolled, row, row.text, start_ms, row.last_ms)
        if len(self._scrolled) >= _BATCH:
            self._flush()

    def dropped(self, row: Row) -> None:
        """Keep what was seen in the row."""
        self._keep_seen(row)

    def before_alternate(self) -> None:
        """Be done with the main screen, which comes back later."""
        self._settle()
        self._flush_all()
        self._alternate_since = self._now

    def after_alternate(self) -> None:
        """Tell what a full-screen program left on its screen."""
        if self._now - self._alternate_since >= SETTLED_MS:
            self._settle()
        self._tell_alternate()

    def _tell_alternate(self) -> None:
        self._flush()
        for row in self._screen.rows:
            self._keep_seen(row)
        self._flush_all()
        self._forget()

    # What a person saw

    def _settle(self) -> None:
        """What stands there now has been seen; what stood there and does not any more is gone."""
        rows = self._screen.rows
        self._screen.work += len(rows)
        if changed := [row for row in rows if row.text != row.seen]:
            self._screen.work += sum(len(row.text) + len(row.seen) for row in changed) // _CELLS
            for row in self._vanished(changed):
                self._keep_seen(row)
                row.first_ms = max(row.first_ms, self._burst)
            for row in changed:
                row.seen, row.seen_first_ms, row.seen_last_ms = row.text, row.first_ms, row.last_ms
                row.cleared = False
        self._flush()

    def _vanished(self, changed: list[Row]) -> list[Row]:
        """The rows of which what was seen there is gone, and has not only got other digits or another place."""
        visible = self._visible()
        vanished = [row for row in changed if row.seen and row.seen.rstrip() not in visible]
        if not vanished:
            return []
        self._screen.work += sum(map(len, visible)) // _CELLS
        there = _Lines(visible)
        gone = [row for row in vanished if row.seen not in there]
        if 2 * len(gone) >= len(vanished) >= max(_FEW_ROWS, len(visible) / 2):
            return gone  # another page
        return [row for row in gone if not _is_same_line(row)]

    def _visible(self) -> set[str]:
        return {row.text.rstrip() for row in self._screen.rows if row.text}

    def _keep_seen(self, row: Row) -> None:
        self._keep(self._gone, row, row.seen, row.seen_first_ms, row.seen_last_ms)

    def _keep(
        self, where: list[_Kept], row: Row, cells: str, start_ms: int, end_ms: int, *, alternate: bool | None = None
    ) -> None:
        if cells and cells != row.told:
            alternate = self._screen.is_alternate if alternate is None else alternate
            where.append(_Kept(cells, start_ms, end_ms, row.continues, alternate))

    def _flush(self) -> None:
        """Make lines of what has left the screen."""
        if self._gone:
            there = self._visible().union(kept.cells.rstrip() for kept in self._scrolled)
            self._tell_gone([kept for kept in self._gone if kept.cells.rstrip() not in there])
        for kept in self._scrolled:
            self._open = self._told(kept, self._open)
        self._scrolled.clear()
        if not self._screen.rows[self._screen.top].continues:
            self._tell(self._open)
            self._open = None

    def _flush_all(self) -> None:
        """The same where nothing is left on the screen."""
        self._tell_gone(self._gone)
        self._flush()
        self._tell(self._open)
        self._open = None

    def _tell_gone(self, gone: list[_Kept]) -> None:
        """Tell what is gone, and nothing twice in a minute, as programs show it again and again."""
        if self._now - self._told_since >= _FORGOTTEN_MS:
            self._forget()
        line: _Kept | None = None
        news = [kept for kept in gone if self._told_lines.is_news(kept.cells)]
        for kept in news:
            line = self._told(kept, line)
        self._tell(line)
        self._gone.clear()

    def _forget(self) -> None:
        self._told_lines, self._told_since = _Lines(), self._now

    def _told(self, kept: _Kept, line: _Kept | None) -> _Kept:
        """The line that can still grow, once a row has been told: the one before, if it went on in this row."""
        if line and kept.continues and len(line.cells) < _LONGEST_LINE:
            line.cells += kept.cells
            line.start_ms, line.end_ms = min(line.start_ms, kept.start_ms), max(line.end_ms, kept.end_ms)
            return line
        self._tell(line)
        return kept

    def _tell(self, line: _Kept | None) -> None:
        if line and (text := self._screen.readable(line.cells)):
            self._lines.append(Line(text, line.start_ms, line.end_ms, line.alternate))


class _Lines:
    """Lines of a screen, found again where a few of their numbers are others: a row of `top` is the same process.

    The same are two lines with the same letters and most numbers, of which there have to be some: in two pages of a log
    every line has another time.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._numbers: dict[str, deque[list[str]]] = {}
        for line in lines:
            self.add(line)

    def __contains__(self, line: str) -> bool:
        return self._has(_letters(line), _numbers(line))

    def add(self, line: str) -> None:
        """Take in a line; the oldest kinds of lines are forgotten."""
        self._add(_letters(line), _numbers(line))

    def is_news(self, line: str) -> bool:
        """Whether it has not been taken in before; it is now."""
        letters, numbers = _letters(line), _numbers(line)
        is_news = not self._has(letters, numbers)
        self._add(letters, numbers)
        return is_news

    def _has(self, letters: str, numbers: list[str]) -> bool:
        return any(_are_mostly_same(numbers, others) for others in self._numbers.get(letters, ()))

    def _add(self, letters: str, numbers: list[str]) -> None:
        self._numbers[letters] = kind = self._numbers.pop(letters, deque(maxlen=_MOST_OF_A_KIND))
        kind.append(numbers)
        if len(self._numbers) > _MOST_KINDS:
            del self._numbers[next(iter(self._numbers))]


def _are_mostly_same(numbers: list[str], others: list[str]) -> bool:
    same = sum(map(eq, numbers, others))
    return numbers == others or (same >= _FEW_NUMBERS and 2 * same > len(numbers))


def _numbers(text: str) -> list[str]:
    """The words with digits in them, as many as tell one line from another."""
    return [word for word in text.split() if _DIGIT.search(word)][:_MOST_NUMBERS]


def _letters(text: str) -> str:
    return " ".join(_WORD.findall(text))


def _is_same_line(row: Row) -> bool:
    """Whether what stands in a row is what was seen there, gone on with, or with a few other characters or digits."""
    old, new = row.seen.rstrip(), row.text.rstrip()
    if not new:
        return False
    if new.startswith(old) or _letters(old) == _letters(new):
        return True
    if row.cleared:
        return False
    shorter = min(len(old), len(new))
    before = next((n for n in range(shorter) if old[n] != new[n]), shorter)
    behind = next((n for n in range(shorter - before) if old[-1 - n] != new[-1 - n]), shorter - before)
    return 2 * (before + behind) >= max(len(old), len(new))
