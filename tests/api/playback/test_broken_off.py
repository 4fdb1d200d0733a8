"""Responses that do not come to their end: by a real server, over real connections."""

import http.client
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import anyio
import pytest

from lucid_api.access import api_keys
from lucid_api.access.scopes import Scope
from lucid_api.http.parts import PartsResponse
from lucid_api.playback.playbacks import Playback, Playbacks
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.reader import load_chunk_table, load_manifest
from lucid_pipeline.errors import LucidError
from tests.api.access.support import recorded
from tests.api.playback.conftest import Shapes
from tests.api.proofs.support import flip
from tests.api.serving import served, wait_for
from tests.api.support import copy_of
from tests.cli.support import Lucid
from tests.processes import eventually
from tests.support import Home, mixture

LARGE = 48 * MIB
PATIENCE = 20.0


class Call:
    """The content of a session, asked for on a connection of its own that takes little at once."""

    def __init__(self, address: str, key: str, session_id: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        path = f"/api/v1/sessions/{session_id}/content"
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        self.response = self._connection.getresponse()

    def hang_up(self) -> None:
        self.response.close()
        self._connection.close()


@contextmanager
def service(home: Path, **settings: str) -> Iterator[tuple[Any, Callable[[str], Call]]]:
    """A running service, and what asks it for the content of a session."""
    state = StateDatabase(home)
    _, key = api_keys.create(state, "test", [Scope.CONTENT_PLAY], created_by="tests", record=lambda _key: None)
    state.close()
    with served(home, **settings) as (process, url), ExitStack() as calls:
        wait_for(f"{url}/health/live")

        def ask(session_id: str) -> Call:
            call = Call(urlsplit(url).netloc, key, session_id)
            calls.callback(call.hang_up)
            return call

        yield process, ask


@pytest.fixture
def home(shapes: Shapes, tmp_path: Path) -> Path:
    return copy_of(shapes.lucid.home, tmp_path)


@pytest.fixture(scope="module")
def large(shapes: Shapes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A home with a recording that no connection's buffers hold."""
    folder = copy_of(shapes.lucid.home, tmp_path_factory.mktemp("large"))
    lucid = Lucid(folder)
    [identity] = lucid.opened.keys().identities
    signed = Home(folder, identity, lucid.opened.signing_key()).archive(mixture(LARGE, seed=7))
    lucid.ok("rebuild-catalog")
    return folder, str(signed.manifest.session_id)


def test_damage_on_the_way_is_an_error_that_the_caller_sees(home: Path, shapes: Shapes) -> None:
    opened, session_id = Lucid(home).opened, shapes.ids["several"]
    store = opened.archive()
    manifest = load_manifest(UUID(session_id), store, opened.trusted_keys()).manifest
    flip(home / "archive" / load_chunk_table(manifest, store).objects[2].key)
    with service(home) as (process, ask):
        response = ask(session_id).response
        assert response.status == 200
        with pytest.raises(http.client.IncompleteRead) as broken:
            response.read()
        assert broken.value.partial == shapes.recordings["several"][: 2 * MIB]
        other = ask(shapes.ids["large chunks"]).response
        assert other.read() == shapes.recordings["large chunks"]
        process.terminate()
        log = process.stderr.read().decode()
    assert "broken off: object_digest_mismatch" in log
    assert "Traceback" not in log
    failed = [event for event in recorded(home, "content.played") if event["outcome"] == "failed"]
    assert [(event["session_id"], event["details"]) for event in failed] == [
        (session_id, {"damage": "object_digest_mismatch"})
    ]


def test_whoever_goes_away_frees_a_place(large: tuple[Path, str]) -> None:
    home, session_id = large
    with service(home, api_playbacks="1") as (_, ask):
        for _ in range(5):
            call = eventually(lambda: _let_in(ask(session_id)), seconds=PATIENCE, every=0.05)
            assert call.response.read(1000)
            assert ask(session_id).response.status == 503
            call.hang_up()


def _let_in(call: Call) -> Call | None:
    return call if call.response.status == 200 else None


def test_a_response_that_has_begun_ends_although_the_service_is_asked_to(large: tuple[Path, str]) -> None:
    home, session_id = large
    with service(home) as (process, ask):
        response = ask(session_id).response
        head = response.read(1000)
        process.send_signal(signal.SIGTERM)
        assert head + response.read() == mixture(LARGE, seed=7)
        assert process.wait(10) == 0


class Parts:
    """A playback of many parts, and a place that it takes."""

    def __init__(self) -> None:
        self.places = threading.BoundedSemaphore(1)
        self.read = 0
        assert self.places.acquire(blocking=False)
        self.playback = Playback(self._parts(), self.places.release)
        self.failures: list[LucidError] = []

    def _parts(self) -> Any:
        for _ in range(100):
            self.read += 1
            yield bytes(1000)

    @property
    def is_free(self) -> bool:
        return self.places.acquire(blocking=False)

    async def answer(self, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        self.playback.begin()
        headers = {"Content-Length": "100000"}
        response = PartsResponse(self.playback, 200, headers, "video/mp4", self.failures.append)
        with anyio.fail_after(PATIENCE):
            await response({"type": "http"}, receive, send)


async def _never() -> Any:
    await anyio.sleep_forever()


def test_whoever_takes_nothing_for_long_frees_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lucid_api.http.parts.STALLED_SECONDS", 0.2)
    parts, taken = Parts(), []

    async def take_three(message: Any) -> None:
        taken.append(message)
        if len(taken) > 3:
            await anyio.sleep_forever()

    anyio.run(parts.answer, _never, take_three)
    assert parts.is_free
    assert parts.read < 10
    assert all(message.get("more_body", True) for message in taken), "it did not come to its end"


def test_reading_ends_when_the_caller_has_gone() -> None:
    parts = Parts()

    async def run() -> None:
        left = anyio.Event()

        async def receive() -> Any:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if parts.read > 5:
                left.set()
                await anyio.sleep(0.01)

        await parts.answer(receive, send)

    anyio.run(run)
    assert parts.is_free
    assert parts.read < 20
    assert not parts.failures


def test_a_playback_is_closed_once(shapes: Shapes) -> None:
    playbacks = Playbacks(at_once=1, workers=2)
    lucid = shapes.lucid.opened
    [identity] = lucid.keys().identities
    reader = Home(shapes.lucid.home, identity, lucid.signing_key()).reader(UUID(shapes.ids["several"]))
    threads = threading.active_count()
    for _ in range(3):
        playback = playbacks.playback(reader, 0, len(reader), "somebody")
        playback.begin()
        assert playback.next_part() == shapes.recordings["several"][:MIB]
        playback.close()
        playback.close()
        assert threading.active_count() == threads
