"""Schemathesis: whatever the OpenAPI document allows, and what it does not, asked of the app in this process.

Every check of it is on but one, which `foreseen` takes the place of. It says what it sent as a line for curl.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.core.failures import CustomFailure

from lucid_api.access.scopes import Scope
from lucid_api.runs import dagster
from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.stores.catalog import Failure
from tests.api import openapi_document
from tests.api.conftest import SealedHome
from tests.api.proofs.support import flip, object_path, seal_again, unsealed
from tests.api.support import Api, copy_of, running_api

ALIKE = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
"""The same examples every time."""

URL = "http://127.0.0.1:8087"
FORESEEN = ("damaged", "unavailable", "dagster-away")

schema = schemathesis.openapi.from_path(str(openapi_document.PATH))
schema.config.checks.not_a_server_error.enabled = False  # takes every one for a fault; `foreseen` knows which are not


@dataclass(frozen=True)
class World:
    """An app over a home with sessions of every kind, and a caller who may do everything."""

    api: Api
    ids: list[str]
    broken: str
    """One of them: a chunk behind the first is damaged."""

    headers: dict[str, str]
    numbers: Iterator[int] = field(default_factory=count)

    async def app(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"  # the app has been started already
        await self.api.client.app(scope, receive, send)

    def mend(self, case: schemathesis.Case) -> None:
        """Ask of what there is; and spare it what no document can say."""
        case.operation.schema.app = case.operation.app = self.app
        parameters, headers = case.path_parameters, case.headers
        if is_id(session_id := parameters.get("session_id")) and session_id not in self.ids:
            parameters["session_id"] = self.ids[UUID(session_id).int % len(self.ids)]
        if isinstance(index := parameters.get("index"), int) and index > 9:
            parameters["index"] = index % 4
        if parameters.get("session_id") == self.broken and case.path.endswith("/content"):
            parameters["session_id"] = self.ids[0]  # for an answer that breaks off, as it has to, is no answer to it
        if parameters.get("key_id", "") in self.headers["Authorization"]:
            parameters["key_id"] = "0123456789abcdef"  # or it would delete the key that it uses itself
        if key := headers.get("Idempotency-Key"):
            headers["Idempotency-Key"] = f"{key[:100]}{next(self.numbers)}"  # has to be another for each request
        if case.method == "POST" and isinstance(tags := case.query.get("tag"), list):
            case.query["tag"] = list(
                {str(tag).partition("=")[0]: tag for tag in tags}.values()
            )  # have to differ by name
        for name in ("Content-Digest", "Repr-Digest"):
            headers.pop(name, None)  # have to be those of the body
        if headers.get("Last-Event-ID") == "0":
            del headers["Last-Event-ID"]  # what it makes of a pattern that it finds no value for; it calls that valid


def is_id(value: object) -> bool:
    try:
        return str(UUID(str(value))) == value
    except ValueError:
        return False


@schemathesis.check
def foreseen(_context: Any, response: Any, case: Any) -> None:
    """A server error is one that the document has: damage in the archive, a part that does not answer."""
    if response.status_code >= 500 and case.method != "HEAD":  # whose answers have no content
        kind = response.json()["type"].removeprefix("urn:lucid:problem:")
        if kind not in FORESEEN:
            raise CustomFailure(operation="", title="An error that was not foreseen", message=response.text)


@pytest.fixture(scope="module")
def world(sealed_home: SealedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = copy_of(sealed_home.folder, tmp_path_factory.mktemp("schemathesis"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dagster.Dagster._ask, "__defaults__", ((), None))  # asks once: there is no Dagster to wait for
        with running_api(home, api_requests_per_minute=10**6) as api:
            broken = sealed_home.ids["c-noise.bin"]
            ids = [*sealed_home.ids.values(), *trouble(api, sealed_home, broken)]
            yield World(api, ids, broken, api.headers(*Scope))


def trouble(api: Api, sealed_home: SealedHome, broken: str) -> Iterator[str]:
    """Damage two sessions, seal a third once more, and add one that waits and one that failed."""
    chunk = api.services.proven.session(api.services.catalog.get(UUID(broken))).chunk(1)
    flip(object_path(api, chunk.key))
    object_path(api, manifest_key(UUID(sealed_home.ids["d-text.log"]), 1)).unlink()
    seal_again(api, UUID(sealed_home.ids["b-empty"]))
    yield str(unsealed(api))
    failed = unsealed(api)
    api.services.catalog.record_failure(failed, Failure("recording", "it is gone", permanent=True))
    yield str(failed)


@schema.parametrize()
@settings(ALIKE, max_examples=25)
def test_every_operation_does_what_the_document_says(case: schemathesis.Case, world: World) -> None:
    world.mend(case)
    case.call_and_validate(base_url=URL, headers=world.headers)


def test_what_one_operation_answers_another_one_takes(world: World) -> None:
    class Callers(schema.as_state_machine()):  # type: ignore[misc]
        def before_call(self, case: schemathesis.Case) -> None:
            world.mend(case)

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"base_url": URL, "headers": world.headers}

    Callers.run(settings=settings(ALIKE, max_examples=15, stateful_step_count=12))
