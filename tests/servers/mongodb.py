"""A MongoDB server for tests, in a process of its own, and databases on it.

Which one: that of `LUCID_TEST_MONGODB_URL`; else a `mongod` on the path; else FerretDB 1.x over SQLite, which speaks
the same protocol, built once from its Go module. Where none of them is to be had, tests are skipped, and say why.

FerretDB 1.x is no MongoDB: it looks through all documents for all but a key, ignores hints and write concerns, has no
validation, and changes a document in two steps. What that keeps from being shown is skipped there, and says so.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.processes import free_port
from tests.servers.go_programs import NotToBeHad, built, run_go

Server = TypeVar("Server")

FERRETDB = "v1.24.2"
MODULE = "github.com/FerretDB/FerretDB"
SECONDS_TO_START = 30
WITH_A_USER = (
    "--test-enable-new-auth",
    "--setup-database=lucid",
    "--setup-username=ann",
    "--setup-password=hunter2",
)
"""Options with which FerretDB lets in one user alone: ann, with the password hunter2."""


@dataclass
class MongoDb:
    """A server that runs at a URL without a database; `is_real` says that it is MongoDB's own."""

    url: str
    is_real: bool
    numbers: Iterator[int] = field(default_factory=count)
    name: str = field(default_factory=lambda: f"lucid_test_{os.getpid()}_{token_hex(4)}")

    def new_url(self) -> str:
        """The URL of a database that is not there yet."""
        return self.database_url(f"{self.name}_{next(self.numbers)}")

    def database_url(self, name: str) -> str:
        """The URL of a database."""
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_all(self) -> None:
        """Remove the databases that were made here."""
        with closing(MongoClient(self.url, serverSelectionTimeoutMS=2000)) as client:
            for name in client.list_database_names():
                if name.startswith(self.name):
                    client.drop_database(name)


@dataclass
class Process:
    """A server of the tests' own, which can be stopped and started again at the same address with what it had."""

    command: list[str]
    address: tuple[str, int]
    folder: Path
    is_real: bool
    running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        host, port = self.address
        return f"mongodb://{host}:{port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.running = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        deadline = time.monotonic() + SECONDS_TO_START
        while not self._answers():
            if self.running.poll() is not None or time.monotonic() > deadline:
                raise NotToBeHad(f"{self.command[0]} does not start: {(self.folder / 'log').read_text()[-500:]}")
            time.sleep(0.05)

    def stop(self, *, kill: bool = False) -> None:
        """Stop it, or kill it."""
        if self.running:
            (self.running.kill if kill else self.running.terminate)()
            self.running.wait(30)
            self.running = None

    def _answers(self) -> bool:
        try:
            with closing(MongoClient(self.url, serverSelectionTimeoutMS=200)) as client:
                client.admin.command("hello")
        except PyMongoError:
            return False
        return True


@contextmanager
def own_server() -> Iterator[Process]:
    """A server of a test's own; raises `NotToBeHad`."""
    with TemporaryDirectory(prefix="lucid-mongodb-") as name:
        folder, address = Path(name), ("127.0.0.1", free_port())
        mongod = shutil.which("mongod")
        command = _mongod(mongod, address, folder) if mongod else _ferretdb(address, folder)
        with _running(Process(command, address, folder, is_real=bool(mongod))) as server:
            yield server


@contextmanager
def own_ferretdb(folder: Path, *options: str) -> Iterator[Process]:
    """A FerretDB that has its data in a folder, with options that MongoDB's own has not; raises `NotToBeHad`."""
    address = ("127.0.0.1", free_port())
    with _running(Process([*_ferretdb(address, folder), *options], address, folder, is_real=False)) as server:
        yield server


@contextmanager
def or_skip(server: AbstractContextManager[Server]) -> Iterator[Server]:
    """A server, or no test where it is not to be had."""
    try:
        with server as running:
            yield running
    except NotToBeHad as error:
        pytest.skip(str(error))


@contextmanager
def _running(server: Process) -> Iterator[Process]:
    try:
        server.start()
        yield server
    finally:
        server.stop(kill=True)


@contextmanager
def mongodb_server() -> Iterator[MongoDb]:
    """The server of these tests; raises `NotToBeHad`."""
    given = os.environ.get("LUCID_TEST_MONGODB_URL")
    if given:
        server = MongoDb(given, is_real=True)
        yield server
        server.drop_all()
        return
    with own_server() as own:
        yield MongoDb(own.url, own.is_real)


def _mongod(program: str, address: tuple[str, int], folder: Path) -> list[str]:
    host, port = address
    return [program, "--dbpath", str(folder), "--bind_ip", host, "--port", str(port), "--wiredTigerCacheSizeGB", "0.25"]


def _ferretdb(address: tuple[str, int], folder: Path) -> list[str]:
    host, port = address
    return [
        str(built_ferretdb()),
        "--handler=sqlite",
        f"--sqlite-url=file:{folder}/?_pragma=synchronous(off)",  # a test that kills it kills no machine
        f"--state-dir={folder}",
        f"--listen-addr={host}:{port}",
        "--debug-addr=-",
        "--telemetry=disable",
        "--log-level=error",
    ]


def wants_ferretdb() -> bool:
    """Whether there is no MongoDB for the tests, so that FerretDB has to stand in."""
    return not (os.environ.get("LUCID_TEST_MONGODB_URL") or shutil.which("mongod"))


def built_ferretdb() -> Path:
    """The program, which is built once a machine; raises `NotToBeHad`."""
    return built(f"ferretdb-{FERRETDB}", _build)


def _build(folder: Path) -> Path:
    environment = {"GOFLAGS": "-mod=mod", "GOWORK": "off"}
    run_go("mod", "download", f"{MODULE}@{FERRETDB}", folder=folder, **environment)
    modules = run_go("env", "GOMODCACHE", folder=folder, **environment)
    source = folder / "source"
    shutil.copytree(Path(modules) / f"github.com/!ferret!d!b/!ferret!d!b@{FERRETDB}", source, copy_function=shutil.copy)
    for path in (source, *source.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    # The module asks for it, and comes without.
    (source / "build" / "version" / "version.txt").write_text(f"{FERRETDB}\n")
    options = ["-buildvcs=false", "-trimpath", "-tags=ferretdb_no_postgresql", "-ldflags=-s -w"]
    run_go("build", *options, "-o", str(folder / "ferretdb"), "./cmd/ferretdb", folder=source, **environment)
    return folder / "ferretdb"
