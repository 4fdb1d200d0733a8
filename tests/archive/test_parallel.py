"""Work on the chunks of a recording by several threads."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB
from lucid_pipeline.archive.parallel import (
    BUFFER_BUDGET,
    Allowance,
    Turns,
    Work,
    as_made,
    for_each_chunk,
    in_order,
    worker_count,
)

PATIENCE = 20.0
ROOT = Path(__file__).parents[2]


def started(work: Work) -> Callable[[], Work]:
    return lambda: work


@given(count=st.integers(1, 60), workers=st.integers(1, 8))
def test_every_index_is_done_once_and_has_its_turn_in_order(count: int, workers: int) -> None:
    done: list[int] = []
    turns_taken: list[int] = []

    def work(index: int, turns: Turns) -> None:
        done.append(index)
        with turns.turn(index):
            turns_taken.append(index)

    for_each_chunk(count, workers, started(work))
    assert sorted(done) == list(range(count))
    assert turns_taken == list(range(count))


def test_turns_are_in_order_even_where_work_is_not() -> None:
    later_is_ready = threading.Event()
    turns_taken: list[int] = []

    def work(index: int, turns: Turns) -> None:
        if index == 0:
            assert later_is_ready.wait(PATIENCE), "index 1 is worked on beside index 0"
        else:
            later_is_ready.set()
        with turns.turn(index):
            turns_taken.append(index)

    for_each_chunk(2, 2, started(work))
    assert turns_taken == [0, 1]


def test_a_turn_is_had_by_one_thread_at_a_time() -> None:
    inside = threading.Lock()

    def work(index: int, turns: Turns) -> None:
        with turns.turn(index):
            assert inside.acquire(blocking=False)
            inside.release()

    for_each_chunk(200, 8, started(work))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_each_thread_has_one_worker_of_its_own(workers: int) -> None:
    together = threading.Barrier(workers)
    threads_of: dict[int, set[int]] = {}
    lock = threading.Lock()

    def start_worker() -> Work:
        with lock:
            number = len(threads_of)
            threads_of[number] = set()
        together.wait(PATIENCE)

        def work(_index: int, _turns: Turns) -> None:
            threads_of[number].add(threading.get_ident())

        return work

    for_each_chunk(100, workers, start_worker)
    assert len(threads_of) == workers
    assert all(len(threads) <= 1 for threads in threads_of.values())


def test_an_index_is_started_only_after_all_smaller_ones() -> None:
    started_order: list[int] = []
    lock = threading.Lock()

    def work(index: int, turns: Turns) -> None:
        with lock:
            started_order.append(index)
        with turns.turn(index):
            pass

    for_each_chunk(100, 2, started(work))
    assert all(index - position <= 2 for position, index in enumerate(started_order))


@pytest.mark.parametrize("failing", [0, 1, 50])
@pytest.mark.parametrize("where", ["before its turn", "in its turn", "after its turn"])
@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.timeout(60)
def test_a_failure_stops_the_others_and_is_raised(failing: int, where: str, workers: int) -> None:
    turns_taken: list[int] = []

    def fail(index: int, now: str) -> None:
        if index == failing and now == where:
            raise ArithmeticError(f"chunk {index}")

    def work(index: int, turns: Turns) -> None:
        fail(index, "before its turn")
        with turns.turn(index):
            fail(index, "in its turn")
            turns_taken.append(index)
        fail(index, "after its turn")

    with pytest.raises(ArithmeticError, match=f"chunk {failing}"):
        for_each_chunk(1000, workers, started(work))
    assert turns_taken == list(range(len(turns_taken)))
    if where != "after its turn":
        assert failing not in turns_taken
        assert len(turns_taken) <= failing, "nobody passes a chunk that failed"


def test_work_without_turns_stops_too() -> None:
    done: list[int] = []

    def work(index: int, _turns: Turns) -> None:
        done.append(index)
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        for_each_chunk(1000, 4, started(work))
    assert len(done) <= 4


@pytest.mark.timeout(60)
def test_a_worker_that_cannot_start_is_a_failure() -> None:
    def start_worker() -> Work:
        raise MemoryError("no buffer")

    with pytest.raises(MemoryError, match="no buffer"):
        for_each_chunk(10, 3, start_worker)


@pytest.mark.timeout(60)
def test_an_exit_from_a_worker_is_raised() -> None:
    def work(_index: int, _turns: Turns) -> None:
        raise SystemExit(7)

    with pytest.raises(SystemExit):
        for_each_chunk(10, 3, started(work))


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()

    def work(index: int, turns: Turns) -> None:
        with turns.turn(index):
            pass

    for_each_chunk(50, 5, started(work))
    assert threading.active_count() == before


INTERRUPTED = """
import os, signal, threading
from lucid_pipeline.archive.parallel import for_each_chunk

def work(index, turns):
    if index == 300_000:
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

try:
    for_each_chunk(10**9, 2, lambda: work)
except KeyboardInterrupt:
    print("interrupted with", threading.active_count() - 1, "threads left", flush=True)
    os._exit(0)
"""


def test_an_interrupt_from_the_keyboard_stops_all_threads() -> None:
    found = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert found.stdout == "interrupted with 0 threads left\n"


@given(wanted=st.integers(1, 64), chunk_size=st.sampled_from(CHUNK_SIZES), chunks=st.integers(1, 10**6))
def test_workers_keep_within_the_budget_of_memory(wanted: int, chunk_size: int, chunks: int) -> None:
    workers = worker_count(wanted, chunk_size, chunks)
    assert 1 <= workers <= min(wanted, chunks)
    assert workers == 1 or workers * 4 * chunk_size <= BUFFER_BUDGET


@pytest.mark.parametrize(
    ("wanted", "chunk_size", "chunks", "workers"),
    [
        (2, 8 * MIB, 100, 2),
        (64, 8 * MIB, 100, 4),
        (64, 16 * MIB, 100, 2),
        (64, MIB, 100, 32),
        (8, MIB, 1, 1),
        (1, MIB, 9, 1),
    ],
)
def test_there_are_as_many_workers_as_wanted_that_have_work_and_memory(
    wanted: int, chunk_size: int, chunks: int, workers: int
) -> None:
    assert worker_count(wanted, chunk_size, chunks) == workers


def test_what_is_made_in_order_is_made_ahead_but_not_far() -> None:
    made: list[int] = []
    taken = 0

    def make(index: int) -> int:
        assert index < taken + 1 + 3, "one result for each worker, and what has been taken"
        made.append(index)
        return index * index

    for result in in_order(range(50), 3, lambda: make):
        assert result == taken * taken
        taken += 1
    assert sorted(made) == list(range(50))
    assert taken == 50


@given(count=st.integers(0, 30), workers=st.integers(1, 5))
def test_results_come_in_the_order_of_their_indexes(count: int, workers: int) -> None:
    assert list(in_order(range(count), workers, lambda: str)) == [str(index) for index in range(count)]


def test_each_thread_has_a_worker_of_its_own() -> None:
    starts: list[int] = []

    def start_worker() -> Callable[[int], int]:
        starts.append(threading.get_ident())
        return lambda _index: threading.get_ident()

    results = list(in_order(range(200), 4, start_worker))
    assert len(starts) == len(set(starts)) <= 4
    assert set(results) <= set(starts)
    assert threading.get_ident() not in starts
    assert set(in_order(range(9), 1, start_worker)) == {threading.get_ident()}, "a single worker is the caller"


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_where_its_result_would_have_come(workers: int) -> None:
    taken: list[int] = []

    def make(index: int) -> int:
        if index >= 5:
            raise ValueError(index)
        return index

    with pytest.raises(ValueError, match=r"^5$"):
        taken.extend(in_order(range(100), workers, lambda: make))
    assert taken == [0, 1, 2, 3, 4]


def test_whoever_takes_no_more_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    made: list[int] = []
    results = in_order(range(1000), 3, lambda: lambda index: made.append(index))
    next(results)
    results.close()
    assert threading.active_count() == before
    assert len(made) <= 1 + 3


@given(items=st.lists(st.integers(), max_size=40), workers=st.integers(1, 4), most=st.integers(1, 6))
def test_everything_is_made_and_never_more_in_hand_than_there_may_be(items: list[int], workers: int, most: int) -> None:
    begun, taken = 0, 0

    def coming() -> Iterator[int]:
        nonlocal begun
        for item in items:
            begun += 1
            assert begun - taken <= most
            yield item

    made = []
    with ThreadPoolExecutor(workers) as pool:
        for one in as_made(pool, lambda item: item * 2, coming(), most):
            made.append(one)
            taken += 1
    assert sorted(made) == sorted(item * 2 for item in items)


def test_whoever_takes_no_more_lets_the_rest_be() -> None:
    begun: list[int] = []
    go_on = threading.Event()

    def make(item: int) -> int:
        begun.append(item)
        assert item == 0 or go_on.wait(PATIENCE)
        return item

    with ThreadPoolExecutor(1) as pool:
        made = as_made(pool, make, range(100), 10)
        assert next(made) == 0
        made.close()
        go_on.set()
    assert len(begun) <= 2


def test_an_error_is_raised_where_what_is_made_is_taken() -> None:
    with ThreadPoolExecutor(2) as pool, pytest.raises(ZeroDivisionError):
        list(as_made(pool, lambda item: 1 // item, [1, 2, 0, 3], 2))


def test_no_more_is_held_than_is_allowed_and_everybody_gets_it_in_the_end() -> None:
    allowance, lock = Allowance(100), threading.Lock()
    held, most, alone = 0, 0, []

    def hold(count: int) -> None:
        nonlocal held, most
        with allowance.holding(count):
            with lock:
                held += count
                most = max(most, held)
                if count > 100:
                    alone.append(held == count)
            with lock:
                held -= count

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(hold, [30, 60, 100, 10, 250] * 20, timeout=PATIENCE))
    assert all(alone)
    assert held == 0
    assert most <= 250
