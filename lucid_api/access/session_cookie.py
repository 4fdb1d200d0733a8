"""The cookie that a browser that is signed in sends along."""

from fastapi import Request
from starlette.responses import Response

NAME = "lucid_session"


def session_secret(request: Request) -> str | None:
    """What the cookie holds, if there is one."""
    return request.cookies.get(_name(request))


def set_session_secret(request: Request, response: Response, secret: str) -> None:
    """Have the browser send this from now on, with requests of this service's own pages and with no others."""
    response.set_cookie(_name(request), secret, path="/", secure=_is_secure(request), httponly=True, samesite="strict")


def clear_session_secret(request: Request, response: Response) -> None:
    """Have the browser forget it."""
    response.delete_cookie(_name(request), path="/", secure=_is_secure(request), httponly=True, samesite="strict")


def _name(request: Request) -> str:
    """With a prefix that browsers take from an encrypted connection only, where it is one: nobody can slip it in."""
    return f"__Host-{NAME}" if _is_secure(request) else NAME


def _is_secure(request: Request) -> bool:
    return request.url.scheme == "https"
