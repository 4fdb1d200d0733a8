"""How runs are started, by the code server of their location; and whether the process of a run lives.

Dagster's own launcher cannot tell: a run whose code server and process were killed at once would stay `STARTED`.
"""

import time
from pathlib import Path

from dagster import DagsterRun, DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from typing_extensions import override

from lucid_pipeline.instance.processes import PROCESS_TAG, is_alive
from lucid_pipeline.instance.workers import is_held

_FIRST_SECONDS = 10
"""Between a run's start and its first step, when it takes its lock; that takes milliseconds."""


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which knows by a lock whether a run's process lives. Run monitoring asks it."""

    @property
    @override
    def supports_check_run_worker_health(self) -> bool:
        return True

    @override
    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """For a run that is `STARTED`. Of runs that were started elsewhere, nothing is known, and nothing is said."""
        folder = Path(self._instance.root_directory)
        if process := run.tags.get(PROCESS_TAG):
            lives = is_alive(folder, process)
        elif GRPC_INFO_TAG in run.tags:
            lives = is_held(folder, run.run_id) or self._is_new(run)
        else:
            lives = True
        if lives:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "the process that ran this was killed")

    def _is_new(self, run: DagsterRun) -> bool:
        record = self._instance.get_run_record_by_id(run.run_id)
        started = record.start_time if record else None
        return started is None or time.time() - started < _FIRST_SECONDS
