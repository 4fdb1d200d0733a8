"""What is asked of paths in more than one place."""

import errno
import os
from pathlib import Path

from lucid_pipeline.errors import TransientError, UsageError

_LITTLE_ROOM = 64 * 1024
_HINTS = {
    errno.EACCES: "may this user use it?",
    errno.EPERM: "may this user use it?",
    errno.EROFS: "it is mounted read-only",
    errno.EMFILE: "allow more open files: ulimit -n",
    errno.ENFILE: "this machine has too many files open",
    errno.EEXIST: "a file is in its way",
    errno.ENOTDIR: "a file is in its way",
    errno.ENAMETOOLONG: "choose a shorter path",
}


def is_there(path: Path, what: str) -> bool:
    """Whether there is anything at a path.

    Args:
        path: where to look.
        what: what it is to the reader of the error, such as "key file".

    Raises:
        UsageError: this user may not look.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise UsageError(f"cannot use the {what} {path}: {error.strerror}", hint_for(error)) from error
    return True


def hint_for(error: OSError) -> str:
    """What to do about a call that failed at a place on a disk."""
    return _HINTS.get(error.errno or 0, "is its disk in order?")


def is_full(error: OSError) -> bool:
    """Whether a call failed for lack of room on a disk."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def has_no_room(folder: Path) -> bool:
    """Whether the disk of a folder is as good as full: what a database then says is often something else."""
    try:
        status = os.statvfs(folder)
    except OSError:
        return False
    return status.f_bavail * status.f_frsize < _LITTLE_ROOM


def printable(text: str) -> str:
    """Text, such as one with a path in it, in which control characters and loose bytes are made visible."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def full_disk(place: Path) -> TransientError:
    """The error that says so."""
    return TransientError(f"the disk of {place} is full", "make room, then do the same again")
