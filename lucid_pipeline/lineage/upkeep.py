"""What all work by the clock has in common: its time zone, its tags, and that it never runs twice at once."""

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dagster import (
    DagsterInstance,
    DefaultScheduleStatus,
    JobDefinition,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import PRIORITY_TAG

FIRST = {PRIORITY_TAG: "10", "lucid/upkeep": "true"}
"""Tags of work that must not wait behind sessions: of each kind one run at a time, so that it holds none of them up.

Of all kinds, `dagster.yaml` lets two runs work at a time: the other places in the queue are for sessions.
"""

LAST = {PRIORITY_TAG: "-20"}
"""Tags of work that can wait until no session does."""

_LOCAL_TIME = Path("/etc/localtime")
_ZONES = "/zoneinfo/"


def host_time_zone() -> str:
    """The name of the host's time zone: what `TZ` says, else what /etc/localtime is a link to, else UTC."""
    for name in (os.environ.get("TZ", "").removeprefix(":"), str(_LOCAL_TIME.resolve()).partition(_ZONES)[2]):
        try:
            return ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return "UTC"


def is_under_way(instance: DagsterInstance, job_name: str) -> bool:
    """Whether a run of a job is queued or has not ended."""
    return bool(instance.get_runs(RunsFilter(job_name=job_name, statuses=NOT_FINISHED_STATUSES), limit=1))


def by_the_clock(
    name: str, cron: str, job: JobDefinition | UnresolvedAssetJobDefinition, description: str
) -> ScheduleDefinition:
    """A schedule, on by default, that starts a job unless its last run is still under way.

    Args:
        name: of the schedule.
        cron: when, in the time zone of the host. What is missed while nothing runs is made up for once.
        job: what is started.
        description: what Dagster's UI says of it.
    """

    @schedule(
        name=name,
        cron_schedule=cron,
        job=job,
        description=description,
        execution_timezone=host_time_zone(),
        default_status=DefaultScheduleStatus.RUNNING,
    )
    def start(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
        if is_under_way(context.instance, job.name):
            return SkipReason(f"the last run of {job.name} is still under way")
        return RunRequest()

    return start
