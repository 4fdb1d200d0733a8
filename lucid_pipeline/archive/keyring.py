"""Keyring files: one key a line, `<kind> <base64 of its raw bytes>`; `#` begins a comment line.

Files that hold a private key are readable by their owner only (0600), and one that others may read is refused.
"""

import base64
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from lucid_pipeline.errors import UsageError

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o644

_LARGEST_FILE = 1024 * 1024


class Key(Protocol):
    """What a keyring holds: a kind, raw bytes, and a constructor that takes them."""

    KIND: ClassVar[str]
    raw: bytes

    def __init__(self, raw: bytes) -> None: ...


K = TypeVar("K", bound=Key)


def load_keys(path: Path, kind: type[K], *, private: bool = False) -> list[K]:
    """All keys of one kind in a keyring file, in its order and each once; at least one.

    Raises:
        UsageError: the file is missing, unreadable, malformed, holds no such key, or is private and open to others.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(_LARGEST_FILE + 1) if stat.S_ISREG(mode) else b""
    except OSError as error:
        raise UsageError(
            f"cannot read the key file {path}: {error.strerror}",
            "`lucid init` makes the keys of a new home; those of an old one come back from a copy only",
        ) from error
    if not stat.S_ISREG(mode):
        raise UsageError(f"the key file {path} is no regular file", "put the keys into a file of their own")
    if private and stat.S_IMODE(mode) & 0o077:
        raise UsageError(f"the key file {path} can be read by others", f"run: chmod 600 {path}")
    if len(text) > _LARGEST_FILE:
        raise UsageError(f"the key file {path} is larger than {_LARGEST_FILE} bytes", "is it the right file?")
    keys = {key.raw: key for key in _parse(text, kind, path)}
    if not keys:
        raise UsageError(f"the key file {path} holds no {kind.KIND}", "is it the right file?")
    return list(keys.values())


def _open_at_once(path: str, flags: int) -> int:
    """Without waiting for whoever may write into a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def save_keys(path: Path, keys: Iterable[Key], *, private: bool, comment: str) -> bool:
    """Write a new keyring file, whole or not at all; an existing one is left as it is and False returned.

    Where there is one already, nothing is written, not even for a moment: it may lie on a read-only disk.

    Raises:
        UsageError: the file cannot be made there.
    """
    try:
        return not path.exists() and _write_new(path, keys, private=private, comment=comment)
    except OSError as error:
        raise UsageError(f"cannot write the key file {path}: {error.strerror}", "is the folder writable?") from error


def _write_new(path: Path, keys: Iterable[Key], *, private: bool, comment: str) -> bool:
    lines = [f"# {comment}", *(f"{key.KIND} {base64.b64encode(key.raw).decode()}" for key in keys)]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = path.with_name(f"{path.name}.{os.urandom(8).hex()}.partial")
    mode = PRIVATE_MODE if private else PUBLIC_MODE
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            os.fsync(descriptor)
        os.link(partial, path)
    except FileExistsError:
        return False
    finally:
        partial.unlink()
    _sync_folders(path.parent)
    return True


def _sync_folders(folder: Path) -> None:
    """Make a new name last, and that of its folder, which may be new as well: without its keys an archive is lost."""
    for place in (folder, folder.parent):
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _parse(text: bytes, kind: type[K], path: Path) -> Iterable[K]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        try:
            name, encoded = line.decode("ascii").split()
            raw = base64.b64decode(encoded, validate=True)
            if name == kind.KIND:
                yield kind(raw)
        except ValueError:
            raise UsageError(f"line {number} of the key file {path} is not a key", "put back a copy of it") from None
