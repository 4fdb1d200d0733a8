"""What an operation requires of its caller: `require` says it to the framework, to OpenAPI and to whoever reads."""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from lucid_api.access.auditing import AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.scopes import Scope
from lucid_api.access.session_cookie import NAME
from lucid_api.http.forms import form_fields
from lucid_api.problems import Forbidden, Unauthorized
from lucid_api.services import ServicesDep

CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf_token"

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="An API key, `lucid_<id>_<secret>`; or a JWT, where the service has an issuer for them.",
)
_cookie = APIKeyCookie(
    name=NAME,
    auto_error=False,
    scheme_name="browser",
    description="The cookie of a browser that has signed in; `__Host-lucid_session` over https. What changes something "
    f"needs the token of a page as well, in the header `{CSRF_HEADER}` or the form field `{CSRF_FIELD}`.",
)


def require(*scopes: Scope) -> Any:
    """Let in only callers that have all of these scopes: for `Annotated[Caller, ...]`.

    An operation so annotated can end in `Unauthorized`, `Forbidden` and `TooManyRequests`.
    """
    return Security(_authorised, scopes=[scope.value for scope in scopes])


def whoever() -> Any:
    """Let in everybody, for `Annotated[Caller | None, ...]`: who asks, or None for somebody who is not known.

    An operation so annotated can end in `Unauthorized`, for a key or token that is not valid, and `TooManyRequests`.
    """
    return Security(_recognised)


async def _csrf_token(request: Request, _session: Annotated[str | None, Security(_cookie)]) -> str | None:
    return request.headers.get(CSRF_HEADER) or (await form_fields(request)).get(CSRF_FIELD)


def _recognised(
    services: ServicesDep,
    audit: AuditDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _session: Annotated[str | None, Security(_cookie)],
) -> Caller | None:
    try:
        return services.authenticator.caller(audit, bearer.credentials if bearer else None, None)
    except Unauthorized:
        if bearer:
            raise
        return None


def _authorised(
    required: SecurityScopes,
    services: ServicesDep,
    audit: AuditDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    csrf_token: Annotated[str | None, Depends(_csrf_token)],
) -> Caller:
    caller = services.authenticator.caller(audit, bearer.credentials if bearer else None, csrf_token)
    audit.request.state.caller = caller  # for a page that tells them of a problem
    missing = [scope for scope in required.scopes if scope not in caller.scopes]
    if missing:
        challenge = f'Bearer realm="lucid", error="insufficient_scope", scope="{" ".join(required.scopes)}"'
        raise Forbidden(
            f"this needs the scope {', '.join(missing)}", headers={"WWW-Authenticate": challenge}, missing=missing
        )
    return caller
