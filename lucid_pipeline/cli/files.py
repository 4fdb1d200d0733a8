"""Files that a command writes for its user."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lucid_pipeline.errors import TransientError, UsageError

_MODE = 0o600
_LINK = "/proc/self/fd/{}"
_NO_HARD_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


def write_at(descriptor: int, part: memoryview | bytes, offset: int) -> int:
    """Write all of `part` at an offset; returns its length."""
    view = memoryview(part)
    while view:
        count = os.pwrite(descriptor, view, offset)
        view, offset = view[count:], offset + count
    return len(part)


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """A new file that appears under its name only if all goes well; yields its descriptor.

    On Linux and its own file systems the file has no name until then, so not even a kill leaves anything. Elsewhere it
    has a hidden one, which a kill leaves behind. A file that is there is never replaced; where the file system has no
    hard links, the name is taken by an empty file for a moment, and that is what is replaced.

    Raises:
        UsageError: the file exists, or cannot be made there.
        TransientError: it cannot be written, as on a full disk.
    """
    try:
        with suppress(FileNotFoundError):
            path.lstat()
            raise FileExistsError
        descriptor, partial = _open_without_name(path.parent) or _open_partial(path.parent)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "is there such a folder, and may you write?"
        ) from error
    try:
        yield descriptor
        os.fsync(descriptor)
        if partial:
            _rename(partial, path)
        else:  # the first descriptor is of no meaning beside an absolute path, but without one links are not followed
            os.link(_LINK.format(descriptor), path, src_dir_fd=descriptor, follow_symlinks=True)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise TransientError(f"cannot write {path}: {error.strerror}", "mend that, then do the same again") from error
    finally:
        os.close(descriptor)
        if partial:
            partial.unlink(missing_ok=True)


def _open_without_name(folder: Path) -> tuple[int, None] | None:
    """A file that has no name yet, or None where there is no such thing, or no way to give it one."""
    if sys.platform == "linux":
        with suppress(OSError):
            descriptor = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, _MODE)
            if Path(_LINK.format(descriptor)).exists():
                return descriptor, None
            os.close(descriptor)
    return None


def _open_partial(folder: Path) -> tuple[int, Path]:
    partial = folder / f".{os.urandom(8).hex()}.partial"
    return os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE), partial


def _rename(partial: Path, path: Path) -> None:
    """Give a file another name, which must be free."""
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
        try:
            partial.replace(path)
        except BaseException:
            path.unlink()
            raise


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists", "choose another name, or remove it first")
