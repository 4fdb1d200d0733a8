"""Plaintext goes soon after its session is sealed, and nobody has to ask for it."""

from collections.abc import Iterator
from typing import Any

import pytest
from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    RunRequest,
    SkipReason,
    build_sensor_context,
    in_process_executor,
)
from dagster._core.test_utils import create_run_for_test, instance_for_test

from lucid_pipeline.recorder.clean_up import clean_up
from lucid_pipeline.recorder.definitions import ASSETS
from lucid_pipeline.recorder.removals import recordings_to_remove
from lucid_pipeline.resources.opened import recorder_resources
from tests.lineage.support import CAST, Stages, home_in


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with instance_for_test() as instance:
        yield instance


def tick(stages: Stages, instance: DagsterInstance, **settings: Any) -> object:
    home = home_in(stages.home.settings.home, **settings)
    resources = {"catalog": stages.catalog, "settings": home.settings}
    with build_sensor_context(instance=instance, resources=resources) as context:
        return recordings_to_remove(context)


def reason(outcome: object) -> str:
    assert isinstance(outcome, SkipReason)
    return outcome.skip_message or ""


def run(stages: Stages, instance: DagsterInstance, request: object) -> bool:
    assert isinstance(request, RunRequest)
    definitions = Definitions(
        assets=ASSETS, jobs=[clean_up], resources=recorder_resources(stages.home), executor=in_process_executor
    )
    return (
        definitions.resolve_job_def("clean_up")
        .execute_in_process(
            instance=instance,
            tags=request.tags,
            run_config={**request.run_config, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        .success
    )


def test_a_recording_is_removed_once_its_session_is_sealed(stages: Stages, instance: DagsterInstance) -> None:
    waiting, sealed, kept = (
        stages.land(CAST + b"%d" % release, release=release, landed=True) for release in (True, True, False)
    )
    stages.archive(sealed, kept)
    path = stages.path(sealed)
    assert run(stages, instance, tick(stages, instance))
    assert not path.exists()
    assert stages.path(waiting).exists()
    assert stages.path(kept).exists()
    assert "no recording is due" in reason(tick(stages, instance))


def test_one_run_at_a_time(stages: Stages, instance: DagsterInstance) -> None:
    stages.archive(stages.land(CAST, release=True, landed=True))
    under_way = create_run_for_test(instance, job_name="clean_up", status=DagsterRunStatus.STARTED)
    assert "being removed" in reason(tick(stages, instance))
    instance.report_run_failed(under_way)
    assert isinstance(tick(stages, instance), RunRequest)


def test_what_cannot_be_removed_is_not_tried_all_the_time(stages: Stages, instance: DagsterInstance) -> None:
    session_id = stages.land(CAST, release=True, landed=True)
    stages.archive(session_id)
    [chunk] = stages.object_path(f"sessions/{session_id}/chunks").iterdir()
    chunk.unlink()
    assert not run(stages, instance, tick(stages, instance))
    assert stages.path(session_id).exists()
    assert "no recording is due" in reason(tick(stages, instance))


def test_whoever_keeps_recordings_is_not_asked(stages: Stages, instance: DagsterInstance) -> None:
    stages.archive(stages.land(CAST, release=True, landed=True))
    assert "LUCID_KEEP_LANDING" in reason(tick(stages, instance, keep_landing=True))
