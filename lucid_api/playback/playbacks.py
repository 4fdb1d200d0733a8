"""Decrypted bytes on their way to a caller: read ahead by a few threads, for a bounded number of callers at once."""

import threading
from collections.abc import Callable, Generator
from functools import partial
from http import HTTPStatus

from lucid_api.http.shares import Shares
from lucid_api.problems import Problem
from lucid_pipeline.archive.reader import SessionReader

_MOST_WORKERS = 2
"""Threads that read for one caller: further ones would cost buffers, and be waiting for the network."""

_RETRY_SECONDS = "2"


class TooManyPlaybacks(Problem):
    """As many recordings are being played as this service plays at once."""

    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-playbacks", "Too many recordings are being played"

    def __init__(self, detail: str = "there is no place for one more recording; try again") -> None:
        super().__init__(detail, headers={"Retry-After": _RETRY_SECONDS})


class Playback:
    """Bytes of a recording, a part at a time. It has a place until it is closed, and has to be closed."""

    def __init__(self, parts: Generator[bytes, None, None], give_back: Callable[[], None]) -> None:
        self._parts = parts
        self._give_back = give_back
        self._lock = threading.Lock()
        self._closed = False
        self._first: bytes | None = None

    def begin(self) -> None:
        """Read and check the first part.

        Raises:
            DamageError: it is damaged.
        """
        self._first = next(self._parts, b"")

    def next_part(self) -> bytes:
        """The next part, once it has been checked; nothing at the end.

        Raises:
            DamageError: it is damaged, or the whole, if that was asked for, is not what was archived.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._parts, b"")

    def close(self) -> None:
        """Give up the place, the threads and the buffers."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        try:
            self._parts.close()
        finally:
            self._give_back()


class Playbacks:
    """All that is being played."""

    def __init__(self, at_once: int, workers: int) -> None:
        self._places = Shares(at_once, TooManyPlaybacks)
        self._workers = min(workers, _MOST_WORKERS)

    def playback(self, reader: SessionReader, start: int, stop: int, subject: str) -> Playback:
        """Take a place of a caller's for the bytes from `start` up to, not including, `stop`. Nothing is read yet.

        Of the whole recording the last part comes only if its digest is right.

        Raises:
            TooManyPlaybacks: there is no place.
        """
        self._places.take(subject)
        whole = (start, stop) == (0, len(reader))
        parts = reader.read_whole(self._workers) if whole else reader.read(start, stop, workers=self._workers)
        return Playback(parts, partial(self._places.give_back, subject))
