"""How `python -m lucid_api` begins and ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.api.conftest import SealedHome
from tests.api.serving import served, wait_for
from tests.api.support import copy_of
from tests.cli.support import Lucid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_asked_to(sealed_home: SealedHome, tmp_path: Path, number: signal.Signals) -> None:
    with served(copy_of(sealed_home.folder, tmp_path)) as (process, url):
        wait_for(f"{url}/api/v1/openapi.json")
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"api_host": "0.0.0.0", "api_authentication": "false"}, "listens on this machine only"),
        ({"api_host": "203.0.113.1"}, "cannot listen on 203.0.113.1"),
        ({"archive_url": "file:///nowhere/at/all"}, "cannot use the folder /nowhere/at/all"),
        ({"trusted_keys_file": "/nowhere"}, "/nowhere"),
        ({"api_port": "70000"}, "LUCID_API_PORT"),
    ],
)
def test_what_cannot_be_is_one_clear_line(
    sealed_home: SealedHome, tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    environment = Lucid(copy_of(sealed_home.folder, tmp_path)).having(**settings).environment
    ended = subprocess.run([sys.executable, "-m", "lucid_api"], env=environment, capture_output=True, cwd=tmp_path)
    error = ended.stderr.decode()
    assert ended.returncode == 2
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    assert said in error
