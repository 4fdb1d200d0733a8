"""Making stored objects durable beside the work that stores them."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from lucid_pipeline.archive.ports import ObjectStore

_BATCH = 16


class Flusher:
    """Flushes objects in batches, by one thread of its own; leaving its `with` block waits until all are durable."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lucid-flush")
        self._lock = threading.Lock()
        self._pending: list[str] = []
        self._flushes: list[Future[None]] = []

    def add(self, key: str) -> None:
        """Take note of an object that has been stored. May be called from any thread."""
        with self._lock:
            self._pending.append(key)
            if len(self._pending) >= _BATCH:
                self._flush()

    def _flush(self) -> None:
        batch, self._pending = self._pending, []
        self._flushes.append(self._pool.submit(self._store.flush, batch))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._flush()
                for flush in self._flushes:
                    flush.result()
        finally:
            self._pool.shutdown(cancel_futures=True)
