"""The session API over homes without sessions: who is let in does not depend on what there is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lucid_pipeline.home import Home
from tests.api.support import Api, running_api, settings_of


@pytest.fixture
def bare_home(tmp_path: Path) -> Path:
    """A home with keys and nothing else."""
    folder = tmp_path / "home"
    Home(settings_of(folder)).create()
    return folder


@pytest.fixture
def bare_api(bare_home: Path) -> Iterator[Api]:
    """The API over that home."""
    with running_api(bare_home) as api:
        yield api
