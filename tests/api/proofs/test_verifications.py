"""`/sessions/{id}/verifications`: asked for, made in their turn, and kept."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from lucid_api.access import api_keys
from lucid_api.access.scopes import Scope
from lucid_api.proofs import verification_store, verifications
from lucid_api.proofs.documents import VerificationStatus
from lucid_api.proofs.verifications import TooManyVerifications, Verifications
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.verification import Verifier
from tests.api.conftest import SealedHome
from tests.api.proofs.support import NEVER, flip, object_path, unsealed
from tests.api.serving import served, wait_for
from tests.api.support import Api, assert_problem, copy_of, running_api

READ, VERIFY = Scope.SESSIONS_READ, Scope.VERIFY_WRITE


@pytest.fixture
def session(sealed_home: SealedHome) -> str:
    """It has three chunks."""
    return sealed_home.ids["c-noise.bin"]


def requested(api: Api, session: str, *, deep: bool = False, **arguments: Any) -> Any:
    return api.ask("POST", f"/sessions/{session}/verifications", VERIFY, json={"deep": deep}, **arguments)


def until(is_so: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (found := is_so()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def ended(api: Api, location: str) -> Any:
    """The verification there, once it has ended."""

    def found() -> Any:
        document = api.get(location.removeprefix("/api/v1"), READ).json()
        return document if document["ended_at"] else None

    return until(found)


def test_they_are_guarded(api: Api, session: str) -> None:
    path = f"/sessions/{session}/verifications"
    api.assert_guarded("POST", path, VERIFY, json={})
    api.assert_guarded("GET", path, READ)
    api.assert_guarded("GET", f"{path}/{NEVER}", READ)


def test_a_session_is_verified_in_its_turn(own_api: Api, session: str) -> None:
    answer = requested(own_api, session)
    assert answer.status_code == 202
    queued = answer.json()
    assert queued["status"] in ("queued", "running")
    assert answer.headers["Location"] == f"/api/v1/sessions/{session}/verifications/{queued['verification_id']}"
    document = ended(own_api, answer.headers["Location"])
    assert document["status"] == "finished"
    assert document["damages"] == []
    result = document["result"]
    assert (result["intact"], result["chunks_checked"], result["damage_count"]) == (True, 3, 0)
    assert result["bytes_checked"] == document["bytes_done"] == document["bytes_total"]
    record = own_api.services.catalog.get(UUID(session))
    assert record.seal
    assert (result["sequence"], result["signed_by"], result["root"]) == (
        1,
        record.seal.key_id,
        record.seal.root.hex(),
    )
    assert record.verified_at is not None
    assert record.verified_at <= document["ended_at"]
    events = (own_api.services.settings.home / "audit").rglob("*")
    assert any(b"verification.started" in path.read_bytes() for path in events if path.is_file())


def test_every_damage_is_told_and_the_catalog_learns_of_it(own_api: Api, session: str) -> None:
    rows = own_api.get(f"/sessions/{session}/chunks", READ).json()["chunks"]
    flip(object_path(own_api, rows[0]["key"]))
    object_path(own_api, rows[2]["key"]).unlink()
    document = ended(own_api, requested(own_api, session).headers["Location"])
    assert document["status"] == "finished"
    assert [(damage["code"], damage["where"]) for damage in document["damages"]] == [
        ("object_digest_mismatch", rows[0]["key"]),
        ("missing_object", rows[2]["key"]),
    ]
    assert document["result"]["intact"] is False
    assert document["result"]["damage_count"] == 2
    assert document["result"]["damage_codes"] == ["missing_object", "object_digest_mismatch"]
    assert sorted(own_api.services.catalog.get(UUID(session)).damages) == ["missing_object", "object_digest_mismatch"]


def test_a_deep_one_sees_what_takes_a_key(own_api: Api, session: str) -> None:
    document = ended(own_api, requested(own_api, session, deep=True).headers["Location"])
    assert (document["deep"], document["result"]["intact"]) == (True, True)


def test_without_an_identity_none_is_deep(sealed_home: SealedHome, session: str, tmp_path: Path) -> None:
    home = copy_of(sealed_home.folder, tmp_path)
    (home / "keys" / "identity.txt").unlink()
    with running_api(home) as api:
        assert_problem(requested(api, session, deep=True), 409, "no-identity")
        assert ended(api, requested(api, session).headers["Location"])["result"]["intact"]


def test_what_is_not_sealed_or_not_there_is_not_verified(own_api: Api, session: str) -> None:
    assert_problem(requested(own_api, str(unsealed(own_api))), 409, "nothing-sealed")
    assert_problem(requested(own_api, NEVER), 404, "not-found")
    path = f"/sessions/{session}/verifications"
    for body in ({"deep": "perhaps"}, {"Deep": True}, [], None):
        assert_problem(own_api.ask("POST", path, VERIFY, json=body), 422, "invalid")
    assert own_api.get(path, READ).json() == {"verifications": []}


def test_sent_twice_it_is_made_once(own_api: Api, session: str) -> None:
    caller = {**own_api.headers(VERIFY), "Idempotency-Key": "k"}
    path = f"/api/v1/sessions/{session}/verifications"
    first, again = (own_api.client.post(path, headers=caller, json={"deep": False}) for _ in range(2))
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    other = own_api.client.post(path, headers=caller, json={"deep": True})
    assert_problem(other, 422, "idempotency-key-reused")
    assert len(own_api.get(path.removeprefix("/api/v1"), READ).json()["verifications"]) == 1


def test_they_are_listed_newest_first_by_pages(own_api: Api, session: str, sealed_home: SealedHome) -> None:
    ids = [requested(own_api, session).json()["verification_id"] for _ in range(5)]
    other = requested(own_api, sealed_home.ids["b-empty"]).json()["verification_id"]
    path, found = f"/sessions/{session}/verifications?limit=2", []
    while path:
        answer = own_api.get(path, READ)
        found += [entry["verification_id"] for entry in answer.json()["verifications"]]
        path = answer.links["next"]["url"].removeprefix("/api/v1") if "next" in answer.links else ""
    assert found == ids[::-1]
    assert_problem(own_api.get(f"/sessions/{session}/verifications/{other}", READ), 404, "not-found")
    assert_problem(own_api.get(f"/sessions/{session}/verifications/{NEVER}", READ), 404, "not-found")


def test_of_each_session_the_newest_are_kept(
    own_api: Api, session: str, sealed_home: SealedHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification_store, "MOST_OF_A_SESSION", 3)
    other = requested(own_api, sealed_home.ids["b-empty"])
    ids = []
    for _ in range(5):
        answer = requested(own_api, session)
        ids.append(ended(own_api, answer.headers["Location"])["verification_id"])
    kept = own_api.get(f"/sessions/{session}/verifications", READ).json()["verifications"]
    assert [entry["verification_id"] for entry in kept] == ids[:1:-1]
    ended(own_api, other.headers["Location"])


def test_many_damages_are_counted_and_the_first_ones_kept(
    own_api: Api, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifications, "MOST_DAMAGES", 2)
    for row in own_api.get(f"/sessions/{session}/chunks", READ).json()["chunks"]:
        object_path(own_api, row["key"]).unlink()
    document = ended(own_api, requested(own_api, session).headers["Location"])
    assert document["result"]["damage_count"] == 3
    assert [damage["where"][-41:-33] for damage in document["damages"]] == ["00000000", "00000001"]


class Gate(ObjectStore):
    """An archive whose chunk objects are behind a gate: each waits there until it is let in."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self.waiting = threading.Semaphore(0)
        self.let_in = threading.Semaphore(0)
        self.failure: Exception | None = None

    def __getattribute__(self, name: str) -> Any:
        if name in ("get", "_store", "waiting", "let_in", "failure"):
            return object.__getattribute__(self, name)
        return getattr(self._store, name)

    def get(self, key: str, limit: int) -> memoryview:
        if "/chunks/" in key:
            self.waiting.release()
            assert self.let_in.acquire(timeout=60)
            if self.failure:
                raise self.failure
        return self._store.get(key, limit)


@contextmanager
def made_behind(gate: Gate, api: Api, stopping: threading.Event | None = None) -> Iterator[Verifications]:
    """Verifications that one thread makes, with one worker, of the archive behind a gate."""
    services = api.services
    verifier = Verifier(gate, services.trusted, 1, None)
    made = Verifications(
        services.state, services.catalog, verifier, None, at_once=1, stopping=stopping or threading.Event()
    )
    with closing(made):
        yield made
        gate.let_in.release(1000)


def test_it_tells_how_far_it_is(own_api: Api, session: str) -> None:
    gate, record = Gate(own_api.services.archive), own_api.services.catalog.get(UUID(session))
    with made_behind(gate, own_api) as made:
        key = made.request(record, deep=False, subject="somebody").verification_id
        first, second = (made.request(record, deep=False, subject="x").verification_id for _ in range(2))
        assert gate.waiting.acquire(timeout=60)
        seen = made.get(record.session_id, key)
        assert (seen.status, seen.bytes_done, seen.requested_by) == (VerificationStatus.RUNNING, 0, "somebody")
        assert made.get(record.session_id, first).status is VerificationStatus.QUEUED
        gate.let_in.release()
        assert gate.waiting.acquire(timeout=60)
        done = until(lambda: made.get(record.session_id, key).bytes_done)
        assert 0 < done < seen.bytes_total
        assert {entry.bytes_done for entry in made.newest(record.session_id, None, 10)} == {0, done}
        gate.let_in.release(8)
        until(lambda: made.get(record.session_id, second).ended_at)
        assert made.get(record.session_id, key).bytes_done == seen.bytes_total


def test_only_so_many_wait_and_half_of_them_for_one_caller(
    own_api: Api, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verifications, "MOST_WAITING", 4)
    gate, record = Gate(own_api.services.archive), own_api.services.catalog.get(UUID(session))
    with made_behind(gate, own_api) as made:
        made.request(record, deep=False, subject="x")
        assert gate.waiting.acquire(timeout=60)
        for subject in ("x", "y"):
            for _ in range(2):
                made.request(record, deep=False, subject=subject)
            with pytest.raises(TooManyVerifications) as refused:
                made.request(record, deep=False, subject=subject)
            assert "Retry-After" in refused.value.headers
        with pytest.raises(TooManyVerifications):
            made.request(record, deep=False, subject="z")
        gate.let_in.release(100)
        until(lambda: not made._queue.qsize())
        made.request(record, deep=False, subject="x")


def test_what_cannot_be_read_is_no_damage_and_the_next_one_is_made(own_api: Api, session: str) -> None:
    gate, record = Gate(own_api.services.archive), own_api.services.catalog.get(UUID(session))
    gate.failure = TransientError("/the/secret/place does not answer")
    with made_behind(gate, own_api) as made:
        gate.let_in.release(100)
        key = made.request(record, deep=False, subject="x").verification_id
        failed = until(lambda: made.get(record.session_id, key).ended_at and made.get(record.session_id, key))
        assert failed.status is VerificationStatus.FAILED
        assert (failed.result, failed.damages) == (None, [])
        assert "secret" not in failed.obstacle
        gate.failure = None
        again = made.request(record, deep=False, subject="x").verification_id
        until(lambda: made.get(record.session_id, again).status is VerificationStatus.FINISHED)
    assert not own_api.services.catalog.get(record.session_id).damages


def test_one_that_goes_wrong_in_an_unforeseen_way_is_told_and_the_next_one_is_made(own_api: Api, session: str) -> None:
    gate, record = Gate(own_api.services.archive), own_api.services.catalog.get(UUID(session))
    gate.failure = RuntimeError("secret")
    with made_behind(gate, own_api) as made:
        gate.let_in.release(100)
        key = made.request(record, deep=False, subject="x").verification_id
        failed = until(lambda: made.get(record.session_id, key).ended_at and made.get(record.session_id, key))
        assert failed.status is VerificationStatus.FAILED
        assert "secret" not in failed.obstacle
        gate.failure = None
        again = made.request(record, deep=False, subject="x").verification_id
        until(lambda: made.get(record.session_id, again).status is VerificationStatus.FINISHED)


def test_those_under_way_and_those_that_wait_are_interrupted_when_the_service_ends(own_api: Api, session: str) -> None:
    gate, stopping = Gate(own_api.services.archive), threading.Event()
    record = own_api.services.catalog.get(UUID(session))
    with made_behind(gate, own_api, stopping) as made:
        keys = [made.request(record, deep=False, subject="x").verification_id for _ in range(3)]
        assert gate.waiting.acquire(timeout=60)
        stopping.set()
        gate.let_in.release()
        until(lambda: made.get(record.session_id, keys[0]).status is VerificationStatus.INTERRUPTED)
    for key in keys:
        assert own_api.services.verifications.get(record.session_id, key).status is VerificationStatus.INTERRUPTED
    assert own_api.services.catalog.get(record.session_id).verified_at == record.verified_at


def test_what_a_process_left_undone_is_interrupted_at_the_next_start(own_api: Api, session: str) -> None:
    gate, record = Gate(own_api.services.archive), own_api.services.catalog.get(UUID(session))
    with made_behind(gate, own_api) as dead:
        keys = [dead.request(record, deep=False, subject="x").verification_id for _ in range(2)]
        assert gate.waiting.acquire(timeout=60)
        with made_behind(Gate(own_api.services.archive), own_api) as made:
            found = [made.get(record.session_id, key) for key in keys]
            assert {one.status for one in found} == {VerificationStatus.INTERRUPTED}
            assert all(one.ended_at for one in found)


def test_sigterm_ends_them_within_seconds(sealed_home: SealedHome, session: str, tmp_path: Path) -> None:
    home = copy_of(sealed_home.folder, tmp_path)
    with closing(StateDatabase(home)) as state:
        _, text = api_keys.create(state, "test", [VERIFY], created_by="tests", record=lambda _key: None)
    with served(home) as (process, url):
        wait_for(f"{url}/.well-known/lucid-signing-keys")
        for _ in range(40):
            httpx2.post(
                f"{url}/api/v1/sessions/{session}/verifications",
                headers={"Authorization": f"Bearer {text}"},
                json={"deep": True},
            )
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    with closing(StateDatabase(home)) as state, state.reading() as connection:
        assert connection.execute("SELECT count(*) FROM verifications WHERE NOT has_ended").fetchone()[0] == 0
