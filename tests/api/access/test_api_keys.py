"""Keys: made by whoever may, never for more than that, told once, gone at once."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from lucid_api.access import api_keys
from lucid_api.access.api_keys import TooManyKeys
from lucid_api.access.scopes import Role, Scope
from tests.api.access.support import bearer, csrf_token, new_key, recorded, sign_in
from tests.api.support import ALL, Api, assert_problem

VIEWER = {"label": "the wall", "role": "viewer"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api-keys"),
        ("POST", "/api-keys"),
        ("GET", "/api-keys/0123456789abcdef"),
        ("DELETE", "/api-keys/0123456789abcdef"),
    ],
)
def test_keys_are_for_admins(bare_api: Api, method: str, path: str) -> None:
    bare_api.assert_guarded(method, path, Scope.ADMIN, json=VIEWER if method == "POST" else None)
    assert len(bare_api.get("/api-keys", Scope.ADMIN).json()["api_keys"]) == 2, "none was made but those that asked"


def test_a_key_opens_what_its_role_may(bare_api: Api) -> None:
    answer = bare_api.ask("POST", "/api-keys", *ALL, json=VIEWER)
    assert answer.status_code == 201
    made = answer.json()
    assert answer.headers["Location"] == f"/api/v1/api-keys/{made['key_id']}"
    assert (made["label"], made["scopes"], made["expires_at"], made["used_at"]) == (
        "the wall",
        ["content:play", "sessions:read"],
        None,
        None,
    )
    me = bare_api.client.get("/api/v1/me", headers=bearer(made["key"])).json()
    assert me == {"subject": made["subject"], "scopes": made["scopes"]}
    found = bare_api.get("/api-keys/" + made["key_id"], Scope.ADMIN).json()
    assert found["used_at"] is not None
    assert "key" not in found


def test_scopes_can_be_named_instead_of_a_role(bare_api: Api) -> None:
    made = bare_api.ask("POST", "/api-keys", *ALL, json={"label": "x", "scopes": ["audit:read"]}).json()
    assert made["scopes"] == ["audit:read"]


def test_a_whole_number_is_one_however_it_is_written(bare_api: Api) -> None:
    headers = {**bare_api.headers(*ALL), "Content-Type": "application/json"}
    body = '{"label": "x", "role": "viewer", "expires_in_days": 30.0}'
    assert bare_api.client.post("/api/v1/api-keys", content=body, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"label": "x"},
        {"label": "", "role": "viewer"},
        {"label": "x" * 101, "role": "viewer"},
        {"label": "two\nlines", "role": "viewer"},
        {"label": "x", "role": "root"},
        {"label": "x", "scopes": []},
        {"label": "x", "scopes": ["all"]},
        {"label": "x", "role": "viewer", "scopes": ["admin"]},
        {"label": "x", "role": "viewer", "expires_in_days": 0},
        {"label": "x", "role": "viewer", "expires_in_days": "30"},
        {"label": "x", "role": "viewer", "expires_in_days": True},
        {"label": "x", "role": "viewer", "expires_at": "2099-01-01T00:00:00Z"},
    ],
)
def test_what_is_no_key_is_refused(bare_api: Api, bare_home: Path, body: dict[str, Any]) -> None:
    assert_problem(bare_api.ask("POST", "/api-keys", *ALL, json=body), 422, "invalid")
    assert not recorded(bare_home, "key.created")


@pytest.mark.parametrize("granted", [{"role": "viewer"}, {"role": "admin"}, {"scopes": ["content:play"]}])
def test_nobody_can_give_what_they_do_not_have(bare_api: Api, bare_home: Path, granted: dict[str, Any]) -> None:
    refused = bare_api.ask(
        "POST", "/api-keys", Scope.ADMIN, Scope.SESSIONS_READ, json={"label": "more than I may", **granted}
    )
    assert "content:play" in assert_problem(refused, 403, "forbidden")["missing"]
    assert not recorded(bare_home, "key.created")


def test_a_key_that_has_expired_opens_nothing(bare_api: Api) -> None:
    state, now = bare_api.services.state, datetime.now(UTC)
    texts = [
        api_keys.create(state, "x", ALL, created_by="tests", expires_at=moment, record=lambda _key: None)[1]
        for moment in (now - timedelta(seconds=1), now + timedelta(minutes=5))
    ]
    assert [bare_api.client.get("/api/v1/me", headers=bearer(text)).status_code for text in texts] == [401, 200]
    made = bare_api.ask("POST", "/api-keys", *ALL, json={**VIEWER, "expires_in_days": 30}).json()
    assert datetime.fromisoformat(made["expires_at"]) - now > timedelta(days=29)


def test_a_deleted_key_opens_nothing_from_that_moment_on(bare_api: Api) -> None:
    key, text = new_key(bare_api, Scope.SESSIONS_READ)
    assert bare_api.client.get("/api/v1/me", headers=bearer(text)).status_code == 200
    answer = bare_api.ask("DELETE", f"/api-keys/{key.key_id}", Scope.ADMIN)
    assert (answer.status_code, answer.content) == (204, b"")
    assert_problem(bare_api.client.get("/api/v1/me", headers=bearer(text)), 401, "unauthorized")
    assert_problem(bare_api.ask("DELETE", f"/api-keys/{key.key_id}", Scope.ADMIN), 404, "not-found")
    assert_problem(bare_api.get(f"/api-keys/{key.key_id}", Scope.ADMIN), 404, "not-found")


def test_a_browser_is_signed_out_with_the_key_that_it_was_signed_in_by(bare_api: Api) -> None:
    (key, text), (_, other) = new_key(bare_api, Scope.SESSIONS_READ), new_key(bare_api, Scope.SESSIONS_READ)
    assert sign_in(bare_api, key=text).status_code == 303
    assert bare_api.client.get("/api/v1/me").json()["subject"] == key.subject
    bare_api.ask("DELETE", f"/api-keys/{key.key_id}", Scope.ADMIN)
    assert_problem(bare_api.client.get("/api/v1/me"), 401, "unauthorized")
    assert sign_in(bare_api, key=other).status_code == 303
    assert bare_api.client.get("/api/v1/me").status_code == 200


def test_a_browser_is_signed_out_when_its_key_expires(bare_api: Api) -> None:
    state = bare_api.services.state
    soon = datetime.now(UTC) + timedelta(seconds=60)
    _, text = api_keys.create(state, "x", ALL, created_by="tests", expires_at=soon, record=lambda _key: None)
    sign_in(bare_api, key=text)
    assert bare_api.client.get("/api/v1/me").status_code == 200
    with state.writing() as connection:
        connection.execute("UPDATE api_keys SET expires_us = 1")
    assert_problem(bare_api.client.get("/api/v1/me"), 401, "unauthorized")


def test_every_change_of_a_key_is_on_record_with_who_did_it(bare_api: Api, bare_home: Path) -> None:
    admin, text = new_key(bare_api, *ALL)
    made = bare_api.client.post("/api/v1/api-keys", json=VIEWER, headers=bearer(text))
    deleted = bare_api.client.delete(made.headers["Location"], headers=bearer(text))
    for answer, action in ((made, "key.created"), (deleted, "key.deleted")):
        [event] = recorded(bare_home, action)
        assert (event["subject"], event["request_id"]) == (admin.subject, answer.headers["X-Request-ID"])
        assert event["details"] == {
            "key_id": made.json()["key_id"],
            "label": "the wall",
            "scopes": "content:play sessions:read",
        }


def test_a_key_that_cannot_be_put_on_record_is_not_made_nor_deleted(bare_api: Api, bare_home: Path) -> None:
    key, text = new_key(bare_api, Scope.SESSIONS_READ)
    (bare_home / "audit" / "audit.jsonl").mkdir()
    assert_problem(bare_api.ask("POST", "/api-keys", *ALL, json=VIEWER), 503, "unavailable")
    refused = bare_api.ask("DELETE", f"/api-keys/{key.key_id}", Scope.ADMIN)
    assert "on record" in assert_problem(refused, 503, "unavailable")["detail"]
    assert refused.headers["Retry-After"]
    assert bare_api.client.get("/api/v1/me", headers=bearer(text)).status_code == 200
    labels = [found["label"] for found in bare_api.get("/api-keys", Scope.ADMIN).json()["api_keys"]]
    assert "the wall" not in labels


def test_only_a_digest_of_the_secret_is_kept(bare_api: Api, bare_home: Path) -> None:
    key, text = new_key(bare_api, *ALL)
    secret = text.removeprefix(f"lucid_{key.key_id}_")
    assert len(secret) == 43
    kept = b"".join(path.read_bytes() for path in bare_home.glob("api.sqlite3*"))
    assert secret.encode() not in kept
    with closing(sqlite3.connect(bare_home / "api.sqlite3")) as connection:
        [digest] = connection.execute("SELECT secret_sha256 FROM api_keys WHERE key_id = ?", (key.key_id,)).fetchone()
    assert digest == sha256(secret.encode()).digest()


def test_there_are_not_too_many(bare_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST_KEYS", 2)
    headers = bare_api.headers(*ALL)
    assert bare_api.client.post("/api/v1/api-keys", json=VIEWER, headers=headers).status_code == 201
    assert_problem(bare_api.client.post("/api/v1/api-keys", json=VIEWER, headers=headers), 409, "conflict")
    with pytest.raises(TooManyKeys):
        new_key(bare_api)


def test_an_admin_who_is_signed_in_makes_keys_from_a_page(bare_api: Api) -> None:
    sign_in(bare_api, key=new_key(bare_api, *ALL)[1])
    headers = {"X-CSRF-Token": csrf_token(bare_api), "Sec-Fetch-Site": "same-origin"}
    assert bare_api.client.post("/api/v1/api-keys", json=VIEWER, headers=headers).status_code == 201


@pytest.mark.parametrize("role", Role)
def test_roles_are_what_the_documentation_says(role: Role) -> None:
    assert {
        Role.VIEWER: {"sessions:read", "content:play"},
        Role.AUDITOR: {"sessions:read", "verify:write", "audit:read"},
        Role.OPERATOR: {"sessions:read", "runs:write", "verify:write"},
        Role.ADMIN: {"sessions:read", "content:play", "runs:write", "verify:write", "audit:read", "admin"},
    }[role] == role.scopes
