"""What waits for the stages of a location, and the runs that take it on.

The catalog says where each session stands; Dagster's unfinished runs, and claims of processes such as `lucid archive`,
say which sessions are in hand. What waits and is in nobody's hand gets a run. So nothing is lost between two ticks,
whatever dies, and nothing waits behind a bad session: that one has a failure, and its own time to be tried again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    define_asset_job,
    sensor,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.events import RunFailureReason
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES
from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG

from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.course.partitions import PARTITION_TAG, Partitions
from lucid_pipeline.course.progress import stages_left, standings_before
from lucid_pipeline.course.runs import AGAIN_TAG, BACKLOG_TAG, SIZE_TAG, PlannedRun, planned_runs
from lucid_pipeline.course.stages import LINEAGE, Leg
from lucid_pipeline.errors import SessionNotFound, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.instance.stopping import STOPPED_TAG
from lucid_pipeline.lineage.partitions import SESSIONS, in_hand, partitions_of
from lucid_pipeline.lineage.retries import outage, record_attempt
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Failure

TICK_SECONDS = 1
"""Seconds between two looks, at least; the daemon itself looks every few seconds."""

_NEW = "new"
_MOST_RUNS = {_NEW: 8, AGAIN_TAG: 4, SIZE_TAG: 2}
"""Runs of a location that are queued or under way at a time: of new sessions, of those that failed before, huge ones.

Each kind has room of its own, so that none of them ever keeps the others waiting.
"""

_MOST_SESSIONS = 2000
_MOST_ENDED_RUNS = 100
_STEP_FAILURE = RunFailureReason.STEP_FAILURE.value


class StoreCheck(Protocol):
    """A question to one of the stores of a home, such as `Home.check_archive`."""

    def __call__(self, home: Home, /, *, writing: bool) -> None:
        """Raises `LucidError` while it cannot be used."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work that waits for one location."""

    leg: Leg
    checks: Sequence[StoreCheck] = ()
    """Of what its work is written to. While one fails, no run is requested."""

    def job(self) -> UnresolvedAssetJobDefinition:
        """The job of these stages."""
        stages = " and ".join(self.leg.stages)
        return define_asset_job(self.leg.job, selection=self.leg.stages, description=f"Make {stages} of sessions.")

    def sensor(self, name: str, description: str) -> SensorDefinition:
        """A sensor that does nothing but request runs for what waits."""

        @sensor(
            name=name,
            description=description,
            job_name=self.leg.job,
            minimum_interval_seconds=TICK_SECONDS,
            default_status=DefaultSensorStatus.RUNNING,
        )
        def backlog_sensor(
            context: SensorEvaluationContext, catalog: ResourceParam[Catalog], settings: ResourceParam[Settings]
        ) -> SensorResult:
            return self.tick(context.instance, catalog, settings, context.cursor)

        return backlog_sensor

    def tick(self, instance: DagsterInstance, catalog: Catalog, settings: Settings, cursor: str | None) -> SensorResult:
        """Request runs for what waits, as far as this location has not enough of them already.

        Args:
            instance: whose runs count.
            catalog: whose sessions wait.
            settings: say what is huge, and how failures are retried.
            cursor: up to when ended runs have been looked at.
        """
        partitions = partitions_of(instance)
        cursor = self._count_dead_runs(instance, catalog, settings, partitions, cursor)
        # What is in hand first: a run that ends between the two questions leaves its sessions to the next tick.
        runs = instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES))
        room = dict(_MOST_RUNS)
        for run in runs:
            if run.tags.get(BACKLOG_TAG) == self.leg.job:
                room[_lane(run.tags)] -= 1
        if max(room.values()) <= 0:
            return SensorResult(skip_reason="as many runs as there may be are under way or queued", cursor=cursor)
        taken = in_hand(instance, partitions, runs)
        waiting = catalog.waiting(standings_before(self.leg.stages), datetime.now(UTC), _MOST_SESSIONS)
        if not waiting:
            return SensorResult(skip_reason="nothing waits", cursor=cursor)
        free = {str(record.session_id): record for record in waiting if str(record.session_id) not in taken}
        unknown = partitions.add_unknown(free)
        planned = _within(room, planned_runs(self.leg, free, partitions.keys, settings))
        if not planned:
            return SensorResult(skip_reason=f"{len(waiting)} sessions wait, in hand or for their turn", cursor=cursor)
        home = Home(settings)
        if reason := outage(partial(check, home, writing=True) for check in self.checks):
            return SensorResult(skip_reason=f"{len(waiting)} sessions wait: {reason}", cursor=cursor)
        return SensorResult(
            run_requests=[_request(run) for run in planned],
            cursor=cursor,
            dynamic_partitions_requests=[SESSIONS.build_add_request(unknown)] if unknown else [],
        )

    def _count_dead_runs(
        self,
        instance: DagsterInstance,
        catalog: Catalog,
        settings: Settings,
        partitions: Partitions,
        cursor: str | None,
    ) -> str:
        """Count ended runs that left no outcome as failed attempts of their sessions; returns the cursor from now on.

        One that kills its worker would else be tried for ever, and take its neighbours along each time.
        """
        if cursor is None:
            return datetime.now(UTC).isoformat()
        ended = RunsFilter(
            statuses=[DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED],
            updated_after=datetime.fromisoformat(cursor),
        )
        records = instance.get_run_records(ended, limit=_MOST_ENDED_RUNS, order_by="update_timestamp", ascending=True)
        for record in records:
            run = record.dagster_run
            stages = self._stages_of(run)
            if not stages or STOPPED_TAG in run.tags:
                continue
            for key in partitions.of(run.tags):
                _count_dead_run(key, run, stages, catalog, settings)
        return records[-1].update_timestamp.isoformat() if records else cursor

    def _stages_of(self, run: DagsterRun) -> Sequence[str]:
        """The stages at which a session stands for which an ended run did nothing, if this location is to count it.

        A step that fails has recorded what became of each session, and leaves those that did well to the next run: so
        only who stands where the run began was left out. Whatever else ended it, it may have been at any stage.
        """
        if run.asset_selection is None:
            stages = self.leg.stages if run.job_name == self.leg.job else ()
        else:
            selected = {key.to_user_string() for key in run.asset_selection}
            stages = tuple(stage for stage in LINEAGE if stage in selected)
        if not stages or stages[0] not in self.leg.stages:
            return ()
        return stages[:1] if run.tags.get(RUN_FAILURE_REASON_TAG) == _STEP_FAILURE else stages


def _lane(tags: Mapping[str, str]) -> str:
    """Which kind of runs one belongs to."""
    return next((tag for tag in (SIZE_TAG, AGAIN_TAG) if tag in tags), _NEW)


def _within(room: Mapping[str, int], planned: Iterable[PlannedRun]) -> list[PlannedRun]:
    """As many runs of each kind as there is room for, the first of each."""
    left, chosen = dict(room), []
    for run in planned:
        lane = _lane(run.tags)
        if left[lane] > 0:
            left[lane] -= 1
            chosen.append(run)
        if max(left.values()) <= 0:
            break
    return chosen


def _request(run: PlannedRun) -> RunRequest:
    return RunRequest(
        job_name=run.leg.job,
        asset_selection=[AssetKey(stage) for stage in run.stages],
        partition_key=run.tags.get(PARTITION_TAG),
        tags=run.tags,
    )


def _count_dead_run(key: str, run: DagsterRun, stages: Sequence[str], catalog: Catalog, settings: Settings) -> None:
    try:
        session_id: UUID = parse_session_id(key)
        record = catalog.get(session_id)
    except (SessionNotFound, UsageError):
        return
    stage = next(iter(stages_left(record)), "")
    if record.failure or stage not in stages:
        return
    if run.status is DagsterRunStatus.CANCELED:
        catalog.record_failure(session_id, Failure(stage, f"its run {run.run_id} was canceled", permanent=False))
    else:
        reason = f"its run {run.run_id} ended without an outcome"
        record_attempt(catalog, session_id, stage, reason, settings, permanent=False)
