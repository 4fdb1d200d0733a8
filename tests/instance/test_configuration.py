"""`dagster.yaml`: valid for Dagster, written once, its operator's from then on."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance
from dagster._core.instance.config import dagster_instance_config
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._core.storage.noop_compute_log_manager import NoOpComputeLogManager

from lucid_pipeline.instance.configuration import OURS, is_ours
from lucid_pipeline.instance.launcher import WatchedRunLauncher
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.instance.storage import PooledEventLog

FORMERLY = """\
# Dagster's settings for this home. Lucid wrote this file once, and leaves it as it is from then on.
telemetry:
  enabled: false  # nothing about sessions leaves this machine
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DagsterInstance]:
    """As Dagster's own processes open it."""
    with open_instance(tmp_path):
        pass
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with DagsterInstance.get() as instance:
        yield instance


def test_dagster_takes_it(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(OURS)
    dagster_instance_config(str(tmp_path))


def test_it_says_what_lucid_relies_on(instance: DagsterInstance, tmp_path: Path) -> None:
    assert isinstance(instance.event_log_storage, PooledEventLog)
    assert Path(instance.event_log_storage.path_for_shard("a")) == tmp_path / "history" / "runs" / "a.db"
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    assert isinstance(instance.compute_log_manager, NoOpComputeLogManager)
    assert instance.run_monitoring_enabled
    assert not instance.run_retries_enabled
    assert not instance.telemetry_enabled

    coordinator = instance.run_coordinator
    assert isinstance(coordinator, QueuedRunCoordinator)
    assert coordinator.dequeue_interval_seconds == 1
    queue = coordinator.get_run_queue_config()
    assert queue.max_concurrent_runs == 4
    assert queue.tag_concurrency_limits == [
        {"key": "lucid/size", "value": "huge", "limit": 1},
        {"key": "lucid/upkeep", "limit": 2},
    ]


def test_a_daemon_that_is_told_to_end_takes_nothing_away_from_ticks_under_way(instance: DagsterInstance) -> None:
    settings = instance.get_sensor_settings()
    assert settings["use_threads"], "it waits for these"
    assert not settings.get("num_submit_workers"), "it closes these while ticks still submit runs by them"


def test_it_starts_no_daemon_that_lucid_does_not_need(instance: DagsterInstance) -> None:
    assert set(instance.get_required_daemon_types()) == {
        "SENSOR",
        "SCHEDULER",
        "BACKFILL",
        "QUEUED_RUN_COORDINATOR",
        "MONITORING",
        "FRESHNESS_DAEMON",
    }


def test_a_file_that_an_earlier_version_wrote_becomes_todays(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(FORMERLY)
    with open_instance(tmp_path) as instance:
        assert isinstance(instance.event_log_storage, PooledEventLog)
    assert is_ours(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.yaml*")) == ["dagster.yaml"]


def test_a_file_that_somebody_changed_stays_and_is_no_longer_lucids(tmp_path: Path) -> None:
    changed = FORMERLY + "# and this\n"
    (tmp_path / "dagster.yaml").write_text(changed)
    with open_instance(tmp_path):
        pass
    assert (tmp_path / "dagster.yaml").read_text() == changed
    assert not is_ours(tmp_path)


def test_a_home_can_be_moved(tmp_path: Path) -> None:
    with open_instance(tmp_path / "before") as instance:
        instance.add_dynamic_partitions("sessions", ["a"])
    (tmp_path / "before").rename(tmp_path / "after")
    with open_instance(tmp_path / "after") as instance:
        assert instance.get_dynamic_partitions("sessions") == ["a"]
    assert not (tmp_path / "before").exists()


def test_opening_it_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), open_instance(tmp_path):
        pass
    assert caplog.messages == []
