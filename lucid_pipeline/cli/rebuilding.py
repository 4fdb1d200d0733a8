"""The catalog again, from the archive: read by several processes, put into the catalog by this one.

Processes, since checking signatures and opening key slots is work for the CPU, most of it under the interpreter's lock.
Sessions go to them in batches, in the order of their ids, beside what the catalog knows of them, and come back as
records; a batch is one transaction. So nothing has to be remembered for a rebuild that was killed to go on: what it had
got done is in the catalog.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from multiprocessing import active_children, get_context
from uuid import UUID

from lucid_pipeline.archive.damage import Damage
from lucid_pipeline.archive.parallel import as_made
from lucid_pipeline.cli.signals import ignore_signals
from lucid_pipeline.errors import PermanentError, TransientError
from lucid_pipeline.home import Home
from lucid_pipeline.lifeline import end_with, show_as
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import ArchivedSession, Catalog, Order, SessionFilter, SessionRecord
from lucid_pipeline.stores.object_store import threads_per_core
from lucid_pipeline.stores.restoring import Asked, Told, Witness, not_known

_BATCH = 500
_BATCHES_PER_PROCESS = 2
_PAGE = 1000
_BY_ID = Order(descending=False)
_MOST_OBSTACLES = 50


@dataclass(slots=True)
class Rebuilt:
    """What became of a rebuild: numbers of sessions, and those of which something is wrong, or not known."""

    restored: int = 0
    unchanged: int = 0
    never_sealed: int = 0
    damaged: dict[UUID, Damage] = field(default_factory=dict)
    unread: dict[UUID, str] = field(default_factory=dict)
    not_known: dict[tuple[str, ...], list[UUID]] = field(default_factory=dict)
    """Sessions by the fields that their records lack, and that the archive did not tell."""


@contextmanager
def reading_processes(settings: Settings, *, unseal: bool) -> Iterator[Executor]:
    """Processes that read the archive. To be begun before this one opens a store or catalog, or has a second thread."""
    pool = ProcessPoolExecutor(
        settings.workers,
        mp_context=get_context("fork"),
        initializer=_begin,
        initargs=(settings, unseal, os.getpid()),
    )
    try:
        pool.submit(os.getpid).result()  # this forks them all
        yield pool
    except BaseException as error:
        for reader in active_children():
            reader.kill()  # it only reads; and it ignores the signal by which a pool would end it
        if isinstance(error, BrokenProcessPool):
            raise TransientError(
                "a process that read the archive has died", "is memory short? the same command goes on"
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class Rebuild:
    """A rebuild of a catalog: of these sessions, oldest first, and of all that it knows to be sealed."""

    catalog: Catalog
    archived: Sequence[UUID]
    outcome: Rebuilt = field(default_factory=Rebuilt)
    _in_hand: dict[UUID, SessionRecord] = field(default_factory=dict)

    def run(self, pool: Executor, processes: int) -> Iterator[int]:
        """Do it; yields how many more sessions are done.

        Raises:
            TransientError: the archive or the keystore fails again and again, or the catalog cannot be written to.
        """
        asked = self._asked()
        batches = iter(lambda: list(islice(asked, _BATCH)), [])
        with closing(as_made(pool, _tell, batches, _BATCHES_PER_PROCESS * processes)) as answers:
            for told in answers:
                self._take(told)
                yield len(told)

    def _asked(self) -> Iterator[Asked]:
        for session_id, record in _side_by_side(self.archived, _records(self.catalog)):
            if record is None:
                yield Asked(session_id)
            else:
                self._in_hand[session_id] = record
                yield Asked.beyond(record)

    def _take(self, told: Sequence[Told]) -> None:
        outcome = self.outcome
        known = {one.session_id: self._in_hand.pop(one.session_id, None) for one in told}
        records = list(self._restored([one.found for one in told if one.found]))
        outcome.unchanged += sum(record == known[record.session_id] for record in records)
        outcome.restored += sum(record != known[record.session_id] for record in records)
        for one in told:
            if one.damage:
                outcome.damaged[one.session_id] = one.damage
            elif one.obstacle:
                self._leave(one.session_id, one.obstacle)
            elif not one.is_sealed:
                outcome.never_sealed += 1
            elif one.found is None and (record := known[one.session_id]):
                outcome.unchanged += 1
                records.append(record)
        for record in records:
            if fields := not_known(record):
                outcome.not_known.setdefault(fields, []).append(record.session_id)

    def _restored(self, found: Sequence[ArchivedSession]) -> Iterator[SessionRecord]:
        """What is known of sessions now; one that the catalog cannot hold does not keep the others from it."""
        try:
            yield from self.catalog.restore_sealed(*found)
        except PermanentError as error:
            if len(found) == 1:
                self._leave(found[0].session_id, str(error))
                return
            for session in found:
                yield from self._restored([session])

    def _leave(self, session_id: UUID, obstacle: str) -> None:
        unread = self.outcome.unread
        unread[session_id] = obstacle
        if len(unread) >= _MOST_OBSTACLES:
            raise TransientError(f"{len(unread)} sessions cannot be read: {obstacle}", "the same command then goes on")


def _side_by_side(
    archived: Iterable[UUID], records: Iterable[SessionRecord]
) -> Iterator[tuple[UUID, SessionRecord | None]]:
    """Each session that is archived, or known to be sealed, with what is known of it; both come by ascending id."""
    rest = iter(records)
    record = next(rest, None)
    for session_id in archived:
        while record and record.session_id < session_id:
            if record.seal:
                yield record.session_id, record
            record = next(rest, None)
        if record and record.session_id == session_id:
            yield session_id, record
            record = next(rest, None)
        else:
            yield session_id, None
    for left in chain([record], rest) if record else ():
        if left.seal:
            yield left.session_id, left


def _records(catalog: Catalog) -> Iterator[SessionRecord]:
    """All that a catalog knows, by ascending id."""
    page = catalog.page(SessionFilter(), _BY_ID, None, _PAGE)
    yield from page.sessions
    while page.next:
        page = catalog.page(SessionFilter(), _BY_ID, page.next, _PAGE)
        yield from page.sessions


# In the processes that read.

_witness: Witness
_threads: Executor | None = None


def _begin(settings: Settings, unseal: bool, parent: int) -> None:
    global _witness, _threads
    end_with(parent)
    ignore_signals()  # of which the parent makes one end for all
    show_as("lucid-reader")
    home = Home(settings)
    _witness = Witness(home.archive(), home.trusted_keys(), home.keys() if unseal else None)
    if (threads := threads_per_core(settings.archive_url, settings.keystore_url)) > 1:
        _threads = ThreadPoolExecutor(threads)


def _tell(batch: Sequence[Asked]) -> list[Told]:
    return list((_threads.map if _threads else map)(_witness.tell, batch))
