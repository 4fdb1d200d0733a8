"""Transcripts of recordings by the page, and what is found in them: made a stretch at a time, remembered for a while.

They are plaintext, so they are kept in memory alone: a few, and for minutes.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lucid_api.playback.matches import Match, find
from lucid_api.playback.open_sessions import OpenSession
from lucid_api.playback.playbacks import TooManyPlaybacks
from lucid_api.playback.stretches import stretch_count, stretches_of_times, transcribe_stretch
from lucid_api.playback.transcript import Line, Transcript
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import Damage

_KEPT_FOR = 600.0
_MOST_WEIGHT = 64 * MIB
_PATIENCE = 20.0
_MOST_WAITING = 8
_ENOUGH_SECONDS = 2.0
"""After so long a request is answered with what has been found, and says where to go on."""

_MOST_TEXT = MIB
_Place = tuple[int, int]
Item = TypeVar("Item", Line, Match)


@dataclass(slots=True)
class Page(Generic[Item]):
    """Some lines or matches, where to go on if there may be more, and what the stretches that begin here lack.

    That is: lines of the recording that were no events, damaged chunks, and whether there was more text than is kept.
    """

    items: list[Item] = field(default_factory=list)
    next: _Place | None = None
    unreadable: int = 0
    damages: list[Damage] = field(default_factory=list)
    cut: bool = False


class Transcripts:
    """The transcripts of sessions that are open. Any thread may ask; one at a time makes one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._queue = threading.BoundedSemaphore(_MOST_WAITING)
        self._kept: OrderedDict[tuple[bytes, int], tuple[float, Transcript]] = OrderedDict()

    def lines(
        self, session: OpenSession, first_ms: int, last_ms: int, limit: int, place: _Place | None = None
    ) -> Page[Line]:
        """At most `limit` lines that were written in a span of time, from a place on.

        Raises:
            NotATerminal: the recording is no cast.
            TooManyPlaybacks: others have their transcripts made, and it takes too long.
            DamageError: nothing can be read.
        """

        def found(transcript: Transcript, begin: int) -> Iterator[tuple[Line, int, int]]:
            for index in transcript.within(first_ms, last_ms, begin):
                line = transcript[index]
                yield line, index + 1, len(line.text)

        return self._page(session, stretches_of_times(session.cast, first_ms, last_ms), limit, place, found)

    def matches(self, session: OpenSession, wanted: str, limit: int, place: _Place | None = None) -> Page[Match]:
        """At most `limit` places where some text stands, from a place on.

        Raises:
            NotATerminal, TooManyPlaybacks, DamageError: as `lines`.
        """

        def found(transcript: Transcript, begin: int) -> Iterator[tuple[Match, int, int]]:
            for match in find(transcript, wanted, begin):
                yield match, match.end, len(match.text)

        return self._page(session, range(stretch_count(session.cast)), limit, place, found)

    def _page(
        self,
        session: OpenSession,
        numbers: range,
        limit: int,
        place: _Place | None,
        found: Callable[[Transcript, int], Iterator[tuple[Item, int, int]]],
    ) -> Page[Item]:
        page, began, length = Page[Item](), time.monotonic(), 0
        first, begin = place or (numbers.start, 0)
        for number in range(max(first, numbers.start), numbers.stop):
            if number > first and time.monotonic() - began >= _ENOUGH_SECONDS:
                page.next = (number, 0)
                break
            transcript = self._stretch(session, number)
            if not begin:
                page.unreadable += transcript.unreadable
                page.damages += transcript.damages
                page.cut |= transcript.cut
            for item, end, weight in found(transcript, max(0, begin)):
                page.items.append(item)
                length += weight
                if len(page.items) >= limit or length >= _MOST_TEXT:
                    page.next = (number, end)
                    return page
            begin = 0
        return page

    def _stretch(self, session: OpenSession, number: int) -> Transcript:
        key = (session.signed.envelope_sha256, number)
        if kept := self._recall(key):
            return kept
        with self._turn_taken():
            return self._recall(key) or self._keep(key, transcribe_stretch(session.cast, number))

    @contextmanager
    def _turn_taken(self) -> Iterator[None]:
        """Wait for others who have a transcript made; not for many, as each who waits keeps a thread from others."""
        if not self._queue.acquire(blocking=False):
            raise TooManyPlaybacks
        try:
            if not self._turn.acquire(timeout=_PATIENCE):
                raise TooManyPlaybacks
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._queue.release()

    def _recall(self, key: tuple[bytes, int]) -> Transcript | None:
        now = time.monotonic()
        with self._lock:
            for old in [old for old, (used, _) in self._kept.items() if now - used > _KEPT_FOR]:
                del self._kept[old]
            if key not in self._kept:
                return None
            _, transcript = self._kept.pop(key)
            self._kept[key] = (now, transcript)
            return transcript

    def _keep(self, key: tuple[bytes, int], transcript: Transcript) -> Transcript:
        if transcript.damages:
            return transcript  # what is damaged can be mended
        with self._lock:
            self._kept[key] = (time.monotonic(), transcript)
            weight = sum(kept.weight for _, kept in self._kept.values())
            while weight > _MOST_WEIGHT:
                _, (_, dropped) = self._kept.popitem(last=False)
                weight -= dropped.weight
        return transcript
