"""A recording as a file that is read where it lies, and that must not change meanwhile."""

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lucid_pipeline.archive.canonical import BigInt
from lucid_pipeline.archive.documents import Document
from lucid_pipeline.errors import PermanentError, TransientError

_PASSING = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT)


class FileIdentity(Document):
    """What tells one state of a file from another: device, inode, length in bytes, times of change in ns.

    The time of the last status change, unlike that of the last modification, cannot be set back.
    """

    device: BigInt
    inode: BigInt
    length: BigInt
    modified_ns: BigInt
    changed_ns: BigInt

    @classmethod
    def of(cls, status: os.stat_result) -> "FileIdentity":
        """The identity in the answer of a `stat` call."""
        return cls(
            device=status.st_dev,
            inode=status.st_ino,
            length=status.st_size,
            modified_ns=max(0, status.st_mtime_ns),
            changed_ns=max(0, status.st_ctime_ns),
        )


class RecordingFile:
    """An open recording. Reads are positional, so any number of threads may read at once."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.identity = FileIdentity.of(os.fstat(descriptor))

    def __len__(self) -> int:
        return self.identity.length

    def read_into(self, buffer: memoryview, offset: int) -> None:
        """Fill `buffer` with the bytes from `offset` on.

        Raises:
            TransientError: the file has become shorter, or cannot be read there.
        """
        filled = 0
        while filled < len(buffer):
            try:
                count = os.preadv(self._descriptor, [buffer[filled:]], offset + filled)
            except OSError as error:
                raise TransientError(f"cannot read {self.path}: {error.strerror}") from error
            if count == 0:
                raise _changed(self.path)
            filled += count

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset` to `offset + length`, or to the end if that comes first."""
        buffer = bytearray(max(0, min(length, len(self) - offset)))
        self.read_into(memoryview(buffer), offset)
        return bytes(buffer)

    def is_being_written(self) -> bool | None:
        """Whether somebody has the file open for writing; None where the system cannot tell.

        Linux grants a read lease on a file only while nobody has, to its owner, and on most local file systems. It is
        given back at once; whoever opens the file for writing in between waits that long.
        """
        try:
            # Whoever opens it has a signal sent to this process, which would end it, were it not one that is ignored.
            fcntl.fcntl(self._descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(self._descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except AttributeError:
            return None
        except OSError as error:
            return True if error.errno == errno.EAGAIN else None
        return False

    def check_unchanged(self, expected: FileIdentity | None = None) -> None:
        """Refuse a file that is no longer what it was when it was opened (or in the state `expected`).

        Raises:
            TransientError: length or times of change differ, so the bytes read may be of two states.
        """
        status, expected = os.fstat(self._descriptor), expected or self.identity
        found = FileIdentity.of(status)
        if not status.st_nlink:  # removed meanwhile, which is a change of status, and can still be read whole
            found = found.model_copy(update={"changed_ns": expected.changed_ns})
        if found != expected:
            raise _changed(self.path)


@contextmanager
def open_recording(path: Path) -> Iterator[RecordingFile]:
    """Open a recording for reading, at an absolute path with no link in it.

    Whoever put a link there may not be who may read what it leads to.

    Raises:
        PermanentError: the path is not a readable regular file, or has gone.
        TransientError: it cannot be opened now.
    """
    try:
        with opened_folder(path) as folder:
            # First: to open a device can do more than one would think.
            _require_file(path, os.lstat(path.name, dir_fd=folder))
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path.name, flags, dir_fd=folder)
    except OSError as error:
        reason = f"cannot open {path}: {error.strerror}"
        if error.errno in _PASSING:
            raise TransientError(reason) from error
        raise PermanentError(reason, "the recording must be a file that this user may read") from error
    try:
        _require_file(path, os.fstat(descriptor))
        yield RecordingFile(path, descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def opened_folder(path: Path) -> Iterator[int]:
    """A descriptor of the folder that a file lies in, which has been reached without following a link.

    Raises:
        OSError: there is no such folder; where a link is in the way, `NotADirectoryError`.
        ValueError: the path is not absolute.
    """
    if not path.is_absolute():
        raise ValueError("a path that is to be free of links begins at the root")
    flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open("/", flags)
    try:
        for name in path.parts[1:-1]:
            below = os.open(name, flags | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        yield descriptor
    finally:
        os.close(descriptor)


def _require_file(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise PermanentError(f"{path} is a link", "put the file in its place, or name what it leads to")
    if not stat.S_ISREG(status.st_mode):
        raise PermanentError(f"{path} is not a regular file", "only files can be archived")


def _changed(path: Path) -> TransientError:
    return TransientError(f"{path} changed while it was read", "archive it again when it is finished")
