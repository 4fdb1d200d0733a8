"""Where in the transcript of a terminal cast some text stands."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from lucid_api.playback.transcript import Transcript

_BESIDE = 80
_PIECE = 256 * 1024
"""Characters that are searched in one go, which keeps all other threads waiting."""


@dataclass(frozen=True, slots=True)
class Match:
    """One place: when it could be read (ms), the text found, and what stands before and behind it in its line."""

    time_ms: int
    before: str
    text: str
    after: str
    position: int
    """Of the first character found, in the line."""
    end: int
    """Where in the transcript to go on searching."""


def find(transcript: Transcript, wanted: str, begin: int = 0) -> Iterator[Match]:
    """The places where the text stands, none of them overlapping, in the order of the transcript.

    Upper and lower case are the same, and so are characters with marks however they are put together. A match lies
    within one line; a line that the terminal broke is one.

    Args:
        transcript: where to search.
        wanted: what to search; no pattern, and without control characters.
        begin: where to begin, in characters.
    """
    wanted = _in_one_case(unicodedata.normalize("NFC", wanted))
    for place in _places(transcript.text, wanted, begin):
        number, position = transcript.line_at(place)
        line = transcript[number]
        behind = position + len(wanted)
        yield Match(
            time_ms=line.end_ms,
            before=line.text[max(0, position - _BESIDE) : position],
            text=line.text[position:behind],
            after=line.text[behind : behind + _BESIDE],
            position=position,
            end=place + len(wanted),
        )


def _places(text: str, wanted: str, begin: int) -> Iterator[int]:
    """Where the text stands. What is not a pattern takes no longer for a text that nearly has it everywhere."""
    for start in range(begin, len(text), _PIECE):
        piece = _in_one_case(text[start : start + _PIECE + len(wanted) - 1])
        while (at := piece.find(wanted, max(0, begin - start))) >= 0:
            yield start + at
            begin = start + at + len(wanted)


def _in_one_case(text: str) -> str:
    """As many characters, of which none differ in their case alone."""
    text = text.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i")  # of all characters it would become two
    return text.lower().replace("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK SMALL LETTER SIGMA}")
