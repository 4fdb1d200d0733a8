"""The Dagster instance below a home: made once, shared by processes, and told of those that were killed."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from dagster import DagsterInstance, DagsterRunStatus, job, op

from lucid_pipeline.cli.instance import PROCESS_TAG, exclusive, open_instance, registered_process
from lucid_pipeline.cli.lineage_run import open_runner
from lucid_pipeline.errors import UsageError
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


@op
def say() -> None:
    """What no operation of Lucid does, but a library that it uses may do."""
    print("hunter2 was", "printed", file=sys.stderr)
    os.write(1, b"hunter2 was printed")


@job
def talk() -> None:
    """A job that talks."""
    say()


def run_of(process: str, instance: DagsterInstance, status: DagsterRunStatus) -> str:
    return instance.create_run_for_job(nothing, tags={PROCESS_TAG: process}, status=status).run_id


def status_of(run_id: str, instance: DagsterInstance) -> DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run
    return run.status


# Opening it.


def test_it_is_made_at_first_use_and_tells_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "dagster"
    with open_instance(folder) as instance:
        assert not instance.telemetry_enabled
        assert instance.root_directory == str(folder)
    assert (folder / "dagster.yaml").exists()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_an_operator_configured_stays(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\nretention: {sensor: {purge_after_days: 3}}\n")
    with open_instance(tmp_path) as instance:
        assert instance.get_settings("retention")["sensor"]["purge_after_days"] == 3
    assert "purge_after_days: 3" in (tmp_path / "dagster.yaml").read_text()


def test_a_folder_that_cannot_be_one_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot use the folder"), open_instance(tmp_path / "file"):
        pass


def test_what_an_asset_prints_is_kept_nowhere(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        assert talk.execute_in_process(instance=instance).success
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2 was printed" in path.read_bytes()]
    assert kept == []


def test_it_is_made_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, lock = Event(), fcntl.flock

    def lock_and_tell(descriptor: int, operation: int) -> None:
        waits.set()
        lock(descriptor, operation)

    def make() -> None:
        with open_instance(tmp_path):
            pass

    with ThreadPoolExecutor(1) as threads:
        with exclusive(tmp_path):
            monkeypatch.setattr(fcntl, "flock", lock_and_tell)
            made = threads.submit(make)
            assert waits.wait(60)
            assert [path.name for path in tmp_path.iterdir()] == ["lock"]
        made.result(60)
    assert (tmp_path / "dagster.yaml").exists()


# Processes that live, and those that were killed.


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
        run_id = run_of(first, instance, DagsterRunStatus.STARTED)
        with registered_process(instance, tmp_path) as second:
            assert first != second
            assert status_of(run_id, instance) is DagsterRunStatus.STARTED
            assert {path.name for path in (tmp_path / "processes").iterdir()} == {first, second}


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
    with registered_process(instance, tmp_path) as name:
        assert (processes / name).exists()


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
