"""A proxy in front of a MongoDB server that tells what it is asked, and does to connections what networks do.

It knows MongoDB's wire protocol (OP_MSG) as far as to find the command in a message.
A test says by a `Rule` what becomes of commands. What a server of the tests cannot be made to say, a rule says in its
place: that it is the primary no more, or that this user may not write.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import bson

_HEADER = struct.Struct("<iiii")
_INT = struct.Struct("<i")
_OP_MSG = 2013
_BEFORE_DOCUMENT = _HEADER.size + 5  # flags, and the kind of the section
_OF_CONNECTIONS = {"hello", "ismaster", "isMaster", "endSessions"}

Command = dict[str, Any]


class Cut(Exception):
    """The connection is cut."""


def pass_on(_command: Command, forward: Callable[[], bytes]) -> bytes | Command:
    """The rule by which nothing happens."""
    return forward()


Rule = Callable[[Command, Callable[[], bytes]], bytes | Command]
"""The answer to a command: what the server says when it is forwarded, or a document in its place; or `Cut`."""


@dataclass
class MongoProxy:
    """Its URL without a database, and the commands it has seen, but for those by which connections are made."""

    behind: tuple[str, int]
    url: str
    rule: Rule = pass_on
    commands: list[Command] = field(default_factory=list)
    is_gone: bool = False
    _lock: Lock = field(default_factory=Lock)
    _open: set[socket.socket] = field(default_factory=set)

    def database_url(self, url: str) -> str:
        """The URL of a database that has another one at the server."""
        return f"{self.url}{urlsplit(url).path}?serverMonitoringMode=poll"

    def go(self) -> None:
        """Be gone: cut all connections, and take no new ones."""
        self.is_gone = True
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def serve(self, client: socket.socket) -> None:
        """Serve one connection to its end."""
        with suppress(OSError, Cut), client, socket.create_connection(self.behind) as server:
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open.add(client)
            try:
                while not self.is_gone:
                    client.sendall(self._answer(_message(client), server))
            finally:
                with self._lock:
                    self._open.discard(client)

    def _answer(self, message: bytes, server: socket.socket) -> bytes:
        def forward() -> bytes:
            server.sendall(message)
            return _message(server)

        _, number, _, kind = _HEADER.unpack_from(message)
        command = _command(message) if kind == _OP_MSG else {}
        if not command or next(iter(command)) in _OF_CONNECTIONS:
            return forward()
        self.commands.append(command)
        answer = self.rule(command, forward)
        if isinstance(answer, bytes):
            return answer
        body = struct.pack("<IB", 0, 0) + bson.encode(answer)
        return _HEADER.pack(_HEADER.size + len(body), 0, number, _OP_MSG) + body


def name_of(command: Command) -> str:
    """What a command asks for: `find`, `update` ..."""
    return next(iter(command))


def once(rule: Rule, *names: str) -> Rule:
    """The rule for the first command of one of these names; others are passed on."""
    lock, is_used = Lock(), Event()

    def first(command: Command, forward: Callable[[], bytes]) -> bytes | Command:
        with lock:
            applies = name_of(command) in names and not is_used.is_set()
            if applies:
                is_used.set()
        return (rule if applies else pass_on)(command, forward)

    return first


def lose_the_answer(_command: Command, forward: Callable[[], bytes]) -> bytes:
    """Have it done, and cut the connection before anybody is told."""
    forward()
    raise Cut


def refuse(code: int, name: str) -> Rule:
    """Answer with an error in place of the server."""
    return lambda _command, _forward: {"ok": 0.0, "code": code, "codeName": name, "errmsg": f"a stand-in says {name}"}


@contextmanager
def mongo_proxy(url: str) -> Iterator[MongoProxy]:
    """A proxy in front of the server at a URL, in threads of its own."""
    parts = urlsplit(url)
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        host, port = listening.getsockname()
        proxy = MongoProxy((parts.hostname or "", parts.port or 27017), f"mongodb://{host}:{port}")
        thread = Thread(target=_accept, args=(listening, proxy), daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.go()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _accept(listening: socket.socket, proxy: MongoProxy) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        if proxy.is_gone:
            client.close()
        else:
            Thread(target=proxy.serve, args=(client,), daemon=True).start()


def _message(connection: socket.socket) -> bytes:
    head = _exactly(connection, _HEADER.size)
    return head + _exactly(connection, _HEADER.unpack(head)[0] - len(head))


def _exactly(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise Cut
        data += part
    return bytes(data)


def _command(message: bytes) -> Command:
    """The document of a message, with those that follow it in a section of their own, such as what is inserted."""
    place = _BEFORE_DOCUMENT
    length = _INT.unpack_from(message, place)[0]
    command: Command = bson.decode(message[place : place + length])
    place += length
    while place < len(message):
        length = _INT.unpack_from(message, place + 1)[0]
        name, _, documents = message[place + 1 + _INT.size : place + 1 + length].partition(b"\0")
        command[name.decode()] = bson.decode_all(documents)
        place += 1 + length
    return command
