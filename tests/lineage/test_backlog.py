"""What waits gets a run, what is in hand is left in peace, and nothing is tried for ever."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from dagster import AssetKey, DagsterInstance, DagsterRunStatus, RunRequest, SensorResult
from dagster._core.test_utils import create_run_for_test

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.course.partitions import LONGEST_RANGE, PARTITIONS
from lucid_pipeline.course.runs import BACKLOG_TAG, SIZE_TAG
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.instance.processes import registered_process
from lucid_pipeline.instance.stopping import STOPPED_TAG
from lucid_pipeline.lineage.backlog import Backlog
from lucid_pipeline.lineage.retries import record_attempt
from lucid_pipeline.processor.sensors import BACKLOG as PROCESS
from lucid_pipeline.recorder.sensors import BACKLOG as RECORD
from lucid_pipeline.storage.sensors import BACKLOG as SEAL
from lucid_pipeline.stores.catalog import Failure, Stage, State
from tests.lineage.support import CAST, Lineage, home_in
from tests.servers.archives import files_only

TRANSIENT = Failure("chunks", "the disk is full", permanent=False)
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def recorded(lineage: Lineage, count: int, length: int = 1) -> list[UUID]:
    """Sessions that wait for the processor."""
    sessions = [lineage.add(b"x") for _ in range(count)]
    for session_id in sessions:
        lineage.catalog.hand_over(session_id, Stage.RECORDING, b"", State.RECORDED)
        lineage.catalog.describe(session_id, length)
    return sessions


def tick(lineage: Lineage, backlog: Backlog = PROCESS, cursor: str | None = None) -> SensorResult:
    """One tick, and what the daemon does about it first."""
    result = backlog.tick(lineage.instance, lineage.catalog, lineage.home.settings, cursor)
    for request in result.dynamic_partitions_requests or []:
        lineage.instance.add_dynamic_partitions(PARTITIONS, list(request.partition_keys))
    return result


def wanted(lineage: Lineage, result: SensorResult) -> list[list[str]]:
    """The keys of each run that was requested."""
    return [keys_of(lineage.instance, request) for request in result.run_requests or []]


def keys_of(instance: DagsterInstance, request: RunRequest) -> list[str]:
    if request.partition_key:
        return [request.partition_key]
    existing = list(instance.get_dynamic_partitions(PARTITIONS))
    return existing[existing.index(request.tags[START]) : existing.index(request.tags[END]) + 1]


def texts(*sessions: UUID) -> list[str]:
    return [str(session_id) for session_id in sessions]


def run_of(
    lineage: Lineage, status: DagsterRunStatus, *sessions: UUID, stages: Sequence[str] = PROCESS.leg.stages, **tags: str
) -> str:
    """A run that has come so far; returns its id."""
    keys = texts(*sessions)
    ends = {"dagster/partition": keys[0]} if len(keys) == 1 else {START: keys[0], END: keys[-1]}
    ended = status in (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
    run = create_run_for_test(
        lineage.instance,
        status=DagsterRunStatus.STARTED if ended else status,
        tags={**ends, **tags},
        asset_selection=frozenset(AssetKey(stage) for stage in stages),
    )
    if status is DagsterRunStatus.FAILURE:
        lineage.instance.report_run_failed(run)
    if status is DagsterRunStatus.CANCELED:
        lineage.instance.report_run_canceled(run)
    return run.run_id


def test_nothing_waits(lineage: Lineage) -> None:
    lineage.add(b"x")
    result = tick(lineage)
    assert not result.run_requests
    assert result.skip_reason


def test_what_waits_is_requested_as_one_range_with_all_stages_that_are_left(lineage: Lineage) -> None:
    sessions = recorded(lineage, 3)
    result = tick(lineage)
    [request] = result.run_requests or []
    assert wanted(lineage, result) == [texts(*sessions)]
    assert request.asset_selection == [AssetKey(CHUNKS), AssetKey(ENCRYPTED_CHUNKS)]
    assert request.tags[BACKLOG_TAG] == request.job_name == "process"
    assert SIZE_TAG not in request.tags


def test_a_session_that_is_half_done_goes_on_where_it_stands(lineage: Lineage) -> None:
    [before, half] = recorded(lineage, 2)
    lineage.catalog.hand_over(half, Stage.CHUNKS, b"", State.CHUNKED)
    result = tick(lineage)
    assert wanted(lineage, result) == [texts(half), texts(before)]
    assert [request.asset_selection for request in result.run_requests or []] == [
        [AssetKey(ENCRYPTED_CHUNKS)],
        [AssetKey(CHUNKS), AssetKey(ENCRYPTED_CHUNKS)],
    ]


def test_a_range_never_takes_a_session_that_does_not_wait(lineage: Lineage) -> None:
    sessions = recorded(lineage, 5)
    lineage.catalog.record_failure(sessions[2], TRANSIENT)
    assert wanted(lineage, tick(lineage)) == [texts(*sessions[:2]), texts(*sessions[3:])]


@pytest.mark.parametrize(
    "status",
    [DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING],
)
def test_what_a_run_has_in_hand_is_not_requested_again(lineage: Lineage, status: DagsterRunStatus) -> None:
    sessions = recorded(lineage, 5)
    run_of(lineage, status, *sessions[:2], stages=LINEAGE)
    run_of(lineage, status, sessions[3], stages=[RECORDING])
    assert wanted(lineage, tick(lineage)) == [texts(sessions[2]), texts(sessions[4])]


def test_what_another_process_has_claimed_is_not_requested_while_it_lives(lineage: Lineage) -> None:
    sessions = recorded(lineage, 3)
    with registered_process(lineage.instance, Path(lineage.instance.root_directory)) as process:
        process.claim(texts(*sessions))
        process.claim(texts(sessions[1]))
        assert wanted(lineage, tick(lineage)) == [texts(sessions[0]), texts(sessions[2])]
    assert wanted(lineage, tick(lineage)) == [texts(*sessions)]


def test_what_an_ended_run_left_undone_is_requested_again(lineage: Lineage) -> None:
    sessions = recorded(lineage, 2)
    run_of(lineage, DagsterRunStatus.SUCCESS, *sessions)
    assert wanted(lineage, tick(lineage)) == [texts(*sessions)]


def test_a_location_has_so_many_runs_at_once_and_no_more(lineage: Lineage) -> None:
    sessions = recorded(lineage, 9 * LONGEST_RANGE)
    first = wanted(lineage, tick(lineage))
    assert [len(keys) for keys in first] == [LONGEST_RANGE] * 8
    for keys in first[:7]:
        run_of(lineage, DagsterRunStatus.STARTING, *map(UUID, keys), **{BACKLOG_TAG: "process"})
    assert wanted(lineage, tick(lineage)) == first[7:]
    run_of(lineage, DagsterRunStatus.STARTING, sessions[-1], **{BACKLOG_TAG: "process"})
    assert not tick(lineage).run_requests
    run_of(lineage, DagsterRunStatus.STARTING, sessions[-1], **{BACKLOG_TAG: "seal"})
    assert not tick(lineage).run_requests


def test_a_huge_session_runs_alone_behind_all_others_and_under_a_limit(lineage: Lineage) -> None:
    sessions = recorded(lineage, 3)
    lineage.catalog.describe(sessions[1], lineage.home.settings.huge_bytes)
    result = tick(lineage)
    assert wanted(lineage, result) == [texts(session_id) for session_id in sessions]
    tags = [request.tags for request in result.run_requests or []]
    assert [tag.get(SIZE_TAG) for tag in tags] == [None, "huge", None]
    assert int(tags[1]["dagster/priority"]) < min(int(tags[0]["dagster/priority"]), int(tags[2]["dagster/priority"]))


def test_small_sessions_wait_neither_for_huge_ones_nor_for_those_that_failed(lineage: Lineage) -> None:
    huge, failed, small = recorded(lineage, 12), recorded(lineage, 12), recorded(lineage, 3)
    for session_id in huge:
        lineage.catalog.describe(session_id, lineage.home.settings.huge_bytes)
    for session_id in failed:
        lineage.catalog.record_failure(session_id, TRANSIENT)
        lineage.catalog.hand_over(session_id, Stage.RECORDING, b"", State.RECORDED)
    first = wanted(lineage, tick(lineage))
    assert [keys for keys in first if len(keys) > 1] == [
        texts(*small),
        texts(*failed[:10]),
        texts(*failed[10:]),
    ]
    assert len(first) == 2 + 2 + 1
    for keys, tags in zip(first, ({SIZE_TAG: "huge"}, {SIZE_TAG: "huge"}), strict=False):
        run_of(lineage, DagsterRunStatus.STARTING, *map(UUID, keys), **{BACKLOG_TAG: "process", **tags})
    assert wanted(lineage, tick(lineage)) == first[2:]


def test_a_run_has_a_bounded_number_of_bytes(lineage: Lineage) -> None:
    sessions = recorded(lineage, 5, length=100 * MIB)
    assert wanted(lineage, tick(lineage)) == [texts(*sessions[:2]), texts(*sessions[2:4]), texts(sessions[4])]


def test_a_failed_session_is_tried_again_alone_when_its_time_has_come(lineage: Lineage) -> None:
    sessions = recorded(lineage, 4)
    now = datetime.now(UTC)
    for session_id, retry_at in zip(sessions, (now, now + timedelta(hours=1), None, now), strict=True):
        lineage.catalog.hand_over(session_id, Stage.CHUNKS, b"", State.CHUNKED)
        lineage.catalog.record_failure(session_id, replace(TRANSIENT, retry_at=retry_at))
    assert wanted(lineage, tick(lineage)) == [texts(sessions[0]), texts(sessions[3])]


def test_a_retry_begins_one_stage_before_the_one_that_failed_in_whichever_location(lineage: Lineage) -> None:
    [session_id] = recorded(lineage, 1)
    lineage.catalog.hand_over(session_id, Stage.ENCRYPTED_CHUNKS, b"", State.ENCRYPTED)
    assert wanted(lineage, tick(lineage, SEAL)) == [texts(session_id)]
    lineage.catalog.record_failure(session_id, replace(TRANSIENT, retry_at=datetime.now(UTC)))
    assert not tick(lineage, SEAL).run_requests
    [request] = tick(lineage).run_requests or []
    assert (request.partition_key, request.asset_selection) == (str(session_id), [AssetKey(ENCRYPTED_CHUNKS)])


def test_a_session_that_dagster_has_forgotten_becomes_a_partition_again(lineage: Lineage) -> None:
    known, forgotten = recorded(lineage, 2)
    lineage.instance.delete_dynamic_partition(PARTITIONS, str(forgotten))
    result = tick(lineage)
    assert wanted(lineage, result) == [texts(known, forgotten)]
    assert lineage.instance.get_dynamic_partitions(PARTITIONS) == texts(known, forgotten)


def test_a_run_that_died_is_a_failed_attempt_of_its_sessions_and_counts_once(lineage: Lineage) -> None:
    cursor = tick(lineage).cursor
    sessions = recorded(lineage, 4)
    lineage.catalog.hand_over(sessions[1], Stage.CHUNKS, b"", State.CHUNKED)
    lineage.catalog.hand_over(sessions[2], Stage.ENCRYPTED_CHUNKS, b"", State.ENCRYPTED)
    run_id = run_of(lineage, DagsterRunStatus.FAILURE, *sessions)
    for _ in range(3):
        cursor = tick(lineage, cursor=cursor).cursor
    first, halfway, done, last = map(lineage.record, sessions)
    assert (done.failure, done.attempts) == (None, 0)
    for record, stage in ((first, CHUNKS), (halfway, ENCRYPTED_CHUNKS), (last, CHUNKS)):
        assert record.attempts == 1
        assert record.failure
        assert record.failure.stage == stage
        assert run_id in record.failure.reason
        assert record.failure.retry_at


def test_who_did_well_in_a_batch_that_failed_goes_on_as_if_nothing_had_been(lineage: Lineage) -> None:
    cursor = tick(lineage).cursor
    left_out, well = recorded(lineage, 2)
    lineage.catalog.hand_over(well, Stage.CHUNKS, b"", State.CHUNKED)
    run_of(lineage, DagsterRunStatus.FAILURE, left_out, well, **{"dagster/failure_reason": "STEP_FAILURE"})
    assert wanted(lineage, tick(lineage, cursor=cursor)) == [texts(well)]
    assert (lineage.record(left_out).attempts, lineage.record(well).attempts) == (1, 0)


def test_however_often_a_session_has_failed_its_next_failure_is_recorded(lineage: Lineage) -> None:
    [session_id] = recorded(lineage, 1)
    settings = home_in(lineage.home.settings.home, retries=20, retry_seconds=86_400).settings
    for _ in range(30):
        failure = record_attempt(lineage.catalog, session_id, CHUNKS, "the disk is full", settings, permanent=False)
    assert failure.retry_at is None
    assert lineage.record(session_id).attempts == 30


def test_a_session_that_kills_its_worker_every_time_ends_in_quarantine(lineage: Lineage) -> None:
    cursor = tick(lineage).cursor
    [session_id] = recorded(lineage, 1)
    for _ in range(lineage.home.settings.retries):
        run_of(lineage, DagsterRunStatus.FAILURE, session_id)
        cursor = tick(lineage, cursor=cursor).cursor
        failure = lineage.record(session_id).failure
        assert failure
        assert failure.retry_at
        lineage.catalog.hand_over(session_id, Stage.RECORDING, b"", State.RECORDED)
    run_of(lineage, DagsterRunStatus.FAILURE, session_id)
    tick(lineage, cursor=cursor)
    failure = lineage.record(session_id).failure
    assert failure
    assert failure.retry_at is None


def test_an_outcome_that_is_known_is_not_counted_again(lineage: Lineage) -> None:
    cursor = tick(lineage).cursor
    [session_id] = recorded(lineage, 1)
    lineage.catalog.record_failure(session_id, TRANSIENT)
    known = lineage.record(session_id)
    run_of(lineage, DagsterRunStatus.FAILURE, session_id)
    tick(lineage, cursor=cursor)
    assert lineage.record(session_id) == known


def test_a_run_that_a_person_cancels_is_not_started_again(lineage: Lineage) -> None:
    cursor = tick(lineage).cursor
    [session_id] = recorded(lineage, 1)
    run_of(lineage, DagsterRunStatus.CANCELED, session_id)
    assert not tick(lineage, cursor=cursor).run_requests
    failure = lineage.record(session_id).failure
    assert failure
    assert "canceled" in failure.reason
    assert failure.retry_at is None


def test_a_run_that_ended_with_lucid_is_nobodys_fault(lineage: Lineage) -> None:
    cursor = tick(lineage).cursor
    [session_id] = recorded(lineage, 1)
    run_of(lineage, DagsterRunStatus.CANCELED, session_id, **{STOPPED_TAG: "true"})
    assert wanted(lineage, tick(lineage, cursor=cursor)) == [texts(session_id)]
    assert lineage.record(session_id).attempts == 0


@files_only
@pytest.mark.parametrize("store", ["archive", "keystore"])
def test_while_a_store_is_away_no_run_is_requested_that_could_only_fail(store: str, lineage: Lineage) -> None:
    sessions = recorded(lineage, 2)
    folder = lineage.home.settings.home / store
    folder.rename(folder.with_suffix(".away"))
    result = tick(lineage)
    assert not result.run_requests
    assert f"2 sessions wait: the {store} cannot be used: " in str(result.skip_reason)
    folder.with_suffix(".away").rename(folder)
    assert wanted(lineage, tick(lineage)) == [texts(*sessions)]


@files_only
def test_recordings_are_taken_in_while_a_store_is_away(lineage: Lineage) -> None:
    session_id = lineage.add(b"x")
    for store in ("archive", "keystore"):
        (lineage.home.settings.home / store).rmdir()
    assert wanted(lineage, tick(lineage, RECORD)) == [texts(session_id)]


def test_runs_of_other_locations_and_of_unknown_partitions_are_passed_over(lineage: Lineage) -> None:
    cursor = tick(lineage).cursor
    sessions = recorded(lineage, 2)
    run_of(lineage, DagsterRunStatus.FAILURE, sessions[0], stages=[MERKLE_TREE, MANIFEST])
    for key in ("../../etc/passwd", "01a207bc-8e74-7669-8629-8a4d73c7c432"):
        for status in (DagsterRunStatus.FAILURE, DagsterRunStatus.STARTED):
            create_run_for_test(
                lineage.instance, status=status, tags={START: key, END: key}, asset_selection={AssetKey(CHUNKS)}
            )
            create_run_for_test(
                lineage.instance, status=status, tags={"dagster/partition": key}, asset_selection={AssetKey(CHUNKS)}
            )
    assert wanted(lineage, tick(lineage, cursor=cursor)) == [texts(*sessions)]


def test_one_bad_recording_of_fifty_leaves_forty_nine_sealed(lineage: Lineage) -> None:
    sessions = [lineage.land(CAST) for _ in range(50)]
    bad = sessions.pop(20)
    lineage.path(bad).unlink()
    for backlog in (RECORD, PROCESS, SEAL):
        for request in tick(lineage, backlog).run_requests or []:
            for stage in backlog.leg.stages:
                lineage.materialize(stage, *keys_of(lineage.instance, request))
    assert {lineage.record(session_id).state for session_id in sessions} == {State.SEALED}
    failure = lineage.record(bad).failure
    assert failure
    assert failure.retry_at is None
    assert not any(tick(lineage, backlog).run_requests for backlog in (RECORD, PROCESS, SEAL))
