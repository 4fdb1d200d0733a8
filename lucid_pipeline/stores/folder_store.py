"""The archive in a local folder: an object is a file, whole from the moment it has its name.

Written by hand, because a general object-store library would show an object under its name before its bytes are on the
disk, would wait forever at a pipe, and would list nothing at all beside a file with an odd name.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from typing_extensions import override

from lucid_pipeline.archive.ports import ObjectExists, ObjectMissing, ObjectStatus, ObjectStore
from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.paths import full_disk, hint_for, is_full
from lucid_pipeline.stores.partial import partial_name

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class FolderStore(ObjectStore):
    """Objects as files below a folder, readable by their owner only.

    The folder has to be there: a wrong path, or a disk that is not mounted, is not taken for an empty archive.

    Raises:
        UsageError: it is not there, or cannot be made where that is asked for.
    """

    def __init__(self, folder: Path, *, create: bool = False) -> None:
        try:
            if create:
                folder.mkdir(parents=True, exist_ok=True, mode=_FOLDER_MODE)
            with os.scandir(folder):
                pass
        except OSError as error:
            is_missing = isinstance(error, (FileNotFoundError, NotADirectoryError)) and not create
            hint = (
                "is its disk mounted? for a new store make the folder, or let `lucid init` make all of a home"
                if is_missing
                else hint_for(error)
            )
            raise UsageError(f"cannot use the folder {folder}: {error.strerror}", hint) from error
        self._folder = folder
        self._durable_folders: set[Path] = set()

    @override
    def check(self, *, writing: bool) -> None:
        self._require_folder()
        mode = os.R_OK | os.X_OK | (os.W_OK if writing else 0)
        if not os.access(self._folder, mode, effective_ids=True):
            what = "written to" if writing else "read"
            raise TransientError(f"the folder {self._folder} cannot be {what}", "may this user use it?")

    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        path = self._path(key)
        partial = self._path(partial_name(key))
        with self._failures(key):
            self._make_folder(path.parent)
            try:
                _write(partial, data, durable=durable)
                os.link(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            if durable:
                self._flush_folder(path.parent)

    @override
    def get(self, key: str, limit: int) -> memoryview:
        path = self._path(key)
        with self._failures(key):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                status = os.fstat(descriptor)
                if not stat.S_ISREG(status.st_mode):
                    raise ObjectMissing(key)
                return _read(descriptor, min(status.st_size, limit))
            finally:
                os.close(descriptor)

    @override
    def status(self, key: str) -> ObjectStatus:
        with self._failures(key):
            found = self._path(key).lstat()
        if not stat.S_ISREG(found.st_mode):
            raise ObjectMissing(key)
        return ObjectStatus(found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    @override
    def list(self, prefix: str) -> Iterator[str]:
        return iter(
            sorted(prefix + entry.name for entry in self._entries(prefix) if entry.is_file(follow_symlinks=False))
        )

    @override
    def list_folders(self, prefix: str) -> Iterator[str]:
        folders = (entry for entry in self._entries(prefix) if entry.is_dir(follow_symlinks=False))
        return iter(sorted(f"{prefix}{entry.name}/" for entry in folders))

    @override
    def delete(self, key: str) -> None:
        path = self._path(key)
        with self._failures(key):
            path.unlink(missing_ok=True)

    @override
    def flush(self, keys: Iterable[str]) -> None:
        paths = [self._path(key) for key in keys]
        for path in paths:
            with self._failures(str(path)):
                _sync(path)
        for folder in {path.parent for path in paths}:
            with self._failures(str(folder)):
                self._flush_folder(folder)

    def _make_folder(self, folder: Path) -> None:
        """Make a folder with all above it, each its owner's only, which `mkdir` sees to for the last one alone."""
        if folder == self._folder:
            self._require_folder()
            return
        try:
            folder.mkdir(mode=_FOLDER_MODE)
        except FileExistsError:
            return
        except FileNotFoundError:
            self._make_folder(folder.parent)
            self._make_folder(folder)

    def _require_folder(self) -> None:
        if not self._folder.is_dir():
            raise TransientError(f"the folder {self._folder} has gone", "is its disk mounted?")

    def _path(self, key: str) -> Path:
        if not all(part not in ("", ".", "..") and part.isprintable() for part in key.split("/")):
            raise ValueError(f"{key!r} is no key of an object")
        return self._folder / key

    def _entries(self, prefix: str) -> Sequence[os.DirEntry[str]]:
        with self._failures(prefix):
            try:
                with os.scandir(self._path(prefix.rstrip("/"))) as entries:
                    return [entry for entry in entries if entry.name.isprintable()]
            except (FileNotFoundError, NotADirectoryError):
                self._require_folder()
                return []

    def _flush_folder(self, folder: Path) -> None:
        _sync(folder)
        while folder != self._folder and folder not in self._durable_folders:
            self._durable_folders.add(folder)
            folder = folder.parent
            _sync(folder)

    @contextmanager
    def _failures(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileExistsError as error:
            raise ObjectExists(key) from error
        except (FileNotFoundError, NotADirectoryError) as error:
            self._require_folder()
            raise ObjectMissing(key) from error
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise ObjectMissing(key) from error
            if is_full(error):
                raise full_disk(self._folder) from error
            raise TransientError(f"{self._folder} failed at {key}: {error.strerror}", hint_for(error)) from error


def _read(descriptor: int, length: int) -> memoryview:
    data = os.read(descriptor, length)
    while len(data) < length and (more := os.read(descriptor, length - len(data))):
        data += more
    return memoryview(data)


def _write(path: Path, data: bytes | memoryview, *, durable: bool) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
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
