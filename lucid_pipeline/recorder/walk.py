"""A folder and all below it, entry by entry, without following a link; the walk can rest at any entry."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_DEEPEST = 64
_LONGEST_PATH = 3800
"""Bytes of a folder's path: with any name and its ending, the path of what lies in it is one that can be opened."""


class Entry(NamedTuple):
    """Something that is no folder: the path of the folder that it lies in, its name, and what it is."""

    folder: str
    name: str
    status: os.stat_result


@dataclass(frozen=True, slots=True)
class _Folder:
    path: str
    descriptor: int
    entries: Iterator["os.DirEntry[str]"]
    close: Callable[[], None]


def walk(root: Path, enter: Callable[[str], bool], refuse: Callable[[str, str], None]) -> Iterator[Entry | None]:
    """All that lies in a folder at any depth but folders and links to them, in no order.

    Every folder is opened from the one above it, so nothing that is exchanged for a link meanwhile leads out. Of what
    comes or goes meanwhile some may be left out. One descriptor or two are open for each of at most 64 levels.

    Args:
        root: the folder; links in its own path are followed.
        enter: whether to look into a folder below it.
        refuse: told the path of each folder that cannot be looked into, and why.

    Yields:
        An entry, or None at each step that finds none, so that the caller may rest there as well.
    """
    open_folders: list[_Folder] = []
    try:
        _open(str(root), str(root), None, open_folders, refuse)
        while open_folders:
            yield _step(open_folders, enter, refuse)
    finally:
        for folder in open_folders:
            folder.close()


def _step(
    open_folders: list[_Folder], enter: Callable[[str], bool], refuse: Callable[[str, str], None]
) -> Entry | None:
    folder = open_folders[-1]
    path = folder.path
    try:
        entry = next(folder.entries, None)
        if entry is None:
            open_folders.pop().close()
            return None
        path = f"{folder.path}/{entry.name}"
        if not entry.is_dir(follow_symlinks=False):
            return Entry(folder.path, entry.name, entry.stat(follow_symlinks=False))
    except FileNotFoundError:
        return None
    except OSError as error:
        refuse(path, error.strerror or "")
        if path == folder.path:
            open_folders.pop().close()
        return None
    if enter(path):
        if len(open_folders) == _DEEPEST or len(os.fsencode(path)) > _LONGEST_PATH:
            refuse(path, "it lies too deep")
        else:
            _open(path, entry.name, folder.descriptor, open_folders, refuse)
    return None


def _open(
    path: str, name: str, parent: int | None, open_folders: list[_Folder], refuse: Callable[[str, str], None]
) -> None:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | (0 if parent is None else os.O_NOFOLLOW)
    with ExitStack() as opened:
        try:
            descriptor = os.open(name, flags, dir_fd=parent)
            opened.callback(os.close, descriptor)
            entries = opened.enter_context(os.scandir(descriptor))
        except OSError as error:
            refuse(path, error.strerror or "")
        else:
            open_folders.append(_Folder(path, descriptor, entries, opened.pop_all().close))
