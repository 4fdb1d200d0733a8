"""The lineage in one process, as the command line runs it: it goes on where sessions stand, and Dagster knows of it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.test_utils import create_run_for_test

from lucid_pipeline.cli import lineage_run
from lucid_pipeline.cli.lineage_run import LineageRunner, materialized, open_runner
from lucid_pipeline.course.stages import ENCRYPTED_CHUNKS, LINEAGE, MERKLE_TREE, RECORDING
from lucid_pipeline.errors import UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.instance.processes import PROCESS_TAG
from lucid_pipeline.stores.catalog import Stage, State
from tests.lineage.support import Stages, open_home
from tests.lineage.test_definitions import ROOT
from tests.support import text


class Watched:
    """A runner, its home, and what it did since a test began."""

    def __init__(self, runner: LineageRunner, stages: Stages, instance: DagsterInstance) -> None:
        self.runner, self.stages, self.instance = runner, stages, instance
        self.forget()

    def forget(self) -> None:
        self._before = {run.run_id for run in self.instance.get_runs()}

    def runs(self) -> list[DagsterRun]:
        """Runs since then, oldest first."""
        return [run for run in reversed(self.instance.get_runs()) if run.run_id not in self._before]

    def did(self) -> list[tuple[list[str], DagsterRunStatus]]:
        """The stages of each run, and how it ended."""
        return [
            (sorted((key.to_user_string() for key in run.asset_selection), key=LINEAGE.index), run.status)
            for run in self.runs()
        ]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A runner on an instance in memory, which is many times as fast as one on disk."""
    with DagsterInstance.ephemeral() as instance, pytest.MonkeyPatch.context() as patch:
        patch.setattr(lineage_run, "open_instance", lambda _folder: nullcontext(instance))
        with new_home(tmp_path_factory.mktemp("lucid")) as home, open_runner(home, lambda _bytes: None) as runner:
            yield Watched(runner, Stages(home, runner.catalog), instance)


@contextmanager
def new_home(folder: Path) -> Iterator[Home]:
    with open_home(folder) as (home, _):
        home.dagster_folder.mkdir(mode=0o700)
        yield home


@pytest.fixture
def watched(opened: Watched) -> Watched:
    opened.forget()
    return opened


HOLD = """
import sys
from pathlib import Path
from lucid_pipeline.instance.workers import hold
hold(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def test_what_a_living_run_has_in_hand_is_waited_for(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = watched.stages.land(text(5000, seed=77))
    folder = watched.stages.home.dagster_folder
    run = create_run_for_test(
        watched.instance, status=DagsterRunStatus.STARTED, tags={"dagster/partition": str(session_id)}
    )
    looks = []
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, folder, run.run_id], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"

        def look(_seconds: float) -> None:
            looks.append(watched.stages.record(session_id).state)
            if len(looks) == 3:
                other.kill()
                other.wait(10)

        monkeypatch.setattr("lucid_pipeline.cli.lineage_run.time.sleep", look)
        [record] = watched.runner.archive([session_id])
    assert looks[:3] == [State.REGISTERED] * 3
    assert record.state is State.SEALED


DONE = DagsterRunStatus.SUCCESS
FAILED = DagsterRunStatus.FAILURE


@pytest.mark.parametrize("done", range(len(LINEAGE)), ids=["nothing", *LINEAGE[:-1]])
def test_it_goes_on_from_where_a_session_stands(done: int, watched: Watched) -> None:
    session_id = watched.stages.land(text(5000, seed=done))
    for stage in LINEAGE[:done]:
        assert watched.stages.call(stage, session_id) is None
    slots = watched.stages.slots()

    [record] = watched.runner.archive([session_id])

    assert record.state is State.SEALED
    assert watched.did() == [(list(LINEAGE[done:]), DONE)]
    if done > LINEAGE.index(ENCRYPTED_CHUNKS):
        assert watched.stages.slots() == slots
    assert watched.stages.verify(session_id).intact
    assert watched.stages.export(session_id) == text(5000, seed=done)


def test_a_sealed_session_needs_no_run(watched: Watched) -> None:
    session_id = watched.stages.land(text(100))
    watched.stages.archive(session_id)
    [record] = watched.runner.archive([session_id])
    assert record.state is State.SEALED
    assert watched.did() == []


def test_nothing_to_do_is_no_run(watched: Watched) -> None:
    assert watched.runner.archive([]) == []
    assert watched.did() == []


def test_sessions_at_different_stages_all_end_sealed(watched: Watched) -> None:
    sessions = [watched.stages.land(text(5000, seed)) for seed in range(6)]
    for done, session_id in enumerate(sessions):
        for stage in LINEAGE[:done]:
            assert watched.stages.call(stage, session_id) is None
    records = watched.runner.archive(sessions)
    assert [record.session_id for record in records] == sessions
    assert {record.state for record in records} == {State.SEALED}
    assert watched.did() == [(list(LINEAGE[done:]), DONE) for done in range(5)]


def test_sessions_at_one_stage_share_a_run(watched: Watched) -> None:
    sessions = [watched.stages.land(text(1000, seed)) for seed in range(4)]
    watched.runner.archive(sessions)
    [run] = watched.runs()
    assert run.tags["dagster/asset_partition_range_start"] == str(sessions[0])
    assert run.tags["dagster/asset_partition_range_end"] == str(sessions[-1])
    assert materialized(watched.stages.home, sessions) == dict.fromkeys(LINEAGE, 4)


def test_runs_are_no_longer_than_they_may_be(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lineage_run, "LONGEST_RANGE", 2)
    sessions = [watched.stages.land(text(1000, seed)) for seed in range(3)]
    records = watched.runner.archive(sessions)
    assert {record.state for record in records} == {State.SEALED}
    assert watched.did() == [(list(LINEAGE), DONE)] * 2


def test_a_session_named_twice_is_archived_once(watched: Watched) -> None:
    session_id = watched.stages.land(text(1000))
    records = watched.runner.archive([session_id, session_id])
    assert [record.state for record in records] == [State.SEALED] * 2
    assert watched.did() == [(list(LINEAGE), DONE)]


def test_one_bad_session_stops_itself_only(watched: Watched) -> None:
    first, bad, third, last = sessions = [watched.stages.land(text(1000, seed)) for seed in range(4)]
    watched.stages.path(bad).unlink()

    records = watched.runner.archive(sessions)

    assert [record.state is State.SEALED for record in records] == [True, False, True, True]
    failure = records[1].failure
    assert failure
    assert (failure.stage, failure.permanent) == (RECORDING, True)
    rest = list(LINEAGE[1:])
    assert watched.did() == [(list(LINEAGE), FAILED), (rest, DONE), (rest, DONE)]
    assert materialized(watched.stages.home, [bad]) == dict.fromkeys(LINEAGE, 0)
    assert materialized(watched.stages.home, [first, third, last]) == dict.fromkeys(LINEAGE, 3)
    for good in (first, third, last):
        assert watched.stages.verify(good).intact


def test_a_bad_session_fails_again_and_again_without_end(watched: Watched) -> None:
    session_id = watched.stages.land(text(1000))
    watched.stages.path(session_id).unlink()
    for tries in (1, 2):
        [record] = watched.runner.archive([session_id])
        assert record.failure
        assert watched.did() == [(list(LINEAGE), FAILED)] * tries


def test_what_the_stage_before_left_behind_is_made_again(watched: Watched) -> None:
    """An object that was lost before it was hashed: the recording is still there to encrypt it anew."""
    session_id = watched.stages.land(text(1000))
    watched.stages.archive(session_id, upto=ENCRYPTED_CHUNKS)
    [chunk] = watched.stages.object_path(f"sessions/{session_id}/chunks").iterdir()
    chunk.unlink()
    [record] = watched.runner.archive([session_id])
    assert record.failure
    assert record.failure.reason.startswith("missing_object")

    [record] = watched.runner.archive([session_id])

    assert record.state is State.SEALED
    assert watched.did() == [(list(LINEAGE[3:]), FAILED), (list(LINEAGE[2:]), DONE)]
    assert watched.stages.verify(session_id).intact


def test_a_document_that_cannot_be_read_is_made_again(watched: Watched) -> None:
    session_id = watched.stages.land(text(1000))
    watched.stages.archive(session_id, upto=MERKLE_TREE)
    watched.runner.catalog.hand_over(session_id, Stage.MERKLE_TREE, b"{", State.HASHED)
    assert watched.runner.archive([session_id])[0].failure
    assert watched.runner.archive([session_id])[0].state is State.SEALED


def test_every_run_names_its_process(watched: Watched) -> None:
    watched.runner.archive([watched.stages.land(text(1000))])
    [run] = watched.runs()
    folder = watched.stages.home.dagster_folder / "processes"
    assert (folder / run.tags[PROCESS_TAG]).exists()


@pytest.mark.parametrize("bad", [False, True])
def test_the_terminal_stays_silent(bad: bool, watched: Watched, capfd: pytest.CaptureFixture[str]) -> None:
    """It belongs to the progress bar."""
    sessions = [watched.stages.land(text(1000, seed)) for seed in range(2)]
    if bad:
        watched.stages.path(sessions[1]).unlink()
    watched.runner.archive(sessions)
    watched.runner.remove_recordings(sessions)
    assert capfd.readouterr() == ("", "")


def test_progress_is_told_of_every_byte_once(tmp_path: Path) -> None:
    told: list[int] = []
    with new_home(tmp_path) as home, open_runner(home, told.append) as runner:
        stages = Stages(home, runner.catalog)
        runner.archive([stages.land(text(3_000_000)), stages.land(b"")])
    assert sum(told) == 3_000_000


# Removing what was archived.


def removable(watched: Watched, seed: int) -> UUID:
    return watched.stages.land(text(1000, seed), release=True)


def test_recordings_are_removed_in_a_run_that_dagster_shows(watched: Watched) -> None:
    sessions = [removable(watched, seed) for seed in range(2)]
    paths = [watched.stages.path(session_id) for session_id in sessions]
    watched.runner.archive(sessions)
    assert watched.runner.remove_recordings(sessions) == {}
    assert not any(path.exists() for path in paths)
    assert [(run.job_name, run.status) for run in watched.runs()][1:] == [("clean_up", DONE)]


def test_only_what_stays_is_reported_to_stay(watched: Watched) -> None:
    good, bad = sessions = [removable(watched, seed) for seed in range(2)]
    watched.runner.archive(sessions)
    kept, gone = watched.stages.path(bad), watched.stages.path(good)
    kept.write_bytes(b"another recording by now")
    reasons = watched.runner.remove_recordings(sessions)
    assert reasons.keys() == {bad}
    assert "has changed" in reasons[bad]
    assert kept.exists()
    assert not gone.exists()
    assert watched.runs()[-1].status is FAILED


def test_a_clean_up_that_fails_as_a_whole_is_reported_for_all(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [removable(watched, seed) for seed in range(2)]
    watched.runner.archive(sessions)

    def fault(*_: Any, **__: Any) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr("lucid_pipeline.recorder.clean_up.Verifier", fault)
    assert watched.runner.remove_recordings(sessions) == dict.fromkeys(sessions, "the clean-up run failed")
    for session_id in sessions:
        assert watched.stages.path(session_id).exists()


# Opening it.


KEY_FILES = ["signing_key_file", "recipients_file", "trusted_keys_file"]


@pytest.mark.parametrize("missing", KEY_FILES)
def test_a_missing_key_is_told_before_anything_runs(missing: str, tmp_path: Path) -> None:
    with new_home(tmp_path) as home:
        path = getattr(home.settings, missing)
        path.unlink()
        with pytest.raises(UsageError, match=path.name), open_runner(home, lambda _: None):
            pass


def test_a_host_without_an_identity_archives_and_removes(tmp_path: Path) -> None:
    """It may write and not read: verification goes as far as it can without."""
    with new_home(tmp_path) as home:
        home.settings.identity_file.unlink()
    with open_runner(home, lambda _: None) as runner:
        stages = Stages(home, runner.catalog)
        session_id = stages.land(text(1000), release=True)
        path = stages.path(session_id)
        assert runner.archive([session_id])[0].state is State.SEALED
        assert runner.remove_recordings([session_id]) == {}
        assert not path.exists()
