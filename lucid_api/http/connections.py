"""Connections: how long the service waits for a caller, and how much it takes before it knows what is asked.

The server waits for ever for a request that does not come, and keeps whatever headers it is sent: a few hundred
connections on which nothing happens would keep everybody else out, and one header without an end takes all memory.
"""

import asyncio

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

MOST_CONNECTIONS = 256
SECONDS_FOR_HEAD = 20.0
"""How long a request line and its headers may take, from the connection or the answer before on."""

SECONDS_STALLED = 75.0
"""How long nothing may come of a body, or be taken of an answer."""

_LARGEST_HEAD = 64 * 1024
_MOST_UNTROUBLED = MOST_CONNECTIONS * 3 // 4
"""Of more connections the one ends that the service has waited for longest: who is idle keeps nobody out."""

_FRAMING = 8
"""Bytes about a byte of a body, at most: of chunks that have one byte each."""


class Connection(HttpToolsProtocol):
    """One connection; the server makes them."""

    _since = 0.0
    _pending = 0
    _beside_bodies = 0
    _next_look: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._note_progress()
        if len(self.connections) > _MOST_UNTROUBLED:
            self._make_room()
        self._look()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._next_look:
            self._next_look.cancel()
        super().connection_lost(exc)

    @override
    def data_received(self, data: bytes) -> None:
        self._beside_bodies += len(data)
        super().data_received(data)
        if self._beside_bodies > _LARGEST_HEAD and not self.transport.is_closing():
            if self._awaits_head:
                self.send_400_response("The head of this request is too long.")
            else:
                self.transport.abort()

    @override
    def on_headers_complete(self) -> None:
        self._note_progress()
        super().on_headers_complete()

    @override
    def on_body(self, body: bytes) -> None:
        self._note_progress()
        self._beside_bodies = max(0, self._beside_bodies - _FRAMING * len(body))
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        self._beside_bodies = 0
        super().on_message_complete()

    @override
    def on_response_complete(self) -> None:
        self._note_progress()
        super().on_response_complete()

    @property
    def _newest(self) -> RequestResponseCycle | None:
        return self.cycle

    @property
    def _awaits_head(self) -> bool:
        return self._newest is None or self._newest.response_complete

    @property
    def _awaits_caller(self) -> bool:
        """Whether it is the caller's turn: to send something, or to take it."""
        if self._awaits_head or self.flow.write_paused:
            return True
        return self.cycle.more_body and not self.flow.read_paused

    def _note_progress(self) -> None:
        self._since = self.loop.time()

    def _look(self) -> None:
        """End it if the caller has had long enough, else look again after a while."""
        pending = self.transport.get_write_buffer_size()
        if pending != self._pending or not self._awaits_caller:
            self._pending = pending
            self._note_progress()
        limit = SECONDS_FOR_HEAD if self._awaits_head and not pending else SECONDS_STALLED
        left = self._since + limit - self.loop.time()
        if left <= 0:
            self.transport.abort()
        else:
            self._next_look = self.loop.call_later(min(left, SECONDS_FOR_HEAD / 4), self._look)

    def _make_room(self) -> None:
        others = (found for found in self.connections if isinstance(found, Connection) and found is not self)
        waiting = [found for found in others if found._awaits_caller]
        if waiting:
            longest = min(waiting, key=lambda found: found._since)
            self.connections.discard(longest)
            longest.transport.abort()
