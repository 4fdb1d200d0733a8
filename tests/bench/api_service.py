"""A session API to be measured: a process of its own, over a home that nothing else is set for."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import run

LUCID = Path(sys.executable).with_name("lucid")

_SECONDS_TO_START = 60
_SECONDS_TO_ANSWER = 120


def new_home(folder: Path) -> dict[str, str]:
    """Make a home in a folder; returns the environment of what works with it, which asks nobody who they are."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LUCID_")}
    environment |= {
        "LUCID_HOME": str(folder / "home"),
        "LUCID_API_AUTHENTICATION": "false",
        "LUCID_API_REQUESTS_PER_MINUTE": "1000000",
    }
    run([LUCID, "init"], cwd=folder, env=environment)
    return environment


@contextmanager
def served(folder: Path, environment: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """The service while it answers: its process id and its port. Ends the benchmark if it does not start."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "lucid_api"]
    variables = {**environment, "LUCID_API_PORT": str(port)}
    with (folder / "api.log").open("wb") as log:
        process = subprocess.Popen(command, env=variables, stderr=log, stdout=log, cwd=folder)
    try:
        deadline = time.monotonic() + _SECONDS_TO_START
        while True:
            try:
                get(port, "/health/live")
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise SystemExit((folder / "api.log").read_text()) from None
                time.sleep(0.1)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(20)


def connect(port: int) -> http.client.HTTPConnection:
    """A connection to the service."""
    return http.client.HTTPConnection("127.0.0.1", port, timeout=_SECONDS_TO_ANSWER)


def get(port: int, path: str) -> bytes:
    """What is answered on a connection of its own."""
    connection = connect(port)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()
