"""Sessions, found, described and counted, as the catalog knows them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.http.conditional import PreconditionFailed, conditional
from lucid_api.http.documented import headers, not_modified
from lucid_api.http.links import next_page
from lucid_api.problems import Forbidden, NotFound, Unauthorized, Unavailable, problems
from lucid_api.services import RecordDep, ServicesDep
from lucid_api.sessions.documents import PLOTTED_DAYS, Session, SessionPage, StatisticsDocument
from lucid_api.sessions.session_query import OtherCursor, SessionQuery

router = APIRouter(tags=["sessions"])

Reader = Annotated[Caller, require(Scope.SESSIONS_READ)]


@router.get(
    "/sessions",
    operation_id="list_sessions",
    summary="Find sessions",
    responses={
        200: {"headers": headers("Link")},
        **problems(Unauthorized, Forbidden, NotFound, OtherCursor, Unavailable),
    },
)
def list_sessions(
    request: Request,
    response: Response,
    caller: Reader,
    services: ServicesDep,
    asked: Annotated[SessionQuery, Query()],
) -> SessionPage:
    """Find sessions by what is known of them, newest first unless asked otherwise.

    A page costs the same however many sessions there are. So it can have fewer than `limit`, even none, and still not
    be the last one: what was looked through so far held no more. Follow `Link` until there is none.
    """
    found = services.catalog.page(asked.wanted, asked.sort.order, asked.place, asked.limit)
    cursor = asked.cursor_of(found.next) if found.next else None
    if cursor:
        response.headers.update(next_page(request, cursor=cursor))
    return SessionPage(sessions=[Session.of(record) for record in found.sessions], next_cursor=cursor)


@router.get(
    "/sessions/{session_id}",
    operation_id="get_session",
    summary="One session",
    response_model=Session,
    responses={
        200: {"headers": headers("ETag", "Cache-Control")},
        **not_modified("Cache-Control"),
        **problems(Unauthorized, Forbidden, NotFound, PreconditionFailed, Unavailable),
    },
)
def get_session(request: Request, caller: Reader, record: RecordDep) -> Response:
    """Tell all that is known of a session: whose it is, how far it has come, what it is sealed as, how whole it is."""
    content = Session.of(record).model_dump_json().encode()
    return conditional(request, content, "application/json", "private, no-cache")


@router.get(
    "/statistics",
    operation_id="get_statistics",
    summary="How much there is",
    responses=problems(Unauthorized, Forbidden, Unavailable),
)
def get_statistics(caller: Reader, services: ServicesDep) -> StatisticsDocument:
    """Count sessions and bytes: by state, and what was sealed day by day. The counts are kept, and cost little."""
    today = datetime.now(UTC).date()
    found = services.catalog.statistics(today - timedelta(days=PLOTTED_DAYS - 1))
    return StatisticsDocument.of(found, today)
