"""What a terminal is sent, taken apart: text goes to the screen, and so does what moves or removes text there.

Control functions are those of ECMA-48 and of xterm ("XTerm Control Sequences", Dickey et al.). Those that are about
colours, keys, the mouse, titles or answers, and what is malformed, are passed over. Nothing here fails, whatever comes.
"""

import re
from collections.abc import Callable, Sequence

from lucid_api.playback.screen import Screen

_LARGEST_NUMBER = 65_535
_LONGEST_SEQUENCE = 256

_TOKEN = re.compile(
    r"""
    (?P<text>[^\x00-\x1f\x7f-\x9f]+)
    | (?P<newline>\r\n)
    | (?P<colours>(?:\x1b\[[\d;:]*m)+)
    | (?P<control>[\x00-\x1a\x1c-\x1f\x7f])
    | (?P<csi>(?:\x1b\[|\x9b)([<-?]?)([\d;:]*)[<-?]*([\ -/]*)([@-~]))
    | (?P<string>(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x9c]*(?:\x1b\\|[\x07\x18\x1a\x9c]|(?=\x1b)))
    | (?P<open>(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x18\x1a\x1b\x9c]*\Z)
    | (?P<cut>(?:\x1b(?:\[[0-?]*)?|\x9b[0-?]*)[\ -/]*\Z)
    | (?P<escape>\x1b(?:[\ -/]+[0-~]|[0-OQ-WYZ\\`-~]))
    | (?P<c1>[\x80-\x9f])
    | \x1b(?:\[[0-?]*[\ -/]*)?
    """,
    re.VERBOSE,
)
_STRING_BODY = re.compile(r"[^\x07\x18\x1a\x1b\x9c]*")
_CSI = _TOKEN.groupindex["csi"]
_OTHERS = frozenset(("control", "escape", "c1", "open", "cut"))


class Terminal:
    """Prints on a screen what it is fed."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._unfinished = ""
        self._in_string = False

    def feed(self, text: str, now_ms: int) -> None:
        """Print `text` at a time in ms. A sequence that it ends in may go on in the next text."""
        screen = self._screen
        screen.now_ms = now_ms
        if self._in_string:
            text = self._behind_string(text)
        if self._unfinished:
            text, self._unfinished = self._unfinished + text, ""
        for match in _TOKEN.finditer(text):
            kind = match.lastgroup
            if kind == "text":
                screen.draw(match[0])
            elif kind == "newline":
                screen.next_line()
            elif kind == "csi":
                _control_sequence(screen, *match.group(_CSI + 1, _CSI + 2, _CSI + 3, _CSI + 4))
            elif kind and kind in _OTHERS:
                self._other(kind, match)

    def _other(self, kind: str, match: re.Match[str]) -> None:
        if kind == "control":
            if action := _CONTROLS.get(match[0]):
                action(self._screen)
        elif kind == "escape":
            _escape_sequence(self._screen, match[0][1:-1], match[0][-1])
        elif kind == "c1":
            _escape_sequence(self._screen, "", chr(ord(match[0]) - 0x40))
        elif kind == "open":
            self._in_string = True
        elif len(match[0]) <= _LONGEST_SEQUENCE:
            self._unfinished = match[0]

    def _behind_string(self, text: str) -> str:
        """What comes behind a string, such as a title, that began in an earlier text."""
        match = _STRING_BODY.match(text)
        end = match.end() if match else 0
        self._in_string = end == len(text)
        return text[end:] if text[end : end + 1] == "\x1b" else text[end + 1 :]


def _control_sequence(screen: Screen, private: str, parameters: str, intermediate: str, final: str) -> None:
    if action := _SEQUENCES.get(private + intermediate + final):
        action(screen, [_number(text) for text in parameters[:_LONGEST_SEQUENCE].split(";")])


def _escape_sequence(screen: Screen, intermediate: str, final: str) -> None:
    if intermediate in ("(", ")"):
        screen.drawing[intermediate == ")"] = final == "0"
    elif not intermediate and (action := _ESCAPES.get(final)):
        action(screen)


def _number(text: str) -> int:
    digits = text.partition(":")[0]
    return min(int(digits[:6]), _LARGEST_NUMBER) if digits else 0


def _count(numbers: Sequence[int], place: int = 0) -> int:
    """A parameter of which nothing and 0 mean 1."""
    return (numbers[place] if place < len(numbers) else 0) or 1


def _to_line(screen: Screen, count: int) -> None:
    screen.to_column(0)
    screen.move_rows(count)


def _set_margins(screen: Screen, numbers: Sequence[int]) -> None:
    last = numbers[1] if len(numbers) > 1 else 0
    screen.set_margins(_count(numbers) - 1, (last or screen.height) - 1)


def _set_modes(screen: Screen, numbers: Sequence[int], *, on: bool) -> None:
    for number in numbers:
        if number == 4:
            screen.insert = on
        elif number == 20:
            screen.newline_mode = on


def _set_private_modes(screen: Screen, numbers: Sequence[int], *, on: bool) -> None:
    for number in numbers:
        if number == 6:
            screen.set_origin(on=on)
        elif number == 7:
            screen.autowrap = on
        elif number in (47, 1047, 1048, 1049):
            _switch(screen, on=on, screens=number != 1048, cursor=number >= 1048)


def _switch(screen: Screen, *, on: bool, screens: bool, cursor: bool) -> None:
    """Change between main and alternate screen, or keep and take back the cursor, or both."""
    if on and cursor and not (screens and screen.is_alternate):
        screen.save()
    if screens:
        (screen.enter_alternate if on else screen.leave_alternate)()
    if cursor and not on:
        screen.restore()


def _shift(screen: Screen, character_set: int) -> None:
    screen.shift = character_set


_CONTROLS: dict[str, Callable[[Screen], object]] = {
    "\b": lambda screen: screen.move_columns(-1),
    "\t": Screen.tab,
    "\n": Screen.line_feed,
    "\v": Screen.line_feed,
    "\f": Screen.line_feed,
    "\r": lambda screen: screen.to_column(0),
    "\x0e": lambda screen: _shift(screen, 1),
    "\x0f": lambda screen: _shift(screen, 0),
}
_ESCAPES: dict[str, Callable[[Screen], object]] = {
    "7": Screen.save,
    "8": Screen.restore,
    "D": Screen.index,
    "E": Screen.next_line,
    "H": Screen.set_tab,
    "M": Screen.reverse_index,
    "c": Screen.hard_reset,
}
_SEQUENCES: dict[str, Callable[[Screen, Sequence[int]], object]] = {
    "@": lambda screen, n: screen.insert_cells(_count(n)),
    "A": lambda screen, n: screen.move_rows(-_count(n)),
    "B": lambda screen, n: screen.move_rows(_count(n)),
    "C": lambda screen, n: screen.move_columns(_count(n)),
    "D": lambda screen, n: screen.move_columns(-_count(n)),
    "E": lambda screen, n: _to_line(screen, _count(n)),
    "F": lambda screen, n: _to_line(screen, -_count(n)),
    "G": lambda screen, n: screen.to_column(_count(n) - 1),
    "H": lambda screen, n: screen.place(_count(n) - 1, _count(n, 1) - 1),
    "I": lambda screen, n: screen.tab(_count(n)),
    "J": lambda screen, n: screen.erase_in_display(n[0]),
    "K": lambda screen, n: screen.erase_in_line(n[0]),
    "L": lambda screen, n: screen.insert_rows(_count(n)),
    "M": lambda screen, n: screen.delete_rows(_count(n)),
    "P": lambda screen, n: screen.delete_cells(_count(n)),
    "S": lambda screen, n: screen.scroll_up(_count(n)),
    "T": lambda screen, n: screen.scroll_down(_count(n)),
    "X": lambda screen, n: screen.erase_cells(_count(n)),
    "Z": lambda screen, n: screen.tab_back(_count(n)),
    "`": lambda screen, n: screen.to_column(_count(n) - 1),
    "a": lambda screen, n: screen.move_columns(_count(n)),
    "b": lambda screen, n: screen.repeat(_count(n)),
    "d": lambda screen, n: screen.place(_count(n) - 1, screen.column),
    "e": lambda screen, n: screen.move_rows(_count(n)),
    "f": lambda screen, n: screen.place(_count(n) - 1, _count(n, 1) - 1),
    "g": lambda screen, n: screen.clear_tabs(n[0]),
    "h": lambda screen, n: _set_modes(screen, n, on=True),
    "l": lambda screen, n: _set_modes(screen, n, on=False),
    "r": _set_margins,
    "s": lambda screen, _: screen.save(),
    "u": lambda screen, _: screen.restore(),
    "?h": lambda screen, n: _set_private_modes(screen, n, on=True),
    "?l": lambda screen, n: _set_private_modes(screen, n, on=False),
    "!p": lambda screen, _: screen.soft_reset(),
}
