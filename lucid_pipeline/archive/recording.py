"""A recording as a file that is read where it lies, and that must not change meanwhile."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lucid_pipeline.archive.canonical import BigInt
from lucid_pipeline.archive.documents import Document
from lucid_pipeline.errors import PermanentError, TransientError


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
    """Open a recording for reading. A link is not followed: who put it there may not be who may read what it leads to.

    Raises:
        PermanentError: the path is not a readable regular file, or has gone.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise PermanentError(f"{path} is a link", "put the file in its place, or name what it leads to") from error
        raise PermanentError(
            f"cannot open {path}: {error.strerror}", "the recording must be a file that this user may read"
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise PermanentError(f"{path} is not a regular file", "only files can be archived")
        yield RecordingFile(path, descriptor)
    finally:
        os.close(descriptor)


def _changed(path: Path) -> TransientError:
    return TransientError(f"{path} changed while it was read", "archive it again when it is finished")
