"""An object store that is read no faster than it may be, so that whoever reads all of it leaves room for others."""

import threading
import time
from collections.abc import Iterable, Iterator

from typing_extensions import override

from lucid_pipeline.archive.ports import ObjectStatus, ObjectStore


class ThrottledStore(ObjectStore):
    """Another store, from which at most so many bytes a second are read, by all threads together and on average.

    An object is read at full speed; whoever read it then waits for as long as its bytes should have taken.
    """

    def __init__(self, store: ObjectStore, bytes_per_second: float) -> None:
        self._store = store
        self._rate = bytes_per_second
        self._turn = threading.Lock()
        self._free_at = 0.0

    @override
    def get(self, key: str, limit: int) -> memoryview:
        data = self._store.get(key, limit)
        with self._turn:
            now = time.monotonic()
            self._free_at = max(now, self._free_at) + len(data) / self._rate
            wait = self._free_at - now
        time.sleep(wait)
        return data

    @override
    def check(self, *, writing: bool) -> None:
        self._store.check(writing=writing)

    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        self._store.put(key, data, durable=durable)

    @override
    def status(self, key: str) -> ObjectStatus:
        return self._store.status(key)

    @override
    def list(self, prefix: str) -> Iterator[str]:
        return self._store.list(prefix)

    @override
    def list_folders(self, prefix: str) -> Iterator[str]:
        return self._store.list_folders(prefix)

    @override
    def delete(self, key: str) -> None:
        self._store.delete(key)

    @override
    def flush(self, keys: Iterable[str]) -> None:
        self._store.flush(keys)
