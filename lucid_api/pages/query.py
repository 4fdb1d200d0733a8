"""The query of a page: as its forms send it, as the operations take it, and as its links change it."""

import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OF_A_PAGE = ("cursor",)


class Asked:
    """What was asked of a page, for the fields of its form and for links to the same page."""

    def __init__(self, request: Request) -> None:
        self._path = request.url.path
        self._given = request.query_params

    def __bool__(self) -> bool:
        """Whether anything was."""
        return bool(self._given)

    def __getattr__(self, name: str) -> str:
        """The value of a parameter, empty where there was none."""
        return self._given.get(name, "")

    def all(self, name: str) -> list[str]:
        """All values of a parameter; one that is empty where there was none."""
        return self._given.getlist(name) or [""]

    def but(self, **changed: str) -> str:
        """The address of the first page of the same, but for these parameters; those that get empty are left out."""
        kept = [(name, value) for name, value in self._given.multi_items() if name not in (*changed, *_OF_A_PAGE)]
        return _address(self._path, [*kept, *((name, value) for name, value in changed.items() if value)])


class PageRoute(APIRoute):
    """A page whose address says what is asked for and no more.

    A form sends its empty fields too, and days where an operation takes moments: then the browser is sent on to the
    address without the ones, and with the moment at which each day begins, in UTC.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            given = request.query_params.multi_items()
            wanted = [(name, _moment(value)) for name, value in given if value]
            if wanted != given and request.method == "GET":
                return RedirectResponse(_address(request.url.path, wanted), HTTPStatus.SEE_OTHER)
            return await handle(request)

        return answer


def _moment(value: str) -> str:
    return f"{value}T00:00:00Z" if _DAY.fullmatch(value) else value


def _address(path: str, query: list[tuple[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
