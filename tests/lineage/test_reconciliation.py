"""What is sealed and not shown is told to Dagster: after a kill, and after its whole folder was deleted."""

from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import pytest
from dagster import (
    AssetKey,
    AssetMaterialization,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    RunRequest,
    SkipReason,
    build_schedule_context,
    in_process_executor,
)
from dagster._core.test_utils import create_run_for_test, instance_for_test

from lucid_pipeline.course.partitions import PARTITIONS
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.instance.processes import registered_process
from lucid_pipeline.lineage import reconciliation
from lucid_pipeline.lineage.stages import upstream
from lucid_pipeline.processor.definitions import ASSETS as PROCESSOR_ASSETS
from lucid_pipeline.processor.schedules import RECONCILIATION as PROCESSOR
from lucid_pipeline.recorder.definitions import ASSETS as RECORDER_ASSETS
from lucid_pipeline.recorder.schedules import RECONCILIATION as RECORDER
from lucid_pipeline.resources.opened import processor_resources, recorder_resources, storage_resources
from lucid_pipeline.storage.definitions import ASSETS as STORAGE_ASSETS
from lucid_pipeline.storage.schedules import RECONCILIATION as STORAGE
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import Lineage, Stages
from tests.support import noise

LOCATIONS = [
    (RECORDER, RECORDER_ASSETS, [], recorder_resources),
    (PROCESSOR, PROCESSOR_ASSETS, [upstream(RECORDING)], processor_resources),
    (STORAGE, STORAGE_ASSETS, [upstream(ENCRYPTED_CHUNKS)], storage_resources),
]
START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def sealed(stages: Stages, count: int) -> list[UUID]:
    """Sessions that Dagster has never heard of."""
    sessions = [stages.land(noise(100, seed), release=True) for seed in range(count)]
    for stage in LINEAGE:
        assert stages.call(stage, *sessions) is None
    return sessions


def keys_of(instance: DagsterInstance, requests: Sequence[RunRequest]) -> list[list[str]]:
    """The keys of each run that was requested."""
    existing = list(instance.get_dynamic_partitions(PARTITIONS))
    return [
        [request.partition_key]
        if request.partition_key
        else existing[existing.index(request.tags[START]) : existing.index(request.tags[END]) + 1]
        for request in requests
    ]


def texts(*sessions: UUID) -> list[str]:
    return [str(session_id) for session_id in sessions]


def tell(instance: DagsterInstance, stages: Sequence[str], *sessions: UUID) -> None:
    """Let Dagster know, as a run would have."""
    for stage in stages:
        for session_id in sessions:
            event = AssetMaterialization(AssetKey(stage), partition=str(session_id))
            instance.report_runless_asset_event(event)


@pytest.fixture
def known(lineage: Lineage) -> list[UUID]:
    """Sealed sessions, of which the instance has the partitions."""
    sessions = sealed(lineage, 5)
    lineage.instance.add_dynamic_partitions(PARTITIONS, texts(*sessions))
    return sessions


def test_a_folder_of_dagsters_that_was_deleted_comes_back_by_itself(stages: Stages) -> None:
    sessions = sealed(stages, 3)
    for session_id in sessions:
        stages.path(session_id).unlink()
    before = stages.objects()
    with instance_for_test() as instance:
        for reconcile, assets, upstreams, resources in LOCATIONS:
            definitions = Definitions(
                assets=[*upstreams, *assets],
                jobs=[reconcile.job()],
                schedules=[reconcile.schedule()],
                resources=resources(stages.home),
                executor=in_process_executor,
            )
            with build_schedule_context(
                instance=instance,
                resources={"catalog": stages.catalog},
                repository_def=definitions.get_repository_def(),
            ) as context:
                [request] = (
                    definitions.resolve_schedule_def(f"{reconcile.name}_hourly").evaluate_tick(context).run_requests
                )
                assert keys_of(instance, [request]) == [texts(*sessions)]
                job = definitions.resolve_job_def(reconcile.name)
                assert job.execute_in_process(instance=instance, tags=request.tags, run_config=QUIET).success
                tick = definitions.resolve_schedule_def(f"{reconcile.name}_hourly").evaluate_tick(context)
                assert not tick.run_requests
                assert "all that is sealed" in (tick.skip_message or "")
        for stage in LINEAGE:
            assert instance.get_materialized_partitions(AssetKey(stage)) == set(texts(*sessions))
    assert stages.objects() == before
    assert all(stages.record(session_id).state is State.SEALED for session_id in sessions)


def test_nothing_is_requested_for_what_dagster_knows(lineage: Lineage, known: list[UUID]) -> None:
    tell(lineage.instance, PROCESSOR.stages, *known)
    assert PROCESSOR.requests(lineage.instance, lineage.catalog) == []


@pytest.mark.parametrize("stage", [CHUNKS, ENCRYPTED_CHUNKS])
def test_one_stage_that_was_not_logged_is_enough(lineage: Lineage, known: list[UUID], stage: str) -> None:
    tell(lineage.instance, PROCESSOR.stages, *known[:2], *known[3:])
    tell(lineage.instance, {CHUNKS, ENCRYPTED_CHUNKS} - {stage}, known[2])
    [request] = PROCESSOR.requests(lineage.instance, lineage.catalog)
    assert request.partition_key == str(known[2])


def test_between_two_that_are_missing_all_are_told_once_more(lineage: Lineage, known: list[UUID]) -> None:
    tell(lineage.instance, STORAGE.stages, known[0], known[2], known[4])
    requests = STORAGE.requests(lineage.instance, lineage.catalog)
    assert keys_of(lineage.instance, requests) == [texts(*known[1:4])]


def test_what_is_not_sealed_is_left_to_the_sensors(lineage: Lineage) -> None:
    first, last = sealed(lineage, 2)
    unfinished = lineage.land(noise(100))
    for stage in (RECORDING, CHUNKS, ENCRYPTED_CHUNKS, MERKLE_TREE):
        assert lineage.call(stage, unfinished) is None
    lineage.instance.add_dynamic_partitions(PARTITIONS, texts(first, unfinished, last))
    requests = PROCESSOR.requests(lineage.instance, lineage.catalog)
    assert keys_of(lineage.instance, requests) == [texts(first), texts(last)]


def test_a_range_never_takes_in_a_session_between_old_partitions_and_new_ones(lineage: Lineage) -> None:
    first, last = sealed(lineage, 2)
    lineage.instance.add_dynamic_partitions(PARTITIONS, texts(first))
    requests = PROCESSOR.requests(lineage.instance, lineage.catalog)
    assert keys_of(lineage.instance, requests) == [texts(first), texts(last)]


def test_what_a_run_or_a_process_has_in_hand_is_left_to_it(lineage: Lineage, known: list[UUID]) -> None:
    create_run_for_test(
        lineage.instance, status=DagsterRunStatus.STARTED, tags={START: str(known[0]), END: str(known[1])}
    )
    with registered_process(lineage.instance, Path(lineage.instance.root_directory)) as process:
        process.claim(texts(known[2]))
        requests = STORAGE.requests(lineage.instance, lineage.catalog)
    assert keys_of(lineage.instance, requests) == [texts(*known[3:])]


def test_an_hour_has_a_bounded_number_of_bounded_runs(
    lineage: Lineage, known: list[UUID], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "_LONGEST", 2)
    monkeypatch.setattr(reconciliation, "_MOST_RUNS", 2)
    requests = STORAGE.requests(lineage.instance, lineage.catalog)
    assert keys_of(lineage.instance, requests) == [texts(*known[:2]), texts(*known[2:4])]


def test_no_more_partitions_are_added_than_an_hour_requests(lineage: Lineage, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = sealed(lineage, 5)
    monkeypatch.setattr(reconciliation, "_LONGEST", 2)
    monkeypatch.setattr(reconciliation, "_MOST_RUNS", 2)
    STORAGE.requests(lineage.instance, lineage.catalog)
    assert lineage.instance.get_dynamic_partitions(PARTITIONS) == texts(*sessions[:4])


def test_a_reconciliation_that_takes_long_is_not_started_again(stages: Stages) -> None:
    sealed(stages, 1)
    definitions = Definitions(
        assets=[upstream(ENCRYPTED_CHUNKS), *STORAGE_ASSETS],
        jobs=[STORAGE.job()],
        schedules=[STORAGE.schedule()],
        resources=storage_resources(stages.home),
    )
    with instance_for_test() as instance:
        create_run_for_test(instance, job_name=STORAGE.name, status=DagsterRunStatus.STARTED)
        with build_schedule_context(instance=instance, resources={"catalog": stages.catalog}) as context:
            assert isinstance(definitions.resolve_schedule_def("reconcile_seal_hourly")(context), SkipReason)


def test_the_metadata_says_that_nothing_was_made(lineage: Lineage, known: list[UUID]) -> None:
    assert lineage.materialize(MANIFEST, *known).success
    assert lineage.metadata(MANIFEST, known[0])["already_sealed"] is True
