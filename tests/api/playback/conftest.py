"""Sessions of many shapes, with chunks of 1 MiB, in one home."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lucid_pipeline.archive.chunking import MIB
from tests.api.playback.support import DEMO, cast
from tests.api.support import Api, copy_of, running_api
from tests.cli.support import Lucid
from tests.support import Home, archive_by_hand, mixture

LONG_CAST = cast(*[(n / 10, f"{n}: " + "some output " * 50 + "\r\n") for n in range(6000)])


@dataclass(frozen=True)
class Shapes:
    """A home that is not to be changed, its sessions by name, and what was recorded."""

    lucid: Lucid
    ids: dict[str, str]
    recordings: dict[str, bytes]


@pytest.fixture(scope="session")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Shapes:
    folder = tmp_path_factory.mktemp("shapes")
    lucid = Lucid(folder / "lucid", folder=folder)
    lucid.ok("init")
    opened = lucid.opened
    [identity] = opened.keys().identities
    home = Home(lucid.home, identity, opened.signing_key())
    recordings = {
        "empty": b"",
        "a byte": b"x",
        "small": mixture(10_000),
        "a chunk": mixture(MIB, seed=1),
        "a chunk and a byte": mixture(MIB + 1, seed=2),
        "several": mixture(3 * MIB + 12_345, seed=3),
        "large chunks": mixture(5 * MIB, seed=4),
        "demo": DEMO.read_bytes(),
        "long cast": LONG_CAST,
    }
    sizes = {"large chunks": 2 * MIB}
    ids = {
        name: str(home.archive(data, chunk_size=sizes.get(name, MIB)).manifest.session_id)
        for name, data in recordings.items()
    }
    live = [mixture(MIB, seed=5), mixture(MIB, seed=6), b""]
    recordings["an empty chunk behind full ones"] = b"".join(live)
    by_hand = archive_by_hand(home, live, padded=[False, True, False])
    ids["an empty chunk behind full ones"] = str(by_hand.manifest.session_id)
    lucid.ok("rebuild-catalog")
    return Shapes(lucid, ids, recordings)


@pytest.fixture(scope="session")
def player(shapes: Shapes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API over a copy of it; for tests that change nothing but keys."""
    with running_api(copy_of(shapes.lucid.home, tmp_path_factory.mktemp("player"))) as api:
        yield api


@pytest.fixture
def own_player(shapes: Shapes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API over a copy of it that a test may change."""
    with running_api(copy_of(shapes.lucid.home, tmp_path_factory.mktemp("own"))) as api:
        yield api
