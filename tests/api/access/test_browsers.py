"""Browsers sign in once by a link, or by a key; and no other web site acts in their name."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lucid_api.access import browser_sessions, sign_in_links
from lucid_api.access.scopes import Scope
from lucid_api.access.sign_in import own_path
from tests.api.access.support import SAME_ORIGIN, bearer, csrf_token, events, new_key, new_link, recorded, sign_in
from tests.api.support import ALL, Api, assert_problem, running_api

KEY = {"label": "made by a page", "role": "viewer"}


def create_key(api: Api, **headers: str) -> Any:
    """Do something that changes something, as a page would."""
    return api.client.post("/api/v1/api-keys", json=KEY, headers=headers)


@pytest.fixture
def signed_in(bare_api: Api) -> Api:
    """The API, with a client that is a browser whose user has signed in by a link."""
    assert sign_in(bare_api, token=new_link(bare_api)).status_code == 303
    return bare_api


def test_a_link_signs_a_browser_in(bare_api: Api, bare_home: Path) -> None:
    answer = sign_in(bare_api, token=new_link(bare_api), next="/sessions?q=a&sort=user")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sessions?q=a&sort=user")
    me = bare_api.client.get("/api/v1/me").json()
    assert me == {"subject": "owner", "scopes": sorted(ALL)}
    [event] = recorded(bare_home, "sign_in.succeeded")
    assert (event["subject"], event["details"]) == ("owner", {"way": "link"})


def test_the_cookie_is_for_this_service_alone_and_for_no_script(bare_api: Api) -> None:
    cookie = sign_in(bare_api, token=new_link(bare_api)).headers["Set-Cookie"]
    assert re.fullmatch(r"lucid_session=[\w-]{43}; HttpOnly; Path=/; SameSite=strict", cookie)


def test_over_https_the_cookie_stays_there(bare_api: Api) -> None:
    with TestClient(bare_api.client.app, base_url="https://lucid.example") as client:
        form = {"token": new_link(bare_api)}
        cookie = client.post("/sign-in", data=form, follow_redirects=False).headers["Set-Cookie"]
        assert re.fullmatch(r"__Host-lucid_session=[\w-]{43}; HttpOnly; Path=/; SameSite=strict; Secure", cookie)
        assert client.get("/api/v1/me").status_code == 200
        secret = client.cookies.pop("__Host-lucid_session")
        client.cookies.set("lucid_session", secret)
        assert client.get("/api/v1/me").status_code == 401, "a cookie that anybody on the way can have set"


def test_to_look_at_a_link_does_not_use_it_up(bare_api: Api) -> None:
    token = new_link(bare_api)
    for method in ("GET", "HEAD", "OPTIONS"):
        bare_api.client.request(method, "/sign-in", params={"token": token})
    page = bare_api.client.get("/sign-in", params={"token": token})
    assert page.status_code == 200
    assert "Set-Cookie" not in page.headers
    assert sign_in(bare_api, token=token).status_code == 303


def test_a_link_works_once(bare_api: Api, bare_home: Path) -> None:
    token = new_link(bare_api)
    assert sign_in(bare_api, token=token).status_code == 303
    bare_api.client.cookies.clear()
    assert_problem(sign_in(bare_api, token=token), 401, "unauthorized")
    assert [event["action"] for event in events(bare_home)] == ["sign_in.succeeded", "sign_in.failed"]
    assert recorded(bare_home, "sign_in.failed")[0]["details"]["way"] == "link"


def test_a_link_works_once_whoever_is_first(bare_api: Api) -> None:
    token = new_link(bare_api)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _n: sign_in(bare_api, token=token).status_code, range(8)))
    assert answers.count(303) == 1


def test_a_link_works_for_ten_minutes(bare_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert timedelta(minutes=10) == sign_in_links.VALID_FOR
    monkeypatch.setattr(sign_in_links, "VALID_FOR", timedelta(0))
    assert_problem(sign_in(bare_api, token=new_link(bare_api)), 401, "unauthorized")


def test_a_new_link_takes_the_place_of_the_one_before(bare_api: Api) -> None:
    old, new = new_link(bare_api), new_link(bare_api)
    assert sign_in(bare_api, token=old).status_code == 401
    assert sign_in(bare_api, token=new).status_code == 303


def test_a_key_signs_a_browser_in_for_what_the_key_may(bare_api: Api, bare_home: Path) -> None:
    key, text = new_key(bare_api, Scope.SESSIONS_READ)
    assert sign_in(bare_api, key=f" {text}\n").headers["Location"] == "/"
    assert bare_api.client.get("/api/v1/me").json() == {"subject": key.subject, "scopes": ["sessions:read"]}
    assert_problem(bare_api.client.get("/api/v1/api-keys"), 403, "forbidden")
    [event] = recorded(bare_home, "sign_in.succeeded")
    assert (event["subject"], event["details"]) == (key.subject, {"way": "api_key"})


def test_a_key_that_nobody_made_signs_nobody_in(bare_api: Api, bare_home: Path) -> None:
    key, text = new_key(bare_api, Scope.SESSIONS_READ)
    for wrong in (text[:-1], text + "x", f"lucid_{'0' * 16}_{'a' * 43}", "x"):
        answer = sign_in(bare_api, key=wrong)
        assert_problem(answer, 401, "unauthorized")
        assert "Set-Cookie" not in answer.headers
    named = [event["details"]["key_id"] for event in recorded(bare_home, "sign_in.failed")]
    assert named == [key.key_id, key.key_id, "0" * 16, None]


def test_a_form_that_says_nothing_is_refused(bare_api: Api) -> None:
    for form in ({}, {"next": "/"}, {"token": "", "key": ""}):
        assert_problem(sign_in(bare_api, **form), 400, "bad-request")
    answer = bare_api.client.post("/sign-in", json={"token": new_link(bare_api)})
    assert_problem(answer, 400, "bad-request")


@pytest.mark.parametrize(
    "place",
    [
        "",
        "sessions",
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/sessions\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
    ],
)
def test_after_signing_in_one_is_here_and_nowhere_else(bare_api: Api, place: str) -> None:
    assert own_path(place) == "/"
    assert sign_in(bare_api, token=new_link(bare_api), next=place).headers["Location"] == "/"


def test_signing_in_ends_the_session_that_the_browser_had(bare_api: Api) -> None:
    sign_in(bare_api, token=new_link(bare_api))
    old = bare_api.client.cookies["lucid_session"]
    sign_in(bare_api, token=new_link(bare_api))
    new = bare_api.client.cookies["lucid_session"]
    assert old != new
    bare_api.client.cookies.clear()
    for secret, status in ((old, 401), (new, 200)):
        answer = bare_api.client.get("/api/v1/me", headers={"Cookie": f"lucid_session={secret}"})
        assert answer.status_code == status


def test_a_cookie_that_nobody_made_is_nobodys(bare_api: Api) -> None:
    for secret in ("", "x", "a" * 43, "\xe4\xf6"):
        answer = bare_api.client.get("/api/v1/me", headers={"Cookie": f"lucid_session={secret}".encode("latin-1")})
        assert_problem(answer, 401, "unauthorized")


def test_a_key_outweighs_a_cookie(signed_in: Api) -> None:
    key, text = new_key(signed_in, Scope.SESSIONS_READ)
    assert signed_in.client.get("/api/v1/me", headers=bearer(text)).json()["subject"] == key.subject
    assert signed_in.client.get("/api/v1/me", headers=bearer(text + "x")).status_code == 401


def test_signing_out_ends_the_session(signed_in: Api, bare_home: Path) -> None:
    secret = signed_in.client.cookies["lucid_session"]
    form = {"csrf_token": csrf_token(signed_in)}
    answer = signed_in.client.post("/sign-out", data=form, headers=SAME_ORIGIN, follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert 'lucid_session=""' in answer.headers["Set-Cookie"]
    assert "lucid_session" not in signed_in.client.cookies
    signed_in.client.cookies.set("lucid_session", secret)
    assert signed_in.client.get("/api/v1/me").status_code == 401
    assert [event["subject"] for event in recorded(bare_home, "sign_out")] == ["owner"]


def test_nobody_is_signed_out_by_another_site(signed_in: Api) -> None:
    for data, headers in (({}, SAME_ORIGIN), ({"csrf_token": csrf_token(signed_in)}, {"Sec-Fetch-Site": "cross-site"})):
        assert_problem(signed_in.client.post("/sign-out", data=data, headers=headers), 403, "forbidden")
    assert signed_in.client.get("/api/v1/me").status_code == 200


@pytest.mark.parametrize(
    ("name", "passed"),
    [("IDLE_FOR", timedelta(hours=12)), ("LASTS_FOR", timedelta(days=7))],
)
def test_a_session_ends_by_itself(bare_api: Api, monkeypatch: pytest.MonkeyPatch, name: str, passed: timedelta) -> None:
    assert getattr(browser_sessions, name) == passed
    monkeypatch.setattr(browser_sessions, name, timedelta(0))
    sign_in(bare_api, token=new_link(bare_api))
    assert_problem(bare_api.client.get("/api/v1/me"), 401, "unauthorized")


def test_a_session_that_is_used_goes_on(signed_in: Api) -> None:
    """Its use is noted, but not with every request."""

    def used() -> int:
        with signed_in.services.state.reading() as connection:
            [moment] = connection.execute("SELECT used_us FROM browser_sessions").fetchone()
        return int(moment)

    before = used()
    signed_in.client.get("/api/v1/me")
    assert used() == before
    with signed_in.services.state.writing() as connection:
        connection.execute("UPDATE browser_sessions SET used_us = used_us - 6 * 60 * 1000000")
    signed_in.client.get("/api/v1/me")
    assert used() > before


def test_sessions_do_not_pile_up(bare_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(browser_sessions, "_MOST_SESSIONS", 3)
    for _ in range(5):
        bare_api.client.cookies.clear()
        sign_in(bare_api, token=new_link(bare_api))
    with bare_api.services.state.reading() as connection:
        [count] = connection.execute("SELECT COUNT(*) FROM browser_sessions").fetchone()
    assert count == 3
    assert bare_api.client.get("/api/v1/me").status_code == 200, "the newest ones stay"


def test_only_digests_of_cookies_and_links_are_kept(signed_in: Api, bare_home: Path) -> None:
    token = new_link(signed_in)
    kept = b"".join(path.read_bytes() for path in bare_home.glob("api.sqlite3*"))
    assert signed_in.client.cookies["lucid_session"].encode() not in kept
    assert token.encode() not in kept


# What other sites can have a browser do.


def test_what_a_page_of_this_service_sends_is_done(signed_in: Api) -> None:
    token = csrf_token(signed_in)
    assert create_key(signed_in, **{"X-CSRF-Token": token, "Sec-Fetch-Site": "same-origin"}).status_code == 201
    assert create_key(signed_in, **{"X-CSRF-Token": token, "Origin": "http://127.0.0.1:8087"}).status_code == 201


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8087"},
        {"Sec-Fetch-Site": "made-up"},
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://127.0.0.1:8087.evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[::1"},
    ],
)
def test_what_another_site_sends_is_refused_even_with_the_token(signed_in: Api, headers: dict[str, str]) -> None:
    assert_problem(create_key(signed_in, **{"X-CSRF-Token": csrf_token(signed_in), **headers}), 403, "forbidden")
    assert_problem(
        signed_in.client.post("/sign-in", data={"token": new_link(signed_in)}, headers=headers), 403, "forbidden"
    )


def test_without_the_token_of_its_own_page_nothing_is_done(signed_in: Api) -> None:
    token = csrf_token(signed_in)
    for wrong in ("", "x", token[:-1], token.upper(), "\xe4"):
        answer = signed_in.client.post(
            "/api/v1/api-keys", json=KEY, headers={**SAME_ORIGIN, "X-CSRF-Token": wrong.encode("latin-1")}
        )
        assert_problem(answer, 403, "forbidden")
    assert_problem(create_key(signed_in, **SAME_ORIGIN), 403, "forbidden")
    assert_problem(create_key(signed_in), 403, "forbidden")


def test_the_token_of_another_session_does_not_count(signed_in: Api) -> None:
    other = csrf_token(signed_in)
    signed_in.client.cookies.clear()
    sign_in(signed_in, token=new_link(signed_in))
    assert_problem(create_key(signed_in, **{**SAME_ORIGIN, "X-CSRF-Token": other}), 403, "forbidden")


def test_a_program_with_a_key_needs_no_token(bare_api: Api) -> None:
    _, text = new_key(bare_api, *ALL)
    for headers in ({}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert create_key(bare_api, **bearer(text), **headers).status_code == 201


def test_a_script_of_another_site_cannot_read_anything(signed_in: Api) -> None:
    answer = signed_in.client.get("/api/v1/me", headers={"Origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    preflight = signed_in.client.options(
        "/api/v1/api-keys",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert preflight.status_code == 405
    assert not [name for name in preflight.headers if name.lower().startswith("access-control-")]


@pytest.fixture
def unlocked(bare_home: Path) -> Iterator[Api]:
    """The API without authentication."""
    with running_api(bare_home, api_authentication=False) as api:
        yield api


def test_without_authentication_everybody_on_this_machine_may_everything(unlocked: Api) -> None:
    me = unlocked.client.get("/api/v1/me").json()
    assert me == {"subject": "anybody", "scopes": sorted(ALL)}
    for host in ("localhost", "localhost:8087", "127.0.0.1", "127.0.0.53:80", "[::1]:8087", "[::1]"):
        assert unlocked.client.get("/api/v1/me", headers={"Host": host}).status_code == 200, host


def test_without_authentication_other_names_of_this_machine_are_refused(unlocked: Api) -> None:
    """A web site whose name has come to lead here would else read everything (DNS rebinding)."""
    names = (
        "evil.example",
        "evil.example:8087",
        "localhost.evil.example",
        "10.0.0.1",
        "[::2]",
        "127.0.0.1.evil.example",
    )
    for host in (*names, "", "127.0.0.1@evil.example", "[::1", "localhost:x"):
        answer = unlocked.client.get("/api/v1/me", headers={"Host": host})
        assert_problem(answer, 403, "forbidden")


def test_without_authentication_other_sites_change_nothing_either(unlocked: Api) -> None:
    assert create_key(unlocked).status_code == 201
    assert create_key(unlocked, **SAME_ORIGIN).status_code == 201
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}, {"Origin": "null"}):
        assert_problem(create_key(unlocked, **headers), 403, "forbidden")
