"""The Dagster instance below `LUCID_HOME`, which every run shares, so that all of them show in one UI."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagster import DagsterInstance, RunsFilter
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from sqlalchemy.exc import SQLAlchemyError

from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.paths import full_disk, has_no_room, is_full

PROCESS_TAG = "lucid/process"

_CONFIGURATION = """\
# Dagster's settings for this home. Lucid wrote this file once, and leaves it as it is from then on.
telemetry:
  enabled: false  # nothing about sessions leaves this machine
"""
_NO_COMPUTE_LOGS = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
    }
}


@contextmanager
def open_instance(folder: Path) -> Iterator[DagsterInstance]:
    """The instance that lives in a folder, made at first use; what processes print is not captured.

    Raises:
        UsageError: the folder cannot be used.
        TransientError: the storage fails, now or while it is used.
    """
    try:
        with _opened(folder) as instance:
            yield instance
    except SQLAlchemyError as error:
        if has_no_room(folder) or "full" in str(error.args[0]):
            raise full_disk(folder) from error
        reason = str(error.args[0]).split("\n", 1)[0]
        raise TransientError(f"Dagster's storage in {folder} failed: {reason}", "is its disk in order?") from error


@contextmanager
def _opened(folder: Path) -> Iterator[DagsterInstance]:
    if set("?%") & set(str(folder)):
        raise UsageError(f"the path {folder} has a ? or a %, which Dagster cannot take", "see LUCID_HOME")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive(folder):
            configuration = folder / "dagster.yaml"
            if not configuration.exists():
                configuration.write_text(_CONFIGURATION, encoding="utf-8")
            instance = DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=_NO_COMPUTE_LOGS))
            instance.get_runs_count()
    except OSError as error:
        if is_full(error):
            raise full_disk(folder) from error
        raise UsageError(f"cannot use the folder {folder}: {error.strerror}", "see LUCID_HOME") from error
    with instance:
        yield instance


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


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """One process at a time: what Dagster does in several steps to a shared SQLite storage, it does not do safely."""
    descriptor = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
