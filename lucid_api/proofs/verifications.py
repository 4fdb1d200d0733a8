"""Verifications that callers ask for: made by a few threads of this process, and kept with what came of them.

What is known of one lies in the service's database, but for how far it is, which the thread that makes it tells.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from queue import SimpleQueue
from typing import TypeVar
from uuid import UUID

import uuid_utils.compat

from lucid_api.http.shares import Shares
from lucid_api.problems import Problem, explained
from lucid_api.proofs.documents import (
    DamageDocument,
    Verification,
    VerificationDetail,
    VerificationResult,
    VerificationStatus,
)
from lucid_api.proofs.verification_store import VerificationStore
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.ports import Progress
from lucid_pipeline.archive.verify import VerificationReport
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.catalog import Catalog, SessionRecord
from lucid_pipeline.stores.verification import Verifier

MOST_WAITING = 100
MOST_DAMAGES = 10_000
"""Of one verification the first ones are kept."""

_SECONDS_TO_END = 1
_V = TypeVar("_V", bound=Verification)
_log = logging.getLogger(__name__)


class TooManyVerifications(Problem):
    """So many verifications wait that there is no place for another one; try again."""

    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-verifications", "Too many verifications wait"

    def __init__(self, detail: str = "other verifications wait already; try again") -> None:
        super().__init__(detail, headers={"Retry-After": "60"})


class _Interrupted(Exception):
    """The service is about to end."""


class Verifications:
    """The queue, and what is kept. Any thread may ask.

    Args:
        state: where they are kept; those that a process left undone are interrupted from now on.
        catalog: is told of what they find.
        shallow: verifies sessions without a key.
        deep: verifies them down to the plaintext; None where no identity is at hand.
        at_once: how many are made at once.
        stopping: set when the service is about to end: those under way end at their next chunk.
    """

    def __init__(
        self,
        state: StateDatabase,
        catalog: Catalog,
        shallow: Verifier,
        deep: Verifier | None,
        *,
        at_once: int,
        stopping: threading.Event,
    ) -> None:
        self._kept = VerificationStore(state)
        self._catalog = catalog
        self._shallow = shallow
        self._deep = deep
        self._stopping = stopping
        self._lock = threading.Lock()
        self._bytes_done: dict[UUID, int] = {}
        self._places = Shares(MOST_WAITING, TooManyVerifications)
        self._queue: SimpleQueue[Verification | None] = SimpleQueue()
        self._kept.interrupt_all(_now())
        self._threads = [threading.Thread(target=self._work, name="lucid-verify", daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    @property
    def can_be_deep(self) -> bool:
        """Whether an identity is at hand."""
        return self._deep is not None

    def request(self, record: SessionRecord, *, deep: bool, subject: str) -> Verification:
        """Have a sealed session verified as soon as it is its turn.

        Raises:
            TooManyVerifications: too many wait already.
        """
        verification = Verification(
            verification_id=uuid_utils.compat.uuid7(),
            session_id=record.session_id,
            deep=deep,
            status=VerificationStatus.QUEUED,
            requested_by=subject,
            requested_at=_now(),
            bytes_total=record.seal.stored_bytes if record.seal else 0,
        )
        self._places.take(subject)
        try:
            self._kept.add(verification)
        except BaseException:
            self._places.give_back(subject)
            raise
        self._queue.put(verification)
        return verification

    def get(self, session_id: UUID, verification_id: UUID) -> VerificationDetail:
        """A verification of a session, as far as it is.

        Raises:
            NotFound: there is none, or not any more.
        """
        return self._as_it_is(self._kept.get(session_id, verification_id))

    def newest(self, session_id: UUID, before: UUID | None, limit: int) -> list[Verification]:
        """Verifications of a session, the newest first; those that were asked for before another one."""
        return [self._as_it_is(found) for found in self._kept.newest(session_id, before, limit)]

    def close(self) -> None:
        """Let those under way end, within a second, and the others not begin."""
        self._stopping.set()
        for _ in self._threads:
            self._queue.put(None)
        deadline = time.monotonic() + _SECONDS_TO_END
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        self._kept.interrupt_all(_now())

    def _as_it_is(self, verification: _V) -> _V:
        with self._lock:
            done = self._bytes_done.get(verification.verification_id)
        return verification if done is None else verification.model_copy(update={"bytes_done": done})

    def _work(self) -> None:
        while verification := self._queue.get():
            if self._stopping.is_set():
                return
            self._places.give_back(verification.requested_by)
            try:
                self._make(verification)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next one is not to blame
                _log.error("verification %s is lost: %s", verification.verification_id, error)

    def _make(self, verification: Verification) -> None:
        verification = verification.model_copy(update={"status": VerificationStatus.RUNNING, "started_at": _now()})
        self._kept.change(verification)
        with self._progress(verification.verification_id) as progress:
            try:
                verifier = self._deep if verification.deep and self._deep else self._shallow
                report, _ = verifier.verify(self._catalog.get(verification.session_id), self._catalog, progress)
            except _Interrupted:
                self._end(verification, VerificationStatus.INTERRUPTED)
            except TransientError as error:
                _log.warning("verification %s failed: %s", verification.verification_id, error)
                self._end(verification, VerificationStatus.FAILED, "a store or a database does not answer; ask again")
            except Exception as error:  # noqa: BLE001 - it is told to whoever asked, and to the log
                _log.error("verification %s failed: %s", verification.verification_id, explained(error))
                self._end(verification, VerificationStatus.FAILED, "the service has failed; its log says more")
            else:
                self._end(verification, VerificationStatus.FINISHED, report=report)

    @contextmanager
    def _progress(self, verification_id: UUID) -> Iterator[Progress]:
        """What is told of each chunk that is done; ends the verification where the service is about to end."""

        def progress(length: int) -> None:
            with self._lock:
                self._bytes_done[verification_id] += length
            if self._stopping.is_set():
                raise _Interrupted

        with self._lock:
            self._bytes_done[verification_id] = 0
        try:
            yield progress
        finally:
            with self._lock:
                del self._bytes_done[verification_id]

    def _end(
        self,
        verification: Verification,
        status: VerificationStatus,
        obstacle: str | None = None,
        report: VerificationReport | None = None,
    ) -> None:
        changes: dict[str, object] = {"status": status, "ended_at": _now(), "obstacle": obstacle}
        damages: list[DamageDocument] = []
        if report:
            changes["result"] = VerificationResult.of(report)
            damages = [DamageDocument.of(damage) for damage in report.damages[:MOST_DAMAGES]]
        self._kept.change(self._as_it_is(verification).model_copy(update=changes), damages)


def _now() -> str:
    return timestamp(datetime.now(UTC))
