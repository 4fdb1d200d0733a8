"""Searching in a transcript."""

from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_api.playback.matches import Match, find
from lucid_api.playback.transcript import Line, Transcript
from tests.api.playback.support import DEMO, transcript_of


def transcript(*texts: str) -> Transcript:
    return Transcript([Line(text, 1000 * number, 1000 * number + 500) for number, text in enumerate(texts)])


def test_a_match_says_when_it_could_be_read_and_where_it_stands() -> None:
    found = list(find(transcript("nothing", "run: Sudo reboot now"), "sudo"))
    assert found == [Match(1500, "run: ", "Sudo", " reboot now", 5, 17)]


def test_long_lines_are_shown_around_the_match() -> None:
    (match,) = find(transcript("a" * 1000 + "needle" + "b" * 1000), "needle")
    assert (match.before, match.text, match.after) == ("a" * 80, "needle", "b" * 80)
    assert match.position == 1000


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ("ÄRGER", "ärger"),
        ("straße", "STRAße"),
        ("e\u0301tude", "étude"),
        ("[a-z]*", "[A-Z]*"),
        ("$", "$"),
        ("漢", "漢字"),
    ],
)
def test_it_is_text_that_is_searched_in_any_case_and_no_pattern(wanted: str, text: str) -> None:
    assert len(list(find(transcript("x", f"before {text} after"), wanted))) == 1
    assert not list(find(transcript("something else"), wanted))


def test_each_occurrence_in_a_line_is_a_match_and_none_goes_over_two_lines() -> None:
    found = list(find(transcript("aaa aa", "a"), "aa"))
    assert [match.position for match in found] == [0, 4]


def test_searching_goes_on_behind_a_match() -> None:
    searched = transcript("one two one", "one")
    first = next(find(searched, "one"))
    assert [match.time_ms for match in find(searched, "one", first.end)] == [500, 1500]


@pytest.mark.parametrize("wanted", ["a" * 200, "é" * 200])
def test_what_nearly_stands_everywhere_is_searched_as_fast_as_anything(wanted: str) -> None:
    """A search is one step that keeps all other threads waiting: it must not take seconds."""
    searched = transcript(*[(wanted[1:] + "b") * 100] * 400, wanted.upper())
    began = thread_time()
    assert len(list(find(searched, wanted))) == 1
    assert thread_time() - began < 1


@pytest.mark.parametrize("before", [256 * 1024 - 3, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1])
def test_it_is_found_wherever_it_stands_in_a_long_text(before: int) -> None:
    (match,) = find(transcript("x" * before + "İΔΌΣ ΔΌΣ"), "iδός δός")
    assert (match.position, match.text) == (before, "İΔΌΣ ΔΌΣ")


@given(st.lists(st.text("abAB .", min_size=1, max_size=8), max_size=8), st.text("abAB .", min_size=1, max_size=3))
def test_it_finds_what_is_there(texts: list[str], wanted: str) -> None:
    counts = [text.lower().count(wanted.lower()) for text in texts]
    found = list(find(transcript(*texts), wanted))
    assert len(found) == sum(counts)
    for match in found:
        text = texts[match.time_ms // 1000]
        assert text[match.position :].lower().startswith(wanted.lower())
        assert match.before + match.text + match.after == text


def test_what_the_demo_shows_is_found_at_its_time() -> None:
    command, output = find(transcript_of(DEMO.read_bytes()), "CAUGHT!")
    assert command.before.startswith("demo:~/evidence$ sha256sum --check")
    assert (output.before, output.time_ms) == ("", 25_604)
