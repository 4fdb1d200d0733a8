"""Browsers sign in and out: by forms, so that following a link, or fetching it ahead of time, does nothing yet.

A link is opened from a terminal or a mail, and what a browser does then counts as another site's doing: it sends no
`SameSite=Strict` cookie. So the link shows a page of this service (`GET /sign-in`, in `pages`), whose form is sent from
here; the redirect that answers it brings the cookie along.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from lucid_api.access.auditing import AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.session_cookie import clear_session_secret, set_session_secret
from lucid_api.http.forms import form_fields
from lucid_api.problems import BadRequest
from lucid_api.services import ServicesDep

router = APIRouter(include_in_schema=False)

SIGN_IN = "/sign-in"
SIGN_OUT = "/sign-out"

_OWN_PATH = re.compile(r"/(?![/\\])[!-~]*")

FormDep = Annotated[Mapping[str, str], Depends(form_fields)]


def own_path(text: str) -> str:
    """Where to go after signing in: a path of this service, and the front page instead of anything else."""
    return text if _OWN_PATH.fullmatch(text) else "/"


@router.post(SIGN_IN)
def sign_in(request: Request, services: ServicesDep, audit: AuditDep, form: FormDep) -> Response:
    """Sign the browser in, by the `token` of a link or a `key`, and go to `next`."""
    if token := form.get("token"):
        secret = services.authenticator.sign_in_by_link(audit, token)
    elif key := form.get("key"):
        secret = services.authenticator.sign_in_by_key(audit, key.strip())
    else:
        raise BadRequest("send a token or a key")
    answer = RedirectResponse(own_path(form.get("next", "/")), HTTPStatus.SEE_OTHER)
    set_session_secret(request, answer, secret)
    return answer


@router.post(SIGN_OUT)
def sign_out(
    request: Request, services: ServicesDep, audit: AuditDep, caller: Annotated[Caller, require()]
) -> Response:
    """Sign the browser out, and go to where one signs in."""
    services.authenticator.sign_out(audit)
    answer = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER)
    clear_session_secret(request, answer)
    return answer
