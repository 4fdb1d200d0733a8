"""Where in the transcript of a terminal cast some text stands."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from lucid_api.playback.transcript import Transcript

_BESIDE = 80


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
    pattern = re.compile(re.escape(unicodedata.normalize("NFC", wanted)), re.IGNORECASE)
    for found in pattern.finditer(transcript.text, begin):
        number, position = transcript.line_at(found.start())
        line = transcript[number]
        behind = position + len(found[0])
        yield Match(
            time_ms=line.end_ms,
            before=line.text[max(0, position - _BESIDE) : position],
            text=found[0],
            after=line.text[behind : behind + _BESIDE],
            position=position,
            end=found.end(),
        )
