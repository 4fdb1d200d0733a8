"""What an operation requires of its caller: `require` says it to the framework, to OpenAPI and to whoever reads."""

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from lucid_api.access.authentication import authenticate
from lucid_api.access.callers import Caller
from lucid_api.access.scopes import Scope
from lucid_api.http.access_log import note_subject
from lucid_api.problems import Forbidden
from lucid_api.services import ServicesDep

_bearer = HTTPBearer(auto_error=False, scheme_name="bearer", description="An API key, `lucid_<id>_<secret>`.")


def require(*scopes: Scope) -> Any:
    """Let in only callers that have all of these scopes: for `Annotated[Caller, ...]`.

    An operation so annotated can end in `Unauthorized` and `Forbidden`.
    """
    return Security(_authorised, scopes=[scope.value for scope in scopes])


def _authorised(
    request: Request,
    required: SecurityScopes,
    services: ServicesDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
) -> Caller:
    caller = authenticate(services, bearer.credentials if bearer else None)
    note_subject(request.scope, caller.subject)
    missing = [scope for scope in required.scopes if scope not in caller.scopes]
    if missing:
        challenge = f'Bearer realm="lucid", error="insufficient_scope", scope="{" ".join(required.scopes)}"'
        raise Forbidden(
            f"this needs the scope {', '.join(missing)}", headers={"WWW-Authenticate": challenge}, missing=missing
        )
    return caller
