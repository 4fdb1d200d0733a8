"""Recording what a request is about, before it is done: for endpoints, `AuditDep`."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request

from lucid_api.access.audit_record import AuditRecord
from lucid_api.http.access_log import subject_of
from lucid_api.http.request_ids import request_id_of
from lucid_pipeline.stores.audit_event import Action, Detail, Entry, Outcome


@dataclass(frozen=True, slots=True)
class Audit:
    """The audit record for what one request does; who asks, from where, under which id is known.

    What cannot be recorded must not be done: both calls then raise, and the caller gets `Unavailable`. They wait for
    the disk, so an `async` endpoint calls them in a thread.
    """

    record_of_home: AuditRecord
    request: Request

    def record(
        self, action: Action, outcome: Outcome = Outcome.ALLOWED, *, session_id: UUID | None = None, **details: Detail
    ) -> None:
        """Record that it is about to be done, or has been refused.

        Args:
            action: what.
            outcome: what becomes of it.
            session_id: the session that it is about.
            details: few and small; no secrets, nothing that was recorded in a session.

        Raises:
            AuditUnavailable: it cannot be recorded.
        """
        self.record_of_home.append(self._entry(action, outcome, session_id, details))

    def record_once(
        self, action: Action, outcome: Outcome = Outcome.ALLOWED, *, session_id: UUID | None = None, **details: Detail
    ) -> None:
        """The same for what goes on in many requests, such as playing: once in `audit_record.GOES_ON_FOR`."""
        self.record_of_home.append_once(self._entry(action, outcome, session_id, details))

    def _entry(self, action: Action, outcome: Outcome, session_id: UUID | None, details: dict[str, Detail]) -> Entry:
        request = self.request
        return Entry(
            action,
            outcome,
            subject=subject_of(request.scope),
            address=request.client.host if request.client else None,
            session_id=session_id,
            request_id=request_id_of(request.scope),
            details=details,
        )


def _audit(request: Request) -> Audit:
    return Audit(request.app.state.services.audit, request)


AuditDep = Annotated[Audit, Depends(_audit)]
"""Where an endpoint records what it is about to do."""
