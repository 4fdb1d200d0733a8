"""Making stored objects durable beside the work that stores them."""

import sys
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lucid_pipeline.archive.flushing import Flusher
from lucid_pipeline.errors import TransientError


class FakeStore:
    """Notes what is flushed; every call may fail."""

    def __init__(self, failing: str | None = None) -> None:
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self._failing = failing

    def flush(self, keys: Iterable[str]) -> None:
        batch = list(keys)
        self.threads.add(threading.get_ident())
        if self._failing in batch:
            raise TransientError("the disk is full")
        self.batches.append(batch)

    @property
    def flushed(self) -> list[str]:
        return [key for batch in self.batches for key in batch]


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads that take turns as often as they can, so that what can go wrong between them does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def add_all(store: FakeStore, keys: Iterable[str], error: Exception | None = None) -> None:
    with Flusher(store) as flushing:
        for key in keys:
            flushing.add(key)
        if error:
            raise error


def some_keys(count: int) -> list[str]:
    return [f"key {number}" for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 100])
def test_all_that_was_added_is_durable_at_the_end(count: int) -> None:
    store = FakeStore()
    add_all(store, some_keys(count))
    assert store.flushed == some_keys(count)
    assert all(len(batch) <= 16 for batch in store.batches)


def test_flushes_begin_before_the_end_and_in_another_thread() -> None:
    store = FakeStore()
    flushed = threading.Event()
    store.flush = lambda keys: flushed.set()  # type: ignore[method-assign]
    with Flusher(store) as flushing:
        for key in some_keys(16):
            flushing.add(key)
        assert flushed.wait(20)
    store = FakeStore()
    add_all(store, some_keys(1))
    assert store.threads.isdisjoint({threading.get_ident()})


def test_a_flush_that_fails_is_raised_at_the_end() -> None:
    with pytest.raises(TransientError, match="disk is full"):
        add_all(FakeStore(failing="key 3"), some_keys(100))


def test_the_last_flush_counts_as_well() -> None:
    with pytest.raises(TransientError, match="disk is full"):
        add_all(FakeStore(failing="key 17"), some_keys(18))


def test_a_failure_of_the_work_itself_is_what_is_raised() -> None:
    store = FakeStore(failing="key 0")
    with pytest.raises(ArithmeticError):
        add_all(store, some_keys(20), ArithmeticError())
    assert "key 19" not in store.flushed, "nothing more is made durable for work that failed"


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    add_all(FakeStore(), some_keys(1))
    assert threading.active_count() == before


@pytest.mark.usefixtures("hasty_threads")
def test_nothing_is_forgotten_where_many_threads_add() -> None:
    for _ in range(20):
        store = FakeStore()
        with Flusher(store) as flushing, ThreadPoolExecutor(8) as pool:
            list(pool.map(flushing.add, some_keys(2000)))
        assert sorted(store.flushed) == sorted(some_keys(2000))
