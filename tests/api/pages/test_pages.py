"""Pages as a program sees them: who may see them, what they may load, and whose text is in them."""

import re
from html import unescape
from typing import Any

import pytest

from lucid_api.access.scopes import Role, Scope
from lucid_api.pages.rendering import PLAIN, WITH_DRAWINGS, WITH_PLAYER
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.intake.registration import register
from tests.api.conftest import SealedHome
from tests.api.support import Api, assert_problem

HTML = {"Accept": "text/html,application/xhtml+xml"}
PAGES = {
    "/": Scope.SESSIONS_READ,
    "/sessions/{cast}": Scope.SESSIONS_READ,
    "/sessions/{cast}/standing": Scope.SESSIONS_READ,
    "/sessions/{cast}/lineage": Scope.SESSIONS_READ,
    "/sessions/{cast}/verifications": Scope.SESSIONS_READ,
    "/runs": Scope.SESSIONS_READ,
    "/runs/8f0f6a3c-31a3-4b8f-9c2f-6f2f3a0f9a51": Scope.SESSIONS_READ,
    "/statistics": Scope.SESSIONS_READ,
    "/audit": Scope.AUDIT_READ,
    "/api-keys": Scope.ADMIN,
    "/upload": Scope.RUNS_WRITE,
}
FOR_ANYBODY = ["/docs", "/sign-in", "/sign-in?token=x", "/nothing/here"]
HOSTILE = "<script>alert(1)</script>\" onload='x' {{ 7 * 7 }}"


def visit(api: Api, path: str, *scopes: Scope, **arguments: Any) -> Any:
    """What a browser gets that sends a key with these scopes."""
    headers = {**api.headers(*scopes), **HTML}
    return api.client.get(path, headers=headers, follow_redirects=False, **arguments)


@pytest.fixture
def cast(sealed_home: SealedHome) -> str:
    return sealed_home.ids["terminal.cast"]


@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_known_is_sent_to_sign_in_and_then_back(api: Api, cast: str, page: str) -> None:
    path = page.format(cast=cast)
    answer = api.client.get(path, headers=HTML, follow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/sign-in?next={path}")


@pytest.mark.parametrize("page", PAGES)
def test_who_may_not_is_told_so_on_a_page(api: Api, cast: str, page: str) -> None:
    others = [scope for scope in Scope if scope is not PAGES[page]]
    answer = visit(api, page.format(cast=cast), *others)
    assert answer.status_code == 403
    assert "<h1>Not allowed</h1>" in answer.text
    assert PAGES[page] in answer.text


def test_a_program_that_asks_for_a_page_gets_a_problem(api: Api) -> None:
    assert_problem(api.client.get("/audit"), 401, "unauthorized")
    assert_problem(api.client.get("/nothing"), 404, "not-found")
    assert_problem(api.client.get("/api/v1/nothing", headers=HTML), 404, "not-found")


@pytest.mark.parametrize("page", [*PAGES, *FOR_ANYBODY])
def test_no_page_has_code_or_style_of_its_own_or_anything_from_elsewhere(api: Api, cast: str, page: str) -> None:
    answer = visit(api, page.format(cast=cast), *Scope)
    assert "unsafe-inline" not in answer.headers["Content-Security-Policy"]
    assert "unsafe-eval" not in answer.headers["Content-Security-Policy"].replace("wasm-unsafe-eval", "")
    assert not re.search(r"<style|<script(?![^>]* src=)|\bstyle=|\bon[a-z]+=\"|javascript:", answer.text)
    for address in re.findall(r'(?:src|href|action|data-[a-z-]*url|data-live)="([^"]*)"', answer.text):
        assert address.startswith(("/", "#")), address
        assert not address.startswith("//"), address


def test_only_the_page_with_a_terminal_may_run_what_was_compiled(api: Api, sealed_home: SealedHome) -> None:
    policies = {
        name: visit(api, f"/sessions/{sealed_home.ids[name]}", *Scope).headers["Content-Security-Policy"]
        for name in ("terminal.cast", "desktop.webm", "c-noise.bin")
    }
    assert policies == {"terminal.cast": WITH_PLAYER, "desktop.webm": PLAIN, "c-noise.bin": PLAIN}
    assert api.client.get("/docs").headers["Content-Security-Policy"] == WITH_DRAWINGS
    assert "wasm" not in PLAIN + WITH_DRAWINGS


def test_what_users_say_stays_text(own_api: Api, tmp_path: Any) -> None:
    path = tmp_path / f"{HOSTILE.replace('/', '')}\udcff.cast"
    path.write_bytes(b"x")
    metadata = SessionMetadata(user=HOSTILE, host=HOSTILE, tags={HOSTILE: HOSTILE})
    record = register(path, metadata, own_api.services.catalog, release=False)
    for page in ("/", f"/?q={record.session_id}", f"/sessions/{record.session_id}"):
        answer = visit(own_api, page, *Scope)
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
        assert HOSTILE in unescape(answer.text)
        assert "49" not in re.findall(r"onload='x' (.*?)<", unescape(answer.text))
        assert "\ufffd.cast" in answer.text


def test_an_address_says_what_is_asked_for_and_no_more(api: Api) -> None:
    answer = visit(api, "/?q=&user=ada&started_after=2026-01-31&tag=&state=", Scope.SESSIONS_READ)
    assert answer.status_code == 303
    assert answer.headers["Location"] == "/?user=ada&started_after=2026-01-31T00%3A00%3A00Z"
    assert visit(api, answer.headers["Location"], Scope.SESSIONS_READ).status_code == 200


def test_a_filter_that_cannot_be_is_named_on_a_page(api: Api) -> None:
    answer = visit(api, "/?state=seald", Scope.SESSIONS_READ)
    assert answer.status_code == 422
    assert "<code>state</code>" in answer.text


def test_after_signing_in_nobody_is_led_elsewhere(api: Api) -> None:
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example"):
        answer = api.client.get("/sign-in", params={"next": elsewhere}, headers=HTML)
        assert 'name="next" value="/"' in answer.text
        assert "evil" not in answer.text


def test_roles_see_what_they_may_do_and_nothing_else(api: Api, cast: str) -> None:
    seen = {role: visit(api, f"/sessions/{cast}", *role.scopes).text for role in Role}
    assert [role for role in Role if "▶ Play" in seen[role]] == [Role.VIEWER, Role.ADMIN]
    assert [role for role in Role if "Verify now" in seen[role]] == [Role.AUDITOR, Role.OPERATOR, Role.ADMIN]
    assert [role for role in Role if ">Audit</a>" in seen[role]] == [Role.AUDITOR, Role.ADMIN]
    assert [role for role in Role if ">Keys</a>" in seen[role]] == [Role.ADMIN]
    assert [role for role in Role if "content?download" in seen[role]] == [Role.VIEWER, Role.ADMIN]


def test_the_files_of_a_page_may_be_kept_for_ever_and_have_another_name_when_they_change(api: Api) -> None:
    page = api.client.get("/sign-in", headers=HTML).text
    address = re.findall(r'"(/assets/[0-9a-f]{16}/lucid.css)"', page)[0]
    answer = api.client.get(address)
    assert answer.headers["Content-Type"] == "text/css; charset=utf-8"
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert_problem(api.client.get(address.replace("/assets/", "/assets/0")), 404, "not-found")
    for other in ("package.json", "..%2Fendpoints.py", "docs.html"):
        assert_problem(api.client.get(address.replace("lucid.css", other)), 404, "not-found")


def test_a_session_is_shown_while_the_archive_is_away(own_api: Api, cast: str) -> None:
    archive = own_api.services.settings.home / "archive"
    archive.rename(archive.with_name("elsewhere"))
    answer = visit(own_api, f"/sessions/{cast}", *Scope)
    assert answer.status_code == 200
    assert '<h2 id="sizes">' in answer.text
    assert "<svg" not in answer.text
