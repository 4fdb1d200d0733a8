"""Places that callers share: bounded in all, and for each caller, so that nobody keeps everybody else out."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lucid_api.problems import Problem


class Shares:
    """So many places. Any thread may ask.

    Args:
        most: how many there are.
        of_one: how many of them one caller has at most; half of them, where that is not said.
        refusal: the problem of one who gets none.
    """

    def __init__(self, most: int, refusal: Callable[[], Problem], *, of_one: int | None = None) -> None:
        self._most = most
        self._of_one = of_one or (most + 1) // 2
        self._refusal = refusal
        self._lock = threading.Lock()
        self._taken: Counter[str] = Counter()

    def take(self, subject: str) -> None:
        """Take a place for this caller, who has to give it back.

        Raises:
            Problem: the refusal; there is none, or the caller has as many as one may.
        """
        with self._lock:
            if self._taken.total() >= self._most or self._taken[subject] >= self._of_one:
                raise self._refusal()
            self._taken[subject] += 1

    def give_back(self, subject: str) -> None:
        """One place of this caller is free again."""
        with self._lock:
            self._taken[subject] -= 1
            self._taken += Counter()  # forgets callers that have none

    @contextmanager
    def one_of(self, subject: str) -> Iterator[None]:
        """A place, for as long as it is needed.

        Raises:
            Problem: as `take`.
        """
        self.take(subject)
        try:
            yield
        finally:
            self.give_back(subject)
