"""Attempts that fail: on record, not too many, and none of them says what would have been right."""

from pathlib import Path
from typing import Any

import pytest

from lucid_api.access.scopes import Scope
from tests.api.access.support import SAME_ORIGIN, bearer, new_key, new_link, recorded, sign_in
from tests.api.support import Api, assert_problem


def attempt(api: Api, text: str) -> Any:
    return api.client.get("/api/v1/me", headers=bearer(text))


def unknown(number: int) -> str:
    return f"lucid_{number:016x}_{'a' * 43}"


def test_an_attempt_is_on_record_with_the_id_that_was_claimed_and_no_secret(bare_api: Api, bare_home: Path) -> None:
    key, text = new_key(bare_api, Scope.SESSIONS_READ)
    answer = attempt(bare_api, text[:-1])
    [event] = recorded(bare_home, "sign_in.failed")
    assert (event["outcome"], event["subject"], event["request_id"]) == (
        "refused",
        None,
        answer.headers["X-Request-ID"],
    )
    assert event["address"] == "testclient"
    assert event["details"] == {
        "way": "api_key",
        "reason": "unknown or expired",
        "key_id": key.key_id,
        "unrecorded_before": 0,
    }


def test_whether_there_is_such_a_key_is_not_told(bare_api: Api) -> None:
    _, text = new_key(bare_api, Scope.SESSIONS_READ)
    answers = [attempt(bare_api, wrong) for wrong in (text[:-1] + "!", unknown(7), "lucid__", "sesame")]
    told = {
        (answer.status_code, answer.json()["detail"], answer.headers["WWW-Authenticate"], len(answer.content))
        for answer in answers
    }
    assert len(told) == 1


def test_who_brings_nothing_along_has_not_failed(bare_api: Api, bare_home: Path) -> None:
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Cookie": "lucid_session=old"}):
        assert_problem(bare_api.client.get("/api/v1/me", headers=headers), 401, "unauthorized")
    assert not recorded(bare_home, "sign_in.failed")


def test_one_key_that_fails_on_and_on_hides_nobody(bare_api: Api, bare_home: Path) -> None:
    """As a program does whose key has expired."""
    for _ in range(30):
        assert_problem(attempt(bare_api, unknown(1)), 401, "unauthorized")
    assert_problem(attempt(bare_api, unknown(2)), 401, "unauthorized")
    found = recorded(bare_home, "sign_in.failed")
    assert [event["details"]["key_id"] for event in found] == [f"{1:016x}"] * 5 + [f"{2:016x}"]
    assert found[-1]["details"]["unrecorded_before"] == 25


def test_however_many_fail_whatever_they_claim_the_disk_stays_empty(bare_api: Api, bare_home: Path) -> None:
    for number in range(200):
        assert attempt(bare_api, unknown(number)).status_code == 401
    found = recorded(bare_home, "sign_in.failed")
    assert 60 <= len(found) < 80, "half of one comes back a second"
    assert [event["details"]["key_id"] for event in found[:60]] == [f"{number:016x}" for number in range(60)]


def test_whoever_has_a_key_is_let_in_however_many_fail(bare_api: Api) -> None:
    """All may come from one address, that of a Tor hidden service."""
    key, text = new_key(bare_api, Scope.SESSIONS_READ)
    for number in range(80):
        attempt(bare_api, unknown(number))
        attempt(bare_api, f"lucid_{key.key_id}_wrong")
    assert sign_in(bare_api, key=unknown(99)).status_code == 429
    assert attempt(bare_api, text).status_code == 200
    assert sign_in(bare_api, key=text).status_code == 303
    assert sign_in(bare_api, token=new_link(bare_api)).status_code == 303


def test_who_guesses_at_a_form_has_to_wait(bare_api: Api, bare_home: Path) -> None:
    statuses = [sign_in(bare_api, token="guess").status_code for _ in range(7)]
    assert statuses == [401] * 5 + [429] * 2
    answer = sign_in(bare_api, token="guess")
    assert_problem(answer, 429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 24
    assert {event["details"]["way"] for event in recorded(bare_home, "sign_in.failed")} == {"link"}
    page = bare_api.client.post("/sign-in", data={"token": "guess"}, headers={**SAME_ORIGIN, "Accept": "text/html"})
    assert page.status_code == 429
    assert page.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("way", ["bearer", "form"])
def test_an_attempt_that_cannot_be_put_on_record_is_refused_all_the_same(
    bare_api: Api, bare_home: Path, way: str
) -> None:
    (bare_home / "audit" / "audit.jsonl").mkdir()
    answer = attempt(bare_api, unknown(1)) if way == "bearer" else sign_in(bare_api, key=unknown(1))
    assert_problem(answer, 503, "unavailable")


def test_nobody_is_signed_in_who_cannot_be_put_on_record(bare_api: Api, bare_home: Path) -> None:
    token = new_link(bare_api)
    (bare_home / "audit" / "audit.jsonl").mkdir()
    answer = sign_in(bare_api, token=token)
    assert_problem(answer, 503, "unavailable")
    assert "Set-Cookie" not in answer.headers
    (bare_home / "audit" / "audit.jsonl").rmdir()
    assert sign_in(bare_api, token=token).status_code == 303, "the link has not been used up"
