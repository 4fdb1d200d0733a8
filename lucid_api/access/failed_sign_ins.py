"""Attempts to be let in that fail: each is an event of the audit record, and there may not be too many.

A secret cannot be guessed, so this is not about guessing: nobody shall fill the disk with events, and one program with
a key that has expired shall not hide the attempts of others. What is valid is let in, however many fail meanwhile.
"""

import threading

from lucid_api.access.auditing import Audit
from lucid_api.http.rate_limits import RateLimit
from lucid_pipeline.stores.audit_event import Action, Outcome


class FailedSignIns:
    """Puts them on record. Any thread may use it; a call may wait for the disk."""

    def __init__(self) -> None:
        # Behind a Tor hidden service all have one address: so it counts for nothing here.
        self._of_one_key = RateLimit(limit=5, window=120)
        self._of_all = RateLimit(limit=60, window=120)
        self._lock = threading.Lock()
        self._unrecorded = 0

    def note(self, audit: Audit, way: str, reason: str, key_id: str | None = None) -> float:
        """Note an attempt.

        Args:
            audit: the record, for the request that it is.
            way: by what: `api_key`, `token`, `link`.
            reason: why it fails, in words of this service.
            key_id: the key that it claims to be, which there may be or not.

        Returns:
            0, or the seconds until the next one will be recorded: there have been too many lately. How many are not
            recorded, the next one says that is.

        Raises:
            AuditUnavailable: it cannot be recorded.
        """
        wait = self._of_one_key.take(key_id or way).wait or self._of_all.take("all").wait
        with self._lock:
            self._unrecorded += 1
            if wait:
                return wait
            unrecorded, self._unrecorded = self._unrecorded - 1, 0
        audit.record(
            Action.SIGN_IN_FAILED, Outcome.REFUSED, way=way, reason=reason, key_id=key_id, unrecorded_before=unrecorded
        )
        return 0.0
