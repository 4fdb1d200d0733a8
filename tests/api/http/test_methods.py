"""What is told of a method that there is not."""

import pytest

from tests.api.support import Api, assert_problem


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/api-keys", "GET, POST"),
        ("POST", "/api/v1/api-keys/x", "GET, DELETE"),
        ("DELETE", "/api/v1/sessions/x/chunks/0", "GET, HEAD"),
        ("POST", "/api/v1/me", "GET"),
        ("TRACE", "/.well-known/lucid-signing-keys", "GET"),
    ],
)
def test_every_method_of_the_path_is_named(api: Api, method: str, path: str, allowed: str) -> None:
    refused = api.client.request(method, path)
    assert_problem(refused, 405, "method-not-allowed")
    assert refused.headers["Allow"] == allowed


def test_a_slash_more_is_another_path(api: Api) -> None:
    assert_problem(api.client.get("/api/v1/me/", follow_redirects=False), 404, "not-found")
