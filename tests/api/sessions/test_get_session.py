"""`GET /sessions/{id}`: everything that is known of a session, and once."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from lucid_api.access.scopes import Scope
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.stores.catalog import Failure, SessionRecord, State
from tests.api.conftest import SealedHome
from tests.api.support import Api, assert_problem

READ = Scope.SESSIONS_READ
CAST = "a-cast.cast"


def record_of(api: Api, sealed_home: SealedHome, name: str = CAST) -> SessionRecord:
    return api.services.catalog.get(UUID(sealed_home.ids[name]))


def test_only_those_who_may_read_sessions_get_one(api: Api, sealed_home: SealedHome) -> None:
    api.assert_guarded("GET", f"/sessions/{sealed_home.ids[CAST]}", READ)


def test_a_sealed_session_is_told_with_all_that_is_known_of_it(api: Api, sealed_home: SealedHome) -> None:
    record = record_of(api, sealed_home)
    assert record.seal
    response = api.get(f"/sessions/{record.session_id}", READ)
    assert response.status_code == 200
    assert response.json() == {
        "session_id": str(record.session_id),
        "state": "sealed",
        "reached": "sealed",
        "registered_at": record.registered_at,
        "name": CAST,
        "user": "alice",
        "host": "web-1",
        "protocol": "ssh",
        "started_at": "2026-01-31T12:00:00Z",
        "ended_at": "2026-01-31T12:10:00+01:00",
        "tags": {"ticket": "OPS=7"},
        "length": len(sealed_home.originals[CAST]),
        "duration_ms": 99_900,
        "media_type": "application/x-asciicast",
        "seal": {
            "sequence": 1,
            "envelope_sha256": record.seal.envelope_sha256.hex(),
            "signed_by": record.seal.key_id,
            "root": record.seal.root.hex(),
            "suite": record.seal.suite,
            "chunk_count": 1,
            "stored_bytes": record.seal.stored_bytes,
            "sealed_at": record.seal.sealed_at,
        },
        "verified": "never",
        "verified_at": None,
        "damages": [],
        "failure": None,
        "duplicate_of": None,
    }


def test_where_its_recording_lies_is_not_told(own_api: Api, sealed_home: SealedHome) -> None:
    record = record_of(own_api, sealed_home)
    assert record.source
    text = own_api.get(f"/sessions/{record.session_id}", READ).text
    for secret in (str(record.source.path.parent), record.source.fingerprint, (record.content_id or b"?").hex()):
        assert secret not in text


def test_a_session_that_has_failed_says_why_and_what_comes_next(own_api: Api, sealed_home: SealedHome) -> None:
    due = datetime(2026, 3, 1, 12, tzinfo=UTC)
    failed = replace(
        record_of(own_api, sealed_home),
        session_id=new_session_id(),
        state=State.CHUNKED,
        seal=None,
        failure=Failure("encrypted_chunks", "the disk is full", permanent=False, retry_at=due),
        attempts=2,
    )
    stuck = replace(failed, session_id=new_session_id(), failure=Failure("chunks", "no", permanent=True), attempts=1)
    own_api.services.catalog.restore(failed, stuck)
    told = own_api.get(f"/sessions/{failed.session_id}", READ).json()
    assert (told["state"], told["reached"], told["seal"], told["verified"]) == ("failed", "chunked", None, None)
    assert told["failure"] == {
        "stage": "encrypted_chunks",
        "reason": "the disk is full",
        "permanent": False,
        "attempts": 2,
        "retry_at": "2026-03-01T12:00:00.000Z",
    }
    told = own_api.get(f"/sessions/{stuck.session_id}", READ).json()
    assert (told["state"], told["failure"]["retry_at"]) == ("quarantined", None)


def test_a_damaged_session_names_its_damage(own_api: Api, sealed_home: SealedHome) -> None:
    record = record_of(own_api, sealed_home)
    at = "2026-03-01T12:00:00.000Z"
    own_api.services.catalog.record_verification(record.session_id, ["root_mismatch"], at)
    told = own_api.get(f"/sessions/{record.session_id}", READ).json()
    assert (told["state"], told["verified"], told["verified_at"]) == ("damaged", "damaged", at)
    assert told["damages"] == ["root_mismatch"]


def test_what_has_not_changed_is_not_sent_again(own_api: Api, sealed_home: SealedHome) -> None:
    record = record_of(own_api, sealed_home)
    path, caller = f"/sessions/{record.session_id}", own_api.headers(READ)
    first = own_api.get(path, headers=caller)
    assert first.headers["Cache-Control"] == "private, no-cache"
    known = {**caller, "If-None-Match": first.headers["ETag"]}
    again = own_api.get(path, headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    own_api.services.catalog.record_verification(record.session_id, (), "2026-03-01T12:00:00.000Z")
    changed = own_api.get(path, headers=known)
    assert (changed.status_code, changed.json()["verified"]) == (200, "intact")
    assert_problem(own_api.get(path, headers={**caller, "If-Match": first.headers["ETag"]}), 412, "precondition-failed")


def test_a_session_that_is_not_there_is_not_found(api: Api) -> None:
    assert_problem(api.get(f"/sessions/{new_session_id()}", READ), 404, "not-found")


@pytest.mark.parametrize(
    "text", ["1", "..%2f..%2fetc%2fpasswd", "01A207BC-8E81-7370-A993-4DAF2CA01F8C", "%00", "x" * 5000]
)
def test_what_is_no_session_id_is_refused_and_not_quoted(api: Api, text: str) -> None:
    response = api.get(f"/sessions/{text}", READ)
    assert response.status_code in (404, 422)
    assert text not in response.text or len(text) == 1
