"""One line of JSON for each request, when its response has ended: who asked for what, and what came of it.

The query is left out, since it can hold what somebody searched for, or a token. Whoever asks every few seconds whether
the service lives, and is told so, is left out as well.
"""

import json
import logging
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lucid_api.http.request_ids import request_id_of

LOGGER = "lucid_api.access"
_LIVE = "/health/live"
_SUBJECT = "lucid.subject"
_log = logging.getLogger(LOGGER)


def note_subject(scope: MutableMapping[str, Any], subject: str) -> None:
    """Note who asks, as soon as that is known."""
    scope[_SUBJECT] = subject


def subject_of(scope: MutableMapping[str, Any]) -> str | None:
    """Who asks, if that is known by now."""
    subject: str | None = scope.get(_SUBJECT)
    return subject


class AccessLog:
    """Writes the line; also for a response that was cut off."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, sent, ended = time.monotonic(), 0, 0, False

        async def send_and_count(message: Message) -> None:
            nonlocal status, sent, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
                ended = not message.get("more_body", False)
            await send(message)

        try:
            await self._app(scope, receive, send_and_count)
        finally:
            line = {
                "request_id": request_id_of(scope),
                "subject": subject_of(scope),
                "client": (scope.get("client") or ("",))[0],
                "method": scope["method"],
                "path": scope["path"],
                "status": status,
                "bytes": sent,
                "complete": ended,
                "ms": round((time.monotonic() - began) * 1000, 1),
            }
            if (scope["path"], status) != (_LIVE, 200):
                _log.info("%s", json.dumps(line, ensure_ascii=True))
