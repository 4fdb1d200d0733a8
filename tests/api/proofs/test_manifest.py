"""`GET /sessions/{id}/manifest`: what was signed, byte for byte."""

from hashlib import sha256
from uuid import UUID

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.http.conditional import repr_digest
from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.manifest import open_envelope
from tests.api.conftest import SealedHome
from tests.api.proofs.support import NEVER, flip, object_path, seal_again, unsealed
from tests.api.support import Api, assert_problem

READ = Scope.SESSIONS_READ


@pytest.fixture
def session(sealed_home: SealedHome) -> str:
    return sealed_home.ids["c-noise.bin"]


def test_it_is_guarded(api: Api, session: str) -> None:
    api.assert_guarded("GET", f"/sessions/{session}/manifest", READ)


def test_it_is_the_stored_envelope_byte_for_byte(api: Api, session: str) -> None:
    answer = api.get(f"/sessions/{session}/manifest", READ)
    stored = object_path(api, manifest_key(UUID(session), 1)).read_bytes()
    assert answer.content == stored
    assert answer.headers["Content-Type"] == "application/vnd.dsse.envelope.v1+json"
    assert answer.headers["Repr-Digest"] == repr_digest(sha256(stored).digest())
    assert open_envelope(answer.content, api.services.trusted, "here").manifest.session_id == UUID(session)


def test_the_newest_has_to_be_asked_for_again_and_one_with_a_number_never(api: Api, session: str) -> None:
    newest = api.get(f"/sessions/{session}/manifest", READ)
    assert newest.headers["Cache-Control"] == "private, no-cache"
    location = newest.headers["Content-Location"]
    assert location == f"/api/v1/sessions/{session}/manifest?sequence=1"
    first = api.get(location.removeprefix("/api/v1"), READ)
    assert first.content == newest.content
    assert first.headers["ETag"] == newest.headers["ETag"]
    assert first.headers["Cache-Control"] == "private, max-age=31536000, immutable"


def test_who_has_it_gets_no_second_copy(api: Api, session: str) -> None:
    tag = api.get(f"/sessions/{session}/manifest", READ).headers["ETag"]
    unchanged = api.get(f"/sessions/{session}/manifest", READ, headers={"If-None-Match": tag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert unchanged.headers["ETag"] == tag
    refused = api.get(f"/sessions/{session}/manifest", READ, headers={"If-Match": '"another"'})
    assert_problem(refused, 412, "precondition-failed")


def test_a_session_that_was_sealed_again_has_a_newer_one_and_keeps_the_first(own_api: Api, session: str) -> None:
    before = own_api.get(f"/sessions/{session}/manifest", READ)
    second = seal_again(own_api, UUID(session))
    after = own_api.get(f"/sessions/{session}/manifest", READ)
    assert after.content == second
    assert after.headers["ETag"] != before.headers["ETag"]
    assert own_api.get(f"/sessions/{session}/manifest?sequence=1", READ).content == before.content
    assert own_api.get(f"/sessions/{session}/manifest?sequence=2", READ).content == second


def test_there_is_none_of_what_is_not_there_or_not_sealed(own_api: Api, session: str) -> None:
    assert_problem(own_api.get(f"/sessions/{NEVER}/manifest", READ), 404, "not-found")
    assert_problem(own_api.get(f"/sessions/{session}/manifest?sequence=2", READ), 404, "not-found")
    unknown = assert_problem(own_api.get(f"/sessions/{unsealed(own_api)}/manifest", READ), 404, "not-sealed")
    assert "registered" in unknown["detail"]


@pytest.mark.parametrize(
    "path",
    ["x/manifest", "..%2f..%2fkeys/manifest", "{}/manifest?sequence=0", "{}/manifest?sequence=x", "{}/manifest?q="],
)
def test_what_cannot_be_is_refused(api: Api, session: str, path: str) -> None:
    assert api.get(f"/sessions/{path.format(session)}", READ).status_code in (404, 422)


def test_a_changed_envelope_is_damage_and_is_not_sent(own_api: Api, session: str) -> None:
    flip(object_path(own_api, manifest_key(UUID(session), 1)), at=40)
    document = assert_problem(own_api.get(f"/sessions/{session}/manifest", READ), 500, "damaged")
    assert document["damage"]["where"] == manifest_key(UUID(session), 1)
    assert document["damage"]["code"] in ("manifest_malformed", "signature_invalid")


def test_an_archive_that_was_turned_back_is_damage(own_api: Api, session: str) -> None:
    seal_again(own_api, UUID(session))
    object_path(own_api, manifest_key(UUID(session), 2)).unlink()
    for path in ("manifest", "manifest?sequence=1", "manifest?sequence=2"):
        document = assert_problem(own_api.get(f"/sessions/{session}/{path}", READ), 500, "damaged")
        assert document["damage"]["code"] == "missing_object"


def test_an_envelope_that_another_key_signed_is_damage(own_api: Api, session: str, sealed_home: SealedHome) -> None:
    other = sealed_home.ids["b-empty"]
    ours, theirs = (object_path(own_api, manifest_key(UUID(name), 1)) for name in (session, other))
    ours.write_bytes(theirs.read_bytes())
    document = assert_problem(own_api.get(f"/sessions/{session}/manifest", READ), 500, "damaged")
    assert document["damage"]["code"] == "manifest_malformed"
