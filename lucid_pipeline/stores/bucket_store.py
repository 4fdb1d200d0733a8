"""The archive in an S3-compatible bucket, through obstore."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store
from typing_extensions import override

from lucid_pipeline.archive.ports import ObjectExists, ObjectMissing, ObjectStatus, ObjectStore
from lucid_pipeline.errors import TransientError

_NO_BUCKET = "NoSuchBucket"


class BucketStore(ObjectStore):
    """Objects in a bucket, below a prefix. An object is durable as soon as it is stored."""

    def __init__(self, url: str, store: S3Store) -> None:
        self._url = url
        self._store = store

    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        with self._failures(key):
            obstore.put(self._store, key, data, mode="create", use_multipart=False)

    @override
    def get(self, key: str, limit: int) -> memoryview:
        with self._failures(key):
            found = obstore.get(self._store, key)
            if found.meta["size"] <= limit:
                return memoryview(found.bytes())
            return memoryview(obstore.get_range(self._store, key, start=0, length=limit) if limit else b"")

    @override
    def status(self, key: str) -> ObjectStatus:
        with self._failures(key):
            found = obstore.head(self._store, key)
        return ObjectStatus(found["size"], found["last_modified"])

    @override
    def list(self, prefix: str) -> Iterator[str]:
        with self._failures(prefix):
            found = obstore.list_with_delimiter(self._store, prefix.rstrip("/"))
        return iter(sorted(entry["path"] for entry in found["objects"]))

    @override
    def list_folders(self, prefix: str) -> Iterator[str]:
        with self._failures(prefix):
            found = obstore.list_with_delimiter(self._store, prefix.rstrip("/"))
        return iter(sorted(f"{folder}/" for folder in found["common_prefixes"]))

    @override
    def delete(self, key: str) -> None:
        try:
            with self._failures(key):
                obstore.delete(self._store, key)
        except ObjectMissing:
            pass

    @override
    def flush(self, keys: Iterable[str]) -> None:
        """Nothing is left to do."""

    @contextmanager
    def _failures(self, key: str) -> Iterator[None]:
        try:
            yield
        except AlreadyExistsError as error:
            raise ObjectExists(key) from error
        except FileNotFoundError as error:
            if _NO_BUCKET in str(error):
                raise TransientError(f"{self._url} failed: there is no such bucket", "make it first") from error
            raise ObjectMissing(key) from error
        except (BaseError, OSError) as error:
            raise TransientError(f"{self._url} failed at {key}: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
