"""Which recordings the paths on a command line mean."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lucid_pipeline.intake.sidecar import is_beside, recording_of


@dataclass(slots=True)
class Found:
    """The files that paths mean, with their sizes in bytes, and what cannot be archived, with the reason."""

    files: dict[Path, int] = field(default_factory=dict)
    refused: dict[Path, str] = field(default_factory=dict)


def find_recordings(paths: Iterable[Path], is_own: Callable[[Path], bool]) -> Found:
    """All files that are named, and all files in folders that are named, at any depth, in the order of their names.

    A sidecar or marker in a folder that has its recording is passed over.

    Links and special files inside folders are refused, not followed: a folder says nothing of where they lead. What
    `is_own` says is Lucid's own is passed over in a folder, and refused where it is named: it is no recording.
    """
    found = Found()
    for path in paths:
        try:
            status = path.stat()
            if is_own(path.resolve()):
                found.refused[path] = f"{path} is Lucid's own (name recordings, or folders of recordings)"
                continue
        except OSError as error:
            found.refused[path] = f"cannot find {path}: {error.strerror} (is the path right?)"
            continue
        if stat.S_ISDIR(status.st_mode):
            _add_folder(path, is_own, found)
        else:
            _add_file(path, status, found)
    return found


def _add_folder(folder: Path, is_own: Callable[[Path], bool], found: Found) -> None:
    def refuse(error: OSError) -> None:
        path = Path(os.fsdecode(error.filename))
        found.refused[path] = f"cannot read the folder {path}: {error.strerror} (may this user read it?)"

    for parent, _, names in _walk(folder, refuse):
        real, present = Path(parent).resolve(), set(names)
        for name in names:
            if is_own(real / name):
                continue
            path = Path(parent, name)
            try:
                status = path.lstat()
                if recording_of(name) in present and is_beside(name, status):
                    continue
                _add_file(path, status, found)
            except OSError as error:
                found.refused[path] = f"cannot find {path}: {error.strerror}"


def _walk(folder: Path, refuse: Callable[[OSError], None]) -> Iterator[tuple[str, list[str], list[str]]]:
    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders.sort()
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield parent, folders, sorted([*names, *links])


def _add_file(path: Path, status: os.stat_result, found: Found) -> None:
    if stat.S_ISREG(status.st_mode):
        found.files[path] = status.st_size
    elif stat.S_ISLNK(status.st_mode):
        found.refused[path] = f"{path} is a link (name what it leads to instead)"
    else:
        found.refused[path] = f"{path} is not a regular file (only files can be archived)"
