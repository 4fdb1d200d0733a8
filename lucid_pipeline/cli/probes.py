"""Whether a service answers, asked without waiting: whoever watches several must not be held up by one that hangs."""

import errno
import socket
from pathlib import Path

_CONNECTING = (0, errno.EINPROGRESS)
_STATUS_LINE = 64


class Probe:
    """One question to a service; looked at now and again until there is an answer, then closed."""

    def __init__(self, family: socket.AddressFamily, address: tuple[str, int] | str, request: bytes = b"") -> None:
        self._request = request
        self._asks = bool(request)
        self._socket = socket.socket(family)
        self._socket.setblocking(False)
        self._refused = self._socket.connect_ex(address) not in _CONNECTING

    def answer(self) -> bool | None:
        """Whether the service answers as it should; None as long as that is not known."""
        if self._refused or not self._asks:
            return not self._refused
        try:
            if self._request:
                self._socket.send(self._request)  # so short that it goes out at once
                self._request = b""
            return b" 200 " in self._socket.recv(_STATUS_LINE)
        except BlockingIOError:
            return None
        except OSError as error:
            return None if error.errno == errno.ENOTCONN else False

    def close(self) -> None:
        """Give up the connection."""
        self._socket.close()


def listens(path: Path) -> Probe:
    """Whether a service listens at a Unix socket."""
    return Probe(socket.AF_UNIX, str(path))


def serves(host: str, port: int, path: str) -> Probe:
    """Whether a web server answers for a path with status 200."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    request = f"GET {path} HTTP/1.0\r\nHost: {host}:{port}\r\n\r\n"
    return Probe(family, (host, port), request.encode())
