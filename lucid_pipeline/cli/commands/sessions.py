"""`lucid list` and `lucid show`: what the catalog knows."""

from typing import Annotated

import typer

from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.cli.arguments import SessionId, parse_moment, parse_pairs
from lucid_pipeline.cli.describe import session_document, session_facts, session_table
from lucid_pipeline.cli.output import Json, Output, warn
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import ListedState, SessionFilter

_LARGEST_LIMIT = 2**63 - 2  # one more is asked for, and that has to be a number that the catalog can hold


def list_sessions(
    user: Annotated[str | None, typer.Option(help="Only this user's.")] = None,
    host: Annotated[str | None, typer.Option(help="Only on this host.")] = None,
    state: Annotated[ListedState | None, typer.Option(help="Only in this state.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Started then or later.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Started before.")] = None,
    tag: Annotated[list[str] | None, typer.Option(metavar="K=V", help="Only with this tag; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_LARGEST_LIMIT, help="At most so many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """List sessions, newest first. A time is RFC 3339, such as 2026-01-31T12:00:00+01:00; without a zone it is UTC."""
    wanted = SessionFilter(
        user=user,
        host=host,
        statuses=state.statuses if state else (),
        since=parse_moment(since, "--since") if since is not None else None,
        until=parse_moment(until, "--until") if until is not None else None,
        tags=parse_pairs(tag or [], "--tag").items(),
    )
    with Home(load_settings()).catalog() as catalog:
        found = catalog.find(wanted, limit + 1)
    records = found[:limit]
    Output(as_json).result([session_document(record) for record in records], session_table(records))
    if len(found) > limit:
        warn(f"there are more sessions than the newest {limit} (--limit shows more)")


def show(session: SessionId, as_json: Json = False) -> None:
    """Show everything about one session."""
    session_id = parse_session_id(session)
    with Home(load_settings()).catalog() as catalog:
        record = catalog.get(session_id)
    Output(as_json).result(session_document(record), session_facts(record))
