"""Whether the process of a run lives, and what run monitoring makes of it."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging import getLogger
from pathlib import Path
from typing import cast

import pytest
from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, DagsterRunStatus, EventLogEntry, job
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._core.workspace.context import BaseWorkspaceRequestContext
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.instance.processes import PROCESS_TAG
from lucid_pipeline.instance.workers import hold, is_held
from tests.lineage.test_definitions import ROOT

LAUNCHED = {GRPC_INFO_TAG: '{"socket": "/gone"}'}
"""On runs that a code server has started."""

HOLD = """
import sys, time
from pathlib import Path
from lucid_pipeline.instance.workers import hold
hold(Path(sys.argv[1]), sys.argv[2])
print("held", flush=True)
time.sleep(600)
"""

REGISTER = """
import sys, time
from pathlib import Path
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.instance.processes import registered_process
with open_instance(Path(sys.argv[1])) as instance, registered_process(instance, Path(sys.argv[1])) as name:
    print(name.name, flush=True)
    time.sleep(600)
"""


@job
def nothing() -> None:
    """A job without steps."""


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[DagsterInstance]:
    with open_instance(tmp_path) as instance:
        yield instance


@contextmanager
def process(program: str, *arguments: object) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A process that has said one line."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout
        try:
            yield started, started.stdout.readline().strip()
        finally:
            started.kill()


def started_run(instance: DagsterInstance, *, tags: dict[str, str], seconds_ago: float = 60) -> DagsterRun:
    """A run that was started a while ago."""
    run = instance.create_run_for_job(nothing, tags=tags)
    event = DagsterEvent(DagsterEventType.RUN_START.value, nothing.name, message="started")
    then = time.time() - seconds_ago
    instance.handle_new_event(EventLogEntry(None, "info", "", run.run_id, then, None, nothing.name, event))
    found = instance.get_run_by_id(run.run_id)
    assert found
    assert found.status is DagsterRunStatus.STARTED
    return found


def monitored(instance: DagsterInstance, run: DagsterRun) -> DagsterRunStatus:
    """What has become of a run after the daemon has looked at it."""
    record = instance.get_run_record_by_id(run.run_id)
    assert record
    monitor_started_run(instance, cast("BaseWorkspaceRequestContext", None), record, getLogger("tests"))
    after = instance.get_run_by_id(run.run_id)
    assert after
    return after.status


RUN_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"


def test_a_run_is_held_by_a_process_until_that_is_gone_however_it_went(tmp_path: Path) -> None:
    assert not is_held(tmp_path, RUN_ID)
    with process(HOLD, tmp_path, RUN_ID) as (holder, said):
        assert said == "held"
        assert is_held(tmp_path, RUN_ID)
        assert is_held(tmp_path, RUN_ID), "to ask is not to take"
        assert not is_held(tmp_path, RUN_ID.replace("0100", "0101")), "another run has another place"
        holder.send_signal(signal.SIGKILL)
        holder.wait(10)
        assert not is_held(tmp_path, RUN_ID)


def test_runs_leave_no_files(tmp_path: Path) -> None:
    for n in range(3):
        hold(tmp_path, RUN_ID.replace("0100", f"010{n}"))
    assert [path.name for path in tmp_path.iterdir()] == ["workers"]


def test_a_run_whose_process_lives_goes_on(instance: DagsterInstance, tmp_path: Path) -> None:
    run = started_run(instance, tags=LAUNCHED)
    with process(HOLD, tmp_path, run.run_id) as (holder, _):
        assert monitored(instance, run) is DagsterRunStatus.STARTED
        holder.kill()
        holder.wait(10)
        assert monitored(instance, run) is DagsterRunStatus.FAILURE


def test_a_run_that_starts_just_now_has_time_to_take_its_lock(instance: DagsterInstance) -> None:
    run = started_run(instance, tags=LAUNCHED, seconds_ago=1)
    assert monitored(instance, run) is DagsterRunStatus.STARTED


def test_a_run_of_a_command_goes_on_while_the_command_lives(instance: DagsterInstance, tmp_path: Path) -> None:
    """Such as `lucid archive`, beside `lucid up`."""
    with process(REGISTER, tmp_path) as (command, name):
        run = started_run(instance, tags={PROCESS_TAG: name})
        assert monitored(instance, run) is DagsterRunStatus.STARTED
        command.kill()
        command.wait(10)
        assert monitored(instance, run) is DagsterRunStatus.FAILURE


def test_a_run_that_something_else_started_is_left_alone(instance: DagsterInstance) -> None:
    run = started_run(instance, tags={})
    assert monitored(instance, run) is DagsterRunStatus.STARTED
