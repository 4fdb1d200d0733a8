"""Services that are watched: one that hangs is ended, and holds up neither the others nor whoever watches."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lucid_pipeline.cli.probes import Probe, listens, serves
from tests.processes import eventually, free_port

WATCHED = """
import socket, sys, time
from lucid_pipeline.cli import services
from lucid_pipeline.cli.probes import serves

services._ASK_AGAIN, services._LONGEST_ANSWER, services._MOST_UNANSWERED = 0.05, 0.1, 3
port, other = int(sys.argv[1]), int(sys.argv[2])

def answer_once():
    server = socket.create_server(("127.0.0.1", port))
    client, _ = server.accept()
    client.recv(1000)
    client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    client.close()
    print("hanging from now on", flush=True)
    time.sleep(60)

def count():
    server = socket.create_server(("127.0.0.1", other))
    while True:
        client, _ = server.accept()
        client.recv(1000)
        client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
        client.close()

def tell(name, line):
    print(name, line, flush=True)
    if "starting it again" in line:
        kept._stops = 1

kept = services.Services(tell)
hanging = services.Service("hanging", answer_once, lambda: serves("127.0.0.1", port, "/"))
well = services.Service("well", count, lambda: serves("127.0.0.1", other, "/"))
with kept.running([hanging, well]):
    kept.watch(lambda: tell("both", "are ready"))
"""


def test_a_service_that_does_not_answer_any_more_is_ended_and_started_again(tmp_path: Path) -> None:
    ports = [str(free_port()), str(free_port())]
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, *ports], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True
    )
    lines = ended.stdout.splitlines()
    assert "both are ready" in lines
    assert lines[-2:] == [
        "hanging has left 3 questions unanswered, and is ended",
        "hanging was ended by SIGKILL; starting it again in 0.5 s",
    ]
    assert not [line for line in lines if line.startswith("well")]


def answer_of(probe: Probe) -> bool:
    try:
        answers: list[bool] = []
        eventually(lambda: answers.append(found) or True if (found := probe.answer()) is not None else None, 10)
        return answers[0]
    finally:
        probe.close()


@pytest.mark.parametrize(
    ("said", "answers"), [(b"HTTP/1.1 200 OK\r\n\r\n", True), (b"HTTP/1.1 503 Busy\r\n\r\n", False), (b"", False)]
)
def test_a_web_server_answers_by_its_status(said: bytes, answers: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        probe = serves("127.0.0.1", server.getsockname()[1], "/health/live")
        assert probe.answer() is None
        client, _ = server.accept()
        assert probe.answer() is None
        with client:
            assert client.recv(1000).startswith(b"GET /health/live HTTP/1.0\r\n")
            client.sendall(said)
        assert answer_of(probe) is answers


def test_nobody_listens(tmp_path: Path) -> None:
    assert answer_of(serves("127.0.0.1", free_port(), "/")) is False
    assert answer_of(listens(tmp_path / "nothing.sock")) is False
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        assert answer_of(listens(tmp_path / "s")) is False
        server.listen()
        assert answer_of(listens(tmp_path / "s")) is True
