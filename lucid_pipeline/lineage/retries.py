"""What becomes of a session that failed: it is tried again, later and later, and in the end put into quarantine.

Where a store was away, the session is not to blame: it is tried again for as long as that takes.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lucid_pipeline.errors import LucidError
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Failure

_LONGER_EACH_TIME = 4
_LONGEST_WAIT = timedelta(days=1)


def record_attempt(
    catalog: Catalog, session_id: UUID, stage: str, reason: str, settings: Settings, *, permanent: bool
) -> Failure:
    """Record that an attempt failed, and when the next one comes; returns what is recorded.

    A permanent failure has no next attempt, nor has the last of as many as the settings allow: `lucid retry` starts
    anew.

    Raises:
        SessionNotFound: there is no such session.
    """
    attempts = catalog.get(session_id).attempts
    is_last = permanent or attempts >= settings.retries
    retry_at = None if is_last else datetime.now(UTC) + _wait(settings, attempts)
    failure = Failure(stage, reason, permanent, retry_at)
    catalog.record_failure(session_id, failure)
    return failure


def record_outage(catalog: Catalog, session_id: UUID, stage: str, reason: str, settings: Settings) -> Failure:
    """Record that a store could not be used, and when the next look comes; returns what is recorded.

    Raises:
        SessionNotFound: there is no such session.
    """
    retry_at = datetime.now(UTC) + timedelta(seconds=settings.retry_seconds)
    failure = Failure(stage, reason, permanent=False, retry_at=retry_at)
    catalog.record_failure(session_id, failure, counts=False)
    return failure


def outage(checks: Iterable[Callable[[], None]]) -> LucidError | None:
    """Why no session can be worked on now: what the first of some checks says that fails; None if all pass."""
    for check in checks:
        try:
            check()
        except LucidError as error:
            return error
    return None


def _wait(settings: Settings, attempts: int) -> timedelta:
    return min(timedelta(seconds=settings.retry_seconds * _LONGER_EACH_TIME ** min(attempts, 10)), _LONGEST_WAIT)
