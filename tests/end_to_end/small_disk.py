"""Disks that are soon full: real file systems of a few MiB, in memory."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_FILLER = "filler"


@dataclass(frozen=True)
class SmallDisk:
    """A disk that is mounted on a folder."""

    folder: Path

    def leave(self, free: int) -> None:
        """Fill the disk, but for so many bytes; what an earlier call filled counts as free. Pages have 4 KiB."""
        self.make_room()
        status = os.statvfs(self.folder)
        with (self.folder / _FILLER).open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - free))

    def make_room(self) -> None:
        (self.folder / _FILLER).unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[SmallDisk]:
    """A disk of so many bytes on a folder, with what is in that folder; removed afterwards. Skips where nobody may."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder.parent / f"{folder.name}.aside"
    shutil.copytree(folder, aside)
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "lucid-tests", folder],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", None) or error
        pytest.skip(f"a small disk cannot be mounted: {why}; run the tests as root, or below `unshare -rm`")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        shutil.rmtree(aside)
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
