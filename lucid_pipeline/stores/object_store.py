"""The archive's adapters: a local folder (`file://`) or an S3-compatible bucket (`s3://`), both through obstore."""

import errno
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

_FOLDER_MODE = 0o700
_FULL = (errno.ENOSPC, errno.EDQUOT)


class BucketStore(ObjectStore):
    """Objects in an S3-compatible bucket, below a prefix. An object is durable as soon as it is stored."""

    def __init__(self, url: str, store: LocalStore | S3Store) -> None:
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
        except (AlreadyExistsError, FileExistsError) as error:
            raise ObjectExists(key) from error
        except FileNotFoundError as error:
            raise ObjectMissing(key) from error
        except (BaseError, OSError) as error:
            if getattr(error, "errno", None) in _FULL:
                raise TransientError(f"{self._url} is full", "make room, then do the same again") from error
            raise TransientError(f"{self._url} failed at {key}: {_first_line(error)}") from error


class FolderStore(BucketStore):
    """Objects as files below a local folder, readable by their owner only.

    Written by hand, for obstore would show an object under its name before its bytes are on the disk.
    """

    def __init__(self, url: str, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
        except OSError as error:
            raise UsageError(
                f"cannot make the folder {folder}: {error.strerror}", "may this user write there?"
            ) from error
        super().__init__(url, LocalStore(folder))
        self._folder = folder
        self._durable_folders: set[Path] = set()

    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        path = self._folder / key
        partial = path.with_name(f".{path.name}.{os.urandom(8).hex()}.partial")
        with self._failures(key):
            path.parent.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            try:
                _write(partial, data, durable=durable)
                os.link(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            if durable:
                self._flush_folder(path.parent)

    @override
    def flush(self, keys: Iterable[str]) -> None:
        paths = [self._folder / key for key in keys]
        for path in paths:
            with self._failures(str(path)):
                _sync(path)
        for folder in {path.parent for path in paths}:
            with self._failures(str(folder)):
                self._flush_folder(folder)

    def _flush_folder(self, folder: Path) -> None:
        _sync(folder)
        while folder != self._folder and folder not in self._durable_folders:
            self._durable_folders.add(folder)
            folder = folder.parent
            _sync(folder)


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


def _write(path: Path, data: bytes | memoryview, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
