"""The sensor of the recorder, as Dagster evaluates it: what is finished lands, and gets a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, SensorResult, build_sensor_context

from lucid_pipeline.recorder.landing import LandingFolder
from lucid_pipeline.recorder.sensors import landed_recordings
from lucid_pipeline.stores.catalog import SessionFilter
from tests.lineage.support import Lineage, open_lineage


@pytest.fixture
def lineage(tmp_path: Path) -> Iterator[Lineage]:
    with DagsterInstance.ephemeral() as instance, open_lineage(tmp_path, instance, landing_settle_seconds=0) as lineage:
        yield lineage


def tick(lineage: Lineage, landing: LandingFolder, cursor: str | None = None) -> SensorResult:
    resources = {"catalog": lineage.catalog, "settings": lineage.home.settings, "landing": landing}
    with build_sensor_context(lineage.instance, cursor=cursor, resources=resources) as context:
        result = landed_recordings(context)
    assert isinstance(result, SensorResult)
    return result


def test_finished_recordings_become_one_run_and_are_found_once(lineage: Lineage) -> None:
    folder, landing = lineage.home.settings.landing_dir, LandingFolder(lineage.home)
    for name in ("a", "b"):
        (folder / f"{name}.cast").write_bytes(b"x")
        (folder / f"{name}.cast.done").touch()
    result = tick(lineage, landing)
    sessions = [str(record.session_id) for record in lineage.catalog.find(SessionFilter())]
    [request] = result.run_requests or []
    assert request.job_name == "record"
    assert [request.tags["dagster/asset_partition_range_start"], request.tags["dagster/asset_partition_range_end"]] == [
        *reversed(sessions)
    ]
    [added] = result.dynamic_partitions_requests or []
    assert list(added.partition_keys) == [*reversed(sessions)]
    for again in (landing, LandingFolder(lineage.home)):
        tick(lineage, again, result.cursor)
    assert len(lineage.catalog.find(SessionFilter())) == 2


def test_what_cannot_be_archived_does_not_hold_up_the_tick(lineage: Lineage) -> None:
    folder = lineage.home.settings.landing_dir
    (folder / "link.cast").symlink_to("/etc/passwd")
    (folder / "a.cast").write_bytes(b"x")
    for name in ("link", "a"):
        (folder / f"{name}.cast.done").touch()
    result = tick(lineage, LandingFolder(lineage.home))
    [request] = result.run_requests or []
    [good] = [record for record in lineage.catalog.find(SessionFilter()) if record.failure is None]
    assert request.partition_key == str(good.session_id)
    assert good.name == "a.cast"
