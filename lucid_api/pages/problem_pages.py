"""Problems for people: a page where a browser asked for one."""

from http import HTTPStatus
from urllib.parse import quote

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from lucid_api.access.sign_in import SIGN_IN
from lucid_api.http.request_ids import request_id_of
from lucid_api.pages.rendering import page
from lucid_api.problems import Problem

_FOR_PROGRAMS = ("/api/", "/.well-known/")


def problem_page(request: Request, problem: Problem) -> Response | None:
    """What a person gets to see of a problem; None where a program asks, which gets a document."""
    if request.url.path.startswith(_FOR_PROGRAMS) or "text/html" not in request.headers.get("Accept", ""):
        return None
    if problem.status == HTTPStatus.UNAUTHORIZED:
        return _door(request, problem)
    document = problem.document(request_id_of(request.scope))
    answer = page("problem.html", getattr(request.state, "caller", None), status=problem.status, problem=document)
    answer.headers.update(problem.headers)
    return answer


def _door(request: Request, problem: Problem) -> Response:
    """Where to sign in, and then to go on with what was asked."""
    if request.method != "GET":
        return page("sign_in.html", status=problem.status, token="", next="/", trouble=problem.detail)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{SIGN_IN}?next={quote(wanted, safe='/')}", HTTPStatus.SEE_OTHER)
