"""`lucid copy-archive`: an archive into another store, verified; what is there already is not copied again."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table

from lucid_pipeline.archive.copying import Copier, SessionCopy
from lucid_pipeline.archive.parallel import as_made
from lucid_pipeline.archive.reader import archived_sessions
from lucid_pipeline.cli.output import Json, Output, table
from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.object_store import local_folder, open_object_store, threads_per_core
from lucid_pipeline.units import size

_AHEAD = 4  # sessions for each thread, so that none waits for a large one
_MOST_OBSTACLES = 50


def copy_archive(
    source: Annotated[str, typer.Argument(metavar="SRC", help="URL of the archive: file:///folder or s3://bucket/…")],
    destination: Annotated[str, typer.Argument(metavar="DST", help="URL of the place to copy it to.")],
    as_json: Json = False,
) -> None:
    """Copy an archive into another store, and verify it there. Deletes and replaces nothing; copies no key slots."""
    _refuse_same_place(source, destination)
    home, output = Home(load_settings()), Output(as_json)
    trusted, threads = home.trusted_keys(), home.settings.workers * threads_per_core(source, destination)
    source_store, destination_store = open_object_store(source), open_object_store(destination)
    source_store.check(writing=False)
    destination_store.check(writing=True)
    sessions, outcome = list(archived_sessions(source_store)), _Outcome()
    with output.progress_of_sessions("copying the archive", len(sessions)) as advance:
        copier = Copier(source_store, destination_store, trusted, threads, lambda count: advance(0, count))
        with _copying(copier, sessions, threads) as copies:
            for copied in copies:
                outcome.take(copied)
                advance(1)
    output.result(outcome.document(), *outcome.tables(), outcome.summary())
    if outcome.damaged or outcome.unread:
        raise typer.Exit(1)


@contextmanager
def _copying(copier: Copier, sessions: Sequence[UUID], threads: int) -> Iterator[Iterator[SessionCopy]]:
    """What becomes of each session, in any order; whoever leaves it early stops all threads."""
    with ThreadPoolExecutor(threads, thread_name_prefix="lucid-copy") as pool:
        try:
            with closing(as_made(pool, copier.copy, sessions, _AHEAD * threads)) as copies:
                yield copies
        finally:
            copier.stop()


def _refuse_same_place(source: str, destination: str) -> None:
    """Refuse two URLs of which one is, or is inside, the other."""
    one, other = _place(source), _place(destination)
    if one.startswith(other) or other.startswith(one):
        raise UsageError("SRC and DST are the same place, or one lies in the other", "name a place of its own as DST")


def _place(url: str) -> str:
    folder = local_folder(url)
    return f"{folder.resolve().as_uri() if folder else url.rstrip('/')}/"


@dataclass(slots=True)
class _Outcome:
    """What became of all sessions."""

    copied: int = 0
    already_there: int = 0
    never_sealed: int = 0
    objects: int = 0
    stored_bytes: int = 0
    damaged: list[SessionCopy] = field(default_factory=list)
    unread: dict[UUID, str] = field(default_factory=dict)

    def take(self, session: SessionCopy) -> None:
        self.objects += session.objects
        self.stored_bytes += session.stored_bytes
        if session.obstacle:
            self.unread[session.session_id] = session.obstacle
        if session.findings:
            self.damaged.append(session)
        elif session.obstacle is None:
            self.copied += session.is_sealed and session.objects > 0
            self.already_there += session.is_sealed and session.objects == 0
            self.never_sealed += not session.is_sealed
        if len(self.unread) >= _MOST_OBSTACLES:
            raise TransientError(
                f"{len(self.unread)} sessions cannot be read from SRC: {session.obstacle}", "the same command goes on"
            )

    def document(self) -> Mapping[str, object]:
        return {
            "copied": self.copied,
            "already_there": self.already_there,
            "never_sealed": self.never_sealed,
            "objects_copied": self.objects,
            "bytes_copied": self.stored_bytes,
            "damaged": [
                {
                    "session_id": str(session.session_id),
                    "damages": [
                        {
                            "at": finding.side,
                            "code": finding.damage.code,
                            "where": finding.damage.where,
                            "detail": finding.damage.detail,
                        }
                        for finding in session.findings
                    ],
                }
                for session in self.damaged
            ],
            "unread": {str(session_id): obstacle for session_id, obstacle in self.unread.items()},
        }

    def tables(self) -> Iterator[Table]:
        rows = [
            (finding.side, finding.damage.code, finding.damage.where, finding.damage.detail)
            for session in self.damaged
            for finding in session.findings
        ]
        if rows:
            yield table("damaged", ("at", "code", "where", "what"), rows)
        if self.unread:
            yield table("could not be read", ("session", "reason"), list(self.unread.items()))

    def summary(self) -> str:
        counts = {
            "copied": self.copied,
            "there already": self.already_there,
            "damaged": len(self.damaged),
            "not read": len(self.unread),
            "never sealed": self.never_sealed,
        }
        said = ", ".join(f"{count} {what}" for what, count in counts.items() if count or what == "copied")
        return f"sessions: {said}; {self.objects} objects, {size(self.stored_bytes)}. Key slots are not in an archive."
