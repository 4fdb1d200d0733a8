"""Nobody keeps others out by connections on which nothing happens, nor fills the memory before it is known who asks."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import Any

import pytest
import uvicorn

from lucid_api.http import connections
from lucid_api.http.connections import MOST_CONNECTIONS, Connection
from tests.processes import eventually

LARGE = 8 * 1024 * 1024
HEAD = b"GET /%b HTTP/1.1\r\nHost: here\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with a few bytes, or many, when all of the body has come."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        body = bytes(LARGE) if scope["path"] == "/large" else b"here"
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


@contextmanager
def listening() -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            app, http=Connection, ws="none", limit_concurrency=MOST_CONNECTIONS, log_config=None, lifespan="off"
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield listener.getsockname()
        finally:
            server.should_exit = server.force_exit = True
            thread.join()


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(connections, "SECONDS_FOR_HEAD", 0.5)
    monkeypatch.setattr(connections, "SECONDS_STALLED", 1.0)
    with listening() as place:
        yield place


@pytest.fixture
def patient_place() -> Iterator[tuple[str, int]]:
    with listening() as place:
        yield place


def status(place: tuple[str, int]) -> bytes:
    with closing(socket.create_connection(place, timeout=10)) as connection:
        connection.sendall(HEAD % b"" + b"\r\n")
        return connection.recv(1000).split(b" ")[1]


def has_ended(connection: socket.socket) -> bool:
    connection.settimeout(0.01)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionResetError:
        return True


def is_refused(connection: socket.socket, data: bytes, pause: float = 0) -> bool:
    """Whether the connection ends while this is sent again and again."""
    try:
        for _ in range(500):
            connection.sendall(data)
            time.sleep(pause)
    except ConnectionError:
        return True
    return False


def taken_from(connection: socket.socket, pause: float = 0) -> int:
    """How many bytes come until the connection ends."""
    taken = 0
    with suppress(ConnectionResetError):
        while more := len(connection.recv(32768)):
            taken += more
            time.sleep(pause)
    return taken


@pytest.mark.parametrize("sent", [b"", HEAD % b"", UPLOAD + b"a"], ids=["nothing", "half a head", "half a body"])
def test_however_many_connections_wait_for_their_callers_others_are_answered(
    patient_place: tuple[str, int], sent: bytes
) -> None:
    with ExitStack() as opened:
        for _ in range(MOST_CONNECTIONS + 50):
            opened.enter_context(closing(socket.create_connection(patient_place))).sendall(sent)
        assert {status(patient_place) for _ in range(50)} == {b"200"}


def test_the_one_that_goes_on_sending_is_not_the_one_that_ends(patient_place: tuple[str, int]) -> None:
    with ExitStack() as opened:
        upload = opened.enter_context(closing(socket.create_connection(patient_place, timeout=10)))
        upload.sendall(UPLOAD + b"a")
        for _ in range(99):
            for _ in range(5):
                opened.enter_context(closing(socket.create_connection(patient_place)))
            upload.sendall(b"a")
            time.sleep(0.005)
        assert upload.recv(1000).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("sent", [b"", HEAD % b"", UPLOAD, UPLOAD + b"a"])
def test_what_does_not_come_is_not_waited_for(place: tuple[str, int], sent: bytes) -> None:
    with closing(socket.create_connection(place)) as connection:
        connection.sendall(sent)
        eventually(lambda: has_ended(connection))


def test_a_head_that_comes_byte_by_byte_has_no_more_time(place: tuple[str, int]) -> None:
    with closing(socket.create_connection(place)) as connection:
        connection.sendall(HEAD % b"")
        assert is_refused(connection, b"X: 1\r\n", pause=0.05)


def test_an_answer_that_nobody_takes_is_given_up(place: tuple[str, int]) -> None:
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(place)
        connection.sendall(HEAD % b"large" + b"\r\n")
        time.sleep(3)
        assert taken_from(connection) < LARGE


def test_an_answer_that_is_taken_slowly_is_sent_whole(place: tuple[str, int]) -> None:
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        connection.connect(place)
        connection.sendall(HEAD % b"large" + b"Connection: close\r\n\r\n")
        assert taken_from(connection, pause=0.01) > LARGE


@pytest.mark.parametrize(
    "begin", [b"GET /", HEAD % b"", HEAD % b"" + b"X: "], ids=["an address", "headers", "a header"]
)
def test_a_head_without_an_end_is_not_kept(patient_place: tuple[str, int], begin: bytes) -> None:
    more = b"a" * 65536 if b"X" in begin or b"Host" not in begin else b"X: a\r\n" * 10_000
    with closing(socket.create_connection(patient_place, timeout=10)) as connection:
        connection.sendall(begin)
        assert is_refused(connection, more)
    assert status(patient_place) == b"200"


def test_what_follows_a_body_in_chunks_is_not_kept_either(patient_place: tuple[str, int]) -> None:
    with closing(socket.create_connection(patient_place, timeout=10)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n")
        assert is_refused(connection, b"X: a\r\n" * 10_000)


def test_a_body_in_the_smallest_chunks_is_taken(patient_place: tuple[str, int]) -> None:
    with closing(socket.create_connection(patient_place, timeout=10)) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b"1\r\na\r\n" * 100_000 + b"0\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
