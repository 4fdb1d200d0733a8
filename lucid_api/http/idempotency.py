"""A request that is sent twice is done once: `Idempotency-Key`, as in draft-ietf-httpapi-idempotency-key-header.

What is being done is known to this process alone, so that nobody waits for what died with another; one home has one
process (`services`). What was answered is in the database for a day. What ended in a problem may be sent again.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated

from fastapi import Header
from starlette.responses import Response

from lucid_api.problems import Problem
from lucid_api.state import StateDatabase
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.catalog import microseconds

KEPT_FOR = timedelta(hours=24)
MOST_OF_A_SUBJECT = 10_000
"""Of one caller the newest ones are kept."""

_LONGEST_KEY = 200
_log = logging.getLogger(__name__)

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=_LONGEST_KEY,
        pattern="^[!-~]+$",
        description="A name of the caller's own for this request, such as a UUID. Sent again under it within 24 hours, "
        "the same request gets the same answer and is not done twice.",
        examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
    ),
]
"""The header of a request that may be sent twice."""


class KeyInUse(Problem):
    """A request with this `Idempotency-Key` is being done; ask again when it is."""

    status, kind, title = HTTPStatus.CONFLICT, "idempotency-key-in-use", "It is being done"


class KeyReused(Problem):
    """Another request had this `Idempotency-Key`."""

    status, kind, title = HTTPStatus(422), "idempotency-key-reused", "The key belongs to another request"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a request: `answered` is what an earlier one was answered, and has to be answered again."""

    answered: Response | None
    _remember: Callable[[Response], None]

    def answer(self, response: Response) -> Response:
        """Remember what the request is answered; returns it.

        What was done is done: if the database cannot remember it now, that is not told the caller, who would try again.

        Args:
            response: has a small body of UTF-8 text, and nothing in it is secret.
        """
        try:
            self._remember(response)
        except TransientError as error:
            _log.warning("an answer is not remembered under its Idempotency-Key: %s", error)
        return response


class IdempotentRequests:
    """What is being done under a key, and what was answered. Any thread may ask; a call may wait for the disk."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._being_done: set[tuple[str, str]] = set()

    @contextmanager
    def once(self, subject: str, key: str | None, *asked: str | bytes) -> Iterator[Attempt]:
        """One attempt at a request.

        Args:
            subject: who asks.
            key: what they call the request; None if they do not care.
            asked: all that makes it this request and no other: the operation, and everything that was sent.

        Raises:
            KeyInUse: another attempt has not ended.
            KeyReused: the key belongs to a request that asked for something else.
        """
        with self.alone(subject, key):
            yield self.attempt(subject, key, *asked)

    def attempt(self, subject: str, key: str | None, *asked: str | bytes) -> Attempt:
        """The attempt, for who is `alone` at it already, and learns late what is asked; the rest is as for `once`."""
        if key is None:
            return Attempt(None, lambda _response: None)
        request, name = _digest(asked), key
        return Attempt(
            self._answered(subject, name, request), lambda response: self._remember(subject, name, request, response)
        )

    @contextmanager
    def alone(self, subject: str, key: str | None) -> Iterator[None]:
        """Nobody else attempts the request meanwhile.

        Raises:
            KeyInUse: somebody does.
        """
        if key is None:
            yield
            return
        with self._lock:
            if (subject, key) in self._being_done:
                raise KeyInUse("a request with this Idempotency-Key has not ended", headers={"Retry-After": "1"})
            self._being_done.add((subject, key))
        try:
            yield
        finally:
            with self._lock:
                self._being_done.remove((subject, key))

    def _answered(self, subject: str, key: str, request: bytes) -> Response | None:
        query = "SELECT request, answer FROM idempotent_requests WHERE subject = ? AND key = ? AND created_us > ?"
        with self._state.reading() as connection:
            row = connection.execute(query, (subject, key, _oldest())).fetchone()
        if row is None:
            return None
        if row["request"] != request:
            raise KeyReused("this Idempotency-Key was sent with another request before; give each its own")
        return _decoded(row["answer"])

    def _remember(self, subject: str, key: str, request: bytes, response: Response) -> None:
        now = microseconds(datetime.now(UTC))
        with self._state.writing() as connection:
            connection.execute("DELETE FROM idempotent_requests WHERE created_us <= ?", (_oldest(),))
            connection.execute(
                """DELETE FROM idempotent_requests WHERE subject = ? AND created_us <= (
                    SELECT created_us FROM idempotent_requests WHERE subject = ?
                    ORDER BY created_us DESC LIMIT 1 OFFSET ?)""",
                (subject, subject, MOST_OF_A_SUBJECT - 1),
            )
            row = (subject, key, request, _encoded(response), now)
            connection.execute("REPLACE INTO idempotent_requests VALUES (?, ?, ?, ?, ?)", row)


def _oldest() -> int:
    return microseconds(datetime.now(UTC) - KEPT_FOR)


def _digest(asked: tuple[str | bytes, ...]) -> bytes:
    digest = sha256()
    for part in asked:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.digest()


def _encoded(response: Response) -> bytes:
    body = bytes(response.body).decode()
    return json.dumps({"status": response.status_code, "headers": dict(response.headers), "body": body}).encode()


def _decoded(answer: bytes) -> Response:
    found = json.loads(answer)
    return Response(found["body"], status_code=found["status"], headers=found["headers"])
