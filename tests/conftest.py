"""Fixtures that more than one folder of tests uses."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import Home

# How long an example takes says more of the machine than of the code.
settings.register_profile("lucid", settings(), deadline=None)
settings.load_profile("lucid")

# Under nohup SIGHUP is ignored, and processes pass that on: those of the tests are to end by it as anywhere else.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """An empty archive and keystore with keys of their own; removed afterwards, as some tests fill it with much."""
    home = Home(tmp_path / "home")
    yield home
    shutil.rmtree(home.folder, ignore_errors=True)
