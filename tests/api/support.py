"""The session API in this process, over a real home: what its tests have in common."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from lucid_api.access import api_keys
from lucid_api.access.scopes import Scope
from lucid_api.app import create_app
from lucid_api.services import Services, opened_services
from lucid_pipeline.settings import Settings
from tests.servers.catalogs import copy_catalog
from tests.servers.homes import home_settings

PREFIX = "/api/v1"
ALL = tuple(Scope)


@dataclass(frozen=True)
class Api:
    """A running app, its services, and a client for it that is nobody by itself."""

    client: TestClient
    services: Services

    def headers(self, *scopes: Scope) -> dict[str, str]:
        """The headers of a caller that may do this and nothing else."""
        state = self.services.state
        _, text = api_keys.create(state, "test", scopes, created_by="tests", record=lambda _key: None)
        return {"Authorization": f"Bearer {text}"}

    def get(self, path: str, *scopes: Scope, headers: Mapping[str, str] | None = None, **arguments: Any) -> Any:
        """What such a caller gets below `/api/v1`."""
        return self.ask("GET", path, *scopes, headers=headers, **arguments)

    def ask(
        self, method: str, path: str, *scopes: Scope, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> Any:
        """What such a caller gets for any method."""
        given = {**self.headers(*scopes), **(headers or {})}
        return self.client.request(method, PREFIX + path, headers=given, **arguments)

    def assert_guarded(self, method: str, path: str, *needed: Scope, **arguments: Any) -> None:
        """Nobody gets 401, and whoever has all other scopes 403, told what is missing."""
        nobody = self.client.request(method, PREFIX + path, **arguments)
        assert_problem(nobody, 401, "unauthorized")
        assert nobody.headers["WWW-Authenticate"].startswith("Bearer")
        others = [scope for scope in Scope if scope not in needed]
        assert_problem(self.ask(method, path, *others, **arguments), 403, "forbidden")


def assert_problem(response: Any, status: int, kind: str) -> Any:
    """The document of a problem of this kind."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert (document["status"], document["type"]) == (status, f"urn:lucid:problem:{kind}"), document
    assert document["request_id"] == response.headers["X-Request-ID"]
    assert "Traceback" not in response.text
    return document


def settings_of(home: Path, **settings: Any) -> Settings:
    """The settings of a home, with its stores where these tests want them."""
    return Settings(home=home, **{**home_settings(home), **settings})


@contextmanager
def running_api(home: Path, **settings: Any) -> Iterator[Api]:
    """The app over a home; it must have keys already."""
    with opened_services(settings_of(home, **settings)) as services:
        app = create_app(services)
        with TestClient(app, base_url="http://127.0.0.1:8087", raise_server_exceptions=False) as client:
            yield Api(client, services)


def copy_of(home: Path, folder: Path) -> Path:
    """A copy of a home that a test may change."""
    copy = folder / "home"
    shutil.copytree(home, copy, symlinks=True)
    copy_catalog(home, copy)
    return copy
