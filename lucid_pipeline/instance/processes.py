"""Processes that run the lineage in themselves, such as `lucid archive`, and what becomes of runs of killed ones."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster import DagsterInstance, RunsFilter
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from lucid_pipeline.instance.locks import exclusive

PROCESS_TAG = "lucid/process"


@contextmanager
def registered_process(instance: DagsterInstance, folder: Path) -> Iterator[str]:
    """A name for this process, to tag its runs with, so that others can tell when it has died.

    A process that lives holds a lock on a file of its name. Runs of processes that do not are reported as failed:
    a killed one could not do it itself.
    """
    processes = folder / "processes"
    processes.mkdir(exist_ok=True)
    with exclusive(folder):
        for path in processes.iterdir():
            with suppress(FileNotFoundError):  # that process ends just now
                _report_if_dead(instance, path)
        name = os.urandom(8).hex()
        descriptor = os.open(processes / name, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield name
    finally:
        (processes / name).unlink(missing_ok=True)
        os.close(descriptor)


def _report_if_dead(instance: DagsterInstance, path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    else:
        wanted = RunsFilter(tags={PROCESS_TAG: path.name}, statuses=NOT_FINISHED_STATUSES)
        for run in instance.get_runs(wanted):
            instance.report_run_failed(run, "The process that ran this was killed.")
        path.unlink()
    finally:
        os.close(descriptor)
