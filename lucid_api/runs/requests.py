"""Starting runs for sessions, as the sensors do it: which stage comes next, who has what in hand, who shares a run."""

import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from anyio import from_thread

from lucid_api.http.shares import Shares
from lucid_api.runs.dagster import Dagster
from lucid_api.runs.models import Outcome, RequestedSession, Run, RunStatus
from lucid_api.runs.problems import OutcomeUnknown, TooManyRunRequests
from lucid_pipeline.course.claims import claimed_partitions
from lucid_pipeline.course.partitions import LONGEST_RANGE, Partitions
from lucid_pipeline.course.progress import stages_left, standings_before
from lucid_pipeline.course.runs import PlannedRun, planned_runs
from lucid_pipeline.course.stages import LEGS, Leg, leg_of
from lucid_pipeline.home import Home
from lucid_pipeline.stores.catalog import ENDED, Catalog, SessionRecord

REQUEST_TAG = "lucid/request"
"""On runs that were asked for together, with the name of the request."""

MOST_RUNS = 20
"""Runs that one request starts: each takes Dagster a fifth of a second. What is left waits for its turn."""

_MOST_WAITING = MOST_RUNS * LONGEST_RANGE
_MOST_UNFINISHED = 1000
_MOST_REQUESTS = 8
_PATIENCE_SECONDS = 20.0
_LOOKS = 3
_PAUSE_SECONDS = 1.0
_UNFINISHED = [status.name for status in RunStatus if not status.has_ended]
_log = logging.getLogger(__name__)


class RunRequests:
    """Requests for runs, worked on one after the other: none starts what another is just starting. Any thread may ask.

    Who waits for a turn keeps a thread from others, so few wait, and not for long.
    """

    def __init__(self) -> None:
        self._places = Shares(_MOST_REQUESTS, TooManyRunRequests)
        self._turn = threading.Lock()

    @contextmanager
    def turn_of(self, subject: str) -> Iterator[None]:
        """The turn of a caller.

        Raises:
            TooManyRunRequests: others have theirs, and it takes too long.
        """
        with self._places.one_of(subject):
            if not self._turn.acquire(timeout=_PATIENCE_SECONDS):
                raise TooManyRunRequests
            try:
                yield
            finally:
                self._turn.release()


@dataclass(frozen=True, slots=True)
class Started:
    """What came of a request: its runs, and what became of each session."""

    runs: list[Run]
    sessions: list[RequestedSession]


@dataclass(slots=True)
class RunStarter:
    """One request for runs, worked on in a thread; Dagster is asked in the service's event loop.

    `mark` names the request: what it has started already, when it is sent again, is known by that.
    """

    home: Home
    catalog: Catalog
    dagster: Dagster
    mark: str

    def start_waiting(self) -> Started:
        """Start runs for sessions that wait, nearest to their end first."""
        now = datetime.now(UTC)
        waiting = [self.catalog.waiting(standings_before(leg.stages), now, _MOST_WAITING) for leg in reversed(LEGS)]
        return self._start([record for of_leg in waiting for record in of_leg][:_MOST_WAITING])

    def start(self, session_ids: Sequence[UUID]) -> Started:
        """Start runs for these sessions; those that have failed are tried again, as if they never had.

        Raises:
            SessionNotFound: there is no such session; nothing has been started.
        """
        return self._start([self.catalog.get(session_id) for session_id in dict.fromkeys(session_ids)])

    def _start(self, records: Sequence[SessionRecord]) -> Started:
        """Start what is free.

        Raises:
            DagsterAway: Dagster does not answer; what was started until then is known by the mark.
        """
        partitions = Partitions(lambda: from_thread.run(self.dagster.partition_keys))
        marked = self._marked()
        own = _by_session(marked, partitions)
        others = _by_session(self._runs({"statuses": _UNFINISHED}), partitions)
        taken = claimed_partitions(self.home.dagster_folder) | others.keys()
        free = {
            str(record.session_id): self._ready(record)
            for record in records
            if stages_left(record) and str(record.session_id) not in taken | own.keys()
        }
        new = self._launch(free, partitions, {run.run_id for run in marked})
        own |= {key: run for run, keys in new for key in keys}
        sessions = [_outcome(record, own, others, taken) for record in records]
        return Started([*(run for run, _ in new), *marked], sessions)

    def _marked(self) -> list[Run]:
        return self._runs({"tags": [{"key": REQUEST_TAG, "value": self.mark}]})

    def _runs(self, wanted: Mapping[str, object]) -> list[Run]:
        return from_thread.run(self.dagster.runs, _MOST_UNFINISHED, wanted)

    def _ready(self, record: SessionRecord) -> SessionRecord:
        if record.failure is None:
            return record
        self.catalog.retry(record.session_id)
        return self.catalog.get(record.session_id)

    def _launch(
        self, free: Mapping[str, SessionRecord], partitions: Partitions, before: Collection[str]
    ) -> list[tuple[Run, Sequence[str]]]:
        existing = self._partitions_with(free, partitions)
        planned = list(self._planned(free, existing))[:MOST_RUNS]
        return [(self._launch_once(run, before), run.keys) for run in planned]

    def _partitions_with(self, free: Collection[str], partitions: Partitions) -> Sequence[str]:
        """All partition keys, or as many as matter, with those added that Dagster does not know yet."""
        if len(free) == 1:
            unknown = existing = list(free)
        else:
            unknown = partitions.add_unknown(free) if free else []
            existing = list(partitions.keys) if free else []
        for key in unknown:
            from_thread.run(self.dagster.add_partition, key)
        return existing

    def _planned(self, free: Mapping[str, SessionRecord], existing: Sequence[str]) -> Iterator[PlannedRun]:
        by_leg: dict[Leg, dict[str, SessionRecord]] = {leg: {} for leg in reversed(LEGS)}
        for key, record in free.items():
            by_leg[leg_of(stages_left(record)[0])][key] = record
        for leg, waiting in by_leg.items():
            yield from planned_runs(leg, waiting, existing, self.home.settings)

    def _launch_once(self, planned: PlannedRun, before: Collection[str]) -> Run:
        """Start a run; where the answer got lost, look whether there is one that was not there before."""
        try:
            return from_thread.run(self.dagster.launch, planned, {REQUEST_TAG: self.mark})
        except OutcomeUnknown:
            _log.warning("whether a run was started is not known; it is looked for")
            for _ in range(_LOOKS):
                for run in self._marked():
                    if run.run_id not in before and _is(run, planned):
                        return run
                time.sleep(_PAUSE_SECONDS)
            raise


def _by_session(runs: Iterable[Run], partitions: Partitions) -> dict[str, Run]:
    return {
        key: run
        for run in runs
        if run.first_session and run.last_session
        for key in partitions.between(run.first_session, run.last_session)
    }


def _is(run: Run, planned: PlannedRun) -> bool:
    ends = planned.keys[0], planned.keys[-1]
    return run.job == planned.leg.job and (run.first_session, run.last_session) == ends


def _outcome(
    record: SessionRecord, own: Mapping[str, Run], others: Mapping[str, Run], taken: Collection[str]
) -> RequestedSession:
    key = str(record.session_id)
    if key in own:
        return RequestedSession(session_id=key, outcome=Outcome.STARTED, run_id=own[key].run_id)
    if record.state in ENDED:
        return RequestedSession(session_id=key, outcome=Outcome(record.state), run_id=None)
    if key in others:
        return RequestedSession(session_id=key, outcome=Outcome.IN_HAND, run_id=others[key].run_id)
    outcome = Outcome.IN_HAND if key in taken else Outcome.WAITING
    return RequestedSession(session_id=key, outcome=outcome, run_id=None)
