"""A store with a limit: the contract of any other, and as slow as it was told to be."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.stores.folder_store import FolderStore
from lucid_pipeline.stores.throttled_store import ThrottledStore
from tests.stores.object_store_contract import LIMIT, ObjectStoreContract
from tests.support import noise

SIZE = 100_000
RATE = 2_000_000


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    """The store behind it."""
    return FolderStore(tmp_path / "archive", create=True)


@pytest.fixture
def store(folder: FolderStore) -> ObjectStore:
    """A store that is fast enough for the contract."""
    return ThrottledStore(folder, 1e12)


class TestThrottledStore(ObjectStoreContract):
    """The contract."""

    @pytest.fixture
    def same_place(self, folder: FolderStore) -> ObjectStore:
        """The same folder, opened once more."""
        return ThrottledStore(folder, 1e12)


def seconds(work: Callable[[], object]) -> float:
    start = time.monotonic()
    work()
    return time.monotonic() - start


@pytest.mark.parametrize("threads", [1, 8])
def test_reading_takes_as_long_as_the_limit_says_however_many_read(folder: FolderStore, threads: int) -> None:
    keys = [f"s/{number}" for number in range(10)]
    for number, key in enumerate(keys):
        folder.put(key, noise(SIZE, number), durable=False)
    slow = ThrottledStore(folder, RATE)
    with ThreadPoolExecutor(threads) as pool:
        assert seconds(lambda: list(pool.map(lambda key: slow.get(key, LIMIT), keys))) >= 10 * SIZE / RATE


def test_what_was_not_read_in_the_past_is_not_read_faster_now(folder: FolderStore) -> None:
    folder.put("s/object", noise(SIZE))
    slow = ThrottledStore(folder, RATE)
    slow.get("s/object", LIMIT)
    time.sleep(3 * SIZE / RATE)
    assert seconds(lambda: [slow.get("s/object", LIMIT) for _ in range(2)]) >= 2 * SIZE / RATE


def test_only_what_is_read_counts(folder: FolderStore) -> None:
    folder.put("s/object", noise(10 * SIZE))
    slow = ThrottledStore(folder, RATE)
    assert seconds(lambda: slow.get("s/object", 10)) < 10 * SIZE / RATE
