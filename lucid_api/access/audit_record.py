"""The audit record as the service keeps it: what goes on and on is recorded once in a while.

A player asks for a recording in dozens of ranges, a page of events for the next one: that is one event, not dozens.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from lucid_pipeline.errors import LucidError
from lucid_pipeline.home import Home
from lucid_pipeline.stores.audit_event import Entry
from lucid_pipeline.stores.audit_index import AuditFilter, FoundEvent, Place

GOES_ON_FOR = timedelta(minutes=10)
"""How long the same again, by the same caller, from the same address, of the same session, is the same event."""

_MOST_REMEMBERED = 10_000
_INDEXED_EVERY = 500
"""Events after which the index is brought up to date even if nobody searches, so that nobody waits long for it."""


class AuditRecord:
    """The audit record of a home. Any thread may use it; a call may wait for the disk.

    Raises:
        LucidError: the index cannot be opened.
    """

    def __init__(self, home: Home) -> None:
        self._log = home.audit_log()
        self._index = home.audit_index()
        self._lock = threading.Lock()
        self._going_on: OrderedDict[tuple[object, ...], float] = OrderedDict()
        self._since_indexed = 0

    def append(self, *entries: Entry) -> None:
        """Record events; they are on the disk when this returns.

        Raises:
            AuditUnavailable: they cannot be recorded, so what they are about must not be done.
        """
        self._log.append(*entries)
        with self._lock:
            self._since_indexed += len(entries)
            due = self._since_indexed >= _INDEXED_EVERY
            if due:
                self._since_indexed = 0
        if due:
            with suppress(LucidError):  # whoever searches next is told
                self._index.find(AuditFilter(), before=None, limit=0)

    def append_once(self, entry: Entry) -> None:
        """Record an event unless the same has been recorded within `GOES_ON_FOR`; its details count for nothing.

        Raises:
            AuditUnavailable: it cannot be recorded.
        """
        same = (entry.action, entry.outcome, entry.subject, entry.address, entry.session_id)
        now = time.monotonic()
        with self._lock:
            recorded = self._going_on.get(same)
        if recorded is None or now - recorded > GOES_ON_FOR.total_seconds():
            self.append(entry)
            with self._lock:
                self._going_on[same] = now
                self._going_on.move_to_end(same)
                while len(self._going_on) > _MOST_REMEMBERED:
                    self._going_on.popitem(last=False)

    def find(self, wanted: AuditFilter, *, before: Place | None, limit: int) -> Sequence[FoundEvent]:
        """At most `limit` events, the newest first, of those before a place.

        Raises:
            LucidError: record or index cannot be read.
        """
        return self._index.find(wanted, before=before, limit=limit)

    def close(self) -> None:
        """Give up the files."""
        self._log.close()
        self._index.close()
