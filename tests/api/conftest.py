"""The session API over homes with archived sessions; made once, since archiving takes seconds."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.live import Live, running_lucid
from tests.api.support import Api, copy_of, running_api
from tests.cli.conftest import META, RECORDINGS
from tests.cli.support import Lucid

DEMO = Path(__file__).parents[2] / "lucid_pipeline" / "cli" / "demo"


@dataclass(frozen=True)
class SealedHome:
    """A home with sealed sessions, and their ids by the names of their recordings."""

    folder: Path
    ids: dict[str, str]
    originals: dict[str, bytes]


@pytest.fixture(scope="session")
def sealed_home(tmp_path_factory: pytest.TempPathFactory) -> SealedHome:
    """Not to be changed; chunks of 1 MiB, so that some sessions have several."""
    folder = tmp_path_factory.mktemp("api")
    lucid = Lucid(folder / "lucid", folder=folder).having(chunk_size="1MiB")
    lucid.ok("init")
    originals = {**RECORDINGS, **{path.name: path.read_bytes() for path in DEMO.iterdir() if path.suffix != ".py"}}
    landing = folder / "landing"
    landing.mkdir()
    for name, data in originals.items():
        (landing / name).write_bytes(data)
    lucid.ok("archive", *[f"--meta={key}={value}" for key, value in META.items()], landing)
    ids = {entry["name"]: entry["session_id"] for entry in lucid.json("list")}
    return SealedHome(folder / "lucid", ids, originals)


@pytest.fixture(scope="session")
def api(sealed_home: SealedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API over a copy of that home; for tests that change nothing but keys."""
    with running_api(copy_of(sealed_home.folder, tmp_path_factory.mktemp("served"))) as api:
        yield api


@pytest.fixture
def own_api(sealed_home: SealedHome, tmp_path: Path) -> Iterator[Api]:
    """The API over a copy of that home that a test may change."""
    with running_api(copy_of(sealed_home.folder, tmp_path)) as api:
        yield api


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """The API beside a real Dagster that runs what tests ask for, and nothing else."""
    with running_lucid(tmp_path_factory.mktemp("live")) as live:
        yield live
