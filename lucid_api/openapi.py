"""The OpenAPI document: what the framework makes of the endpoints, with problems and headers as they really are.

It is committed as docs/openapi.json, and a client can be generated from it. `make openapi` writes it anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from lucid_api.access.scopes import DESCRIPTIONS, Scope
from lucid_api.http.documented import HEADERS, headers
from lucid_api.http.rate_limits import TooManyRequests
from lucid_api.http.request_ids import HEADER as REQUEST_ID
from lucid_api.problems import MEDIA_TYPE, BadRequest, Failed, Invalid, Problem, ProblemDocument, Unavailable, problems
from lucid_api.runs.models import RunEnd, RunEvent

_FRAMEWORK_SCHEMAS = ("HTTPValidationError", "ValidationError")
_MORE_MODELS = (ProblemDocument, RunEvent, RunEnd)
"""Of documents that the framework knows nothing of."""

_SUCCESS = "Successful Response"
_METHODS = ("get", "head", "post", "put", "patch", "delete")

_SERVERS = [{"url": "/", "description": "The host that sends this document; by itself http://127.0.0.1:8087."}]

_TAGS = {
    "sessions": "Sessions: found, described, counted; recordings brought.",
    "access": "Who asks, what they may do, the keys that they send, and the record of what was done.",
    "playback": "What was recorded, decrypted and verified: as bytes, as text, as events.",
    "proofs": "What lets anybody check a session without trusting this service.",
    "verifications": "Have sessions read back and checked.",
    "runs": "The lineage of a session, and the runs that make it, as Dagster tells.",
    "health": "How the service is.",
}

_DESCRIPTION = """\
Find, prove and play archived recordings of sessions, and start the runs that archive them.

- **Who may.** Send a key, `Authorization: Bearer lucid_<id>_<secret>`. What it may do is a set of scopes:
{scopes}
- **Errors** are problem details (RFC 9457). `type` tells one kind from another, and does not change; `request_id` is
  what the service's log knows the request by, as in the `X-Request-ID` of every response.
- **What has not changed** is not sent twice: send the `ETag` back as `If-None-Match`.
- **Lists** come in pages. The next one is in `Link`, with `rel="next"`; take that URL as it is.
- **To send something twice** and have it done once, give it an `Idempotency-Key`.
- **Whoever asks too often** is answered with 429 and `Retry-After`. `RateLimit` says what is left.
- A query parameter that an operation does not have is refused.
"""

_IN_THE_PATH = {"session_id": "$request.path.session_id"}
_OF_A_SESSION = ("get_session", "get_manifest", "list_chunks", "list_verifications", "request_verification")
_PLAYED = ("get_content", "head_content", "get_transcript", "list_session_events", "get_lineage")
_OF_A_RUN = ("get_run", "cancel_run", "stream_run_events")
_LINKS: Sequence[tuple[str, str, Mapping[str, str], Sequence[str]]] = (
    ("list_sessions", "200", {"session_id": "$response.body#/sessions/0/session_id"}, _OF_A_SESSION + _PLAYED),
    ("upload_recording", "202", {"session_id": "$response.body#/session_id"}, ("get_session", "get_lineage")),
    (
        "list_chunks",
        "200",
        {**_IN_THE_PATH, "index": "$response.body#/chunks/0/index"},
        ("get_chunk", "head_chunk", "get_proof"),
    ),
    (
        "request_verification",
        "202",
        {**_IN_THE_PATH, "verification_id": "$response.body#/verification_id"},
        ("get_verification",),
    ),
    (
        "list_verifications",
        "200",
        {**_IN_THE_PATH, "verification_id": "$response.body#/verifications/0/verification_id"},
        ("get_verification",),
    ),
    ("start_runs", "202", {"request": "$response.body#/request"}, ("list_runs",)),
    ("list_runs", "200", {"run_id": "$response.body#/runs/0/run_id"}, _OF_A_RUN),
    ("get_lineage", "200", {"session": "$request.path.session_id"}, ("list_runs",)),
    ("create_api_key", "201", {"key_id": "$response.body#/key_id"}, ("get_api_key", "delete_api_key")),
    ("list_api_keys", "200", {"key_id": "$response.body#/api_keys/0/key_id"}, ("get_api_key",)),
)
"""Operation, status, and the parameters that its answer has for other operations."""


def document_of(app: FastAPI) -> dict[str, Any]:
    """The document of an app, made at first use."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=_DESCRIPTION.format(
                scopes="\n".join(f"  - `{scope}`: {DESCRIPTIONS[scope]}" for scope in Scope)
            ),
            routes=app.routes,
            servers=_SERVERS,
            tags=[{"name": name, "description": description} for name, description in _TAGS.items()],
            license_info=app.license_info,
        )
        _define_components(document)
        for operation in _operations(document):
            _complete(operation)
            _describe_success(operation["responses"], document["components"]["schemas"])
            _share_problems(operation["responses"], document["components"]["responses"])
        _link(document)
        _drop_titles(document["components"]["schemas"], document["paths"])
        app.openapi_schema = document
    return app.openapi_schema


def _operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in document["paths"].values():
        yield from (operation for method, operation in path.items() if method in _METHODS)


def _define_components(document: dict[str, Any]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in _FRAMEWORK_SCHEMAS:
        schemas.pop(name, None)
    models: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "serialization") for model in _MORE_MODELS]
    schemas |= models_json_schema(models, ref_template="#/components/schemas/{model}")[1]["$defs"]
    components |= {"headers": HEADERS, "responses": {}}


def _complete(operation: dict[str, Any]) -> None:
    """Add what every operation has in common, and take away what the framework makes up."""
    responses: dict[str, dict[str, Any]] = operation["responses"]
    of_framework = str(int(Invalid.status))
    if "HTTPValidationError" in str(responses.get(of_framework)):
        del responses[of_framework]
        _add(responses, Invalid)
    _add(responses, Invalid)  # whatever it is asked for, a parameter that it does not have is refused
    if "requestBody" in operation:
        _add(responses, BadRequest)
    _add(responses, Failed)
    if "security" in operation:
        _add(responses, TooManyRequests)
        _add(responses, Unavailable)
    for status, response in responses.items():
        of_status = _HEADERS_OF_STATUS.get(status, ())
        response["headers"] = {**response.get("headers", {}), **headers(*of_status, *_OF_EVERY_RESPONSE)}
    for parameter in operation.get("parameters", ()):
        parameter["schema"] = _without_null(parameter["schema"])
    operation["responses"] = dict(sorted(responses.items()))


_OF_EVERY_RESPONSE = ("RateLimit", "RateLimit-Policy", REQUEST_ID)
_HEADERS_OF_STATUS = {
    "401": ("WWW-Authenticate",),
    "403": ("WWW-Authenticate",),
    "429": ("Retry-After",),
    "503": ("Retry-After",),
}


def _share_problems(responses: dict[str, dict[str, Any]], shared: dict[str, Any]) -> None:
    """Describe each problem, or set of them, once."""
    for status, response in responses.items():
        if kinds := response.get("content", {}).get(MEDIA_TYPE, {}).get("examples"):
            name = "-or-".join(sorted(kinds))
            shared[name] = response
            responses[status] = {"$ref": f"#/components/responses/{name}"}


def _describe_success(responses: dict[str, dict[str, Any]], schemas: dict[str, Any]) -> None:
    """What the framework calls a successful response is a document, and says itself what it is."""
    for response in responses.values():
        if response.get("description") == _SUCCESS and "content" in response:
            reference = response["content"]["application/json"]["schema"]["$ref"]
            response["description"] = schemas[reference.rpartition("/")[2]]["description"].splitlines()[0]
        elif response.get("description") == _SUCCESS:
            response["description"] = "It is done."


def _add(responses: dict[str, dict[str, Any]], kind: type[Problem]) -> None:
    """A problem more that an operation can end in."""
    for status, added in problems(kind).items():
        response = responses.setdefault(str(status), added)
        examples = response.get("content", {}).get(MEDIA_TYPE, {}).get("examples", {})
        if examples and kind.kind not in examples:
            examples |= added["content"][MEDIA_TYPE]["examples"]
            response["description"] += f" {added['description']}"


def _link(document: dict[str, Any]) -> None:
    """Say where what one operation answers is what another one asks for."""
    there = {operation["operationId"]: operation for operation in _operations(document)}
    for source, status, parameters, targets in _LINKS:
        for target in targets:
            if source in there and target in there:
                link = {"operationId": target, "parameters": parameters}
                there[source]["responses"][status].setdefault("links", {})[target] = link


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, which is there or not, and never null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return schema
    return {**kinds[0], **{name: value for name, value in schema.items() if name != "anyOf"}}


def _drop_titles(*parts: Any) -> None:
    """Titles of schemas are names once more, with spaces."""
    for part in parts:
        if isinstance(part, dict):
            if isinstance(part.get("title"), str) and not {"status", "detail"} <= part.keys():
                del part["title"]
            _drop_titles(*part.values())
        elif isinstance(part, list):
            _drop_titles(*part)
