"""docs/proofs.md: the recipe by which anybody checks a chunk offline, run as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from lucid_api.access import api_keys
from lucid_api.access.scopes import Scope
from lucid_api.state import StateDatabase
from tests.api.conftest import SealedHome
from tests.api.serving import served, wait_for
from tests.api.support import copy_of
from tests.cli.support import Lucid

RECIPE = (Path(__file__).parents[3] / "docs" / "proofs.md").read_text()

pytestmark = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("openssl")), reason="needs curl and openssl")


def block(language: str) -> str:
    found = re.findall(f"```{language}\n(.*?)```", RECIPE, re.DOTALL)
    assert len(found) == 1
    return str(found[0])


@pytest.fixture(scope="module")
def fetched(sealed_home: SealedHome, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the recipe's first part fetches, of chunk 1 of three; from a real server."""
    folder = tmp_path_factory.mktemp("recipe")
    home = copy_of(sealed_home.folder, folder)
    with closing(StateDatabase(home)) as state:
        _, key = api_keys.create(state, "test", [Scope.SESSIONS_READ], created_by="tests", record=lambda _key: None)
    with served(home) as (_, url):
        wait_for(f"{url}/.well-known/lucid-signing-keys")
        given = {"LUCID_URL": url, "LUCID_KEY": key, "SESSION": sealed_home.ids["c-noise.bin"], "CHUNK": "1"}
        (folder / "fetched").mkdir()
        subprocess.run(
            ["sh", "-eu", "-c", block("sh")], cwd=folder / "fetched", env={**os.environ, **given}, check=True
        )
    return folder / "fetched"


def checked(folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-I", "-c", block("python")], cwd=folder, capture_output=True, text=True)


def test_it_proves_a_chunk(fetched: Path, sealed_home: SealedHome, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(fetched, tmp_path / "copy"))
    ended = checked(folder)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"chunk 1 of 3 of session {sealed_home.ids['c-noise.bin']} is what was signed")


@pytest.mark.parametrize("name", ["manifest.json", "keys.txt", "chunk.luc", "proof.json"])
def test_it_proves_nothing_once_a_part_is_changed(fetched: Path, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(fetched, tmp_path / "copy"))
    text = (folder / name).read_bytes()
    if name == "keys.txt":
        other = Lucid(tmp_path / "other", folder=tmp_path)
        other.ok("init")
        changed = (tmp_path / "other" / "keys" / "trusted-keys.txt").read_bytes()
    elif name == "chunk.luc":
        changed = text[:-1] + bytes([text[-1] ^ 1])
    elif name == "proof.json":
        changed = text.replace(b'"index":1', b'"index":2')
    else:
        changed = re.sub(rb'"sig":"..', b'"sig":"AA', text)
    assert changed != text
    (folder / name).write_bytes(changed)
    ended = checked(folder)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "NOT PROVEN" in ended.stderr
