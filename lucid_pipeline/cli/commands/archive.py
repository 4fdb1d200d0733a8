"""`lucid archive`: recordings through the lineage, in this process."""

from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from lucid_pipeline.archive.manifest import parse_time, timestamp
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.cli.arguments import parse_pairs
from lucid_pipeline.cli.describe import session_document
from lucid_pipeline.cli.output import Json, Output, table
from lucid_pipeline.cli.recordings import Found, find_recordings
from lucid_pipeline.errors import LucidError, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.intake.registration import register
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import ENDED, Catalog, SessionRecord
from lucid_pipeline.units import size

if TYPE_CHECKING:
    from lucid_pipeline.cli.lineage_run import LineageRunner

_AT_ONCE = 200
_TIMES = ("started_at", "ended_at")


def archive(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", readable=False, help="Recordings, or folders of recordings.")
    ],
    meta: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="user, host, protocol, started_at or ended_at; any other key is a tag."),
    ] = None,
    move: Annotated[
        bool, typer.Option("--move", help="Remove each file once its session is sealed, read back and verified.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Archive recordings: encrypt, store, prove. Files stay, unless --move. Exit status 1 if any failed."""
    home, output = Home(load_settings()), Output(as_json)
    metadata = session_metadata(parse_pairs(meta or [], "--meta"))
    if move and home.settings.keep_landing:
        raise UsageError("--move removes files, and LUCID_KEEP_LANDING forbids it", "leave one of them out")
    found = find_recordings(paths, home.owns)
    if not found.files and not found.refused:
        raise UsageError("there is no file to archive", "the folder is empty")
    started = timestamp(datetime.now(UTC))
    archived = archive_files(home, found, metadata, move=move, output=output)
    output.result(_document(archived, found, started), *_tables(archived, found, started))
    if found.refused:
        raise typer.Exit(1)


def archive_files(
    home: Home, found: Found, metadata: SessionMetadata, *, move: bool, output: Output
) -> dict[Path, SessionRecord]:
    """Take every file through the lineage; returns the sealed sessions, and adds what failed to `found.refused`."""
    from lucid_pipeline.cli.lineage_run import open_runner  # Dagster, which other commands need not wait for

    archived: dict[Path, SessionRecord] = {}
    total = sum(found.files.values())
    with output.progress("archiving", total) as progress, open_runner(home, progress) as runner:
        for batch in _batches(found.files):
            registered = _register(batch, metadata, move, runner.catalog, found)
            ended = runner.archive([record.session_id for record in registered.values()])
            sealed = {}
            for path, record in zip(registered, ended, strict=True):
                if reason := _failure(record, verified_next=move):
                    found.refused[path] = reason
                else:
                    sealed[path] = record
            archived |= sealed
            if move and sealed:
                _remove(sealed, runner, found)
    return archived


def _register(
    batch: Iterable[Path], metadata: SessionMetadata, move: bool, catalog: Catalog, found: Found
) -> dict[Path, SessionRecord]:
    registered = {}
    for path in batch:
        try:
            registered[path] = register(path, metadata, catalog, release=move)
        except LucidError as error:
            found.refused[path] = str(error)
    return registered


def _failure(record: SessionRecord, *, verified_next: bool) -> str | None:
    """Why the archive does not hold a recording whole, as far as is known."""
    if record.state not in ENDED:
        return record.failure.reason if record.failure else "its run failed, see Dagster's UI"
    if record.damages and not verified_next:
        found, again = ", ".join(record.damages), "once it has been touched, the file is archived anew"
        return (
            f"session {record.session_id} was found damaged since: {found} (lucid verify --deep looks again; {again})"
        )
    return None


def _remove(sealed: dict[Path, SessionRecord], runner: "LineageRunner", found: Found) -> None:
    kept = runner.remove_recordings([record.session_id for record in sealed.values()])
    for path, record in sealed.items():
        if reason := kept.get(record.session_id):
            found.refused[path] = f"archived, but not removed: {reason}"


def _document(archived: dict[Path, SessionRecord], found: Found, started: str) -> dict[str, Any]:
    sessions = [
        {"path": str(path), "new": _is_new(record, started), **session_document(record)}
        for path, record in archived.items()
    ]
    return {
        "sessions": sessions,
        "failed": [{"path": str(path), "reason": reason} for path, reason in found.refused.items()],
    }


def _tables(archived: dict[Path, SessionRecord], found: Found, started: str) -> list[Table]:
    tables = []
    if archived:
        rows = [_row(path, record, started) for path, record in archived.items()]
        tables.append(table("archived", ("recording", "session", "size", "stored", "ratio", "when"), rows))
    if found.refused:
        failed = [(path, reason) for path, reason in found.refused.items()]
        tables.append(table("failed", ("recording", "reason"), failed))
    return tables


def _row(path: Path, record: SessionRecord, started: str) -> tuple[object, ...]:
    stored = record.seal.stored_bytes if record.seal else 0
    ratio = f"{(record.length or 0) / stored:.2f}" if stored else ""
    when = "now" if _is_new(record, started) else "before; nothing was done"
    if record.duplicate_of:
        when = "before, as another session"
    return path, record.session_id, size(record.length), size(stored), ratio, when


def _is_new(record: SessionRecord, started: str) -> bool:
    """Whether a session was sealed since a moment; both are written alike, so they compare as text."""
    return record.seal is not None and record.seal.sealed_at >= started


def session_metadata(pairs: dict[str, str]) -> SessionMetadata:
    """What `--meta` says of the sessions.

    Raises:
        UsageError: a time is not RFC 3339 with its zone.
    """
    for name in _TIMES:
        if name in pairs and not _is_time(pairs[name]):
            raise UsageError(f"--meta {name} takes a time such as 2026-01-31T12:00:00Z, not {pairs[name]!r}")
    fields = {name: value for name, value in pairs.items() if name in SessionMetadata.model_fields and name != "tags"}
    tags = {name: value for name, value in pairs.items() if name not in fields}
    return SessionMetadata.model_validate({**fields, "tags": tags})


def _is_time(text: str) -> bool:
    try:
        parse_time(text)
    except ValueError:
        return False
    return True


def _batches(paths: Iterable[Path]) -> Iterable[list[Path]]:
    remaining = iter(paths)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch
