"""Files that a command writes for its user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lucid_pipeline.errors import TransientError, UsageError


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

    Raises:
        UsageError: the file exists, or cannot be made there.
        TransientError: it cannot be written, as on a full disk.
    """
    partial = path.parent / f".{os.urandom(8).hex()}.partial"
    try:
        with suppress(FileNotFoundError):
            path.lstat()
            raise FileExistsError
        descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", "is there such a folder, and may you write?"
        ) from error
    try:
        yield descriptor
        os.fsync(descriptor)
        os.link(partial, path)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise TransientError(f"cannot write {path}: {error.strerror}", "mend that, then do the same again") from error
    finally:
        os.close(descriptor)
        partial.unlink()


def _exists(path: Path) -> UsageError:
    return UsageError(f"{path} exists", "choose another name, or remove it first")
