"""Processes that run the lineage in themselves, such as `lucid archive`, and what becomes of runs of killed ones."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from dagster import DagsterInstance, RunsFilter
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from lucid_pipeline.instance.locks import exclusive, is_locked

PROCESS_TAG = "lucid/process"


@dataclass(frozen=True, slots=True)
class RegisteredProcess:
    """A process that holds a lock on a file of its name as long as it lives; its runs are tagged with that name."""

    name: str
    _descriptor: int

    def claim(self, keys: Iterable[str]) -> None:
        """Let others know which partitions this process is about to take through runs, in place of those before."""
        lines = "".join(f"{key}\n" for key in keys).encode()
        os.pwrite(self._descriptor, lines, 0)
        os.ftruncate(self._descriptor, len(lines))


def claimed_partitions(folder: Path) -> set[str]:
    """The partitions that living processes have claimed, on the instance that lives in a folder."""
    return {key for path in _processes(folder).glob("*") for key in _claims(path)}


@contextmanager
def registered_process(instance: DagsterInstance, folder: Path) -> Iterator[RegisteredProcess]:
    """This process, registered so that others can tell what it works on, and when it has died.

    Runs of processes that hold no lock any more are reported as failed: a killed one could not do it itself.
    """
    processes = _processes(folder)
    processes.mkdir(exist_ok=True)
    with exclusive(folder):
        for path in processes.iterdir():
            with suppress(FileNotFoundError):  # that process ends just now
                _report_if_dead(instance, path)
        name = os.urandom(8).hex()
        descriptor = os.open(processes / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield RegisteredProcess(name, descriptor)
    finally:
        (processes / name).unlink(missing_ok=True)
        os.close(descriptor)


def _processes(folder: Path) -> Path:
    return folder / "processes"


def _claims(path: Path) -> Iterator[str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # that process ends just now
        return
    with os.fdopen(descriptor, encoding="utf-8") as file:
        if is_locked(descriptor, fcntl.LOCK_SH):
            yield from file.read().split()


def is_alive(folder: Path, name: str) -> bool:
    """Whether a registered process lives."""
    try:
        descriptor = os.open(_processes(folder) / name, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return is_locked(descriptor)
    finally:
        os.close(descriptor)


def _report_if_dead(instance: DagsterInstance, path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if is_locked(descriptor):
            return
        wanted = RunsFilter(tags={PROCESS_TAG: path.name}, statuses=NOT_FINISHED_STATUSES)
        for run in instance.get_runs(wanted):
            instance.report_run_failed(run, "The process that ran this was killed.")
        path.unlink()
    finally:
        os.close(descriptor)
