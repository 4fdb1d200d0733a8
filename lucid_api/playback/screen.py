"""The screen of a terminal that keeps text alone, without colours: rows, the cursor, and what moves or removes text.

What the operations do is what xterm does ("XTerm Control Sequences", Dickey et al.) at the functions of ECMA-48 that
their names are from. Whatever is asked, what a screen keeps is bounded by its size.

A row is a string with one character for each cell. The second cell of a wide character holds `_SECOND_HALF`; a
character with marks for which there is no single code point stands in its cell as one of plane 16, and `readable` puts
it back.
"""

import unicodedata
from bisect import bisect_left, bisect_right, insort
from functools import lru_cache
from re import compile as pattern
from typing import NamedTuple, Protocol

MOST_COLUMNS = 1000
MOST_ROWS = 500

_TAB = 8
_TO_THE_END = 2**16
_SECOND_HALF = "\uffff"
_FIRST_CLUSTER = 0x100000
_MOST_CLUSTERS = 0xFFFD
_MOST_MARKS = 16
_NO_CHARACTER = "\ufffd"
_LINE_DRAWING = str.maketrans("`afgijklmnopqrstuvwxyz{|}~", "◆▒°±␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·")
_ONE_CELL_EACH = pattern(
    "[ -~\xa0-\xac\xae-\u02ff\u0370-\u0482\u048a-\u058f\u1e00-\u1fff\u2010-\u2027\u2030-\u205e\u2070-\u20cf"
    "\u2100-\u2319\u2400-\u25fc\u2800-\u2aff\ue000-\uf8ff\ufffd]+"
)


class _Cursor(NamedTuple):
    """A cursor that is kept, with what belongs to it."""

    x: int = 0
    y: int = 0
    origin: bool = False
    drawing: tuple[bool, bool] = (False, False)
    shift: int = 0


class Row:
    """One row of a screen, and when it got the first and the last of its text (ms)."""

    __slots__ = (
        "cleared",
        "continues",
        "first_ms",
        "last_ms",
        "seen",
        "seen_first_ms",
        "seen_last_ms",
        "text",
        "told",
    )

    def __init__(self) -> None:
        self.text = ""
        self.first_ms = self.last_ms = 0
        self.continues = False
        """Whether it goes on where the row above had no more room."""
        self.cleared = False
        """Whether it was cleared together with others; for whoever watches to take back."""
        # For whoever watches as well: the text that was there long enough to be seen, and what has been told.
        self.seen = self.told = ""
        self.seen_first_ms = self.seen_last_ms = 0


class Watcher(Protocol):
    """Whoever is told what leaves the screen."""

    def scrolled_off(self, row: Row) -> None:
        """The row was pushed out by text that comes below it."""

    def dropped(self, row: Row) -> None:
        """The row was deleted."""

    def before_alternate(self) -> None:
        """The alternate screen is about to take the place of the main one."""

    def after_alternate(self) -> None:
        """The alternate screen is about to be left, with all that is on it."""


class Screen:
    """Rows of cells, and a cursor at column `x` of row `y`, both from 0; `x == columns` is behind the last column."""

    def __init__(self, columns: int, rows: int, watcher: Watcher) -> None:
        self._watcher = watcher
        self._clusters: dict[str, str] = {}
        self._spelled: dict[int, str] = {ord(_SECOND_HALF): ""}
        self.columns, self.height = _bounded(columns, rows)
        self.now_ms = 0
        self.work = 0
        """What it has cost so far: rows moved, made or looked at. How long its input was says little of that."""
        self._begin()

    def _begin(self) -> None:
        self.rows = self._blank_rows(self.height)
        self.main: list[Row] | None = None
        """The rows of the main screen while the alternate one is shown."""
        self.x = self.y = 0
        self._tabs = list(range(_TAB, MOST_COLUMNS, _TAB))
        self._last = " "
        self._placed = False  # shells go back to the start of a row that goes on with CR, full-screen programs do so
        self.soft_reset()
        self._saved = _Cursor()
        self._saved_of_main, self._y_of_main = self._saved, 0

    @property
    def is_alternate(self) -> bool:
        """Whether the alternate screen is shown, which full-screen programs use."""
        return self.main is not None

    def readable(self, cells: str) -> str:
        """The text of a row as one reads it, without the blanks at its end."""
        return cells.rstrip() if cells.isascii() else cells.translate(self._spelled).rstrip()

    def resize(self, columns: int, rows: int) -> None:
        """Give the screen another size. Text is not wrapped anew, and what is beyond the edge stays in its row."""
        self.columns, self.height = _bounded(columns, rows)
        self._fit()
        self.top, self.bottom = 0, self.height - 1

    def _fit(self) -> None:
        rows = self.rows
        self.work += len(rows)
        while len(rows) > self.height:
            if self.y < len(rows) - 1:
                self._watcher.dropped(rows.pop())
            else:
                self._watcher.scrolled_off(rows.pop(0))
                self.y -= 1
        rows += self._blank_rows(self.height - len(rows))
        self.x, self.y = min(self.x, self.columns), min(self.y, self.height - 1)

    # Text

    def draw(self, text: str) -> None:
        """Put characters where the cursor is, and move it behind them."""
        if self.drawing[self.shift]:
            text = text.translate(_LINE_DRAWING)
        self._last = text[-1]
        if text.isascii() or _ONE_CELL_EACH.fullmatch(text):
            self._put(text)
            return
        run = ""
        for char in text:
            if (cells := _cells(char)) == 1:
                run += char
                continue
            self._put(run)
            run = ""
            if cells == 2 and self.columns > 1:
                self._put_wide(char)
            elif cells == 0:
                self._attach(char)
            else:
                self._put(_NO_CHARACTER)
        self._put(run)

    def repeat(self, count: int) -> None:
        """Draw the last character again (REP)."""
        count = min(count, self.columns * self.height)
        self.work += count // self.columns
        self.draw(self._last * count)

    def _put(self, cells: str) -> None:
        while cells:
            wraps = self._makes_room()
            room = self.columns - self.x
            if len(cells) <= room:
                part, cells = cells, ""
            elif self.autowrap:
                part, cells = cells[:room], cells[room:]
            else:
                part, cells = cells[: room - 1] + cells[-1], ""
            self._write(part)
            if wraps:
                self.rows[self.y].continues = True

    def _put_wide(self, char: str) -> None:
        if self.x == self.columns - 1:
            self.x += 1 if self.autowrap else -1
        self._put(char + _SECOND_HALF)

    def _makes_room(self) -> bool:
        """Whether the next character goes on in the next row; without automatic wrapping it takes the last column."""
        if self.x < self.columns:
            return False
        if self.autowrap:
            self.x = 0
            self.index()
        else:
            self.x = self.columns - 1
        return self.autowrap

    def _write(self, cells: str) -> None:
        """Put cells, for which there is room, where the cursor is."""
        row, x = self.rows[self.y], self.x
        line, end = row.text, x + len(cells)
        if self._placed:
            row.continues &= x > 0
            self._placed = False
        if not line:
            row.first_ms = self.now_ms
        if x >= len(line):
            row.text = (line.ljust(x) if x > len(line) else line) + cells
        elif self.insert:
            row.text = (line[:x] + cells + line[x:])[: self.columns]
        elif _SECOND_HALF in line:
            row.text = _whole(line[:x]) + cells + _whole(line[end:])
        else:
            row.text = line[:x] + cells + line[end:]
        row.last_ms = self.now_ms
        self.x = end

    def _attach(self, mark: str) -> None:
        """Put a mark on the character before the cursor."""
        row = self.rows[self.y]
        at = min(self.x, len(row.text)) - 1
        if at > 0 and row.text[at] == _SECOND_HALF:
            at -= 1
        if at < 0:
            return
        cell = row.text[at]
        cluster = unicodedata.normalize("NFC", self._spelled.get(ord(cell), cell) + mark)
        if len(cluster) > 1:
            cluster = self._one_cell(cluster) or cell
        row.text = row.text[:at] + cluster + row.text[at + 1 :]
        row.last_ms = self.now_ms

    def _one_cell(self, cluster: str) -> str | None:
        """The one character that stands for several, or None where there is none to be had."""
        if cluster not in self._clusters:
            if len(self._clusters) >= _MOST_CLUSTERS or len(cluster) > _MOST_MARKS:
                return None
            code = _FIRST_CLUSTER + len(self._clusters)
            self._clusters[cluster], self._spelled[code] = chr(code), cluster
        return self._clusters[cluster]

    # Rows

    def index(self) -> None:
        """Move down, and scroll at the bottom margin (IND)."""
        if self.y == self.bottom:
            self.scroll_up(1)
        elif self.y < self.height - 1:
            self.y += 1

    def reverse_index(self) -> None:
        """Move up, and scroll at the top margin (RI)."""
        if self.y == self.top:
            self.scroll_down(1)
        elif self.y:
            self.y -= 1

    def line_feed(self) -> None:
        """Move down (LF)."""
        if self.newline_mode:
            self.x = 0
        self.index()

    def next_line(self) -> None:
        """Move to the first column of the next row (NEL)."""
        self.x = 0
        self.index()

    def scroll_up(self, count: int) -> None:
        """Scroll the region between the margins up (SU)."""
        for row in self._replace(self.top, min(self.top + count, self.bottom + 1), self.bottom + 1):
            self._watcher.scrolled_off(row)

    def scroll_down(self, count: int) -> None:
        """Scroll the region between the margins down (SD)."""
        self._insert_rows_at(self.top, count)

    def insert_rows(self, count: int) -> None:
        """Insert blank rows where the cursor is (IL)."""
        if self.top <= self.y <= self.bottom:
            self._insert_rows_at(self.y, count)
            self.x = 0

    def delete_rows(self, count: int) -> None:
        """Delete rows from the cursor's on (DL)."""
        if self.top <= self.y <= self.bottom:
            for row in self._replace(self.y, min(self.y + count, self.bottom + 1), self.bottom + 1):
                self._watcher.dropped(row)
            self.x = 0

    def _insert_rows_at(self, at: int, count: int) -> None:
        for row in self._replace(max(at, self.bottom + 1 - count), self.bottom + 1, at):
            self._watcher.dropped(row)

    def _replace(self, first: int, stop: int, before: int) -> list[Row]:
        """Take rows out, put as many blank ones before the row that is number `before` now, and return the former."""
        taken, blank = self.rows[first:stop], self._blank_rows(stop - first)
        if before >= stop:
            self.rows[first:before] = self.rows[stop:before] + blank
        else:
            self.rows[before:stop] = blank + self.rows[before:first]
        return taken

    def _blank_rows(self, count: int) -> list[Row]:
        self.work += max(0, count)
        return [Row() for _ in range(count)]

    # Erasing and shifting cells

    def erase_in_display(self, mode: int) -> None:
        """Erase from the cursor on (0), up to it (1), or all (2) (ED)."""
        if mode in (0, 1):
            self.erase_in_line(mode)
        if mode in (0, 2):
            self._erase_rows(self.y + 1 if mode == 0 else 0, self.height)
        elif mode == 1:
            self._erase_rows(0, self.y)

    def erase_in_line(self, mode: int) -> None:
        """Erase from the cursor on (0), up to it (1), or all (2) of its row (EL)."""
        if mode == 0:
            self._erase_cells(self.column, _TO_THE_END)
        elif mode == 1:
            self._erase_cells(0, self.column + 1)
        elif mode == 2:
            self._set_cells(self.rows[self.y], "")

    def erase_cells(self, count: int) -> None:
        """Blank cells from the cursor on (ECH)."""
        self._erase_cells(self.column, self.column + count)

    def insert_cells(self, count: int) -> None:
        """Insert blank cells where the cursor is (ICH)."""
        row, x = self.rows[self.y], self.column
        if x < len(row.text):
            blanks = " " * min(count, self.columns - x)
            self._set_cells(row, (row.text[:x] + blanks + row.text[x:])[: self.columns])

    def delete_cells(self, count: int) -> None:
        """Delete cells from the cursor on (DCH)."""
        row, x = self.rows[self.y], self.column
        self._set_cells(row, _whole(row.text[:x]) + _whole(row.text[x + count :]))

    def _erase_rows(self, first: int, stop: int) -> None:
        self.work += stop - first
        for row in self.rows[first:stop]:
            self._set_cells(row, "")
            row.cleared = True

    def _erase_cells(self, first: int, stop: int) -> None:
        row = self.rows[self.y]
        kept = _whole(row.text[:first])
        self._set_cells(row, kept.ljust(stop) + _whole(row.text[stop:]) if stop < len(row.text) else kept)

    def _set_cells(self, row: Row, text: str) -> None:
        if row.text != text:
            row.text, row.last_ms = text, self.now_ms
        if not text:
            row.continues = False

    # The cursor

    @property
    def column(self) -> int:
        """The cursor's column; the last one where it is behind that."""
        return min(self.x, self.columns - 1)

    def to_column(self, x: int) -> None:
        """Move to a column (CHA)."""
        self.x = max(0, min(x, self.columns - 1))

    def place(self, y: int, x: int) -> None:
        """Move to a row and a column (CUP), which count from the margin in origin mode."""
        if self.origin:
            self.y = max(self.top, min(self.top + y, self.bottom))
        else:
            self.y = max(0, min(y, self.height - 1))
        self.to_column(x)
        self._placed = True

    def move_rows(self, count: int) -> None:
        """Move up or down, as far as the next margin or the edge of the screen (CUU, CUD)."""
        if count < 0:
            self.y = max(self.top if self.y >= self.top else 0, self.y + count)
        else:
            self.y = min(self.bottom if self.y <= self.bottom else self.height - 1, self.y + count)
        self.x = self.column

    def move_columns(self, count: int) -> None:
        """Move left or right (CUB, CUF)."""
        self.to_column(self.column + count)

    def tab(self, count: int = 1) -> None:
        """Move to a tab stop to the right (HT, CHT)."""
        at = bisect_right(self._tabs, self.column) + count - 1
        self.to_column(self._tabs[at] if at < len(self._tabs) else self.columns)

    def tab_back(self, count: int) -> None:
        """Move to a tab stop to the left (CBT)."""
        at = bisect_left(self._tabs, self.column) - count
        self.to_column(self._tabs[at] if at >= 0 else 0)

    def set_tab(self) -> None:
        """Put a tab stop where the cursor is (HTS)."""
        if self.column not in self._tabs:
            insort(self._tabs, self.column)

    def clear_tabs(self, mode: int) -> None:
        """Remove the tab stop at the cursor (0), or all (3) (TBC)."""
        if mode == 3:
            self._tabs.clear()
        elif mode == 0 and self.column in self._tabs:
            self._tabs.remove(self.column)

    def save(self) -> None:
        """Keep the cursor, and what belongs to it (DECSC)."""
        self._saved = _Cursor(self.x, self.y, self.origin, (self.drawing[0], self.drawing[1]), self.shift)

    def restore(self) -> None:
        """Take back what was kept (DECRC)."""
        x, y, self.origin, drawing, self.shift = self._saved
        self.drawing = list(drawing)
        self.x, self.y = min(x, self.columns), min(y, self.height - 1)

    # Modes

    def set_margins(self, top: int, bottom: int) -> None:
        """Let the rows from `top` to `bottom` scroll, both from 0 and included (DECSTBM)."""
        bottom = min(bottom, self.height - 1)
        if top < bottom:
            self.top, self.bottom = top, bottom
            self.place(0, 0)

    def set_origin(self, *, on: bool) -> None:
        """Count rows from the top margin, or from the top (DECOM)."""
        self.origin = on
        self.place(0, 0)

    def soft_reset(self) -> None:
        """Take all modes back (DECSTR)."""
        self.top, self.bottom = 0, self.height - 1
        self.autowrap, self.origin, self.insert, self.newline_mode = True, False, False, False
        self.drawing, self.shift = [False, False], 0

    def hard_reset(self) -> None:
        """Begin anew (RIS)."""
        self.leave_alternate()
        for row in self.rows:
            self._watcher.dropped(row)
        self._begin()

    def enter_alternate(self) -> None:
        """Show the alternate screen, which is blank."""
        if self.main is None:
            self._watcher.before_alternate()
            self._saved_of_main, self._y_of_main = self._saved, self.y
            self.main, self.rows = self.rows, self._blank_rows(self.height)

    def leave_alternate(self) -> None:
        """Show the main screen again."""
        if self.main is not None:
            self._watcher.after_alternate()
            self.rows, self.main = self.main, None
            here, self.y = self.y, self._y_of_main
            self._fit()
            rows_gone = self._y_of_main - self.y
            self._saved = self._saved_of_main._replace(y=max(0, self._saved_of_main.y - rows_gone))
            self.y = min(here, self.height - 1)


def _bounded(columns: int, rows: int) -> tuple[int, int]:
    return max(1, min(columns, MOST_COLUMNS)), max(1, min(rows, MOST_ROWS))


def _whole(cells: str) -> str:
    """Cells cut out of a row, where a wide character that was cut in two has become a blank."""
    if cells.startswith(_SECOND_HALF):
        cells = " " + cells[1:]
    if cells and not cells.isascii() and _cells(cells[-1]) == 2:
        cells = cells[:-1] + " "
    return cells


@lru_cache(4096)
def _cells(char: str) -> int:
    """How many cells a character takes: 0 for marks, 2 for wide ones, -1 for what is none."""
    code = ord(char)
    if code >= _FIRST_CLUSTER or 0xD800 <= code < 0xE000 or code & 0xFFFE == 0xFFFE:
        return -1
    if (unicodedata.category(char) in ("Mn", "Me", "Cf") and code != 0xAD) or 0x1160 <= code < 0x1200:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
