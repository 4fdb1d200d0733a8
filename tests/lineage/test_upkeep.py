"""Work by the clock: by the host's clock, and never twice at once."""

from pathlib import Path

import pytest
from dagster import (
    DagsterRunStatus,
    DefaultScheduleStatus,
    RunRequest,
    SkipReason,
    build_schedule_context,
    job,
)
from dagster._core.test_utils import create_run_for_test, instance_for_test

from lucid_pipeline.lineage import upkeep
from lucid_pipeline.lineage.upkeep import by_the_clock, host_time_zone
from lucid_pipeline.processor.definitions import defs as processor
from lucid_pipeline.recorder.definitions import defs as recorder
from lucid_pipeline.storage.definitions import defs as storage


@pytest.mark.parametrize(
    ("variable", "link", "expected"),
    [
        ("Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"),
        (":Europe/Berlin", "Asia/Tokyo", "Europe/Berlin"),
        ("", "Asia/Tokyo", "Asia/Tokyo"),
        (None, "Asia/Tokyo", "Asia/Tokyo"),
        ("No/Such_Place", "Asia/Tokyo", "Asia/Tokyo"),
        ("../../etc/passwd", "Asia/Tokyo", "Asia/Tokyo"),
        (None, None, "UTC"),
    ],
)
def test_the_clock_is_the_hosts(
    variable: str | None, link: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    if variable is not None:
        monkeypatch.setenv("TZ", variable)
    local_time = tmp_path / "localtime"
    if link:
        local_time.symlink_to(f"/usr/share/zoneinfo/{link}")
    monkeypatch.setattr(upkeep, "_LOCAL_TIME", local_time)
    assert host_time_zone() == expected


@job
def work() -> None:
    """Nothing."""


def test_nothing_starts_while_the_last_run_is_under_way() -> None:
    schedule = by_the_clock("work_nightly", "0 1 * * *", work, "Works.")
    with instance_for_test() as instance:

        def tick() -> object:
            with build_schedule_context(instance=instance) as context:
                return schedule(context)

        assert isinstance(tick(), RunRequest)
        create_run_for_test(instance, job_name="other", status=DagsterRunStatus.STARTED)
        create_run_for_test(instance, job_name=work.name, status=DagsterRunStatus.SUCCESS)
        assert isinstance(tick(), RunRequest)
        for status in (DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING):
            run = create_run_for_test(instance, job_name=work.name, status=status)
            assert isinstance(tick(), SkipReason)
            instance.delete_run(run.run_id)


@pytest.mark.parametrize("definitions", [recorder, processor, storage])
def test_every_schedule_is_on_and_goes_by_the_hosts_clock(definitions: object) -> None:
    schedules = list(definitions.schedules or [])  # type: ignore[attr-defined]
    assert schedules
    for schedule in schedules:
        assert schedule.default_status is DefaultScheduleStatus.RUNNING
        assert schedule.execution_timezone == host_time_zone()
        assert schedule.description
