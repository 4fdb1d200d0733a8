"""Every error that a caller gets: problem details (RFC 9457), of types that do not change.

Endpoints raise a `Problem`; what else is raised, down in Lucid or in the framework, is made into one here. A problem
names neither paths of this host nor anything of a traceback: the service's log does, under the same request id.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from lucid_api.http.methods import allowed_methods
from lucid_api.http.request_ids import request_id_of
from lucid_pipeline.archive.damage import Damage, DamageError
from lucid_pipeline.errors import LucidError, SessionNotFound, TransientError
from lucid_pipeline.stores.audit_log import AuditUnavailable

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:lucid:problem:"
EXAMPLE_REQUEST = "01a20f5e-6d0f-7c43-b9a1-64f20dd3a7d5"
_TRY_AGAIN = {"Retry-After": "5"}
_log = logging.getLogger(__name__)


class ProblemDocument(BaseModel):
    """A problem as in RFC 9457. `type` tells it from others and does not change; some types have further members."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:lucid:problem:not-found",
                    "title": "Not found",
                    "status": 404,
                    "detail": "there is no session 01a207bc-8e81-7370-a993-4daf2ca01f8c",
                    "request_id": EXAMPLE_REQUEST,
                }
            ]
        },
    )

    type: str = Field(description="What kind of problem it is: `urn:lucid:problem:` and a name.")
    title: str = Field(description="The kind in words.")
    status: int = Field(description="The status code of the response.")
    detail: str = Field(description="What is wrong this time, and what to do about it.")
    request_id: str = Field(description="Under which the service's log has this request.")


class Problem(Exception):
    """A request that is answered with a problem. Subclasses say of which kind.

    Args:
        detail: what is wrong this time; never a secret, nor a path of this host.
        headers: of the response, beside those that every problem has.
        members: further members of the document.
    """

    status: ClassVar[HTTPStatus]
    kind: ClassVar[str]
    title: ClassVar[str]
    example: ClassVar[Mapping[str, Any]] = {}
    """Further members of the document, for those of this kind: an example."""

    def __init__(self, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = members

    def document(self, request_id: str) -> dict[str, Any]:
        """The document that the caller gets."""
        return {
            "type": _TYPE + self.kind,
            "title": self.title,
            "status": int(self.status),
            "detail": self.detail,
            "request_id": request_id,
            **self.members,
        }


class BadRequest(Problem):
    """What was sent contradicts itself, or cannot be read."""

    status, kind, title = HTTPStatus.BAD_REQUEST, "bad-request", "The request cannot be understood"


class Unauthorized(Problem):
    """Nobody is known to be asking."""

    status, kind, title = HTTPStatus.UNAUTHORIZED, "unauthorized", "Sign in, or send a key"


class Forbidden(Problem):
    """Who asks may not."""

    status, kind, title = HTTPStatus.FORBIDDEN, "forbidden", "Not allowed"
    example = MappingProxyType({"missing": ["sessions:read"]})


class NotFound(Problem):
    """There is nothing under this name."""

    status, kind, title = HTTPStatus.NOT_FOUND, "not-found", "Not found"


class MethodNotAllowed(Problem):
    """What is there cannot be used so."""

    status, kind, title = HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method"


class Conflict(Problem):
    """It cannot be done as things stand."""

    status, kind, title = HTTPStatus.CONFLICT, "conflict", "Not as things stand"


class NoIdentity(Conflict):
    """This service holds no identity, so it cannot decrypt anything."""

    kind, title = "no-identity", "No identity at hand"


class TooLarge(Problem):
    """What was sent is larger than may be."""

    status, kind, title = HTTPStatus(413), "too-large", "Too large"


class Invalid(Problem):
    """A parameter or a field has a value that it cannot have; `errors` says which and why."""

    status, kind, title = HTTPStatus(422), "invalid", "Not a valid request"
    example = MappingProxyType({"errors": [{"in": "query", "name": "limit", "reason": "Input should be at least 1"}]})


class Damaged(Problem):
    """What was archived is damaged; `damage` has the code of the finding and where it was."""

    status, kind, title = HTTPStatus.INTERNAL_SERVER_ERROR, "damaged", "Damaged in the archive"
    example = MappingProxyType(
        {
            "damage": {
                "code": "object_digest_mismatch",
                "where": "sessions/01a207bc-8e81-7370-a993-4daf2ca01f8c/chunks/00000003.9f86d081884c7d65",
                "detail": "it is not the object that was stored",
            }
        }
    )


class Failed(Problem):
    """The service is at fault."""

    status, kind, title = HTTPStatus.INTERNAL_SERVER_ERROR, "failed", "The service has failed"


class Unavailable(Problem):
    """What the answer needs does not answer just now."""

    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", "Not available just now"


_OF_STATUS: Mapping[int, type[Problem]] = {
    kind.status: kind
    for kind in (BadRequest, Unauthorized, Forbidden, NotFound, MethodNotAllowed, Conflict, TooLarge, Invalid, Failed)
}


def problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of an operation in OpenAPI for the problems that it can end in."""
    by_status: dict[int, list[type[Problem]]] = {}
    for kind in kinds:
        by_status.setdefault(int(kind.status), []).append(kind)
    return {status: _response(of_status) for status, of_status in by_status.items()}


def _response(kinds: Sequence[type[Problem]]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{ProblemDocument.__name__}"}
    examples = {kind.kind: _example(kind) for kind in kinds}
    described = " ".join(f"`{name}`: {example['summary']}" for name, example in examples.items())
    return {"description": described, "content": {MEDIA_TYPE: {"schema": schema, "examples": examples}}}


def _example(kind: type[Problem]) -> dict[str, Any]:
    summary = (kind.__doc__ or "").splitlines()[0]
    return {"summary": summary, "value": kind(summary, **kind.example).document(EXAMPLE_REQUEST)}


def problem_of(error: Exception) -> Problem:
    """The problem that an error is to a caller."""
    match error:
        case Problem():
            return error
        case DamageError():
            damage = error.damage
            return Damaged(f"{damage.code}: {damage.detail}", damage=damage_member(damage))
        case SessionNotFound():
            return NotFound(error.message)
        case AuditUnavailable():
            return Unavailable("this cannot be put on record just now, so it is not done", headers=_TRY_AGAIN)
        case TransientError():
            return Unavailable("a store or a database does not answer; try again", headers=_TRY_AGAIN)
        case RequestValidationError():
            return Invalid("see errors", errors=[_of_validation(found) for found in error.errors()])
        case HTTPException():
            kind = _OF_STATUS.get(error.status_code, BadRequest)
            return kind(str(error.detail), headers=error.headers)
    return Failed("the service has failed; its log says more under this request id")


def damage_member(damage: Damage) -> dict[str, str]:
    """A finding, as the member `damage` of a problem."""
    return {"code": damage.code, "where": damage.where, "detail": damage.detail}


def _of_validation(found: Mapping[str, Any]) -> dict[str, Any]:
    """One finding, without the value, which may be a secret."""
    place, *path = found["loc"]
    return {"in": str(place), "name": ".".join(map(str, path)), "reason": found["msg"].removeprefix("Value error, ")}


def explained(error: Exception) -> str:
    """What the log is told of an error; of one that was not foreseen, what it is and where, and not what it says."""
    if isinstance(error, LucidError | Problem):
        return str(error)
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "an unknown place"
    return f"unexpected {type(error).__name__} at {place}"


Shown = Callable[[Request, Problem], Response | None]
"""What a person gets to see of a problem; None for a request that nobody looks at."""


def answer_errors_with_problems(app: FastAPI, shown: Shown) -> None:
    """Let an app answer every error with a problem; what is the service's own fault goes to the log as well."""

    def answer(request: Request, error: Exception) -> Response:
        problem, request_id = problem_of(error), request_id_of(request.scope)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            _log.error("request %s: %s", request_id, explained(error))
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
            problem.headers["Allow"] = allowed_methods(request)
        return shown(request, problem) or JSONResponse(
            problem.document(request_id), status_code=problem.status, headers=problem.headers, media_type=MEDIA_TYPE
        )

    for kind in (Problem, LucidError, HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer)
