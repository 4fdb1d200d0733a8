"""Damage is found by itself: every night a share is verified, and all of the archive within a set number of days."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from dagster import AssetCheckEvaluation, AssetCheckSeverity, DagsterInstance, Definitions, in_process_executor

from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.course.stages import MANIFEST, MERKLE_TREE
from lucid_pipeline.errors import TransientError
from lucid_pipeline.resources.opened import storage_resources
from lucid_pipeline.storage import scrub as scrub_module
from lucid_pipeline.storage.assets import ARCHIVE
from lucid_pipeline.storage.definitions import defs
from lucid_pipeline.storage.scrub import Night, scrub, scrub_job, scrubbed
from lucid_pipeline.stores.folder_store import FolderStore
from lucid_pipeline.stores.verification import Verifier
from tests.lineage.support import Stages, home_in
from tests.servers.archives import files_only
from tests.support import noise

LOG = logging.getLogger("lucid.tests")
LONG_AGO = timestamp(datetime.now(UTC) - timedelta(days=100))


def sealed(stages: Stages, *sizes: int) -> list[UUID]:
    sessions = [stages.land(noise(size, seed)) for seed, size in enumerate(sizes)]
    stages.archive(*sessions)
    return sessions


def night(stages: Stages, days: int = 1, archive: object = None) -> Night:
    verifier = Verifier(archive or stages.home.archive(), stages.home.trusted_keys(), 1, None)
    return scrub(stages.catalog, verifier, days, LOG)


def run_job(stages: Stages, **settings: Any) -> AssetCheckEvaluation:
    """Run the job as the schedule does; returns what the check said."""
    home = home_in(stages.home.settings.home, **settings)
    definitions = Definitions(
        assets=[ARCHIVE],
        asset_checks=[scrubbed],
        jobs=[scrub_job],
        resources=storage_resources(home),
        executor=in_process_executor,
    )
    with DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("scrub").execute_in_process(
            instance=instance, run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        )
        assert result.success
        [evaluation] = result.get_asset_check_evaluations()
        [record] = instance.fetch_observations(ARCHIVE.key, limit=10).records
        observation = record.asset_observation
        assert observation
        assert observation.metadata.items() <= evaluation.metadata.items()
        return evaluation


def figures(evaluation: AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in evaluation.metadata.items()}


def lose_a_chunk(stages: Stages, session_id: UUID) -> tuple[Path, bytes]:
    [path] = stages.object_path(f"sessions/{session_id}/chunks").iterdir()
    data = path.read_bytes()
    path.unlink()
    return path, data


class Failing(FolderStore):
    """The archive, of which something cannot be read."""

    def __init__(self, stages: Stages, fails: Callable[[str], bool], error: BaseException) -> None:
        super().__init__(stages.home.settings.home / "archive")
        self._fails, self._error = fails, error

    def get(self, key: str, limit: int) -> memoryview:
        if self._fails(key):
            raise self._error
        return super().get(key, limit)


def unreadable(stages: Stages, *sessions: UUID, error: BaseException | None = None) -> Failing:
    names = [str(session_id) for session_id in sessions]
    fails = lambda key: any(name in key for name in names) if names else True  # noqa: E731
    return Failing(stages, fails, error or TransientError("the disk does not answer"))


# The share of a night.


@pytest.mark.parametrize("days", [1, 2, 3, 7])
def test_all_is_verified_within_the_days_and_no_night_does_much_more_than_its_share(stages: Stages, days: int) -> None:
    sizes = [20_000, 1, 50_000, 10_000, 10_000, 300, 40_000, 5]
    sessions = sealed(stages, *sizes)
    share = stages.catalog.holding().stored_bytes / days
    largest = max(stages.record(session_id).seal.stored_bytes for session_id in sessions)  # type: ignore[union-attr]
    for _ in range(days):
        done = night(stages, days)
        assert done.stored_bytes < share + largest
    assert all(stages.record(session_id).verified_at for session_id in sessions)


def test_sessions_that_arrive_every_night_do_not_keep_the_old_ones_waiting(stages: Stages) -> None:
    days = 4
    old = sealed(stages, *[10_000] * 8)
    for _ in range(days):
        sealed(stages, *[10_000] * 4)
        night(stages, days)
    assert all(stages.record(session_id).verified_at for session_id in old)


def test_the_longest_unverified_come_first_and_each_once(stages: Stages) -> None:
    first, second, third = sealed(stages, 1000, 1000, 1000)
    stages.catalog.record_verification(second, (), LONG_AGO)
    scrub_of_one = night(stages, 1000)
    assert scrub_of_one.sessions == 1
    assert stages.record(second).verified_at != LONG_AGO
    assert (stages.record(first).verified_at, stages.record(third).verified_at) == (None, None)
    assert night(stages).sessions == 3


def test_missed_nights_are_made_up_for(stages: Stages) -> None:
    sessions = sealed(stages, *[1000] * 8)
    assert night(stages, 4).sessions == 2
    for session_id in sessions:
        stages.catalog.record_verification(session_id, (), LONG_AGO)
    assert night(stages, 4).sessions == 4


def test_a_session_that_is_not_sealed_is_not_looked_at(stages: Stages) -> None:
    session_id = stages.land(noise(1000))
    stages.archive(session_id, upto=MERKLE_TREE)
    lose_a_chunk(stages, session_id)
    assert night(stages) == Night()
    assert stages.record(session_id).verified_at is None


def test_a_scrub_that_is_cut_off_has_recorded_what_it_did(stages: Stages) -> None:
    first, second, third = sealed(stages, 1000, 1000, 1000)
    with pytest.raises(KeyboardInterrupt):
        night(stages, archive=unreadable(stages, third, error=KeyboardInterrupt()))
    assert stages.record(first).verified_at
    assert stages.record(second).verified_at
    assert night(stages, 3).sessions == 1
    assert stages.record(third).verified_at


# What is found.


def test_an_intact_archive_passes(stages: Stages) -> None:
    sealed(stages, 1_000_000, 2_000_000)
    evaluation = run_job(stages, scrub_days=1)
    assert evaluation.passed
    found = figures(evaluation)
    assert (found["sessions"], found["damaged"], found["unread"]) == (2, 0, 0)
    assert found["bytes_read"] == found["bytes_in_archive"] > 3_000_000
    assert found["oldest_verification_days"] < 1
    assert found["megabytes_per_second"] > 0
    assert not found.keys() & {"damaged_sessions", "unread_sessions"}


def test_an_empty_archive_passes(stages: Stages) -> None:
    evaluation = run_job(stages)
    assert evaluation.passed
    assert figures(evaluation)["sessions"] == 0


def test_damage_is_found_recorded_and_shown_until_it_is_mended(stages: Stages) -> None:
    good, bad = sealed(stages, 1000, 2000)
    path, data = lose_a_chunk(stages, bad)
    for _ in range(2):
        evaluation = run_job(stages, scrub_days=1)
        assert not evaluation.passed
        assert evaluation.severity is AssetCheckSeverity.ERROR
        assert f"| {bad} | missing_object |" in figures(evaluation)["damaged_sessions"]
        assert str(good) not in figures(evaluation)["damaged_sessions"]
        assert stages.record(bad).damages == (DamageCode.MISSING_OBJECT,)
        assert stages.record(good).damages == ()
    assert not run_job(stages, scrub_days=3650).passed, "it is another's turn, and the damage is still there"

    path.write_bytes(data)
    night(stages)
    assert run_job(stages).passed


def test_what_was_found_with_a_key_is_not_forgotten(stages: Stages) -> None:
    [session_id] = sealed(stages, 1000)
    stages.catalog.record_verification(session_id, (DamageCode.DECRYPT_FAILED,), LONG_AGO)
    assert not run_job(stages).passed
    assert stages.record(session_id).damages == (DamageCode.DECRYPT_FAILED,)


def test_an_archive_that_was_turned_back_is_damaged(stages: Stages) -> None:
    """The catalog knows of a manifest that has gone, with all the rest."""
    [session_id] = sealed(stages, 1000)
    for key in stages.objects():
        stages.object_path(key).unlink()
    night(stages)
    assert stages.record(session_id).damages == (DamageCode.MISSING_OBJECT,)


# What cannot be read.


def test_a_session_that_cannot_be_read_now_is_not_damaged_and_others_take_its_place(stages: Stages) -> None:
    first, second, third = sealed(stages, 1000, 1000, 1000)
    done = night(stages, 2, unreadable(stages, first))
    assert done.unread == {first: "the disk does not answer"}
    assert done.sessions == 2
    record = stages.record(first)
    assert (record.verified_at, record.damages) == (None, ())
    assert night(stages, 3).sessions == 1
    assert stages.record(first).verified_at
    assert stages.record(second).verified_at
    assert stages.record(third).verified_at


def test_a_fault_in_lucid_does_not_stop_the_scrub(stages: Stages) -> None:
    first, second = sealed(stages, 1000, 1000)
    done = night(stages, archive=unreadable(stages, first, error=ZeroDivisionError()))
    assert done.unread == {first: "unexpected ZeroDivisionError; this is a fault in Lucid"}
    assert stages.record(second).verified_at


@files_only
def test_a_disk_that_is_gone_ends_the_scrub_and_damages_nothing(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrub_module, "_MOST_UNREAD", 3)
    sessions = sealed(stages, *[1000] * 5)
    archive, folder = stages.home.archive(), stages.home.settings.home / "archive"
    folder.rename(folder.with_name("unmounted"))
    assert len(night(stages, archive=archive).unread) == 3
    assert all(stages.record(session_id).damages == () for session_id in sessions)
    folder.with_name("unmounted").rename(folder)
    assert night(stages, archive=archive).sessions == 5


def test_what_could_not_be_read_is_a_warning(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    [session_id] = sealed(stages, 1000)
    monkeypatch.setattr("lucid_pipeline.home.Home.archive", lambda _home: unreadable(stages))
    evaluation = run_job(stages)
    assert not evaluation.passed
    assert evaluation.severity is AssetCheckSeverity.WARN
    assert f"| {session_id} | the disk does not answer |" in figures(evaluation)["unread_sessions"]


def test_an_archive_that_was_not_verified_for_too_long_is_a_warning(stages: Stages) -> None:
    sessions = sealed(stages, *[1000] * 9)
    for session_id in sessions:
        stages.catalog.record_verification(session_id, (), LONG_AGO)
    evaluation = run_job(stages, scrub_days=9)
    assert not evaluation.passed
    assert evaluation.severity is AssetCheckSeverity.WARN
    assert figures(evaluation)["oldest_verification_days"] == pytest.approx(100, abs=0.1)
    assert "100 days ago" in (evaluation.description or "")


# How it behaves beside sessions.


def test_it_reads_no_faster_than_it_may(stages: Stages) -> None:
    sealed(stages, 200_000)
    found = figures(run_job(stages, scrub_megabytes_per_second=0.5))
    assert found["bytes_read"] > 200_000
    assert found["seconds"] >= 0.4
    assert found["megabytes_per_second"] <= 0.5


def test_no_run_of_a_session_verifies_the_archive() -> None:
    for job in (defs.resolve_job_def("seal"), defs.resolve_job_def("scrub")):
        names = {node.name for node in job.nodes}
        assert names == ({"archive_scrubbed"} if job.name == "scrub" else {MERKLE_TREE, MANIFEST})
