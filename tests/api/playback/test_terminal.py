"""What a terminal shows after it was sent something: tables of what xterm does, and that nothing makes it fail."""

import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lucid_api.playback.screen import MOST_COLUMNS, MOST_ROWS, Row, Screen
from lucid_api.playback.terminal import Terminal


class Leaving:
    """What left a screen."""

    def __init__(self) -> None:
        self.scrolled: list[str] = []
        self.dropped_rows: list[str] = []
        self.switches: list[str] = []

    def scrolled_off(self, row: Row) -> None:
        self.scrolled.append(row.text)

    def dropped(self, row: Row) -> None:
        self.dropped_rows.append(row.text)

    def before_alternate(self) -> None:
        self.switches.append("on")

    def after_alternate(self) -> None:
        self.switches.append("off")


def screen_after(*texts: str, columns: int = 10, rows: int = 4) -> tuple[Screen, Leaving]:
    leaving = Leaving()
    screen = Screen(columns, rows, leaving)
    terminal = Terminal(screen)
    for time, text in enumerate(texts):
        terminal.feed(text, time)
    return screen, leaving


def shown(screen: Screen) -> list[str]:
    return [screen.readable(row.text) for row in screen.rows]


def show(*texts: str, columns: int = 10, rows: int = 4) -> list[str]:
    return shown(screen_after(*texts, columns=columns, rows=rows)[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # text and the cursor
        ("one\r\ntwo", ["one", "two", "", ""]),
        ("one\ntwo", ["one", "   two", "", ""]),
        ("\x1b[20hone\ntwo", ["one", "two", "", ""]),
        ("abc\rx", ["xbc", "", "", ""]),
        ("abc\b\bx", ["axc", "", "", ""]),
        ("\b\b\bx", ["x", "", "", ""]),
        ("a\tb", ["a       b", "", "", ""]),
        ("a\t\t\tb", ["a        b", "", "", ""]),
        ("ab\x1b[5Gc", ["ab  c", "", "", ""]),
        ("\x1b[2;3Hx", ["", "  x", "", ""]),
        ("\x1b[99;99Hx", ["", "", "", "         x"]),
        ("\x1b[0;0Hx", ["x", "", "", ""]),
        ("\x1b[3dx", ["", "", "x", ""]),
        ("\x1b[2;2Hx\x1b[A\x1b[Dy", [" y", " x", "", ""]),
        ("\x1b[2Bx\x1b[Fy", ["", "y", "x", ""]),
        ("x\x1b[2Ey", ["x", "", "y", ""]),
        ("ab\x1b7\x1b[3;3Hc\x1b8d", ["abd", "", "  c", ""]),
        ("ab\x1b[s\r\n\x1b[uc", ["abc", "", "", ""]),
        ("\x1b[3g\ta", ["         a", "", "", ""]),
        ("\x1b[4G\x1bH\r\ta", ["   a", "", "", ""]),
        ("\x1b[10Ga\x1b[Zb", ["        ba", "", "", ""]),
        # wrapping
        ("0123456789ab", ["0123456789", "ab", "", ""]),
        ("0123456789\r\nab", ["0123456789", "ab", "", ""]),
        ("0123456789\x1b[Dx", ["01234567x9", "", "", ""]),
        ("\x1b[?7l0123456789ab", ["012345678b", "", "", ""]),
        # erasing and shifting
        ("abcdef\x1b[3D\x1b[K", ["abc", "", "", ""]),
        ("abcdef\x1b[3D\x1b[1K", ["    ef", "", "", ""]),
        ("abcdef\x1b[2K", ["", "", "", ""]),
        ("a\r\nb\r\nc\x1b[2;1H\x1b[J", ["a", "", "", ""]),
        ("a\r\nb\r\nc\x1b[2;1H\x1b[1J", ["", "", "c", ""]),
        ("a\r\nb\x1b[2Jc", ["", " c", "", ""]),
        ("abcdef\r\x1b[2X", ["  cdef", "", "", ""]),
        ("abcdef\r\x1b[2P", ["cdef", "", "", ""]),
        ("abcdef\r\x1b[2@", ["  abcdef", "", "", ""]),
        ("0123456789\r\x1b[2@", ["  01234567", "", "", ""]),
        ("abc\r\x1b[4hxy\x1b[4lz", ["xyzbc", "", "", ""]),
        ("ab\x1b[3b", ["abbbb", "", "", ""]),
        # rows
        ("a\r\nb\r\nc\r\nd\r\ne", ["b", "c", "d", "e"]),
        ("a\r\nb\x1b[H\x1bMx", ["x", "a", "b", ""]),
        ("a\r\nb\r\nc\x1b[2;1H\x1b[L", ["a", "", "b", "c"]),
        ("a\r\nb\r\nc\x1b[1;1H\x1b[M", ["b", "c", "", ""]),
        ("a\r\nb\x1b[S", ["b", "", "", ""]),
        ("a\r\nb\x1b[T", ["", "a", "b", ""]),
        ("a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[3;1H\nx", ["a", "c", "x", "d"]),
        ("a\r\nb\r\nc\r\nd\x1b[2;3r\x1b[2;1H\x1bMx", ["a", "x", "b", "d"]),
        ("a\x1b[2;3r\x1b[?6h\x1b[1;1Hx\x1b[9;1Hy", ["a", "x", "y", ""]),
        ("a\x1b[3;2rb", ["ab", "", "", ""]),
        ("a\x1bcb", ["b", "", "", ""]),
        ("\x1b[2;3r\x1b[!p\x1b[4;1Hd\ne", ["", "", "d", " e"]),
        # the alternate screen
        ("main\x1b[?1049h\x1b[Halt", ["alt", "", "", ""]),
        ("main\x1b[?1049h\x1b[Halt\x1b[?1049l!", ["main!", "", "", ""]),
        ("main\x1b[?47halt\x1b[?47l!", ["main   !", "", "", ""]),
        ("\x1b[?1049h\x1b[?1049hx\x1b[?1049ly", ["y", "", "", ""]),
        # what is passed over
        ("\x1b[1;31mred\x1b[m", ["red", "", "", ""]),
        ("\x1b[38:2::1:2:3mred", ["red", "", "", ""]),
        ("\x1b]0;title\x07a\x1b]2;title\x1b\\b", ["ab", "", "", ""]),
        ("\x1bPq#0;1~\x1b\\a\x1b_x\x1b\\b\x1b^y\x1b\\c\x1bXz\x1b\\d", ["abcd", "", "", ""]),
        ("\x1b]0;no end\x1b[2;1Ha", ["", "a", "", ""]),
        ("\x1b[?25l\x1b[?2004h\x1b[>0c\x1b=\x1b>\x1b[6na", ["a", "", "", ""]),
        ("\x1b[12\x18a", ["a", "", "", ""]),
        ("\x00\x01\x05\x07\x7fa", ["a", "", "", ""]),
        ("\x9b2;1Ha\x9d0;title\x9cb\x85c", ["", "ab", "c", ""]),
        # letters
        ("\x1b(0lqk\x1b(Bq", ["┌─┐q", "", "", ""]),
        ("\x1b)0\x0eq\x0fq", ["─q", "", "", ""]),
        ("漢字", ["漢字", "", "", ""]),
        ("012345678漢", ["012345678", "漢", "", ""]),
        ("漢\x1b[1Gx", ["x", "", "", ""]),
        ("漢a\x1b[2Gx", [" xa", "", "", ""]),
        ("a漢b\x1b[3Gx", ["a xb", "", "", ""]),
        ("漢字\r\x1b[P", [" 字", "", "", ""]),
        ("e\u0301", ["é", "", "", ""]),
        ("क\u093f\u0902x", ["क\u093f\u0902x", "", "", ""]),
        ("漢\u0301x", ["漢\u0301x", "", "", ""]),
        ("\u0301a", ["a", "", "", ""]),
        ("👩\u200d🚀!", ["👩\u200d🚀!", "", "", ""]),
        ("\U00100000\uffff\ud800", ["\ufffd\ufffd\ufffd", "", "", ""]),
        ("a\U00100000\u0301", ["a\ufffd\u0301", "", "", ""]),
    ],
)
def test_it_shows_what_a_terminal_shows(text: str, expected: list[str]) -> None:
    assert show(text) == expected


@given(st.data())
def test_it_does_not_matter_where_the_text_was_cut(data: st.DataObject) -> None:
    """Events end where the recorder happened to read, in the middle of sequences too."""
    text = data.draw(st.lists(pieces, max_size=20).map("".join))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5)))
    parts = [text[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole, _ = screen_after(text)
    assert (shown(whole), whole.x, whole.y) == ((cut := screen_after(*parts)[0]) and (shown(cut), cut.x, cut.y))


numbers = st.sampled_from(["", "0", "1", "2", "3", "7", "47", "1049", "65536", "9" * 30])
sequences = st.builds(
    lambda private, parameters, final: f"\x1b[{private}{';'.join(parameters)}{final}",
    st.sampled_from(["", "", "", "?", ">", "?"]),
    st.lists(numbers, max_size=3),
    st.sampled_from("@ABCDEFGHIJKLMPSTXZ`abdefghlmnrsu"),
)
pieces = st.one_of(
    st.sampled_from(["\r\n", "\n", "\r", "\b", "\t", "abc", "x" * 12, "漢", "e\u0301", "─", "\u200d", "\ud800"]),
    sequences,
    st.sampled_from(["\x1b7", "\x1b8", "\x1bM", "\x1bc", "\x1bD", "\x1b(0", "\x0e", "\x1b]0;t\x07", "\x1bPq\x1b\\"]),
    st.text(max_size=5),
)


@settings(max_examples=300)
@given(st.lists(pieces, max_size=40).map("".join), st.integers(1, 12), st.integers(1, 6))
@example("漢", 1, 1)
@example("\x1b[2;1r\x1b[65535S\x1b[65535L\x1b[65535M\x1b[65535T", 3, 2)
def test_nothing_makes_it_fail_or_leave_its_bounds(text: str, columns: int, rows: int) -> None:
    screen, _ = screen_after(text, columns=columns, rows=rows)
    assert len(screen.rows) == screen.height == rows
    assert 0 <= screen.x <= columns
    assert 0 <= screen.y < rows
    assert 0 <= screen.top <= screen.bottom < rows
    for row in screen.rows:
        assert len(row.text) <= columns
        screen.readable(row.text).encode()


def test_what_left_the_screen_is_told_in_order() -> None:
    _, leaving = screen_after("".join(f"{number}\r\n" for number in range(6)), "\x1b[H\x1b[M", "\x1b[2Lx")
    assert leaving.scrolled == ["0", "1", "2"]
    assert leaving.dropped_rows == ["3", "", ""]
    _, leaving = screen_after("a\x1b[?1049h", "b\x1b[?1049l")
    assert leaving.switches == ["on", "off"]


def test_a_screen_of_another_size_keeps_what_stands_on_it() -> None:
    screen, leaving = screen_after("a long line\r\nb\r\nc\r\nd", columns=20)
    screen.resize(4, 2)
    assert shown(screen) == ["c", "d"]
    assert leaving.scrolled == ["a long line", "b"]
    screen.resize(20, 3)
    Terminal(screen).feed("\r\nefghijkl", 1)
    assert shown(screen) == ["c", "d", "efghijkl"]
    screen, leaving = screen_after("a\r\nb\x1b[H", columns=20)
    screen.resize(20, 1)
    assert (shown(screen), leaving.scrolled) == (["a"], []), "rows below the cursor go first"


def test_the_main_screen_gets_the_size_that_the_terminal_has_when_it_comes_back() -> None:
    screen, _ = screen_after("a\r\nb\r\nc\r\nd\x1b[?1049h")
    screen.resize(10, 2)
    Terminal(screen).feed("\x1b[?1049l!", 1)
    assert shown(screen) == ["c", "d!"]


def test_a_screen_has_a_largest_size() -> None:
    screen, _ = screen_after("", columns=65535, rows=65535)
    assert (screen.columns, screen.height) == (MOST_COLUMNS, MOST_ROWS)
    screen.resize(0, 0)
    assert (screen.columns, screen.height) == (1, 1)


@pytest.mark.parametrize("text", ["\x1b[65535S", "\x1b[?1049h", "\x1b[65535L", "\x1b[65535M", "\x1b[2J", "\x1bc"])
def test_a_few_bytes_that_cost_much_are_counted(text: str) -> None:
    """So that whoever has a terminal print something hostile can stop in time."""
    before = screen_after("x", columns=MOST_COLUMNS, rows=MOST_ROWS)[0].work
    assert screen_after("x" + text, columns=MOST_COLUMNS, rows=MOST_ROWS)[0].work >= before + MOST_ROWS


def test_memory_does_not_grow_with_what_is_printed() -> None:
    screen = Screen(80, 24, Leaving())
    terminal = Terminal(screen)
    title = "\x1b]0;" + "x" * 1000
    tracemalloc.start()
    for number in range(20_000):
        terminal.feed(f"\x1b[H{number}e\u0301\u0302\x1b[3", number)
        terminal.feed(title, number)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100_000
