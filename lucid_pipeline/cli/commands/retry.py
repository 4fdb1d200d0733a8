"""`lucid retry`: a failed session is tried again, as if it had never failed."""

from typing import Annotated

import typer

from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.cli.output import Json, Output
from lucid_pipeline.errors import UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings


def retry(
    sessions: Annotated[list[str], typer.Argument(metavar="SESSION...", help="Session ids.")], as_json: Json = False
) -> None:
    """Let failed sessions be tried again, out of quarantine too. `lucid up` takes them on."""
    wanted = [parse_session_id(text) for text in dict.fromkeys(sessions)]
    with Home(load_settings()).catalog() as catalog:
        for record in [catalog.get(session_id) for session_id in wanted]:
            if record.failure is None and record.duplicate_of is None:
                raise UsageError(f"session {record.session_id} has not failed", f"its state is {record.state}")
        for session_id in wanted:
            catalog.retry(session_id)
    count = f"{len(wanted)} sessions wait" if len(wanted) > 1 else "the session waits"
    Output(as_json).result([str(session_id) for session_id in wanted], f"{count} to be tried again")
