"""Ending the runs that are under way, in good order, before their code servers end."""

import time
from collections.abc import Callable
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.tags import GRPC_INFO_TAG

from lucid_pipeline.instance.opened import open_instance

STOPPED_TAG = "lucid/stopped"
"""On runs that were ended because Lucid was: no failure of their sessions."""

_UNDER_WAY = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


def stop_runs(folder: Path, seconds: float, say: Callable[[str], None]) -> None:
    """End all runs of code servers. What is queued stays so, and goes on when Lucid is up again, as do the sessions.

    Args:
        folder: the instance's.
        seconds: how long to wait for them. What has not ended by then is recorded as canceled all the same.
        say: takes a line for the user.
    """
    with open_instance(folder) as instance:
        runs = [run for run in instance.get_runs(RunsFilter(statuses=_UNDER_WAY)) if GRPC_INFO_TAG in run.tags]
        if not runs:
            return
        say(f"stopping {_count(runs)}; what is left of their sessions goes on when Lucid is up again")
        for run in runs:
            instance.add_run_tags(run.run_id, {STOPPED_TAG: "true"})
            _terminate(instance, run)
        deadline = time.monotonic() + seconds
        while (left := _unfinished(instance, runs)) and time.monotonic() < deadline:
            time.sleep(0.2)
        for run in left:
            instance.report_run_canceled(run, "Lucid was stopped, and this run did not end in time.")


def _terminate(instance: DagsterInstance, run: DagsterRun) -> None:
    try:
        instance.run_launcher.terminate(run.run_id)
    except Exception:  # noqa: BLE001 - its code server is gone, or does not answer: the run is recorded as canceled below
        return


def _unfinished(instance: DagsterInstance, runs: list[DagsterRun]) -> list[DagsterRun]:
    now = instance.get_runs(RunsFilter(run_ids=[run.run_id for run in runs]))
    return [run for run in now if not run.is_finished]


def _count(runs: list[DagsterRun]) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"
