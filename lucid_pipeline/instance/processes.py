"""Processes that run the lineage in themselves, such as `lucid archive`, and what becomes of runs of killed ones."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster import DagsterInstance, RunsFilter
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from lucid_pipeline.course.claims import RegisteredProcess, processes_folder
from lucid_pipeline.locks import exclusive, is_locked

PROCESS_TAG = "lucid/process"


@contextmanager
def registered_process(instance: DagsterInstance, folder: Path) -> Iterator[RegisteredProcess]:
    """This process, registered so that others can tell what it works on, and when it has died.

    Runs of processes that hold no lock any more are reported as failed: a killed one could not do it itself.
    """
    processes = processes_folder(folder)
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


def is_alive(folder: Path, name: str) -> bool:
    """Whether a registered process lives."""
    try:
        descriptor = os.open(processes_folder(folder) / name, os.O_RDWR | os.O_CLOEXEC)
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
