"""Recordings drop into a running `lucid up` whose processes are killed: everything is sealed, and nothing twice."""

import json
import os
import re
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from dagster import DagsterRun, DagsterRunStatus, RunsFilter

from lucid_pipeline.stores.catalog import SessionFilter, SessionRecord, State
from tests.cli.conftest import CAST
from tests.cli.running import Up, instance_of, started
from tests.cli.support import Lucid
from tests.processes import eventually
from tests.servers.catalogs import IN_MONGODB

MIB = 2**20
_PROCESS = re.compile(r"Started process for run \(pid: (\d+)\)")
LONGEST = 900 if IN_MONGODB else 240
"""Seconds. FerretDB, which may stand in for MongoDB, looks through all sessions, whatever it is asked for."""

_STARTED = RunsFilter(statuses=[DagsterRunStatus.STARTED])


def drop(lucid: Lucid, name: str, data: bytes) -> None:
    """Let a recording land as a recorder would: under a name of work in progress, then renamed, then marked."""
    landing = lucid.home / "landing"
    (landing / f"{name}.part").write_bytes(data)
    (landing / f"{name}.part").rename(landing / name)
    (landing / f"{name}.done").touch()


def sessions(lucid: Lucid) -> list[SessionRecord]:
    with lucid.opened.catalog() as catalog:
        return catalog.find(SessionFilter())


def kill_a_run(lucid: Lucid) -> bool:
    """Kill the process of a run that is under way; says whether there was one."""
    with instance_of(lucid) as instance:
        for run in instance.get_runs(_STARTED):
            for entry in instance.all_logs(run.run_id):
                if started_as := _PROCESS.search(entry.message or ""):
                    with suppress(ProcessLookupError):  # it has ended meanwhile
                        os.kill(int(started_as[1]), signal.SIGKILL)
                        return True
    return False


def are_sealed(lucid: Lucid, count: int) -> Callable[[], bool]:
    def asked() -> bool:
        return sum(record.state is State.SEALED for record in sessions(lucid)) == count

    return asked


def runs_of(lucid: Lucid) -> list[DagsterRun]:
    with instance_of(lucid) as instance:
        return list(instance.get_runs())


def strike(lucid: Lucid, up: Up, name: str) -> None:
    """Kill a service, and wait until it is back."""
    with instance_of(lucid) as instance:
        eventually(lambda: instance.get_runs(_STARTED), every=0.01)
    os.kill(up.pids[name], signal.SIGKILL)
    eventually(lambda: up.said(f"{name:<9} | is back"), every=0.1)


def test_whatever_is_killed_everything_is_sealed_in_the_end_and_nothing_twice(lucid: Lucid) -> None:
    lucid = lucid.having(retry_seconds="0.5", retries="9", huge_bytes="16MiB", landing_settle_seconds="0.5")
    names = [f"{number}.cast" for number in range(260)]  # more runs than the queue lets work at a time
    with started(lucid) as up:
        drop(lucid, "huge.bin", os.urandom(64 * MIB))
        for name in names[:30]:
            drop(lucid, name, CAST + name.encode())
        strike(lucid, up, "processor")
        for name in names[30:]:
            drop(lucid, name, CAST + name.encode())
        strike(lucid, up, "daemon")
        strike(lucid, up, "storage")
        drop(lucid, "late.bin", os.urandom(64 * MIB))
        eventually(lambda: kill_a_run(lucid), every=0.01)
        eventually(are_sealed(lucid, 262), LONGEST, every=0.5)
    records = sessions(lucid)
    assert sorted(str(record.name) for record in records) == sorted([*names, "huge.bin", "late.bin"])
    assert {record.failure for record in records} == {None}
    assert len(list(lucid.archive_folder.glob("sessions/*/manifest.*"))) == 262
    reports = lucid.json("verify", "--all", "--deep")
    assert [report["intact"] for report in reports] == [True] * 262
    assert any(run.status is DagsterRunStatus.FAILURE for run in runs_of(lucid)), "nothing was hit"


def test_a_bad_one_is_quarantined_and_told_and_goes_on_when_it_is_mended(lucid: Lucid) -> None:
    lucid = lucid.having(landing_settle_seconds="0.5")
    sidecar = Path(lucid.home, "landing", "bad.cast.meta.json")
    with started(lucid) as up:
        sidecar.write_text(json.dumps({"user": 7}))
        drop(lucid, "bad.cast", CAST)
        for number in range(5):
            drop(lucid, f"{number}.cast", CAST + b"%d" % number)
        eventually(are_sealed(lucid, 5), 120, every=0.5)
        [bad] = [record for record in sessions(lucid) if record.state is not State.SEALED]
        assert bad.failure
        assert "bad.cast.meta.json" in bad.failure.reason
        assert bad.failure.retry_at is None
        eventually(lambda: up.said(f"session {bad.session_id} failed"), every=0.1)

        sidecar.write_text(json.dumps({"user": "ada"}))
        lucid.json("retry", str(bad.session_id))
        eventually(are_sealed(lucid, 6), 120, every=0.5)
    assert lucid.json("show", str(bad.session_id))["user"] == "ada"
