"""Transcripts: what a person saw, once, with the times at which it was written."""

import os
from itertools import pairwise
from pathlib import Path
from time import thread_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_api.playback import transcript as transcripts
from lucid_api.playback.casts import EventReader, Position
from lucid_api.playback.transcript import Line, Transcript, transcribe
from tests.api.playback.support import DEMO, Output, cast, lines_of, parts_of, texts_of, transcript_of, typed

RECORDINGS = Path(os.environ.get("LUCID_RECORDINGS_DIR", ""))
others = pytest.mark.skipif("LUCID_RECORDINGS_DIR" not in os.environ, reason="LUCID_RECORDINGS_DIR names no folder")


def test_output_that_scrolls_by_is_all_there_however_fast() -> None:
    numbers = [f"line {number}" for number in range(5000)]
    assert texts_of((1, "".join(f"{number}\r\n" for number in numbers))) == numbers


def test_a_line_has_the_times_of_its_first_and_its_last_character() -> None:
    lines = lines_of((1, "$ "), *typed("make test", 2), (4, "\r\n"), (5, "ok\r\n"), (6, "$ "))
    assert lines == [Line("$ make test", 1000, 2800), Line("ok", 5000, 5000), Line("$", 6000, 6000)]


def test_what_is_typed_and_corrected_is_one_line() -> None:
    slip = [*typed("$ cat filx", 1, 0.4), (6.0, "\b\x1b[K"), *typed("e.txt", 6.5, 0.4)]
    assert texts_of(*slip, (20, "\r\nhello\r\n")) == ["$ cat file.txt", "hello"]


def test_what_was_not_echoed_is_not_in_it() -> None:
    events = [(1, "Password: "), (2, "i", "s"), (2.1, "i", "ecret\r"), (3, "\r\nwelcome\r\n")]
    assert texts_of(*events) == ["Password:", "welcome"]


def test_a_progress_bar_is_its_last_state() -> None:
    bar = [(1 + n * 0.5, f"\rfetching kernel.tar.xz {n:3} % [{'#' * (n // 4):25}]") for n in range(0, 101, 4)]
    (line,) = lines_of(*bar, (60, "\r\n"))
    assert line.text.startswith("fetching kernel.tar.xz 100 %")
    assert (line.start_ms, line.end_ms) == (1000, 51_000)


def test_lines_that_a_terminal_broke_are_one() -> None:
    text = "a sentence that is longer than the terminal is wide"
    assert texts_of((1, f"{text}\r\nnext\r\n"), columns=20) == [text, "next"]
    scrolled = texts_of((1, f"{text}\r\n" * 300), columns=20, rows=3)
    assert scrolled == [text] * 300


def test_a_command_that_a_shell_broke_is_one_line() -> None:
    """It prints a blank to get into the next row, and goes back to the start of that."""
    assert texts_of((1, "$ "), *typed("echo 0123", 2), (3, "4 \r"), *typed("56789", 3.1), columns=12) == [
        "$ echo 0123456789"
    ]


def test_lines_that_a_program_places_are_lines_of_their_own() -> None:
    drawn = "\x1b[H0123456789ab\x1b[1;1H\x1b[K0123456789\x1b[2;1Hnext"
    assert texts_of(*full_screen((11, drawn)), columns=10)[1:-1] == ["0123456789", "next"]


def test_a_line_does_not_grow_without_end() -> None:
    lines = texts_of((1, "x" * 200_000))
    assert sum(map(len, lines)) == 200_000
    assert max(map(len, lines)) < 40_000


def test_what_was_cleared_away_is_kept_if_it_could_be_seen() -> None:
    events = [(1, "$ cat notes\r\nfirst note\r\nsecond note\r\n$ "), (5, "\x1b[H\x1b[2J$ "), (6, "ls\r\nfile\r\n")]
    assert texts_of(*events) == ["$ cat notes", "first note", "second note", "$ ls", "file"]
    flashed = [(1, "$ "), (5, "nobody can read this"), (5.05, "\x1b[H\x1b[2J$ "), (6, "ls\r\n")]
    assert texts_of(*flashed) == ["$ ls"]


def test_a_few_lines_that_were_cleared_away_are_kept_too() -> None:
    """The prompt that comes in their place begins like them, and is another line."""
    events = [(1, "user@host:~$ "), *typed("clear", 2), (3, "\r\n\x1b[H\x1b[2Juser@host:~$ "), *typed("exit", 3.1)]
    assert texts_of(*events, (9, "\r\n")) == ["user@host:~$ clear", "user@host:~$ exit"]


def page(*lines: str) -> str:
    return "\x1b[H\x1b[2J" + "\r\n".join(lines)


def full_screen(*events: Output) -> list[Output]:
    """A program that takes the whole screen from second 10 on."""
    end = events[-1][0] + 1
    return [(1, "$ less log\r\n"), (10, "\x1b[?1049h"), *events, (end, "\x1b[?1049l$ "), (end + 1, "exit\r\n")]


LOG = [(0, "up ready login failed failed logout login slow"), (1, "slow login done logout failed halt power off")]


def test_of_a_pager_each_page_is_there_once() -> None:
    first, second = ([f"12:0{minute}:0{n} {word}" for n, word in enumerate(words.split())] for minute, words in LOG)
    turned = [(11, page(*first)), (13, page(*second)), (15, page(*first)), (17, page(*second))]
    lines = lines_of(*full_screen(*turned), rows=8)
    assert [line.text for line in lines] == ["$ less log", *first, *second, "$ exit"]
    assert [line.alternate for line in lines] == [False, *[True] * 16, False]
    assert lines[1] == Line("12:00:00 up", 11_000, 11_000, True)


def test_of_a_pager_what_scrolled_by_is_there() -> None:
    scrolling = [(11, page(*[f"row {n}" for n in range(5)])), *[(12 + n / 10, f"\r\nrow {n + 5}") for n in range(50)]]
    lines = texts_of(*full_screen(*scrolling), rows=5)
    assert lines == ["$ less log", *[f"row {n}" for n in range(55)], "$ exit"]


PROCESSES = ["bash", "cron", "dbus", "init", "login", "ntpd", "sshd", "top", "udevd", "vim"]


def test_a_screen_that_is_drawn_again_and_again_does_not_flood_it() -> None:
    """`top`: every second other digits, and the rows in another order."""

    def screen(second: int) -> str:
        rows = [
            f"{4000 + n} root 20 0 {1308_000 + 512 * n} 17{n}976 S {(second * 7 + n) % 9}.{n} 0.7 0:{second + n} {name}"
            for n, name in enumerate(PROCESSES)
        ]
        rows[second % 10], rows[0] = rows[0], rows[second % 10]
        return "\x1b[H" + "\x1b[K\r\n".join([f"up {second} s, load {second / 7:.2f}", *rows])

    lines = texts_of(*full_screen(*[(11 + second, screen(second)) for second in range(60)]))
    assert len(lines) < 60, "of 660 that were drawn"
    for name in PROCESSES:
        assert any(line.endswith(f" {name}") for line in lines)


def test_an_animation_is_looked_at_once_in_a_while() -> None:
    frames = [(11 + n / 20, page(*[chr(0x61 + (n + row) % 26) * 30 for row in range(10)])) for n in range(400)]
    assert len(texts_of(*full_screen(*frames))) < 400


def test_of_an_editor_what_was_written_is_there() -> None:
    typing = [(11 + n * 0.3, char) for n, char in enumerate("dear diary,")]
    lines = texts_of(*full_screen((10.5, page("", *["~"] * 6) + "\x1b[H"), *typing))
    assert lines == ["$ less log", "~", "dear diary,", "$ exit"]


def test_a_recording_can_end_in_a_program_that_takes_the_whole_screen() -> None:
    lines = lines_of((1, "$ vim\r\n"), (2, "\x1b[?1049h\x1b[Hinside"))
    assert lines == [Line("$ vim", 1000, 1000), Line("inside", 2000, 2000, True)]


def test_what_a_program_shows_for_no_time_nobody_saw() -> None:
    assert texts_of((1, "a\r\n"), (2, "\x1b[?1049hflash"), (2.01, "\x1b[?1049l"), (3, "b\r\n")) == ["a", "b"]


def test_a_terminal_changes_its_size() -> None:
    events = [(1, "one\r\ntwo\r\nthree\r\n"), (2, "r", "20x2"), (3, "four, in a narrow one"), (4, "r", "nonsense")]
    transcript = transcript_of(cast(*events, columns=40, rows=10))
    assert transcript.text.split("\n") == ["one", "two", "three", "four, in a narrow one"]
    assert transcript.unreadable == 1


def test_times_that_go_back_do_not() -> None:
    lines = lines_of((5, "a\r\n"), (3, "b\r\n"), (7, "c\r\n"))
    assert [(line.text, line.start_ms) for line in lines] == [("a", 5000), ("b", 5000), ("c", 7000)]


def test_what_came_before_only_sets_the_screen() -> None:
    data = cast((1, "old\r\n"), (2, "\x1b[2;3H"), (3, "new\r\n"), (4, "\x1b[Hol"))
    offset = data.index(b'[3, "o"')
    transcript = transcribe(EventReader(2, Position(0)).read([data]), 80, 24, report_from=offset)
    assert transcript.text == "  new"
    assert transcribe(EventReader(2, Position(0)).read([data]), 80, 24, report_from=len(data)).text == ""


def test_it_is_cut_where_it_grows_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    for bound, value in (("_MOST_CHARACTERS", 1000), ("_MOST_LINES", 100), ("_MOST_WORK", 1000)):
        with monkeypatch.context() as changed:
            changed.setattr(transcripts, bound, value)
            transcript = transcript_of(cast(*[(n / 100, f"some line {n}\r\n" * 10) for n in range(1000)]))
        assert transcript.cut
        assert 0 < len(transcript) < 1500
        assert transcript[0].text == "some line 0"
    assert not transcript_of(cast((1, "x"))).cut


def test_a_hostile_cast_costs_seconds_at_most() -> None:
    """Six bytes that move 500 rows, 100,000 times: the work is counted, and stops."""
    transcript = transcript_of(cast(*[(1, "\x1b[500M" * 1000)] * 100, columns=1000, rows=500))
    assert transcript.cut


def test_a_screen_full_of_text_that_is_compared_costs_seconds_at_most() -> None:
    """A few bytes fill a long row, and each time that they do, all rows are compared with all that were there."""
    frames = [
        (frame, "\x1b[H" + "".join(f"{frame % 7}{chr(97 + row % 26)}{row // 26}z\x1b[990b" for row in range(500)))
        for frame in range(400)
    ]
    assert transcript_of(cast(*frames, columns=1000, rows=500)).cut


def test_a_long_row_without_a_number_is_looked_through_once() -> None:
    began = thread_time()
    transcript_of(
        cast(
            *[(at, f"\x1b[H\x1b[J{letter * 32_000}") for at, letter in enumerate("abcdefghij")], columns=1000, rows=500
        )
    )
    assert thread_time() - began < 1


pieces = st.one_of(
    st.sampled_from(
        ["\r\n", "\r", "word ", "漢字", "\x1b[H", "\x1b[2J", "\x1b[K", "\x1b[M", "\x1b[L", "\x1bM", "\x1bc"]
    ),
    st.sampled_from(["\x1b[?1049h", "\x1b[?1049l", "\x1b[2;3r", "\x1b[3;3H", "\x1b[?7l", "x" * 50, "\x1b[S", "\x1b[T"]),
    st.text(max_size=8),
)
outputs = st.tuples(
    st.floats(0, 2), st.sampled_from(["o", "o", "o", "r", "i"]), pieces | st.sampled_from(["10x3", "5x9"])
)


@settings(max_examples=200)
@given(st.lists(outputs, max_size=40))
def test_whatever_is_printed_its_lines_are_whole_and_in_order(events: list[tuple[float, str, str]]) -> None:
    time, timed = 0.0, []
    for pause, code, data in events:
        time += pause
        timed.append((round(time, 3), code, data))
    transcript = transcript_of(cast(*timed, columns=20, rows=5))
    lines = [transcript[index] for index in range(len(transcript))]
    assert all(one.start_ms <= other.start_ms for one, other in pairwise(lines))
    for line in lines:
        assert 0 <= line.start_ms <= line.end_ms <= round(time * 1000)
        assert line.text.strip()
        assert "\n" not in line.text
        line.text.encode()
    assert transcript.text.split("\n") == [line.text for line in lines] or not lines


@given(st.lists(st.text("ab漢 ", min_size=1, max_size=5), min_size=1, max_size=20), st.data())
def test_a_position_in_the_text_is_one_in_a_line(texts: list[str], data: st.DataObject) -> None:
    transcript = Transcript([Line(text, 0, 0) for text in texts])
    number = data.draw(st.integers(0, len(texts) - 1))
    at = data.draw(st.integers(0, len(texts[number]) - 1))
    position = sum(len(text) + 1 for text in texts[:number]) + at
    assert transcript.line_at(position) == (number, at)
    assert transcript.text[position] == texts[number][at]


def test_the_lines_of_a_span_of_time() -> None:
    transcript = Transcript([Line("a", 0, 50), Line("b", 10, 12), Line("c", 20, 30), Line("d", 40, 40)])
    assert list(transcript.within(12, 20)) == [0, 1, 2]
    assert list(transcript.within(13, 39, begin=1)) == [2]
    assert list(transcript.within(41, 99)) == [0]


def test_a_transcript_weighs_about_what_it_holds() -> None:
    transcript = Transcript([Line("x" * 100, 0, 0)] * 1000)
    assert 100_000 < transcript.weight < 200_000


def test_the_demo_reads_like_what_was_done() -> None:
    transcript = transcript_of(DEMO.read_bytes())
    lines = transcript.text.split("\n")
    assert lines[:2] == [
        "demo:~$ echo 'Hello, Lucid! This session is being recorded.'",
        "Hello, Lucid! This session is being recorded.",
    ]
    assert lines[-3:] == ["Nothing left behind.", "demo:~$", "exit"]
    assert "readings.txt: FAILED" in lines
    seen = [line for line in lines if line.startswith("reading 000")]
    assert seen == [f"reading {number:05}: nominal" for number in range(1, 1 + len(seen))], "in less, each line once"
    assert not transcript.cut
    assert transcript.unreadable == 0


@others
def test_recordings_of_others_read_like_what_was_done() -> None:
    welcome = transcript_of((RECORDINGS / "welcome.cast").read_bytes()).text.split("\n")
    assert welcome[0] == "> # Welcome to asciinema!"
    assert "🍺  /usr/local/Cellar/asciinema/1.4.0: 30 files, 82.2KB" in welcome
    assert welcome[-1] == "> # Bye!"
    assert transcript_of((RECORDINGS / "markers.cast").read_bytes()).text.split() == ["start", "middle", "end", "done"]


@others
def test_a_long_recording_of_others_has_every_line() -> None:
    data = (RECORDINGS / "long-v2.cast").read_bytes()
    header = EventReader(2, Position(0))
    printed = "".join(event.data for event in header.read(parts_of(data)) if event.code == "o")
    expected = [line for line in printed.split("\r\n") if line.startswith("linux-6.0.7/")]
    found = [line for line in transcript_of(data).text.split("\n") if line.startswith("linux-6.0.7/")]
    assert len(expected) > 80_000
    assert found == expected
