"""Work by several threads: on the chunks of a recording, in any order or in theirs; on many things, within bounds."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

from lucid_pipeline.archive.chunking import MIB

BUFFER_BUDGET = 128 * MIB
_BUFFERS_PER_WORKER = 4

Made = TypeVar("Made")
Item = TypeVar("Item")


class Stopped(Exception):
    """Another worker failed, so this one gives up."""


class Turns:
    """Lets threads pass one by one, in the order of their indexes."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._next = 0
        self._stopped = False

    @contextmanager
    def turn(self, index: int) -> Iterator[None]:
        """Wait until all smaller indexes have had their turn; raises `Stopped` if one of them never will."""
        with self._condition:
            self._condition.wait_for(lambda: self._next == index or self._stopped)
            if self._stopped:
                raise Stopped
        yield
        with self._condition:
            self._next += 1
            self._condition.notify_all()

    def stop(self) -> None:
        """Release everyone who waits."""
        with self._condition:
            self._stopped = True
            self._condition.notify_all()


Work = Callable[[int, Turns], None]


def worker_count(wanted: int, chunk_size: int, chunks: int) -> int:
    """How many workers to start: as many as wanted, as have work, and as fit into `BUFFER_BUDGET` bytes."""
    return max(1, min(wanted, chunks, BUFFER_BUDGET // (_BUFFERS_PER_WORKER * chunk_size)))


def for_each_chunk(count: int, workers: int, start_worker: Callable[[], Work]) -> None:
    """Call a worker for every index from 0 to `count - 1`, each index once, in ascending order of their starts.

    Args:
        count: how many chunks there are.
        workers: how many threads work on them.
        start_worker: called once in each thread; returns the function that does the work of one index, with that
            thread's own buffers. The function may take `turns.turn(index)` at most once, and if one does, all must.

    Raises:
        The first error of any worker; the others stop at their next chunk or turn.
    """
    turns = Turns()
    indexes = iter(range(count))
    claim = threading.Lock()
    failures: list[BaseException] = []

    def loop() -> None:
        try:
            work = start_worker()
            while not failures:
                with claim:
                    index = next(indexes, None)
                if index is None:
                    return
                work(index, turns)
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - it is raised again where the work was asked for
            failures.append(error)
            turns.stop()

    with ThreadPoolExecutor(workers, thread_name_prefix="lucid-chunk") as pool:
        try:
            wait([pool.submit(loop) for _ in range(workers)])
        except BaseException as error:  # the caller was interrupted
            failures.append(error)
            turns.stop()
            raise
    if failures:
        raise failures[0]


def in_order(
    indexes: Iterable[int], workers: int, start_worker: Callable[[], Callable[[int], Made]]
) -> Generator[Made, None, None]:
    """What is made of each index, in order, while threads work on the next ones.

    No more than one result for each worker is being made or waits to be taken. Whoever takes no more has to close the
    iterator: threads then stop at their next index.

    Args:
        indexes: what to work on.
        workers: how many threads; a single one is the caller's own, which works on an index when it is asked for.
        start_worker: called once in each thread; returns the function that makes something of an index.

    Raises:
        The first error in the order of the indexes; what comes before has been taken.
    """
    if workers == 1:
        yield from map(start_worker(), indexes)
        return
    thread = threading.local()

    def start() -> None:
        thread.make = start_worker()

    def make(index: int) -> Made:
        made: Made = thread.make(index)
        return made

    ahead: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="lucid-chunk", initializer=start)
    try:
        for index in indexes:
            ahead.append(pool.submit(make, index))
            if len(ahead) == workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def as_made(
    pool: Executor, make: Callable[[Item], Made], items: Iterable[Item], most: int
) -> Generator[Made, None, None]:
    """What a pool makes of each item, in any order; at most so many are in its hands or wait to be taken.

    Whoever takes no more closes the iterator: what has not been begun then never is.

    Raises:
        The error of any item, when its turn to be taken has come.
    """
    coming = iter(items)
    in_hand: set[Future[Made]] = set()
    try:
        while True:
            in_hand.update(pool.submit(make, item) for item in islice(coming, most - len(in_hand)))
            if not in_hand:
                return
            done, in_hand = wait(in_hand, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        for future in in_hand:
            future.cancel()


class Allowance:
    """So many bytes, of which threads take what they are about to hold, and wait for others where that is too much."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._left = size
        self._condition = threading.Condition()

    @contextmanager
    def holding(self, count: int) -> Iterator[None]:
        """Hold so many bytes; one who wants more than there ever are gets them when nobody else holds any.

        No thread may hold twice at once: two that each wait for the other would wait forever.
        """
        taken = min(count, self._size)
        with self._condition:
            self._condition.wait_for(lambda: self._left >= taken)
            self._left -= taken
        try:
            yield
        finally:
            with self._condition:
                self._left += taken
                self._condition.notify_all()
