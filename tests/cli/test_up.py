"""`lucid up` as a person has it: one command, real processes, real signals; nothing is left behind, however it ends."""

import json
import os
import signal
import socket
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.course.partitions import PARTITIONS
from lucid_pipeline.course.stages import RECORDING
from lucid_pipeline.instance.stopping import STOPPED_TAG
from lucid_pipeline.intake.registration import register
from tests.cli.running import Up, instance_of, runtime_of, started
from tests.cli.support import Lucid
from tests.lineage.test_user_interface import processes_of
from tests.processes import eventually, free_port

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see what is running")

LOCATIONS = {"session-recorder", "chunk-processor", "session-storage"}
SERVICES = {"recorder", "processor", "storage", "webserver", "daemon", "api"}


def add_session(lucid: Lucid, length: int) -> str:
    """Register a recording of zeros, and tell Dagster of its session."""
    path = lucid.folder / f"{length}.bin"
    with path.open("wb") as file:
        file.truncate(length)
    with lucid.opened.catalog() as catalog:
        key = str(register(path, SessionMetadata(), catalog, release=False).session_id)
    with instance_of(lucid) as instance:
        instance.add_dynamic_partitions(PARTITIONS, [key])
    return key


def test_it_works_in_an_empty_folder_and_ends_as_if_it_had_never_been(tmp_path: Path) -> None:
    lucid = Lucid(tmp_path / "lucid", folder=tmp_path)
    with started(lucid) as up:
        assert up.said("made a home with new keys")
        assert set(up.pids) == SERVICES
        assert up.document["landing"] == str(lucid.home / "landing")
        eventually(lambda: up.ui.locations() == dict.fromkeys(LOCATIONS, "RepositoryLocation"), every=0.2)

        runtime = runtime_of(lucid)
        assert runtime.stat().st_mode & 0o777 == 0o700

        key = add_session(lucid, 1000)
        assert up.ui.materialize("session-recorder", [RECORDING], key, key) == "SUCCESS"

        others = lucid.having(api_port=str(free_port()))
        assert "is running on" in others.refused("up", "--port", str(free_port()))
        up.process.send_signal(signal.SIGINT)
        assert up.process.wait(60) == 0
        assert not runtime.exists()
        assert up.log.read_text().endswith("lucid     | stopped\n")
        assert "leaked" not in up.log.read_text()
        assert "Traceback" not in up.log.read_text()


def test_a_port_that_is_taken_is_refused(lucid: Lucid) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        free = lucid.having(api_port=str(free_port()))
        assert f"cannot use port {port}: Address already in use (choose another one with --port)" in free.refused(
            "up", "--port", str(port)
        )
        refused = lucid.having(api_port=str(port)).refused("up", "--port", str(free_port()))
        assert f"cannot use port {port}: Address already in use (choose another one with LUCID_API_PORT)" in refused
    assert not processes_of(lucid.home)


def test_nothing_outlives_it_when_it_is_killed_and_the_next_one_starts_as_ever(lucid: Lucid) -> None:
    with started(lucid) as up:
        runtime = runtime_of(lucid)
        up.process.kill()
        up.process.wait(10)
        eventually(lambda: not processes_of(lucid.home), 10)
        assert runtime.exists()
    with started(lucid) as up:
        assert not runtime.exists()


def test_the_session_api_is_a_process_of_its_own_that_knows_where_dagster_is(lucid: Lucid) -> None:
    with started(lucid) as up:
        process = Path(f"/proc/{up.pids['api']}")
        assert process.joinpath("comm").read_text() == "lucid-api\n"
        assert process.joinpath("cmdline").read_text().split("\0")[1:-1] == ["-P", "-m", "lucid_api"]
        loaded = process.joinpath("maps").read_text()
        assert "grpc" not in loaded, "nothing of Dagster, which loads it"
        health = eventually(
            lambda: found if (found := get(f"{up.api_url}/health"))["status"] == "ok" else None, every=0.5
        )
        assert len(health["components"]) == 8
        assert up.said("api       | sign in, once, within 10 minutes: ")


@pytest.mark.parametrize("name", ["recorder", "daemon", "webserver", "api"])
def test_what_is_killed_is_started_again(lucid: Lucid, name: str) -> None:
    with started(lucid) as up:
        os.kill(up.pids[name], signal.SIGKILL)
        eventually(lambda: up.said("was ended by SIGKILL; starting it again in 0.5 s"), every=0.1)
        eventually(lambda: up.said(f"{name:<9} | is back"), every=0.1)
        assert get(f"{up.api_url}/health/live") == {"status": "ok"}
        key = add_session(lucid, 1000)
        assert up.ui.materialize("session-recorder", [RECORDING], key, key) == "SUCCESS"


def get(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=10) as response:
        document: dict[str, Any] = json.load(response)
    return document


def long_run(lucid: Lucid, up: Up) -> Callable[[], DagsterRun]:
    """Wait until a run that takes a long time has begun to encrypt; returns what asks for it."""
    key = add_session(lucid, 8_000_000_000)
    assert up.ui.materialize("session-recorder", [RECORDING], key, key) == "SUCCESS"
    started = RunsFilter(job_name="process", statuses=[DagsterRunStatus.STARTED])

    def run_id() -> str | None:
        with instance_of(lucid) as instance:
            return next((run.run_id for run in instance.get_runs(started)), None)

    known = eventually(run_id, every=0.2)
    eventually(lambda: any((lucid.home / "archive").rglob("0000*")), every=0.2)

    def run() -> DagsterRun:
        with instance_of(lucid) as instance:
            found = instance.get_run_by_id(known)
        assert found
        return found

    return run


def test_a_run_that_is_under_way_is_ended_and_marked(lucid: Lucid) -> None:
    with started(lucid) as up:
        run = long_run(lucid, up)
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 0
        assert up.said("stopping 1 run;")
        assert run().status is DagsterRunStatus.CANCELED
        assert run().tags[STOPPED_TAG] == "true"


def test_a_run_whose_process_was_killed_with_its_code_server_is_told_as_failed_soon(lucid: Lucid) -> None:
    with started(lucid) as up:
        run = long_run(lucid, up)
        os.kill(up.pids["processor"], signal.SIGKILL)
        eventually(lambda: run().status is DagsterRunStatus.FAILURE, 40, every=0.2)
        with instance_of(lucid) as instance:
            messages = [entry.message for entry in instance.all_logs(run().run_id)]
        assert any("the process that ran this was killed" in message for message in messages)
