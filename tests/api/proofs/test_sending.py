"""How many chunk objects lie in memory at once."""

from uuid import UUID

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.proofs.sending import MOST_BYTES, ObjectsInMemory, TooManyObjects
from tests.api.conftest import SealedHome
from tests.api.proofs.support import flip, object_path
from tests.api.support import Api, assert_problem

READ = Scope.SESSIONS_READ


def test_only_so_many_bytes_are_on_their_way_at_once() -> None:
    objects = ObjectsInMemory()
    first, _ = objects.take(MOST_BYTES // 2), objects.take(MOST_BYTES // 2)
    with pytest.raises(TooManyObjects):
        objects.take(1)
    first.close()
    first.close()
    objects.take(MOST_BYTES // 2)
    with pytest.raises(TooManyObjects):
        objects.take(1)


def test_one_object_has_a_place_however_large() -> None:
    objects = ObjectsInMemory()
    objects.take(MOST_BYTES + 1).close()
    objects.take(1)


def test_what_comes_of_it_is_said_to_whoever_is_one_too_many(own_api: Api, sealed_home: SealedHome) -> None:
    path = f"/sessions/{sealed_home.ids['c-noise.bin']}/chunks/0"
    place = own_api.services.objects.take(MOST_BYTES)
    refused = own_api.get(path, READ)
    assert_problem(refused, 503, "too-many-objects")
    assert refused.headers["Retry-After"] == "2"
    place.close()
    assert own_api.get(path, READ).status_code == 200


def test_whatever_becomes_of_a_request_its_place_is_given_back(own_api: Api, sealed_home: SealedHome) -> None:
    session = sealed_home.ids["c-noise.bin"]
    chunk = own_api.services.proven.session(own_api.services.catalog.get(UUID(session))).chunk(1)
    flip(object_path(own_api, chunk.key))
    path = f"/sessions/{session}/chunks"
    assert own_api.get(f"{path}/0", READ).status_code == 200
    assert own_api.get(f"{path}/0", READ, headers={"Range": "bytes=5-10"}).status_code == 206
    assert own_api.ask("HEAD", f"{path}/0", READ).status_code == 200
    assert own_api.get(f"{path}/1", READ).status_code == 500
    own_api.services.objects.take(MOST_BYTES)
