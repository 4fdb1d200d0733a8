"""The response that a recording is sent in: each part is checked and decrypted before any of it is sent.

What is found to be damaged on the way ends the response before its `Content-Length` is reached, which callers see as a
connection that was closed too early. Whoever goes away, or takes nothing for a while, frees what was reading for them.
"""

import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import quote

import anyio
from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lucid_api.http.request_ids import request_id_of
from lucid_api.playback.playbacks import Playback
from lucid_pipeline.archive.media import ASCIICAST, GUACAMOLE, MP4, OCTETS, WEBM
from lucid_pipeline.errors import LucidError

STALLED_SECONDS = 60.0
"""How long a caller may take nothing. A player that is paused asks for the rest when it goes on."""

_PIECE = 256 * 1024
SAFE_TYPES = frozenset((ASCIICAST, MP4, WEBM, GUACAMOLE, OCTETS))
"""The media types that recordings are sent under."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 150
_log = logging.getLogger(__name__)


def safe_media_type(media_type: str) -> str:
    """The media type, if it is one that no browser runs anything of."""
    return media_type if media_type in SAFE_TYPES else OCTETS


def disposition(kind: str, name: str) -> str:
    """A `Content-Disposition` (RFC 6266) with a file name: in ASCII for old callers, and as it is (RFC 8187)."""
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]+', "_", name)[-_LONGEST_NAME:].encode("utf-8", "replace").decode()
    plain = _NOT_PLAIN.sub("_", name).lstrip(".") or "recording"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


class PlaybackResponse(Response):
    """Sends a playback, and closes it, whatever happens.

    Args:
        playback: has begun.
        status: of the response.
        headers: of the response; `Content-Length` must be among them.
        media_type: of the recording.
        failed: called in a thread with what was found to be wrong after the response began.
    """

    def __init__(
        self,
        playback: Playback,
        status: int,
        headers: Mapping[str, str],
        media_type: str,
        failed: Callable[[LucidError], None],
    ) -> None:
        super().__init__(status_code=status, headers=headers, media_type=media_type)
        self._playback = playback
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
                await to_thread.run_sync(self._playback.close)

    async def _send_parts(self, scope: Scope, send: Send) -> None:
        try:
            while part := await to_thread.run_sync(self._playback.next_part):
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
