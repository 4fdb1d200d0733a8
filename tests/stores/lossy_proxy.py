"""A proxy in front of an S3-compatible server that passes everything on, and loses some answers on the way back."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


class LossyProxy:
    """Its `url`, and the `lost` requests: those whose answer became 500, the first PUT of each key."""

    def __init__(self, behind: str) -> None:
        self.behind = behind.removeprefix("http://")
        self.lost: list[str] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """What the server behind says, or 500 in its place."""
        with closing(HTTPConnection(self.behind, timeout=20)) as connection:
            connection.request(method, path, body, headers)
            found = connection.getresponse()
            status, said, data = found.status, dict(found.getheaders()), found.read()
        if method == "PUT" and status == 200 and path not in self.lost:
            self.lost.append(path)
            return 500, {"Content-Length": "0"}, b""
        return status, said, data

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                status, said, data = proxy.answer(self.command, self.path, dict(self.headers), body)
                self.send_response_only(status)
                for header in said.items():
                    self.send_header(*header)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PUT = pass_on  # noqa: N815 - names that the base class looks for

            def log_message(self, *_arguments: object) -> None:
                """Nobody reads it."""

        return Handler


@contextmanager
def lossy_proxy(behind: str) -> Iterator[LossyProxy]:
    """A proxy that runs in threads of its own."""
    proxy = LossyProxy(behind)
    thread = Thread(target=proxy.server.serve_forever)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        thread.join()
        proxy.server.server_close()
