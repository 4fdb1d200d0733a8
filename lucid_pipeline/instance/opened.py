"""Opening the instance, which every run shares, so that all of them show in one UI."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagster import DagsterInstance
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import SQLAlchemyError

from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.instance.configuration import environment, write_configuration
from lucid_pipeline.locks import exclusive
from lucid_pipeline.paths import full_disk, has_no_room, is_full

_NO_COMPUTE_LOGS = {
    "compute_logs": {
        "module": "dagster._core.storage.noop_compute_log_manager",
        "class": "NoOpComputeLogManager",
        "config": {},
    }
}
"""Whatever the file says: what a command prints belongs to its terminal."""


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


def prepare_instance(folder: Path) -> None:
    """Make the instance, or bring what an earlier version of Dagster left to today's, before anything else uses it.

    Raises:
        UsageError: the folder cannot be used.
        TransientError: the storage fails.
    """
    with open_instance(folder) as instance:
        storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
        versions = [storage.alembic_version() for storage in storages if storage]
        if any(version and version[0] != version[1] for version in versions):
            instance.upgrade()


@contextmanager
def _opened(folder: Path) -> Iterator[DagsterInstance]:
    if set("?%") & set(str(folder)):
        raise UsageError(f"the path {folder} has a ? or a %, which Dagster cannot take", "see LUCID_HOME")
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with exclusive(folder):
            write_configuration(folder)
            os.environ.update(environment(folder))
            instance = DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=_NO_COMPUTE_LOGS))
            instance.get_runs_count()
    except OSError as error:
        if is_full(error):
            raise full_disk(folder) from error
        raise UsageError(f"cannot use the folder {folder}: {error.strerror}", "see LUCID_HOME") from error
    with instance:
        yield instance
