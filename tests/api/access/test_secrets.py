"""Secrets are told to those whom they are for, and to nobody else: no log, no record, no problem has them."""

import re
import signal
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2

from lucid_api.access import browser_sessions
from lucid_api.access.callers import Caller
from lucid_api.access.scopes import Scope
from tests.api.access.support import SAME_ORIGIN, bearer, csrf_token, new_key, new_link, sign_in
from tests.api.serving import served
from tests.api.support import ALL, Api

_LINK = re.compile(r"^sign in, once, within 10 minutes: (http://127\.0\.0\.1:\d+/sign-in\?token=([\w-]{43}))$")
_SECRET = re.compile(r"lucid_[0-9a-f]{16}_[\w-]{43}")


def said_link(process: "subprocess.Popen[bytes]") -> str:
    """The link that the service says when it starts."""
    assert process.stderr
    for line in process.stderr:
        if found := _LINK.match(line.decode()):
            return found[1]
    raise AssertionError("it said no link")


def test_a_day_with_the_service_leaves_no_secret_behind(bare_home: Path) -> None:
    """Its log, its audit record and its database; but for the link, which it says to whoever started it."""
    with served(bare_home) as (process, url), httpx2.Client(base_url=url) as browser:
        link = said_link(process)
        [token] = parse_qs(urlsplit(link).query)["token"]
        assert browser.get(link).status_code == 200
        form = {"token": token, "next": "/"}
        assert browser.post("/sign-in", data=form, headers=SAME_ORIGIN).status_code == 303
        assert browser.get(link).status_code == 200
        csrf = re.search(r'name="csrf-token" content="([\w-]{43})"', browser.get("/api-keys").text)
        assert csrf
        cookie = browser.cookies["lucid_session"]
        made = browser.post(
            "/api/v1/api-keys",
            json={"label": "x", "role": "admin"},
            headers={**SAME_ORIGIN, "X-CSRF-Token": csrf[1]},
        )
        assert made.status_code == 201, made.text
        key = made.json()["key"]
        assert browser.get("/api/v1/me", headers=bearer(key)).status_code == 200
        wrong = f"{key[:-3]}xyz"
        assert browser.get("/api/v1/me", headers=bearer(wrong)).status_code == 401
        assert browser.post("/sign-in", data={"key": wrong}, headers=SAME_ORIGIN).status_code == 401
        assert browser.post("/sign-in", data={"token": token}, headers=SAME_ORIGIN).status_code == 401
        assert browser.get("/api/v1/audit-events", params={"cursor": key}, headers=bearer(key)).status_code == 404
        assert browser.post("/api/v1/api-keys", content=key, headers=bearer(key)).status_code == 422
        assert browser.post("/sign-out", data={"csrf_token": csrf[1]}, headers=SAME_ORIGIN).status_code == 303
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=30)
    secrets = (token, cookie, csrf[1], key.split("_", 2)[2], wrong.split("_", 2)[2])
    assert b'"path": "/sign-in"' in said
    kept = {path.name: path.read_bytes() for path in bare_home.rglob("*") if path.is_file()}
    assert "audit.jsonl" in kept
    for name, content in {"log": said, **kept}.items():
        for secret in secrets:
            assert secret.encode() not in content, name


def test_no_problem_quotes_what_was_sent(bare_api: Api) -> None:
    key, text = new_key(bare_api, *ALL)
    secret, link = text.split("_", 2)[2], new_link(bare_api)
    wrong = f"lucid_{key.key_id}_{secret[:-1]}"
    answers = [
        bare_api.client.get("/api/v1/me", headers=bearer(wrong)),
        bare_api.client.get("/api/v1/me", headers=bearer(secret)),
        bare_api.client.post("/api/v1/api-keys", json={"label": secret + "\n"}, headers=bearer(text)),
        bare_api.client.post("/api/v1/api-keys", json={"label": {"x": secret}}, headers=bearer(text)),
        bare_api.client.post("/api/v1/api-keys", content=secret.encode(), headers=bearer(text)),
        bare_api.client.get(f"/api/v1/api-keys/{secret}", headers=bearer(text)),
        bare_api.client.get("/api/v1/audit-events", params={"session": secret}, headers=bearer(text)),
        bare_api.client.get("/api/v1/audit-events", params={"cursor": secret}, headers=bearer(text)),
        sign_in(bare_api, key=wrong),
        sign_in(bare_api, token=link[:-1]),
    ]
    for answer in answers:
        assert answer.status_code >= 400
        for part in (secret[:-1], link[:-1]):
            assert part not in answer.text


def test_the_document_has_examples_and_no_secret_among_them(bare_api: Api) -> None:
    text = bare_api.client.get("/api/v1/openapi.json").text
    assert "lucid_8a2c5a4f0f6b1d3e_<secret>" in text
    assert not _SECRET.search(text)


def test_nothing_that_knows_a_caller_shows_a_secret_when_it_is_printed(bare_api: Api) -> None:
    sign_in(bare_api, key=new_key(bare_api, Scope.SESSIONS_READ)[1])
    token = csrf_token(bare_api)
    session = browser_sessions.find(bare_api.services.state, bare_api.client.cookies["lucid_session"])
    assert token not in repr(session)
    assert token not in repr(Caller("a", frozenset(), token))
