"""`lucid list` and `lucid show`: what the catalog knows."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

import typer

from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.cli.arguments import SessionId, parse_pairs
from lucid_pipeline.cli.describe import session_document, session_facts, session_table
from lucid_pipeline.cli.output import Json, Output
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import SessionFilter, State

_TIMES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"]


class ListedState(StrEnum):
    """What `lucid list` shows as the state of a session."""

    REGISTERED = "registered"
    RECORDED = "recorded"
    CHUNKED = "chunked"
    ENCRYPTED = "encrypted"
    HASHED = "hashed"
    SEALED = "sealed"
    FAILED = "failed"
    DAMAGED = "damaged"


def list_sessions(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    host: Annotated[str | None, typer.Option(help="Only on this host.")] = None,
    state: Annotated[ListedState | None, typer.Option(help="Only in this state.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=_TIMES, help="Started at or after (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(formats=_TIMES, help="Started before (UTC).")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="K=V", help="Only with this tag; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List sessions, newest first."""
    wanted = SessionFilter(
        user=user,
        host=host,
        state=State(state.value) if state and state.value in tuple(State) else None,
        failed=True if state is ListedState.FAILED else None,
        damaged=True if state is ListedState.DAMAGED else None,
        since=since.replace(tzinfo=UTC) if since else None,
        until=until.replace(tzinfo=UTC) if until else None,
        tags=parse_pairs(tag or [], "--tag"),
        limit=limit,
    )
    with Home(load_settings()).catalog() as catalog:
        records = catalog.find(wanted)
    Output(as_json).result([session_document(record) for record in records], session_table(records))


def show(session: SessionId, as_json: Json = False) -> None:
    """Show everything about one session."""
    session_id = parse_session_id(session)
    with Home(load_settings()).catalog() as catalog:
        record = catalog.get(session_id)
    Output(as_json).result(session_document(record), session_facts(record))
