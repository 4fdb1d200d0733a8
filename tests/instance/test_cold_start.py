"""Everything at once on a home whose instance is not there yet: nothing breaks it, and all of it works afterwards.

`COLD_STARTS` says how often; twice where it is not set.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lucid_pipeline.instance.code_server import MODULES
from lucid_pipeline.instance.configuration import write_configuration
from tests.cli.support import LUCID, Lucid
from tests.lineage.support import open_home
from tests.lineage.test_definitions import environment
from tests.lineage.test_user_interface import UserInterface, processes_of
from tests.processes import eventually, free_port
from tests.support import text

TIMES = range(int(os.environ.get("COLD_STARTS", "2")))
TROUBLE = re.compile("locked|already exists|UNIQUE constraint|no such table|malformed|Traceback")

pytestmark = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to end what was started")


@pytest.mark.parametrize("_time", TIMES)
def test_dagsters_processes_and_lucid_archive_at_once(_time: int, tmp_path: Path) -> None:
    """As containers start that did not wait for the one that prepares the instance."""
    lucid = Lucid(tmp_path / "lucid", folder=tmp_path)
    with open_home(lucid.home) as (home, _):
        folder = home.dagster_folder
    folder.mkdir()
    write_configuration(folder)
    (tmp_path / "recording").write_bytes(text(100_000))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    servers = [{"grpc_server": {"socket": str(tmp_path / name), "location_name": name}} for name in MODULES]
    workspace = tmp_path / "workspace.yaml"
    workspace.write_text(json.dumps({"load_from": servers}))
    programs: dict[str, list[str | Path]] = {
        **{
            name: [sys.executable, "-m", "lucid_pipeline.instance.code_server", name, "--socket", tmp_path / name]
            for name in MODULES
        },
        "webserver": [sys.executable, "-m", "dagster_webserver", "-w", workspace, "-h", "127.0.0.1", "-p", port],
        "daemon": [sys.executable, "-m", "dagster._daemon", "run", "-w", workspace],
        "archive": [LUCID, "archive", "--json", tmp_path / "recording"],
    }
    variables = environment(lucid.home, DAGSTER_HOME=str(folder), DAGSTER_DISABLE_TELEMETRY="1")
    logs = {name: tmp_path / f"{name}.log" for name in programs}
    started: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, program in programs.items():
            with logs[name].open("wb") as log:
                started[name] = subprocess.Popen(program, cwd=tmp_path, env=variables, stdout=log, stderr=log)
        assert started.pop("archive").wait(120) == 0, logs["archive"].read_text()
        interface = UserInterface(int(port))
        eventually(lambda: interface.locations() == dict.fromkeys(MODULES, "RepositoryLocation"), 120, every=0.2)
        eventually(lambda: _all_daemons_live(interface), 60, every=0.5)
        assert {name: process.poll() for name, process in started.items()} == dict.fromkeys(started)
    finally:
        for pid in processes_of(lucid.home):
            os.kill(pid, signal.SIGKILL)
        for process in started.values():
            process.wait(10)
    assert {name: TROUBLE.findall(log.read_text()) for name, log in logs.items()} == {name: [] for name in logs}
    assert len(lucid.sealed.ids()) == 1


def _all_daemons_live(interface: UserInterface) -> bool:
    statuses = interface.ask("{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }")
    required = [status for status in statuses["instance"]["daemonHealth"]["allDaemonStatuses"] if status["required"]]
    return len(required) > 0 and all(status["healthy"] for status in required)


@pytest.mark.parametrize("_time", TIMES)
def test_lucids_commands_at_once(_time: int, tmp_path: Path) -> None:
    port = str(free_port())
    lucid = Lucid(tmp_path / "lucid", folder=tmp_path).having(api_port=str(free_port()))
    up = lucid.start("up", "--json", "--port", port, stderr=subprocess.STDOUT)
    try:
        others = [lucid.start("demo"), lucid.start("init"), lucid.start("demo", "--json")]
        for other in others:
            _, told = other.communicate(timeout=120)
            assert other.returncode == 0, told.decode()
        eventually(lambda: UserInterface(int(port)).locations(), 120, every=0.2)
        up.terminate()
        told, _ = up.communicate(timeout=60)
        assert up.returncode == 0, told.decode()
        trouble = set(TROUBLE.findall(told.decode())) - {
            "Traceback"
        }  # of a run that ended with it: it sees the demo land
        assert trouble == set(), told.decode()
    finally:
        for pid in processes_of(lucid.home):
            os.kill(pid, signal.SIGKILL)
        up.wait(10)
