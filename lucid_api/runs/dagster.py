"""Dagster's webserver, asked by its GraphQL over HTTP.

What can be asked twice is asked again where the webserver did not answer; what starts or ends something is asked once.
Each answer says by its `__typename` what it is: one that is not expected, known or not, ends in a problem.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx2

from lucid_api.problems import NotFound, Problem
from lucid_api.runs import queries
from lucid_api.runs.decoding import Found, first_line, run_of
from lucid_api.runs.models import Run, RunStatus
from lucid_api.runs.problems import DagsterAway, DagsterFailed, NotCancelable, OutcomeUnknown, RunHasEnded
from lucid_pipeline.course.partitions import PARTITIONS
from lucid_pipeline.course.runs import PlannedRun
from lucid_pipeline.course.stages import LINEAGE, RECORD, RECORDING
from lucid_pipeline.errors import UsageError

_TIMEOUT = httpx2.Timeout(8, connect=2, pool=2)
"""Seconds; the first is for each part of an answer, and what goes before it."""

_LONG_TIMEOUT = httpx2.Timeout(30, connect=2, pool=2)
"""For what starts or ends something, and for what grows with the number of sessions."""

_PAUSES = (0.1, 0.5)
"""Seconds before each further attempt at a question."""

_MOST_CONNECTIONS = 20
_REPOSITORY = "__repository__"
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
_log = logging.getLogger(__name__)


class Dagster:
    """One client for the whole service, used in one event loop.

    Raises:
        UsageError: the webserver's address is none.
    """

    def __init__(self, url: str) -> None:
        self._endpoint = _endpoint(url)
        # Proxies that the environment names are for other hosts: sessions' ids and tags are not theirs to see.
        self._client = httpx2.AsyncClient(limits=httpx2.Limits(max_connections=_MOST_CONNECTIONS), trust_env=False)

    async def close(self) -> None:
        """Give up all connections."""
        await self._client.aclose()

    async def runs(self, limit: int, wanted: Mapping[str, Any], cursor: str | None = None) -> list[Run]:
        """Runs, newest first.

        Args:
            limit: how many at most.
            wanted: a `RunsFilter` of Dagster's.
            cursor: the id of the run to go on after.
        """
        data = await self._ask(queries.RUNS, filter=wanted, cursor=cursor, limit=limit)
        return [run_of(found) for found in _expect(data["runsOrError"], "Runs")["results"]]

    async def run(self, run_id: str) -> Run:
        """One run. Raises `NotFound`."""
        data = await self._ask(queries.RUN, runId=run_id)
        return run_of(_expect(data["runOrError"], "Run"))

    async def events(self, run_id: str, cursor: str | None, limit: int) -> tuple[Run, Found]:
        """A run, and its events after a cursor: `events`, `cursor` and `hasMore`. Raises `NotFound`."""
        data = await self._ask(queries.EVENTS, runId=run_id, cursor=cursor, limit=limit)
        return run_of(_expect(data["runOrError"], "Run")), _expect(data["logsForRun"], "EventConnection")

    async def partition_keys(self) -> list[str]:
        """All partition keys, in the order of their definition."""
        data = await self._ask(queries.PARTITION_KEYS, timeout=_LONG_TIMEOUT, asset={"path": [RECORDING]})
        keys: list[str] = _expect(data["assetNodeOrError"], "AssetNode")["partitionKeys"]
        return keys

    async def lineage(self, partition: str, limit: int = 1) -> Mapping[str, Found]:
        """For each stage that a code location has loaded: the last run that was to make it, and what became of it.

        Args:
            partition: of which session.
            limit: how many materializations and observations, newest first.
        """
        assets = [{"path": [stage]} for stage in LINEAGE]
        data = await self._ask(queries.LINEAGE, assets=assets, partition=partition, limit=limit)
        return {found["assetKey"]["path"][-1]: found for found in data["assetNodes"]}

    async def health(self) -> Found:
        """Version, daemons and code locations, as Dagster tells them; asked once."""
        data = await self._ask(queries.HEALTH, pauses=())
        return {**data, "workspace": _expect(data["workspaceOrError"], "Workspace")}

    async def add_partition(self, key: str) -> None:
        """Make a session known as a partition; one that is there stays as it is."""
        repository = {"repositoryLocationName": RECORD.location, "repositoryName": _REPOSITORY}
        data = await self._ask(queries.ADD_PARTITION, repository=repository, definition=PARTITIONS, key=key)
        _expect(data["addDynamicPartition"], "AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError")

    async def launch(self, planned: PlannedRun, tags: Mapping[str, str]) -> Run:
        """Start a run, with tags beside its own.

        Raises:
            OutcomeUnknown: it may have been started; its tags tell.
        """
        selector = {
            "repositoryLocationName": planned.leg.location,
            "repositoryName": _REPOSITORY,
            "jobName": planned.leg.job,
            "assetSelection": [{"path": [stage]} for stage in planned.stages],
        }
        marks = [{"key": key, "value": value} for key, value in {**planned.tags, **tags}.items()]
        data = await self._do(queries.LAUNCH, params={"selector": selector, "executionMetadata": {"tags": marks}})
        return run_of(_expect(data["launchRun"], "LaunchRunSuccess")["run"])

    async def cancel(self, run_id: str) -> Run:
        """Ask a run to end; returns it as it is then. One that is ending, or was canceled, stays so.

        Raises:
            NotFound: there is no such run.
            RunHasEnded: there is nothing to cancel any more.
            NotCancelable: it is just starting, or not Dagster's to end.
            OutcomeUnknown: it may end.
        """
        accepted, lost = False, None
        try:
            data = await self._do(queries.CANCEL, runId=run_id)
            found = _expect(data["terminateRun"], "TerminateRunSuccess", "TerminateRunFailure")
            accepted = found["__typename"] == "TerminateRunSuccess"
        except OutcomeUnknown as error:
            lost = error
        run = await self.run(run_id)
        if accepted or run.status in (RunStatus.CANCELING, RunStatus.CANCELED):
            return run
        if run.status.has_ended:
            raise RunHasEnded(f"it ended with {run.status}")
        raise lost or NotCancelable(_why_not(run))

    async def _ask(
        self, document: str, pauses: Sequence[float] = _PAUSES, timeout: httpx2.Timeout | None = None, **variables: Any
    ) -> Found:
        """What a question is answered, which may be asked more than once."""
        timeout = timeout or _TIMEOUT
        for pause in pauses:
            try:
                return await self._answer(document, variables, timeout)
            except DagsterAway as error:
                if isinstance(error.__cause__, httpx2.ReadTimeout):
                    raise  # it is there, and has more to do than it can
                await asyncio.sleep(pause)
        return await self._answer(document, variables, timeout)

    async def _do(self, document: str, **variables: Any) -> Found:
        """What comes of something that must not be done twice."""
        return await self._answer(document, variables, _LONG_TIMEOUT, unsafe=True)

    async def _answer(
        self, document: str, variables: Mapping[str, Any], timeout: httpx2.Timeout, *, unsafe: bool = False
    ) -> Found:
        asked = {"query": document, "variables": variables}
        try:
            response = await self._client.post(self._endpoint, json=asked, timeout=timeout)
            answer = response.json()
        except _NEVER_SENT as error:
            raise DagsterAway from error
        except (httpx2.TransportError, ValueError) as error:  # what is no JSON comes from something in between
            _log.warning("no answer from Dagster's webserver: %s", type(error).__name__)
            raise (OutcomeUnknown if unsafe else DagsterAway) from error
        if not isinstance(answer, dict) or answer.get("errors") or not answer.get("data"):
            _log.error("Dagster's webserver answers with status %s and no data", response.status_code)
            raise DagsterFailed("Dagster's webserver did not understand a question; is it of another version?")
        data: Found = answer["data"]
        return data


def _why_not(run: Run) -> str:
    if run.location is None:
        return "`lucid archive` runs it itself; end that to cancel it"
    return f"it is {run.status}; try again in a moment"


def _endpoint(url: str) -> httpx2.URL:
    try:
        endpoint = httpx2.URL(f"{url.rstrip('/')}/graphql")
    except httpx2.InvalidURL:
        endpoint = httpx2.URL()
    if endpoint.scheme not in ("http", "https") or not endpoint.host:
        raise UsageError("LUCID_DAGSTER_URL is not the address of a web server", "such as http://127.0.0.1:3000")
    return endpoint


def _expect(found: Found, *kinds: str) -> Found:
    """A member of a union, if it is one of these.

    Raises:
        Problem: it is another one.
    """
    kind = found["__typename"]
    if kind in kinds:
        return found
    _log.warning(
        "Dagster answers with %s %s: %s", kind, found.get("className", ""), first_line(found.get("message", ""))
    )
    raise PROBLEMS.get(kind, _unforeseen)()


def _unforeseen() -> Problem:
    return DagsterFailed("Dagster could not do it; the service's log says more")


PROBLEMS: Mapping[str, Callable[[], Problem]] = {
    "RunNotFoundError": lambda: NotFound("there is no such run"),
    "AssetNotFoundError": lambda: DagsterAway("the code locations are not loaded; try again later"),
    "PipelineNotFoundError": lambda: DagsterAway("the code location is not loaded; try again later"),
    "UnauthorizedError": lambda: DagsterFailed("Dagster's webserver lets nobody do that: is it read-only?"),
    "InvalidPipelineRunsFilterError": _unforeseen,
    "InvalidSubsetError": _unforeseen,
    "InvalidStepError": _unforeseen,
    "InvalidOutputError": _unforeseen,
    "RunConfigValidationInvalid": _unforeseen,
    "RunConflict": _unforeseen,
    "PresetNotFoundError": _unforeseen,
    "ConflictingExecutionParamsError": _unforeseen,
    "NoModeProvidedError": _unforeseen,
    "PythonError": _unforeseen,
}
"""What each error that Dagster's schema has for these questions is to a caller."""
