"""`lucid rebuild-catalog`: the catalog again, from the archive alone."""

from collections.abc import Iterator, Sequence
from uuid import UUID

import typer
from rich.table import Table

from lucid_pipeline.archive.reader import archived_sessions
from lucid_pipeline.cli.output import Json, Output, table, warn
from lucid_pipeline.cli.rebuilding import Rebuild, Rebuilt, reading_processes
from lucid_pipeline.errors import LucidError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings

_MOST_NAMED = 3


def rebuild_catalog(as_json: Json = False) -> None:
    """Make the catalog again from the archive alone. Names, users and hosts need the identity to be read."""
    home, output = Home(load_settings()), Output(as_json)
    home.trusted_keys()
    settings = home.settings
    with (
        reading_processes(settings, unseal=_can_unseal(home)) as processes,
        home.catalog(create=True) as catalog,
    ):
        rebuild = Rebuild(catalog, list(archived_sessions(home.archive())))
        with output.progress_of_sessions("rebuilding the catalog", len(rebuild.archived)) as advance:
            for sessions in rebuild.run(processes, settings.workers):
                advance(sessions)
    outcome = rebuild.outcome
    output.result(_document(outcome), *_tables(outcome), _summary(outcome))
    if outcome.damaged or outcome.unread:
        raise typer.Exit(1)


def _can_unseal(home: Home) -> bool:
    try:
        home.keystore()
    except LucidError as error:
        warn(f"nothing can be unsealed: {error}")
        return False
    return home.keys_at_hand() is not None


def _document(outcome: Rebuilt) -> dict[str, object]:
    return {
        "restored": outcome.restored,
        "unchanged": outcome.unchanged,
        "never_sealed": outcome.never_sealed,
        "damaged": {str(session_id): str(damage) for session_id, damage in outcome.damaged.items()},
        "unread": {str(session_id): obstacle for session_id, obstacle in outcome.unread.items()},
        "not_known": [
            {"fields": list(fields), "sessions": [str(session_id) for session_id in sessions]}
            for fields, sessions in outcome.not_known.items()
        ],
    }


def _tables(outcome: Rebuilt) -> Iterator[Table]:
    for title, sessions in (("damaged", outcome.damaged), ("could not be read", outcome.unread)):
        if sessions:
            yield table(title, ("session", "reason"), list(sessions.items()))
    if outcome.not_known:
        rows = [row for fields, ids in outcome.not_known.items() for row in _lacking(", ".join(fields), ids)]
        yield table("not in the archive, or sealed away", ("session", "not known"), rows)


def _lacking(fields: str, ids: Sequence[UUID]) -> Iterator[tuple[str, str]]:
    """The rows of sessions that all lack the same fields: a few by their ids, the others by their number."""
    for session_id in ids[:_MOST_NAMED]:
        yield str(session_id), fields
    if len(ids) > _MOST_NAMED:
        yield f"and {len(ids) - _MOST_NAMED} more", fields


def _summary(outcome: Rebuilt) -> str:
    counts = {
        "restored": outcome.restored,
        "known already": outcome.unchanged,
        "damaged": len(outcome.damaged),
        "not read": len(outcome.unread),
        "never sealed": outcome.never_sealed,
    }
    return "sessions: " + ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "restored")
