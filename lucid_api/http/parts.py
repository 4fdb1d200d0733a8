"""A large body, sent a part at a time: each part is there, and has been checked, before any of it is sent.

What is found to be wrong on the way ends the response before its `Content-Length` is reached, which callers see as a
connection that was closed too early. Whoever goes away, or takes nothing for a while, frees what was reading for them.
"""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

import anyio
from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lucid_api.http.request_ids import request_id_of
from lucid_pipeline.errors import LucidError

STALLED_SECONDS = 60.0
"""How long a caller may take nothing. A player that is paused asks for the rest when it goes on."""

_PIECE = 256 * 1024
_log = logging.getLogger(__name__)


class Parts(Protocol):
    """Bytes on their way to a caller, a part at a time; nothing is their end."""

    def next_part(self) -> bytes | memoryview:
        """The next part. May wait, and may raise `LucidError`."""

    def close(self) -> None:
        """Give up what they take."""


class PartsResponse(Response):
    """Sends parts, and closes them, whatever happens.

    Args:
        parts: what is sent.
        status: of the response.
        headers: of the response; `Content-Length` must be among them.
        media_type: of what is sent.
        failed: called in a thread with what was found to be wrong after the response began.
    """

    def __init__(
        self,
        parts: Parts,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
        failed: Callable[[LucidError], None] = lambda _error: None,
    ) -> None:
        super().__init__(status_code=status, headers=headers, media_type=media_type)
        self._parts = parts
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_cancel_when_gone, receive, tasks.cancel_scope)
                await self._send_parts(scope, send)
                tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(self._parts.close)

    async def _send_parts(self, scope: Scope, send: Send) -> None:
        try:
            while part := await to_thread.run_sync(self._parts.next_part):
                view = memoryview(part)
                for at in range(0, len(view), _PIECE):
                    with anyio.fail_after(STALLED_SECONDS):
                        await send(_body(view[at : at + _PIECE], more=True))
            await send(_body(b"", more=False))
        except TimeoutError:
            _log.warning("request %s: nothing was taken for %g s", request_id_of(scope), STALLED_SECONDS)
        except LucidError as error:
            _log.error("request %s: broken off: %s", request_id_of(scope), error)
            await to_thread.run_sync(partial(self._failed, error))


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _body(data: memoryview | bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": data, "more_body": more}
