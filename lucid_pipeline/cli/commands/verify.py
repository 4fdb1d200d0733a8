"""`lucid verify`: proofs, without any secret; with --deep also the plaintext."""

from collections.abc import Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Group

from lucid_pipeline.archive.keyring import load_keys
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.reader import Known, archived_sessions
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.cli.describe import damage_table, report_document, report_table
from lucid_pipeline.cli.output import Json, Output
from lucid_pipeline.errors import SessionNotFound, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import Catalog, Seal


def verify(
    sessions: Annotated[list[str] | None, typer.Argument(metavar="SESSION...", help="Session ids.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every session in the archive.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Decrypt too, and check the plaintext's digest.")] = False,
    public_key: Annotated[
        Path | None, typer.Option(help="Trust the keys in this file, instead of the trusted keys.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove that sessions are unaltered. Exit status 1 if any is damaged."""
    if bool(sessions) == every:
        raise UsageError("name the sessions to verify, or --all of them", "lucid verify --all")
    wanted = [parse_session_id(text) for text in sessions or []]
    home, output = Home(load_settings()), Output(as_json)
    trusted = load_keys(public_key, PublicKey) if public_key else home.trusted_keys()
    reports = _verify(home, wanted or archived_sessions(home.archive()), trusted, deep, output)
    tables = [report_table(reports)]
    if any(report.damages for report in reports):
        tables.append(damage_table(reports))
    output.result([report_document(report) for report in reports], Group(*tables))
    if not all(report.intact for report in reports):
        raise typer.Exit(1)


def _verify(
    home: Home, session_ids: Iterable[UUID], trusted: list[PublicKey], deep: bool, output: Output
) -> list[VerificationReport]:
    store, keys, reports = home.archive(), home.keys() if deep else None, []
    with ExitStack() as stack:
        catalog = stack.enter_context(home.catalog()) if home.has_catalog() else None
        for session_id in session_ids:
            seal = _known_seal(catalog, session_id)
            total = seal.stored_bytes if seal else None
            with output.progress(f"verifying {session_id}", total) as progress:
                report = verify_session(
                    session_id,
                    store,
                    trusted,
                    workers=home.settings.workers,
                    keys=keys,
                    known=Known(seal.sequence, seal.envelope_sha256) if seal else None,
                    progress=progress,
                )
            reports.append(report)
            if catalog and seal:
                damages = [damage.code for damage in report.damages]
                catalog.record_verification(session_id, damages, timestamp(datetime.now(UTC)))
    return reports


def _known_seal(catalog: Catalog | None, session_id: UUID) -> Seal | None:
    try:
        return catalog.get(session_id).seal if catalog else None
    except SessionNotFound:
        return None
