"""What the tests of who may have in common."""

import json
from pathlib import Path
from typing import Any

from lucid_api.access import api_keys, browser_sessions, sign_in_links
from lucid_api.access.scopes import Scope
from lucid_api.access.session_cookie import NAME
from lucid_pipeline.stores.audit_check import check_audit_log
from tests.api.support import Api

SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def new_key(api: Api, *scopes: Scope) -> tuple[api_keys.ApiKey, str]:
    """A key and its text, made behind the API's back."""
    return api_keys.create(api.services.state, "test", scopes, created_by="tests", record=lambda _key: None)


def new_link(api: Api) -> str:
    """The token of a new link."""
    return sign_in_links.create(api.services.state)


def events(home: Path) -> list[dict[str, Any]]:
    """What is on record, which has to be intact."""
    path = home / "audit" / "audit.jsonl"
    assert check_audit_log(path).intact
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def recorded(home: Path, action: str) -> list[dict[str, Any]]:
    return [event for event in events(home) if event["action"] == action]


def sign_in(api: Api, **form: str) -> Any:
    """Send the form of the page; the answer, of which no redirect is followed."""
    return api.client.post("/sign-in", data=form, headers=SAME_ORIGIN, follow_redirects=False)


def csrf_token(api: Api) -> str:
    """What pages of the browser that has signed in are given."""
    session = browser_sessions.find(api.services.state, api.client.cookies[NAME])
    assert session
    return session.csrf_token
