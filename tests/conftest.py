"""Fixtures that more than one folder of tests uses."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.servers.catalogs import IN_MONGODB, keep_catalogs_on
from tests.servers.mongodb import MongoDb, mongodb_server, or_skip
from tests.support import Home

# How long an example takes says more of the machine than of the code.
settings.register_profile("lucid", settings(), deadline=None)
settings.load_profile("lucid")

# What a script starts in the background ignores control-c, and under nohup SIGHUP, and passes that on; Dagster does
# the same for SIGTERM. The processes of the tests are to end by them as anywhere else.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=IN_MONGODB)
def mongodb() -> Iterator[MongoDb]:
    """A MongoDB server for all tests of a process that want one."""
    with or_skip(mongodb_server()) as server:
        keep_catalogs_on(server)
        yield server


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty archive and keystore with keys of their own; removed afterwards, as some tests fill it with much."""
    home = Home(tmp_path / "home")
    yield home
    shutil.rmtree(home.folder, ignore_errors=True)
