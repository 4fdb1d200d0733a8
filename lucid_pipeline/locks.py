"""Locks between processes: files that are locked, and free as soon as whoever locked them is gone, however it went."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def exclusive(folder: Path, name: str = "lock") -> Iterator[None]:
    """One process at a time: what Dagster does in several steps to a shared SQLite storage, it does not do safely."""
    descriptor = os.open(folder / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def try_lock(path: Path) -> int | None:
    """The descriptor of a file that this process has locked, until it is closed or the process ends.

    Returns:
        None where another process has locked it.
    """
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    if is_locked(descriptor):
        os.close(descriptor)
        return None
    return descriptor


def is_locked(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    """Whether another process has locked an open file; if none has, this one has from now on, until it is closed."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
