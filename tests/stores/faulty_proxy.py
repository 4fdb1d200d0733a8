"""A proxy in front of an S3-compatible server that passes everything on, and does to some requests what networks do."""

import datetime
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from enum import Enum, auto
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from unittest.mock import patch

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.servers.s3 import REGION, SECRET


class Fault(Enum):
    """What happens to a request."""

    NONE = auto()
    ANSWER_BECOMES_500 = auto()
    ANSWER_BECOMES_409 = auto()
    """The server has not been asked; it says that it is busy with another request for this object."""

    CUT_BEFORE = auto()
    """The connection ends before the server was asked."""

    CUT_AFTER = auto()
    """The server has done what it was asked for, and the connection ends before anybody hears of it."""

    HALF_AN_ANSWER = auto()
    BYTE_CHANGED = auto()
    """In the body of the request."""

    CLOCK_A_DAY_BEHIND = auto()
    """The request is signed anew, as by its owner on a machine whose clock is a day behind."""


Choice = Callable[[str, str, int], Fault]
"""Takes method, path, and how often this was asked before."""


class FaultyProxy:
    """Its `url`, the `requests` that it has seen, and by which methods and paths faults struck."""

    def __init__(self, behind: str, choice: Choice) -> None:
        self.behind = behind.removeprefix("http://")
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.struck: list[tuple[str, str]] = []
        self._choice = choice
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def fault(self, method: str, path: str, headers: dict[str, str]) -> Fault:
        """What happens to this request."""
        with self._lock:
            self.requests.append((method, path, headers))
            fault = self._choice(method, path, self._seen[method, path])
            self._seen[method, path] += 1
            if fault is not Fault.NONE:
                self.struck.append((method, path))
            return fault

    def ask(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What the server behind says."""
        with closing(HTTPConnection(self.behind, timeout=20)) as connection:
            connection.request(method, path, body, headers)
            found = connection.getresponse()
            return found.status, dict(found.getheaders()), found.read()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = dict(self.headers)
        fault = self.proxy.fault(self.command, self.path, headers)
        if fault is Fault.CUT_BEFORE:
            self.close_connection = True
            return
        if fault is Fault.ANSWER_BECOMES_409:
            self.answer(409, {"Content-Length": "0"}, b"")
            return
        if fault is Fault.BYTE_CHANGED:
            body = bytes([body[0] ^ 1]) + body[1:]
        if fault is Fault.CLOCK_A_DAY_BEHIND:
            headers = _signed_yesterday(self.command, f"http://{self.proxy.behind}{self.path}", body)
        self.pass_back(fault, *self.proxy.ask(self.command, self.path, headers, body))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on  # noqa: N815 - names that the base class looks for

    def pass_back(self, fault: Fault, status: int, said: dict[str, str], data: bytes) -> None:
        if fault is Fault.ANSWER_BECOMES_500:
            self.answer(500, {"Content-Length": "0"}, b"")
        elif fault is not Fault.CUT_AFTER:
            self.answer(status, said, data[: len(data) // 2] if fault is Fault.HALF_AN_ANSWER else data)
        if fault in (Fault.CUT_AFTER, Fault.HALF_AN_ANSWER):
            self.close_connection = True

    def answer(self, status: int, said: dict[str, str], data: bytes) -> None:
        self.send_response_only(status)
        for header in said.items():
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


def _signed_yesterday(method: str, url: str, body: bytes) -> dict[str, str]:
    request = AWSRequest(method, url, data=body)
    yesterday = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    with patch("botocore.auth.get_current_datetime", return_value=yesterday):
        S3SigV4Auth(Credentials("owner", SECRET), "s3", REGION).add_auth(request)
    return dict(request.headers)


@contextmanager
def faulty_proxy(behind: str, choice: Choice) -> Iterator[FaultyProxy]:
    """A proxy that runs in threads of its own."""
    proxy = FaultyProxy(behind, choice)
    thread = Thread(target=proxy.server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        thread.join()
        proxy.server.server_close()
