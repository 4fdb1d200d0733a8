"""A name for each request: in the response, in problems, in the logs and in the audit record."""

from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid7

HEADER = "X-Request-ID"
_KEY = "lucid.request_id"


def request_id_of(scope: MutableMapping[str, Any]) -> str:
    """The id of a request."""
    return str(scope.get(_KEY, ""))


class RequestIds:
    """Gives each request an id of its own making: what a caller sends could be anything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope[_KEY] = str(uuid7())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)
