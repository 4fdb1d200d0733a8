"""The query of a page as its forms send it, brought into the form that the operations take."""

import re
from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse, Response

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Asked(dict[str, str]):
    """What was asked, for the fields of a form: what was not asked is empty."""

    def __missing__(self, name: str) -> str:
        """Nothing."""
        return ""


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
                query = urlencode(wanted)
                return RedirectResponse(request.url.path + (f"?{query}" if query else ""), HTTPStatus.SEE_OTHER)
            return await handle(request)

        return answer


def _moment(value: str) -> str:
    return f"{value}T00:00:00Z" if _DAY.fullmatch(value) else value
