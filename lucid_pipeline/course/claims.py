"""What processes that run the lineage in themselves, such as `lucid archive`, have in hand beside their runs.

Each holds a lock on a file of its name as long as it lives, and writes there which sessions it is about to take.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lucid_pipeline.locks import is_locked


@dataclass(frozen=True, slots=True)
class RegisteredProcess:
    """A process that holds a lock on a file of its name as long as it lives; its runs are tagged with that name."""

    name: str
    descriptor: int

    def claim(self, keys: Iterable[str]) -> None:
        """Let others know which partitions this process is about to take through runs, in place of those before."""
        lines = "".join(f"{key}\n" for key in keys).encode()
        os.pwrite(self.descriptor, lines, 0)
        os.ftruncate(self.descriptor, len(lines))


def claimed_partitions(folder: Path) -> set[str]:
    """The partitions that living processes have claimed, on the instance that lives in a folder."""
    return {key for path in processes_folder(folder).glob("*") for key in _claims(path)}


def processes_folder(folder: Path) -> Path:
    """Where the files of registered processes are."""
    return folder / "processes"


def _claims(path: Path) -> Iterator[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # that process ends just now
        return
    with os.fdopen(descriptor, encoding="utf-8") as file:
        if is_locked(descriptor, fcntl.LOCK_SH):
            yield from file.read().split()
