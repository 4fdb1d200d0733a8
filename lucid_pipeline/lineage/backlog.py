"""What waits for the stages of a location, and the runs that take it on.

The catalog says where each session stands; Dagster's unfinished runs, and claims of processes such as `lucid archive`,
say which sessions are in hand. What waits and is in nobody's hand gets a run. So nothing is lost between two ticks,
whatever dies, and nothing waits behind a bad session: that one has a failure, and its own time to be tried again.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
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
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    PRIORITY_TAG,
    RUN_FAILURE_REASON_TAG,
)

from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.errors import SessionNotFound, UsageError
from lucid_pipeline.instance.processes import claimed_partitions
from lucid_pipeline.instance.stopping import STOPPED_TAG
from lucid_pipeline.lineage.partitions import LONGEST_RANGE, PARTITIONS, SESSIONS, contiguous_ranges
from lucid_pipeline.lineage.progress import stages_left, standings_before
from lucid_pipeline.lineage.retries import record_attempt
from lucid_pipeline.lineage.stages import LINEAGE
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Failure, SessionRecord

SIZE_TAG = "lucid/size"
HUGE = "huge"
BACKLOG_TAG = "lucid/backlog"
AGAIN_TAG = "lucid/again"
"""On a run of a session that has failed before."""

TICK_SECONDS = 1
"""Seconds between two looks, at least; the daemon itself looks every few seconds."""

_NEW = "new"
_MOST_RUNS = {_NEW: 8, AGAIN_TAG: 4, SIZE_TAG: 2}
"""Runs of a location that are queued or under way at a time: of new sessions, of those that failed before, huge ones.

Each kind has room of its own, so that none of them ever keeps the others waiting.
"""

_FEW = 10
_MOST_SESSIONS = 2000
_MOST_ENDED_RUNS = 100
_STEP_FAILURE = RunFailureReason.STEP_FAILURE.value
_LOW = -10


@dataclass(frozen=True, slots=True)
class Backlog:
    """The work that waits for one location.

    `name` is the name of the job that has its stages, `stages` their asset keys in the order of the lineage.
    """

    name: str
    stages: tuple[str, ...]

    def job(self) -> UnresolvedAssetJobDefinition:
        """The job of these stages."""
        stages = " and ".join(self.stages)
        return define_asset_job(self.name, selection=list(self.stages), description=f"Make {stages} of sessions.")

    def sensor(self, name: str, description: str) -> SensorDefinition:
        """A sensor that does nothing but request runs for what waits."""

        @sensor(
            name=name,
            description=description,
            job_name=self.name,
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
        partitions = Partitions(instance)
        cursor = self._count_dead_runs(instance, catalog, settings, partitions, cursor)
        # What is in hand first: a run that ends between the two questions leaves its sessions to the next tick.
        runs = instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES))
        room = dict(_MOST_RUNS)
        for run in runs:
            if run.tags.get(BACKLOG_TAG) == self.name:
                room[_lane(run.tags)] -= 1
        if max(room.values()) <= 0:
            return SensorResult(skip_reason="as many runs as there may be are under way or queued", cursor=cursor)
        in_hand = partitions.in_hand(runs)
        waiting = catalog.waiting(standings_before(self.stages), datetime.now(UTC), _MOST_SESSIONS)
        if not waiting:
            return SensorResult(skip_reason="nothing waits", cursor=cursor)
        free = {str(record.session_id): record for record in waiting if str(record.session_id) not in in_hand}
        unknown = partitions.add_unknown(free)
        requests = _within(room, self._requests(free, partitions.keys, settings))
        if not requests:
            return SensorResult(skip_reason=f"{len(waiting)} sessions wait, in hand or for their turn", cursor=cursor)
        return SensorResult(
            run_requests=requests,
            cursor=cursor,
            dynamic_partitions_requests=[SESSIONS.build_add_request(unknown)] if unknown else [],
        )

    def _requests(
        self, free: Mapping[str, SessionRecord], existing: Sequence[str], settings: Settings
    ) -> Iterator[RunRequest]:
        """Runs for the sessions that are nearest to their end first; of these, the oldest first."""
        own = {
            key: (tuple(stage for stage in stages_left(record) if stage in self.stages), record.attempts > 0)
            for key, record in free.items()
        }
        for kind in sorted(set(own.values()), key=lambda kind: (len(kind[0]), kind[1])):
            weights = {key: _weight(free[key], settings) for key in free if own[key] == kind}
            for batch in contiguous_ranges(existing, weights, LONGEST_RANGE, settings.huge_bytes):
                yield self._request(batch, kind[0], free[batch[0]], settings)

    def _request(
        self, batch: Sequence[str], stages: Sequence[str], first: SessionRecord, settings: Settings
    ) -> RunRequest:
        tags = {BACKLOG_TAG: self.name, PRIORITY_TAG: str(LINEAGE.index(stages[0]))}
        if first.attempts:
            tags |= {AGAIN_TAG: "true"}
        if _is_huge(first, settings):
            tags |= {SIZE_TAG: HUGE, PRIORITY_TAG: str(_LOW)}
        alone = len(batch) == 1
        if not alone:
            tags |= {ASSET_PARTITION_RANGE_START_TAG: batch[0], ASSET_PARTITION_RANGE_END_TAG: batch[-1]}
        return RunRequest(
            job_name=self.name,
            asset_selection=[AssetKey(stage) for stage in stages],
            partition_key=batch[0] if alone else None,
            tags=tags,
        )

    def _count_dead_runs(
        self,
        instance: DagsterInstance,
        catalog: Catalog,
        settings: Settings,
        partitions: "Partitions",
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
            for key in partitions.of(run):
                _count_dead_run(key, run, stages, catalog, settings)
        return records[-1].update_timestamp.isoformat() if records else cursor

    def _stages_of(self, run: DagsterRun) -> Sequence[str]:
        """The stages at which a session stands for which an ended run did nothing, if this location is to count it.

        A step that fails has recorded what became of each session, and leaves those that did well to the next run: so
        only who stands where the run began was left out. Whatever else ended it, it may have been at any stage.
        """
        if run.asset_selection is None:
            stages = self.stages if run.job_name == self.name else ()
        else:
            selected = {key.to_user_string() for key in run.asset_selection}
            stages = tuple(stage for stage in LINEAGE if stage in selected)
        if not stages or stages[0] not in self.stages:
            return ()
        return stages[:1] if run.tags.get(RUN_FAILURE_REASON_TAG) == _STEP_FAILURE else stages


class Partitions:
    """The partition keys of an instance, read when they are first asked for."""

    def __init__(self, instance: DagsterInstance) -> None:
        self._instance = instance
        self._keys: list[str] | None = None
        self._places: dict[str, int] = {}

    @property
    def keys(self) -> Sequence[str]:
        """All keys, in the order of their definition."""
        if self._keys is None:
            self._keys = list(self._instance.get_dynamic_partitions(PARTITIONS))
            self._places = {key: place for place, key in enumerate(self._keys)}
        return self._keys

    def of(self, run: DagsterRun) -> Sequence[str]:
        """The partitions that a run is about."""
        if alone := run.tags.get(PARTITION_NAME_TAG):
            return [alone]
        ends = [run.tags.get(ASSET_PARTITION_RANGE_START_TAG), run.tags.get(ASSET_PARTITION_RANGE_END_TAG)]
        keys = self.keys
        if not all(end in self._places for end in ends):
            return []
        first, last = (self._places[str(end)] for end in ends)
        return keys[first : last + 1]

    def in_hand(self, runs: Iterable[DagsterRun]) -> set[str]:
        """The partitions that runs are about, and those that living processes have claimed."""
        claimed = claimed_partitions(Path(self._instance.root_directory))
        return claimed.union(*(self.of(run) for run in runs))

    def add_unknown(self, wanted: Collection[str]) -> list[str]:
        """Put those keys behind all others that are not there yet, as a request will; returns them."""
        keys = self.keys
        unknown = [key for key in wanted if key not in self._places]
        self._keys = [*keys, *unknown]
        return unknown


def _lane(tags: Mapping[str, str]) -> str:
    """Which kind of runs one belongs to."""
    return next((tag for tag in (SIZE_TAG, AGAIN_TAG) if tag in tags), _NEW)


def _within(room: Mapping[str, int], requests: Iterable[RunRequest]) -> list[RunRequest]:
    """As many requests of each kind as there is room for, the first of each."""
    left, chosen = dict(room), []
    for request in requests:
        lane = _lane(request.tags)
        if left[lane] > 0:
            left[lane] -= 1
            chosen.append(request)
        if max(left.values()) <= 0:
            break
    return chosen


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


def _weight(record: SessionRecord, settings: Settings) -> int:
    """What a session adds to a run, in bytes: too much for any other beside it, if it is huge or has failed twice.

    After its first failure it has few beside it: most of a run that died are not to blame, and soon done.
    """
    if record.attempts > 1 or _is_huge(record, settings):
        return settings.huge_bytes + 1
    return max(record.length or 0, settings.huge_bytes // _FEW if record.attempts else 0)


def _is_huge(record: SessionRecord, settings: Settings) -> bool:
    return (record.length or 0) >= settings.huge_bytes
