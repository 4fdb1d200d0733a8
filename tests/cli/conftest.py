"""Homes for the command line: made once by `lucid init` itself, then copied."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import Lucid
from tests.servers.s3 import gateway
from tests.support import noise, text

__all__ = ["gateway"]

CAST = b'{"version": 2, "width": 80, "height": 24, "timestamp": 1767225600}\n' + b"".join(
    b'[%.1f, "o", "line %d\\r\\n"]\n' % (n / 10, n) for n in range(1000)
)

RECORDINGS = {
    "a-cast.cast": CAST,
    "b-empty": b"",
    "c-noise.bin": noise(2_500_000, seed=1),
    "d-text.log": text(100_000, seed=2),
}

META = {
    "user": "alice",
    "host": "web-1",
    "protocol": "ssh",
    "started_at": "2026-01-31T12:00:00Z",
    "ended_at": "2026-01-31T12:10:00+01:00",
    "ticket": "OPS=7",
}


@dataclass(frozen=True)
class Archived:
    """A home in which `RECORDINGS` have been archived, the noise with other metadata."""

    lucid: Lucid
    landing: Path
    document: Any
    """What `lucid archive --json` said, of all but the noise."""

    ids: dict[str, str]
    """Session ids by the name of the recording."""


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Lucid:
    """A home as `lucid init` makes it; not to be changed."""
    folder = tmp_path_factory.mktemp("made")
    lucid = Lucid(folder / "lucid", folder=folder)
    lucid.ok("init")
    return lucid


@pytest.fixture
def lucid(made_home: Lucid, tmp_path: Path) -> Lucid:
    """`lucid` on a home of its own that has keys and nothing else."""
    return made_home.copy(tmp_path / "lucid").inside(tmp_path)


@pytest.fixture(scope="session")
def archived(made_home: Lucid, tmp_path_factory: pytest.TempPathFactory) -> Archived:
    """A home with sessions in it; not to be changed."""
    folder = tmp_path_factory.mktemp("archived")
    lucid = made_home.copy(folder / "lucid").inside(folder).having(chunk_size="1MiB")
    landing, other = folder / "landing", folder / "other"
    for name, data in RECORDINGS.items():
        path = (other if name == "c-noise.bin" else landing) / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    lucid.archive(other, meta={"user": "bob", "host": "web-1", "started_at": "2026-02-01T00:00:00Z", "team": "red"})
    meta = [f"--meta={key}={value}" for key, value in META.items()]
    ended = lucid.run("archive", *meta, "--json", landing)
    assert ended.status == 0, ended.err.decode()
    found = lucid.json("list")
    return Archived(lucid, folder, json.loads(ended.out), {entry["name"]: entry["session_id"] for entry in found})


@pytest.fixture
def copied(archived: Archived, tmp_path: Path) -> Archived:
    """The same, to be changed."""
    lucid = archived.lucid.copy(tmp_path / "lucid").inside(tmp_path)
    return Archived(lucid, archived.landing, archived.document, archived.ids)
