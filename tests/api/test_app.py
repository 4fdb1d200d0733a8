import subprocess
import sys

from lucid_api.access.scopes import Scope
from tests.api.support import Api, assert_problem


def test_who_asks_is_told_what_it_may_do(api: Api) -> None:
    answer = api.get("/me", Scope.SESSIONS_READ, Scope.AUDIT_READ).json()
    assert answer["scopes"] == ["audit:read", "sessions:read"]
    assert answer["subject"].startswith("key:")


def test_nobody_is_told_nothing(api: Api) -> None:
    answer = api.client.get("/api/v1/me")
    assert_problem(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="lucid"'


def test_a_key_that_nobody_made_is_refused_without_a_reason(api: Api) -> None:
    headers = api.headers(Scope.ADMIN)
    right = headers["Authorization"]
    refused = set()
    for wrong in (right[:-1], right + "A", right.replace("lucid_", "Lucid_"), "Bearer x", "Bearer lucid__", right[:30]):
        answer = api.client.get("/api/v1/me", headers={"Authorization": wrong})
        refused.add(assert_problem(answer, 401, "unauthorized")["detail"])
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert len(refused) == 1


def test_a_parameter_that_there_is_not_is_refused(api: Api) -> None:
    document = assert_problem(api.get("/me?scope=admin"), 422, "invalid")
    assert document["errors"] == [{"in": "query", "name": "scope", "reason": "there is no such parameter"}]


def test_whatever_goes_wrong_in_routing_is_a_problem_too(api: Api) -> None:
    assert_problem(api.get("/nothing"), 404, "not-found")
    refused = api.ask("PUT", "/me")
    assert_problem(refused, 405, "method-not-allowed")
    assert refused.headers["Allow"] == "GET"


def test_every_response_tells_browsers_to_be_careful(api: Api) -> None:
    for answer in (api.get("/me"), api.get("/nothing"), api.client.get("/api/v1/openapi.json")):
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Server" not in answer.headers


def test_the_api_loads_nothing_of_dagster() -> None:
    code = "import sys, lucid_api.__main__; print([name for name in sys.modules if name.lower().startswith('dagster')])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "[]"
