"""`lucid up`, running while a test looks at it."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import DagsterInstance

from lucid_pipeline.instance.opened import open_instance
from tests.cli.support import Lucid
from tests.lineage.test_user_interface import UserInterface, processes_of
from tests.processes import eventually, free_port


@dataclass(frozen=True)
class Up:
    """A running `lucid up`."""

    process: "subprocess.Popen[bytes]"
    document: dict[str, Any]
    log: Path
    ui: UserInterface

    @property
    def api_url(self) -> str:
        """Where the session API answers."""
        return str(self.document["api_url"])

    @property
    def pids(self) -> dict[str, int]:
        pids: dict[str, int] = self.document["processes"]
        return pids

    def said(self, text: str) -> bool:
        return text in self.log.read_text()


@contextmanager
def started(lucid: Lucid, *, port: int | None = None) -> Iterator[Up]:
    """Start it, and wait until it says that it is ready; however the test ends, nothing goes on."""
    port = port or free_port()
    lucid = lucid.having(api_port=str(free_port()))
    log, out = lucid.folder / f"{port}.log", lucid.folder / f"{port}.json"
    with log.open("wb") as err, out.open("wb") as stdout:
        process = lucid.start("up", "--json", "--port", str(port), stdout=stdout, stderr=err)
    try:
        eventually(lambda: out.stat().st_size or process.poll() is not None, 120, every=0.1)
        assert process.poll() is None, log.read_text()
        ui = UserInterface(port)
        yield Up(process, json.loads(out.read_bytes()), log, ui)
        if process.poll() is None:
            process.terminate()
            assert process.wait(60) == 0, log.read_text()
        eventually(lambda: not processes_of(lucid.home), 10)
    finally:
        for left in processes_of(lucid.home):
            os.kill(left, signal.SIGKILL)
        process.wait(10)


@contextmanager
def instance_of(lucid: Lucid) -> Iterator[DagsterInstance]:
    with open_instance(lucid.home / "dagster") as instance:
        yield instance


def runtime_of(lucid: Lucid) -> Path:
    """The folder with the sockets."""
    return Path((lucid.home / "dagster" / "up").read_text().split("\n")[1])
