"""Processes that run the lineage in themselves: those that live, and those that were killed."""

import fcntl
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, job

from lucid_pipeline.cli.lineage_run import open_runner
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.instance.processes import PROCESS_TAG, registered_process
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import Stages, open_home
from tests.lineage.test_definitions import environment
from tests.support import mixture


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    with DagsterInstance.ephemeral() as instance:
        yield instance


@job
def nothing() -> None:
    """A job without steps."""


def run_of(process: str, instance: DagsterInstance, status: DagsterRunStatus) -> str:
    return instance.create_run_for_job(nothing, tags={PROCESS_TAG: process}, status=status).run_id


def status_of(run_id: str, instance: DagsterInstance) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


ACTIVE = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
ENDED = [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED]


@pytest.mark.parametrize("status", ACTIVE)
def test_a_run_of_a_dead_process_is_reported_as_failed(
    status: DagsterRunStatus, instance: DagsterInstance, tmp_path: Path
) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "dead").touch()
    run_id = run_of("dead", instance, status)
    with registered_process(instance, tmp_path):
        assert status_of(run_id, instance) is DagsterRunStatus.FAILURE
    [told] = [entry.dagster_event.message for entry in instance.all_logs(run_id) if entry.dagster_event]
    assert told == "The process that ran this was killed."
    assert list((tmp_path / "processes").iterdir()) == []


@pytest.mark.parametrize("status", ENDED)
def test_a_run_that_had_ended_stays_as_it_ended(
    status: DagsterRunStatus, instance: DagsterInstance, tmp_path: Path
) -> None:
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "dead").touch()
    run_id = run_of("dead", instance, status)
    with registered_process(instance, tmp_path):
        assert status_of(run_id, instance) is status


def test_runs_of_a_process_that_lives_are_left_alone(instance: DagsterInstance, tmp_path: Path) -> None:
    with registered_process(instance, tmp_path) as first:
        run_id = run_of(first.name, instance, DagsterRunStatus.STARTED)
        with registered_process(instance, tmp_path) as second:
            assert first.name != second.name
            assert status_of(run_id, instance) is DagsterRunStatus.STARTED
            assert {path.name for path in (tmp_path / "processes").iterdir()} == {first.name, second.name}


def test_runs_of_others_are_left_alone(instance: DagsterInstance, tmp_path: Path) -> None:
    """Those that Dagster's daemon started, say."""
    (tmp_path / "processes").mkdir()
    (tmp_path / "processes" / "dead").touch()
    run_id = instance.create_run_for_job(nothing, status=DagsterRunStatus.STARTED).run_id
    with registered_process(instance, tmp_path):
        assert status_of(run_id, instance) is DagsterRunStatus.STARTED


def test_a_process_that_ends_just_now_is_no_trouble(
    instance: DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file may go between the moment it is listed and the moment it is opened, or locked."""
    processes = tmp_path / "processes"
    processes.mkdir()
    going = processes / "going"
    going.touch()
    monkeypatch.setattr(Path, "iterdir", lambda _folder: iter([processes / "gone", going]))
    lock = fcntl.flock

    def lock_late(descriptor: int, operation: int) -> None:
        if operation & fcntl.LOCK_NB:
            going.unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", lock_late)
    with registered_process(instance, tmp_path) as process:
        assert (processes / process.name).exists()


def test_a_process_leaves_nothing_behind(instance: DagsterInstance, tmp_path: Path) -> None:
    with registered_process(instance, tmp_path):
        pass
    assert list((tmp_path / "processes").iterdir()) == []


ARCHIVE_AND_WAIT = """
import sys, time
from uuid import UUID
from lucid_pipeline.cli.lineage_run import open_runner
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings

def wait(_bytes):
    print("encrypting", flush=True)
    time.sleep(600)

with open_runner(Home(load_settings()), wait) as runner:
    runner.archive([UUID(sys.argv[1])])
"""


def test_a_process_that_is_killed_shows_as_a_failed_run_and_its_session_is_taken_on(tmp_path: Path) -> None:
    with open_home(tmp_path) as (home, catalog):
        stages = Stages(home, catalog)
        session_id = stages.land(mixture(3_000_000))
        process = subprocess.Popen(
            [sys.executable, "-c", ARCHIVE_AND_WAIT, str(session_id)],
            cwd=tmp_path,
            env=environment(tmp_path),
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            assert process.stdout
            assert process.stdout.readline() == "encrypting\n"
            process.send_signal(signal.SIGKILL)

        with open_runner(home, lambda _bytes: None) as runner, open_instance(home.dagster_folder) as instance:
            [killed] = instance.get_runs()
            assert killed.status is DagsterRunStatus.FAILURE
            [record] = runner.archive([session_id])
            assert record.state is State.SEALED
            assert [run.status for run in instance.get_runs()] == [DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE]
        assert len(stages.manifests()) == 1
        assert stages.verify(session_id).intact
