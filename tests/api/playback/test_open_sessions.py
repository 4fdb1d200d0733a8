"""Sessions are unlocked once for whoever plays them, and not a moment longer than they may be."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from uuid import UUID

import pytest

from lucid_api.playback import open_sessions
from lucid_api.playback.open_sessions import NoKeySlot, OpenSessions
from lucid_api.proofs.proven import NotSealed, ProvenSessions
from lucid_pipeline.archive.keys import Dek, Identity
from lucid_pipeline.archive.manifest import Manifest
from lucid_pipeline.archive.reader import Keys
from lucid_pipeline.errors import TransientError
from tests.api.playback.conftest import Shapes
from tests.api.proofs.support import seal_again, unsealed
from tests.api.support import Api


class CountingKeys(Keys):
    """The keys at hand, and how often they were used."""

    used = 0

    def unlock(self, manifest: Manifest) -> Dek:
        type(self).used += 1
        return super().unlock(manifest)


@dataclass
class World:
    api: Api
    sessions: OpenSessions

    def open(self, session_id: str) -> object:
        return self.sessions.session(self.api.services.catalog.get(UUID(session_id)))


@pytest.fixture
def world(own_player: Api) -> World:
    services = own_player.services
    assert services.keys
    CountingKeys.used = 0
    keys = CountingKeys(services.keys.identities, services.keys.keystore)
    return World(own_player, OpenSessions(services.archive, keys, ProvenSessions(services.archive, services.trusted)))


def test_it_is_unlocked_once(world: World, shapes: Shapes) -> None:
    opened = {id(world.open(shapes.ids["demo"])) for _ in range(10)}
    assert len(opened) == 1
    assert CountingKeys.used == 1


def test_it_is_unlocked_once_for_all_who_ask_at_the_same_time(world: World, shapes: Shapes) -> None:
    ready = threading.Barrier(8)

    def open_it(_number: int) -> object:
        ready.wait()
        return world.open(shapes.ids["several"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(map(id, pool.map(open_it, range(8))))) == 1
    assert CountingKeys.used == 1


def test_a_shredded_session_is_gone_at_the_next_look(
    world: World, shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = shapes.ids["demo"]
    world.open(session_id)
    world.api.services.home.keystore().delete(UUID(session_id))
    world.open(session_id)
    assert open_sessions.CHECKED_FOR <= 10, "some seconds, and no more"
    monkeypatch.setattr(open_sessions, "CHECKED_FOR", -1.0)
    for _ in range(2):
        with pytest.raises(NoKeySlot):
            world.open(session_id)


def test_a_session_that_was_sealed_anew_is_opened_anew(world: World, shapes: Shapes) -> None:
    session_id = shapes.ids["demo"]
    first = world.open(session_id)
    seal_again(world.api, UUID(session_id))
    second = world.open(session_id)
    assert second is not first
    assert world.open(session_id) is second


def test_one_that_the_catalog_has_not_heard_of_is_seen_at_the_next_look(
    world: World, shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    session_id = shapes.ids["demo"]
    first = world.open(session_id)
    seal_again(world.api, UUID(session_id), told=False)
    assert world.open(session_id) is first
    monkeypatch.setattr(open_sessions, "CHECKED_FOR", -1.0)
    assert world.open(session_id) is not first


def test_a_look_that_fails_lets_nobody_in(world: World, shapes: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    world.open(shapes.ids["demo"])
    monkeypatch.setattr(open_sessions, "CHECKED_FOR", -1.0)

    def away(*_: object) -> object:
        raise TransientError("the keystore does not answer")

    with monkeypatch.context() as changed:
        changed.setattr(CountingKeys, "unlock", away)
        with pytest.raises(TransientError):
            world.open(shapes.ids["demo"])
    world.open(shapes.ids["demo"])


def test_few_are_kept(world: World, shapes: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    def kept(names: Sequence[str]) -> int:
        used = CountingKeys.used
        for name in names:
            world.open(shapes.ids[name])
        return len(names) - (CountingKeys.used - used)

    names = ["demo", "small", "several"]
    assert kept(names) == 0
    assert kept(names) == 3
    monkeypatch.setattr(open_sessions, "_MOST_SESSIONS", 2)
    world.open(shapes.ids["a byte"])
    assert kept(["several", "a byte"]) == 2
    monkeypatch.setattr(open_sessions, "_MOST_CHUNKS", 3)
    world.open(shapes.ids["large chunks"])
    assert kept(["large chunks"]) == 1
    monkeypatch.setattr(open_sessions, "_KEPT_FOR", -1.0)
    assert kept(["large chunks", "large chunks"]) == 0


def test_what_is_not_sealed_or_for_others_is_not_opened(world: World, shapes: Shapes) -> None:
    with pytest.raises(NotSealed):
        world.open(str(unsealed(world.api)))
    services = world.api.services
    others = Keys([Identity.generate()], services.home.keystore())
    sessions = OpenSessions(services.archive, others, ProvenSessions(services.archive, services.trusted))
    with pytest.raises(NoKeySlot):
        sessions.session(services.catalog.get(UUID(shapes.ids["demo"])))
