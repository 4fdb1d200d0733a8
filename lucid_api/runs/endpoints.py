"""Runs: asked for, listed, watched and canceled; and what they made of a session."""

import secrets
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from lucid_api.access.auditing import AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.http.documented import headers
from lucid_api.http.idempotency import IdempotencyKey, KeyInUse, KeyReused
from lucid_api.http.links import next_page
from lucid_api.problems import BadRequest, Forbidden, Invalid, NotFound, Unauthorized, Unavailable, problems
from lucid_api.runs import events
from lucid_api.runs.dagster import Dagster
from lucid_api.runs.events import EventStream, Position
from lucid_api.runs.lineage import lineage_of, runs_of
from lucid_api.runs.models import Lineage, Outcome, Run, RunDetail, RunList, RunStatus, StartedRuns
from lucid_api.runs.problems import (
    DagsterAway,
    DagsterFailed,
    NotCancelable,
    NothingToRun,
    RunHasEnded,
    TooManyRunRequests,
    TooManyStreams,
)
from lucid_api.runs.requests import REQUEST_TAG, RunStarter, Started
from lucid_api.services import RecordDep, ServicesDep, SessionIdText
from lucid_pipeline.course.partitions import Partitions
from lucid_pipeline.stores.audit_event import Action

router = APIRouter(tags=["runs"])

_MOST_SESSIONS = 500
_LONGEST_PAGE = 200
_UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_NAME = "^[0-9a-f]{16}$"
_EXAMPLE = "8f0f6a3c-31a3-4b8f-9c2f-6f2f3a0f9a51"
_STARTED = (Outcome.STARTED, Outcome.IN_HAND, Outcome.WAITING)
_ASKING_DAGSTER = (Unauthorized, Forbidden, DagsterAway, DagsterFailed)

RunId = Annotated[str, Path(pattern=_UUID, description="Id of a run.", examples=[_EXAMPLE])]
Reader = Annotated[Caller, require(Scope.SESSIONS_READ)]
Operator = Annotated[Caller, require(Scope.RUNS_WRITE)]


class _EventStreamResponse(StreamingResponse):
    """Server-sent events, as the endpoint makes them; the framework's own would run a generator."""

    media_type = "text/event-stream"


class RunRequest(BaseModel):
    """What to start runs for."""

    model_config = ConfigDict(extra="forbid")

    sessions: Annotated[list[SessionIdText], Field(min_length=1, max_length=_MOST_SESSIONS)] | Literal["waiting"] = (
        Field(
            description="Ids of sessions, of which failed ones are tried again; or `waiting`: all that wait.",
            examples=[["01a207bc-8e81-7370-a993-4daf2ca01f8c"]],
        )
    )


@router.post(
    "/runs",
    operation_id="start_runs",
    summary="Start runs for sessions",
    status_code=202,
    response_model=StartedRuns,
    responses={
        202: {"headers": headers("Location")},
        **problems(
            *_ASKING_DAGSTER, NotFound, NothingToRun, TooManyRunRequests, KeyInUse, KeyReused, Invalid, Unavailable
        ),
    },
)
def start_runs(
    body: RunRequest, services: ServicesDep, caller: Operator, audit: AuditDep, idempotency_key: IdempotencyKey = None
) -> Response:
    """Start the runs that take sessions on from where they stand, as happens by itself within seconds otherwise.

    Sessions that stand at the same stage share runs. What a run has in hand is left to it; what has failed, or is in
    quarantine, is tried again as if it never had. At most 20 runs are started; the other sessions wait for their turn.
    """
    with services.idempotent.once(caller.subject, idempotency_key, "start_runs", body.model_dump_json()) as attempt:
        if attempt.answered:
            return attempt.answered
        mark = _mark(caller, idempotency_key)
        audit.record(Action.RUN_STARTED, request=mark, sessions=_asked(body))
        starter = RunStarter(services.home, services.catalog, services.dagster, mark)
        with services.run_requests.turn_of(caller.subject):
            started = starter.start_waiting() if body.sessions == "waiting" else starter.start(body.sessions)
        if started.sessions and not any(session.outcome in _STARTED for session in started.sessions):
            outcomes = [session.model_dump() for session in started.sessions]
            raise NothingToRun("every session that was named has ended", sessions=outcomes)
        return attempt.answer(_accepted(mark, started))


@router.get(
    "/runs",
    operation_id="list_runs",
    summary="Runs, newest first",
    responses={
        200: {"headers": headers("Link")},
        **problems(*_ASKING_DAGSTER, Invalid),
    },
)
async def list_runs(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Reader,
    status: Annotated[
        list[RunStatus], Query(default_factory=list, description="How far they have come: any of these.")
    ],
    session: Annotated[
        SessionIdText | None,
        Query(
            description="The session that they are about: all that did something to it, and the last that was to.",
            examples=["01a207bc-8e81-7370-a993-4daf2ca01f8c"],
        ),
    ] = None,
    asked: Annotated[
        str | None,
        Query(
            alias="request", pattern=_NAME, description="The request that started them.", examples=["5f1c6a0be1a94c1d"]
        ),
    ] = None,
    cursor: Annotated[
        str | None,
        Query(pattern=_UUID, description="Where the page before this one ended, from its `Link`.", examples=[_EXAMPLE]),
    ] = None,
    limit: Annotated[int, Query(ge=1, le=_LONGEST_PAGE, description="Runs of one page.")] = 50,
) -> RunList:
    """List runs, of sessions and of upkeep, whoever started them."""
    wanted: dict[str, Any] = {}
    if status:
        wanted["statuses"] = [one.name for one in status]
    if asked:
        wanted["tags"] = [{"key": REQUEST_TAG, "value": asked}]
    if session:
        wanted["runIds"] = await runs_of(str(session), services.dagster)
        if not wanted["runIds"]:
            return RunList(runs=[])
    found = await services.dagster.runs(limit + 1, wanted, cursor)
    if len(found) > limit:
        response.headers.update(next_page(request, cursor=found[limit - 1].run_id))
    return RunList(runs=found[:limit])


@router.get(
    "/runs/{run_id}",
    operation_id="get_run",
    summary="One run",
    responses=problems(*_ASKING_DAGSTER, NotFound, Invalid),
)
async def get_run(caller: Reader, run_id: RunId, services: ServicesDep) -> RunDetail:
    """Tell how far a run has come, and which sessions it is about."""
    run = await services.dagster.run(run_id)
    return RunDetail(**run.model_dump(), sessions=await _sessions_of(run, services.dagster))


@router.post(
    "/runs/{run_id}/cancellation",
    operation_id="cancel_run",
    summary="Cancel a run",
    status_code=202,
    responses=problems(*_ASKING_DAGSTER, NotFound, RunHasEnded, NotCancelable, Invalid, Unavailable),
)
async def cancel_run(caller: Operator, run_id: RunId, services: ServicesDep, audit: AuditDep) -> Run:
    """Ask a run to end. Its sessions go into quarantine, from which `POST /runs` takes them.

    A run under way ends at its next chunk; one that is queued ends at once. To ask twice is no error.
    """
    await run_in_threadpool(audit.record, Action.RUN_CANCELED, run=run_id)
    return await services.dagster.cancel(run_id)


def _place(services: ServicesDep, caller: Reader) -> Iterator[None]:
    with services.streams.one_of(caller.subject):
        yield


@router.get(
    "/runs/{run_id}/events",
    operation_id="stream_run_events",
    summary="What happens in a run, while it happens",
    response_class=_EventStreamResponse,
    dependencies=[Depends(_place)],
    responses={
        200: {
            "description": "Events without a name are `RunEvent`s. One named `end` is the last, a `RunEnd`. The id of "
            "each, sent back as `Last-Event-ID`, has the stream go on after it.",
            "content": {
                "text/event-stream": {
                    "schema": {"type": "string"},
                    "x-events": {
                        "message": {"$ref": "#/components/schemas/RunEvent"},
                        "end": {"$ref": "#/components/schemas/RunEnd"},
                    },
                }
            },
        },
        204: {"description": "The caller has had the last event: there is no reason to connect again."},
        **problems(*_ASKING_DAGSTER, BadRequest, NotFound, TooManyStreams, Invalid),
    },
)
async def stream_run_events(
    run_id: RunId,
    services: ServicesDep,
    caller: Reader,
    last_event_id: Annotated[
        str | None,
        Header(
            alias="Last-Event-ID",
            pattern=f"^{events.ID}$",
            description="The id of the last event that the caller has.",
            examples=["MTcz~4"],
        ),
    ] = None,
) -> Response:
    """Tell what happens in a run as server-sent events, from its beginning until it has ended.

    It goes on for ten minutes at most, and is quiet while Dagster is away. `EventSource` connects again by itself.
    """
    position = Position.parse(last_event_id)
    if position.ended:
        await services.dagster.run(run_id)
        return Response(status_code=204)
    stream = EventStream(services.dagster, run_id, position, services.stopping.is_set)
    await stream.begin()
    # Proxies would keep events back until there are many.
    return _EventStreamResponse(stream.tell(), headers={"X-Accel-Buffering": "no"})


@router.get(
    "/sessions/{session_id}/lineage",
    operation_id="get_lineage",
    summary="How a session came to be",
    responses=problems(Unauthorized, Forbidden, NotFound, Invalid, Unavailable),
)
async def get_lineage(caller: Reader, record: RecordDep, services: ServicesDep) -> Lineage:
    """Tell what became of the five stages of a session: as Dagster has it, or as far as the catalog knows."""
    return await lineage_of(record, services.dagster)


def _mark(caller: Caller, key: str | None) -> str:
    """The name of a request: the same when it is sent again under its key."""
    if key is None:
        return secrets.token_hex(8)
    return sha256(f"{caller.subject}\0{key}".encode()).hexdigest()[:16]


def _asked(body: RunRequest) -> int | str:
    return body.sessions if isinstance(body.sessions, str) else len(body.sessions)


def _accepted(mark: str, started: Started) -> Response:
    answer = StartedRuns(request=mark, runs=started.runs, sessions=started.sessions)
    alone = len(started.runs) == 1
    place = f"/{started.runs[0].run_id}" if alone else f"?request={mark}"
    location = {"Location": f"/api/v1/runs{place}"}
    return JSONResponse(answer.model_dump(mode="json"), status_code=202, headers=location)


async def _sessions_of(run: Run, dagster: Dagster) -> list[str] | None:
    first, last = run.first_session, run.last_session
    if first is None or last is None:
        return []
    if first == last:
        return [first]
    try:
        keys = await dagster.partition_keys()
    except DagsterAway:
        return None
    return list(Partitions(lambda: keys).between(first, last))
