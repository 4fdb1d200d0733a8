"""What every object store has to do, whatever it keeps its objects in. An adapter's tests are a subclass."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.ports import ObjectExists, ObjectMissing, ObjectStore
from tests.support import noise

KEY = "sessions/01a20837-ced2-739e-b6b0-63f19b0caa07/chunks/00000000.0123456789abcdef0123456789abcdef"
LIMIT = 32 * MIB


class ObjectStoreContract:
    """The contract; a subclass gives a `store` that is empty, and a `same_place` that opens it once more."""

    @pytest.mark.parametrize("writing", [False, True])
    def test_a_store_that_can_be_used_passes_the_check_again_and_again_and_stays_empty(
        self, store: ObjectStore, writing: bool
    ) -> None:
        for _ in range(3):
            store.check(writing=writing)
        assert list(store.list_folders("sessions/")) == list(store.list_folders("keyslots/")) == []

    @pytest.mark.parametrize("length", [0, 1, 4095, 4096, MIB, 8 * MIB + 96])
    @pytest.mark.parametrize("durable", [True, False])
    def test_an_object_comes_back_as_it_was_put(self, store: ObjectStore, length: int, durable: bool) -> None:
        data = noise(length)
        store.put(KEY, memoryview(bytearray(data)), durable=durable)
        assert store.get(KEY, LIMIT) == data

    def test_what_was_flushed_is_found_by_whoever_opens_the_store_next(
        self, store: ObjectStore, same_place: ObjectStore
    ) -> None:
        keys = [f"sessions/{number % 3}/chunks/{number}" for number in range(20)]
        for key in keys:
            store.put(key, key.encode(), durable=False)
        store.flush(keys)
        assert [bytes(same_place.get(key, LIMIT)) for key in keys] == [key.encode() for key in keys]

    def test_an_object_is_never_replaced(self, store: ObjectStore, same_place: ObjectStore) -> None:
        store.put(KEY, b"first")
        for durable in (True, False):
            for other in (store, same_place):
                with pytest.raises(ObjectExists):
                    other.put(KEY, b"second", durable=durable)
        assert store.get(KEY, LIMIT) == b"first"

    def test_of_many_who_put_one_object_at_once_one_succeeds(self, store: ObjectStore) -> None:
        def put(number: int) -> int | None:
            try:
                store.put(KEY, b"%d" % number * 1000)
            except ObjectExists:
                return None
            return number

        with ThreadPoolExecutor(8) as threads:
            [winner] = [number for number in threads.map(put, range(8)) if number is not None]
        assert store.get(KEY, LIMIT) == b"%d" % winner * 1000

    def test_an_object_is_as_long_as_it_is_and_as_old(self, store: ObjectStore) -> None:
        store.put(KEY, noise(1000))
        store.put(KEY + "0", b"")
        status = store.status(KEY)
        assert (status.length, store.status(KEY + "0").length) == (1000, 0)
        assert abs(datetime.now(UTC) - status.stored_at) < timedelta(minutes=1)

    def test_what_is_not_there_has_no_status(self, store: ObjectStore) -> None:
        store.put(KEY, b"data")
        for key in (KEY[:-1], KEY + "0", KEY.rpartition("/")[0], KEY + "/below", "elsewhere/entirely"):
            with pytest.raises(ObjectMissing):
                store.status(key)

    @pytest.mark.parametrize("limit", [0, 1, 999, 1000, 1001])
    def test_no_more_is_read_than_was_asked_for(self, store: ObjectStore, limit: int) -> None:
        store.put(KEY, noise(1000))
        assert store.get(KEY, limit) == noise(1000)[:limit]

    def test_an_object_that_is_not_there_is_missing(self, store: ObjectStore) -> None:
        store.put(KEY, b"data")
        for key in (KEY[:-1], KEY + "0", "sessions", KEY.rpartition("/")[0], KEY + "/below", "elsewhere/entirely"):
            with pytest.raises(ObjectMissing):
                store.get(key, LIMIT)

    def test_a_deleted_object_is_gone_and_may_be_deleted_again(self, store: ObjectStore) -> None:
        store.put(KEY, b"data")
        store.put(KEY + "0", b"beside it")
        for _ in range(2):
            store.delete(KEY)
            with pytest.raises(ObjectMissing):
                store.get(KEY, LIMIT)
        assert store.get(KEY + "0", LIMIT) == b"beside it"

    def test_an_empty_store_lists_nothing(self, store: ObjectStore) -> None:
        assert list(store.list("sessions/")) == []
        assert list(store.list_folders("sessions/")) == []

    def test_a_listing_has_what_is_directly_below_in_order(self, store: ObjectStore) -> None:
        for key in ("s/b/2", "s/b/1", "s/a/x/deep", "s/a/1", "s/b1", "s/file", "t/b/3"):
            store.put(key, b"")
        assert list(store.list("s/")) == ["s/b1", "s/file"]
        assert list(store.list("s/b/")) == ["s/b/1", "s/b/2"]
        assert list(store.list_folders("s/")) == ["s/a/", "s/b/"]
        assert list(store.list_folders("s/a/")) == ["s/a/x/"]
        assert list(store.list_folders("s/b/")) == []

    def test_a_long_listing_is_whole(self, store: ObjectStore) -> None:
        """Servers send a thousand entries at a time."""
        keys = [f"sessions/one/{number:08d}" for number in range(1100)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: store.put(key, b"", durable=False), keys))
        assert list(store.list("sessions/one/")) == keys

    def test_keys_that_differ_name_different_objects(self, store: ObjectStore) -> None:
        parts = ["a", "A", "a.", ".a", "a b", "a%20b", "a+b", "-a", "..a", "~", "a=b&c", "#"]
        keys = ["/".join(pair) for pair in product(parts, parts)]
        for key in keys:
            store.put(key, key.encode(), durable=False)
        assert [bytes(store.get(key, LIMIT)) for key in keys] == [key.encode() for key in keys]
        assert list(store.list("a b/")) == sorted(f"a b/{part}" for part in parts)

    def test_many_threads_read_and_write_at_once(self, store: ObjectStore) -> None:
        def round_trip(number: int) -> bool:
            key, data = f"sessions/{number % 5}/{number}", noise(10_000, seed=number)
            store.put(key, data)
            return bytes(store.get(key, LIMIT)) == data

        with ThreadPoolExecutor(16) as threads:
            assert all(threads.map(round_trip, range(100)))
