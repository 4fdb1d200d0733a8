"""The archive's adapters: a local folder (`file://`) or an S3-compatible bucket (`s3://`), both through obstore."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store
from typing_extensions import override

from lucid_pipeline.archive.ports import ObjectExists, ObjectMissing, ObjectStore
from lucid_pipeline.errors import TransientError, UsageError


class BucketStore(ObjectStore):
    """Objects in an S3-compatible bucket, below a prefix. An object is durable as soon as it is stored."""

    def __init__(self, url: str, store: LocalStore | S3Store) -> None:
        self._url = url
        self._store = store

    @override
    def put(self, key: str, data: bytes | memoryview) -> None:
        with self._failures(key):
            obstore.put(self._store, key, data, mode="create", use_multipart=False)

    @override
    def get(self, key: str, limit: int) -> memoryview:
        with self._failures(key):
            found = obstore.get(self._store, key)
            if found.meta["size"] > limit:
                return memoryview(obstore.get_range(self._store, key, start=0, length=limit))
            return memoryview(found.bytes())

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
            raise ObjectMissing(key) from error
        except (BaseError, OSError) as error:
            raise TransientError(f"the archive {self._url} failed at {key}: {_first_line(error)}") from error


class FolderStore(BucketStore):
    """Objects as files below a local folder. An object is durable once it is flushed."""

    def __init__(self, url: str, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot make the archive folder {folder}: {error.strerror}") from error
        super().__init__(url, LocalStore(folder))
        self._folder = folder
        self._durable_folders: set[Path] = set()

    @override
    def flush(self, keys: Iterable[str]) -> None:
        folders: set[Path] = set()
        for key in keys:
            path = self._folder / key
            with self._failures(key):
                _sync(path)
            folders.add(path.parent)
        for folder in folders:
            with self._failures(str(folder)):
                self._flush_folder(folder)

    def _flush_folder(self, folder: Path) -> None:
        _sync(folder)
        for parent in folder.parents:
            if folder in self._durable_folders or folder == self._folder:
                return
            _sync(parent)
            self._durable_folders.add(folder)
            folder = parent


def open_object_store(url: str) -> ObjectStore:
    """The adapter for an archive URL: `file:///folder` or `s3://bucket/prefix`.

    Raises:
        UsageError: the URL names no such place.
    """
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc:
        return FolderStore(url, Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        return BucketStore(url, S3Store(parts.netloc, prefix=parts.path.strip("/") or None))
    raise UsageError(f"{url} is no archive URL", "use file:///folder or s3://bucket/prefix")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
