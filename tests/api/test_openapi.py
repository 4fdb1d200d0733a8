"""The OpenAPI document: committed, valid, and good enough to generate a client from."""

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from lucid_api.access.scopes import Scope
from tests.api import openapi_document
from tests.api.support import PREFIX, Api, assert_problem

DOCUMENT = json.loads(openapi_document.PATH.read_text())
PUBLIC = {"get_signing_keys", "get_health", "get_live"}
"""Operations that nobody has to be known for."""

_SNAKE = re.compile("[a-z]+(_[a-z]+)*")


def operations() -> Iterator[tuple[str, str, Any]]:
    for path, found in DOCUMENT["paths"].items():
        for method, operation in found.items():
            yield method.upper(), path, operation


def resolved(part: Any) -> Any:
    """What a part refers to, if it does."""
    while isinstance(part, dict) and "$ref" in part:
        found = DOCUMENT
        for name in part["$ref"].removeprefix("#/").split("/"):
            found = found[name]
        part = found
    return part


def every_part(part: Any = DOCUMENT, place: str = "#") -> Iterator[tuple[str, Any]]:
    yield place, part
    children = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, child in children:
        yield from every_part(child, f"{place}/{name}")


EVERY = pytest.mark.parametrize(
    ("method", "path", "operation"), [pytest.param(*found, id=found[2]["operationId"]) for found in operations()]
)


def test_it_is_committed_as_it_is(api: Api) -> None:
    now = openapi_document.written(api.client.get(f"{PREFIX}/openapi.json").json())
    then = openapi_document.PATH.read_text()
    changes = difflib.unified_diff(then.splitlines(), now.splitlines(), "docs/openapi.json", "the app", lineterm="")
    assert now == then, "\n".join(["what callers rely on has changed; `make openapi` writes it anew:", *changes])


def test_it_is_an_openapi_document() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    validate(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    found = [part for _, part in every_part() if isinstance(part, dict) and "$ref" in part]
    assert found
    for part in found:
        assert resolved(part)


def test_every_component_is_used() -> None:
    text = openapi_document.PATH.read_text()
    unused = [
        f"{kind}/{name}"
        for kind in ("schemas", "responses", "headers")
        for name in DOCUMENT["components"][kind]
        if f'"#/components/{kind}/{name}"' not in text
    ]
    assert unused == []


def test_nothing_is_the_frameworks_own() -> None:
    text = openapi_document.PATH.read_text()
    for word in ("HTTPValidationError", "ValidationError", "Successful Response", "FastAPI"):
        assert word not in text
    titles = [place for place, part in every_part() if isinstance(part, dict) and isinstance(part.get("title"), str)]
    assert [place for place in titles if not place.endswith(("/info", "/value")) and "example" not in place] == []


def test_names_of_operations_are_unique_and_read_like_functions() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(set(names)) == len(names)
    assert [name for name in names if not _SNAKE.fullmatch(name)] == []


def test_every_tag_is_described_and_used() -> None:
    described = {tag["name"] for tag in DOCUMENT["tags"] if tag["description"]}
    assert {tag for _, _, operation in operations() for tag in operation["tags"]} == described
    assert DOCUMENT["servers"]
    assert DOCUMENT["info"]["description"]


@EVERY
def test_an_operation_says_what_a_generator_and_a_reader_need(method: str, path: str, operation: Any) -> None:
    assert operation["summary"]
    assert operation["description"]
    assert len(operation["tags"]) == 1
    for parameter in operation.get("parameters", ()):
        assert parameter["description"], parameter
        assert "anyOf" not in parameter["schema"] or {"type": "null"} not in parameter["schema"]["anyOf"], parameter
    names = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "path"}
    assert names == set(re.findall("{([a-z_]+)}", path))
    assert [status for status in operation["responses"] if status.startswith("2")]


@EVERY
def test_every_response_has_a_schema_and_its_headers(method: str, path: str, operation: Any) -> None:
    for status, found in operation["responses"].items():
        response = resolved(found)
        assert response["description"], status
        assert "X-Request-ID" in response["headers"], status
        for media_type, content in response.get("content", {}).items():
            assert content["schema"], (status, media_type)
        if status not in ("204", "304") and not (method == "HEAD" and status < "400"):
            assert response.get("content"), status
        if status in ("201", "202") and "Location" not in response["headers"]:
            assert operation["operationId"] == "cancel_run"  # what it answers is the run itself
        if status == "206":
            assert {"Content-Range", "Accept-Ranges"} <= response["headers"].keys()
        if status in ("429", "503"):
            assert "Retry-After" in response["headers"]


def test_every_part_of_every_document_is_described() -> None:
    missing = []
    for name, schema in DOCUMENT["components"]["schemas"].items():
        if not schema.get("description"):
            missing.append(name)
        for field, part in schema.get("properties", {}).items():
            if not (part.get("description") or resolved(part).get("description")):
                missing.append(f"{name}.{field}")
    assert missing == []


def test_every_limit_is_one_that_json_schema_knows() -> None:
    unknown = {"ge", "gt", "le", "lt", "min_length", "max_length", "strict"}  # what Pydantic writes where it is unsure
    assert [place for place, part in every_part() if isinstance(part, dict) and unknown & part.keys()] == []


def test_every_link_leads_to_an_operation_that_takes_what_it_gives() -> None:
    there = {operation["operationId"]: operation for _, _, operation in operations()}
    links = [
        link
        for operation in there.values()
        for response in operation["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert len(links) > 10
    for link in links:
        taken = {parameter["name"] for parameter in there[link["operationId"]].get("parameters", ())}
        assert link["parameters"].keys() <= taken, link


@EVERY
def test_who_may_is_declared_and_held(api: Api, method: str, path: str, operation: Any) -> None:
    name = operation["operationId"]
    if name in PUBLIC:
        assert {} in operation.get("security", [{}])
        return
    schemes = [set(security) for security in operation["security"]]
    assert schemes == [{"bearer"}, {"browser"}]
    needed = [Scope(scope) for scope in operation["security"][0]["bearer"]]
    assert {"401", "403", "429"} <= operation["responses"].keys()
    url = re.sub("{[a-z_]+}", "01a207bc-8e81-7370-a993-4daf2ca01f8c", path)
    body = {"json": {}} if "requestBody" in operation else {}
    nobody = api.client.request(method, url, **body)
    assert nobody.status_code == 401
    others = api.headers(*[scope for scope in Scope if scope not in needed])
    somebody = api.client.request(method, url, headers=others, **body)
    if method != "HEAD":
        assert_problem(nobody, 401, "unauthorized")
        assert_problem(somebody, 403, "forbidden") if needed else None
    assert somebody.status_code == 403 or not needed


def test_a_client_finds_the_document_without_a_key(api: Api) -> None:
    answer = api.client.get(f"{PREFIX}/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
