"""Lucid's code server: runs are forked from a process that has everything loaded, and end with it.

These tests fail when an upgrade of Dagster or Python changes what `code_server` relies on.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import forkserver, util
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget

from lucid_pipeline.instance.opened import open_instance
from tests.lineage.support import open_home
from tests.lineage.test_definitions import environment
from tests.processes import eventually

pytestmark = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc to see processes")

LOCATION = "session-recorder"
JOB = "clean_up"
NOTHING_TO_DO = {"ops": {"remove_recordings": {"config": {"session_ids": []}}}}


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return found


def memory_of_its_own(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    values = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return (values["Private_Clean"] + values["Private_Dirty"]) * 1024


@dataclass(frozen=True)
class Served:
    """A code server, and the instance that runs are started on."""

    process: "subprocess.Popen[bytes]"
    instance: DagsterInstance
    socket: str
    log: Path

    def run(self, config: Mapping[str, object] = NOTHING_TO_DO) -> DagsterRun:
        """Launch a run, as the daemon does."""
        target = GrpcServerTarget(host="localhost", port=None, socket=self.socket, location_name=LOCATION)
        with WorkspaceProcessContext(self.instance, target) as workspace:
            context = workspace.create_request_context()
            location = context.get_code_location(LOCATION)
            [repository] = location.get_repositories().values()
            remote = repository.get_full_job(JOB)
            run = self.instance.create_run_for_job(
                _clean_up(),
                run_config=config,
                remote_job_origin=remote.get_remote_origin(),
                job_code_origin=remote.get_python_origin(),
            )
            self.instance.launch_run(run.run_id, context)
        return run

    def status(self, run: DagsterRun) -> DagsterRunStatus:
        found = self.instance.get_run_by_id(run.run_id)
        assert found
        return found.status

    @property
    def fork_server(self) -> int:
        """The child that the server itself does not need: the one with children, or else the younger."""
        return max(children(self.process.pid))


def _clean_up() -> object:
    from lucid_pipeline.recorder.clean_up import clean_up

    return clean_up


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    with open_home(folder / "lucid") as (home, _), open_instance(home.dagster_folder) as instance:
        path, log = folder / "s", folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "lucid_pipeline.instance.code_server", LOCATION, "--socket", path],
                cwd=folder,
                env=environment(home.settings.home, DAGSTER_HOME=str(home.dagster_folder)),
                stdout=output,
                stderr=output,
            )
        try:
            eventually(lambda: process.poll() is not None or _answers(path), every=0.1)
            assert process.poll() is None, log.read_text()
            yield Served(process, instance, str(path), log)
        finally:
            process.kill()
            process.wait(10)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as server:
        yield server


def test_what_it_relies_on_in_python_is_there() -> None:
    assert callable(util.spawnv_passfds)
    assert callable(forkserver.ensure_running)


def test_a_run_is_a_copy_of_the_process_that_was_set_aside(server: Served) -> None:
    aside = server.fork_server
    seen: set[int] = set()
    with ThreadPoolExecutor(1) as threads:
        launched = threads.submit(server.run)
        eventually(lambda: seen.update(children(aside)) or launched.done())
        run = launched.result()
        eventually(lambda: seen.update(children(aside)) or server.status(run) is DagsterRunStatus.SUCCESS)
    assert _process_of(server, run) in seen
    assert len(list(Path(f"/proc/{aside}/task").iterdir())) == 1, "threads would not come along"
    assert memory_of_its_own(aside) < 40_000_000, "it is a copy of the server, and not a Python of its own"


def _process_of(server: Served, run: DagsterRun) -> int:
    [event] = [
        entry.dagster_event
        for entry in server.instance.all_logs(run.run_id)
        if entry.dagster_event and "Started process" in (entry.dagster_event.message or "")
    ]
    return int(event.engine_event_data.metadata["pid"].value)


def test_it_ends_at_once_when_asked_and_leaves_nothing(server: Served) -> None:
    run = server.run()
    eventually(lambda: server.status(run) is DagsterRunStatus.SUCCESS)
    left = children(server.process.pid)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    eventually(lambda: not any(_lives(pid) for pid in left), 10)
    assert "leaked" not in server.log.read_text()


def test_nothing_outlives_it_when_it_is_killed(server: Served) -> None:
    left = children(server.process.pid)
    assert len(left) == 2
    server.process.kill()
    server.process.wait(10)
    eventually(lambda: not any(_lives(pid) for pid in left), 10)


def test_it_goes_on_when_the_process_that_was_set_aside_is_killed(server: Served) -> None:
    os.kill(server.fork_server, signal.SIGKILL)
    run = server.run()
    eventually(lambda: server.status(run) is DagsterRunStatus.SUCCESS, 60)


def _lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False
