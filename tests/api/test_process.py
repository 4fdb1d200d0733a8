"""How `python -m lucid_api` begins and ends."""

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from lucid_api.access import api_keys
from lucid_api.access.scopes import Scope
from lucid_api.state import StateDatabase
from tests.api.conftest import SealedHome
from tests.api.serving import served, wait_for
from tests.api.support import copy_of
from tests.cli.support import Lucid
from tests.servers.s3 import credentials, gateway_or_skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_it_is_asked_to(sealed_home: SealedHome, tmp_path: Path, number: signal.Signals) -> None:
    with served(copy_of(sealed_home.folder, tmp_path)) as (process, url):
        wait_for(f"{url}/api/v1/openapi.json")
        process.send_signal(number)
        assert process.wait(timeout=10) == 0


def test_it_ends_within_ten_seconds_while_a_store_does_not_answer(sealed_home: SealedHome, tmp_path: Path) -> None:
    home, session = copy_of(sealed_home.folder, tmp_path), sealed_home.ids["c-noise.bin"]
    with closing(StateDatabase(home)) as state:
        scopes = [Scope.SESSIONS_READ, Scope.VERIFY_WRITE]
        _, key = api_keys.create(state, "test", scopes, created_by="tests", record=lambda _key: None)
    with gateway_or_skip(tmp_path / "buckets") as gateway:
        archive = f"s3://{gateway.link_bucket(tmp_path)}/{home.name}/archive"
        with served(home, environment=credentials(gateway.url), archive_url=archive) as (process, url):
            wait_for(f"{url}/health/live")
            os.kill(gateway.pid, signal.SIGSTOP)
            caller = {"Authorization": f"Bearer {key}"}
            place = f"{url}/api/v1/sessions/{session}"
            assert httpx2.post(f"{place}/verifications", headers=caller, json={}).status_code == 202
            with pytest.raises(httpx2.ReadTimeout):
                httpx2.get(f"{place}/manifest", headers=caller, timeout=1)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
    with closing(StateDatabase(home)) as state, state.reading() as connection:
        assert connection.execute("SELECT count(*) FROM verifications WHERE NOT has_ended").fetchone()[0] == 0


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
