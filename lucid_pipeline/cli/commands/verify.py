"""`lucid verify`: proofs, without any secret; with --deep also the plaintext."""

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from lucid_pipeline.archive.keyring import load_keys
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, archived_sessions
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.cli.describe import damage_table, report_document, report_table
from lucid_pipeline.cli.output import Json, Output
from lucid_pipeline.errors import SessionNotFound, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import Catalog, Seal, SessionFilter, State


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
    store, keys = home.archive(), home.keys() if deep else None
    reports, absent = [], []
    with ExitStack() as stack:
        catalog = stack.enter_context(home.catalog()) if home.has_catalog() else None
        for session_id in wanted or _all_sessions(store, catalog):
            try:
                reports.append(_verify(session_id, home, store, trusted, keys, catalog, output))
            except SessionNotFound:
                absent.append(session_id)
    if reports or every:
        _show(reports, absent, output)
    if absent and not every:
        raise SessionNotFound(f"the archive has no manifest of session {absent[0]}", "see: lucid list")
    if not all(report.intact for report in reports):
        raise typer.Exit(1)


def _all_sessions(store: ObjectStore, catalog: Catalog | None) -> list[UUID]:
    """What is in the archive, and what the catalog knows to have been there."""
    sealed = catalog.find(SessionFilter(state=State.SEALED)) if catalog else []
    return sorted({*archived_sessions(store), *(record.session_id for record in sealed)})


def _verify(
    session_id: UUID,
    home: Home,
    store: ObjectStore,
    trusted: list[PublicKey],
    keys: Keys | None,
    catalog: Catalog | None,
    output: Output,
) -> VerificationReport:
    seal = _known_seal(catalog, session_id)
    with output.progress(f"verifying {session_id}", seal.stored_bytes if seal else None) as progress:
        report = verify_session(
            session_id,
            store,
            trusted,
            workers=home.settings.workers,
            keys=keys,
            known=seal.known if seal else None,
            progress=progress,
        )
    if catalog and seal:
        damages = [damage.code for damage in report.damages]
        catalog.record_verification(session_id, damages, timestamp(datetime.now(UTC)))
    return report


def _show(reports: list[VerificationReport], absent: list[UUID], output: Output) -> None:
    shown: list[object] = [report_table(reports)]
    if any(report.damages for report in reports):
        shown.append(damage_table(reports))
    if absent:
        shown.append(f"{len(absent)} never sealed: there is nothing to verify yet")
    output.result([report_document(report) for report in reports], *shown)


def _known_seal(catalog: Catalog | None, session_id: UUID) -> Seal | None:
    try:
        return catalog.get(session_id).seal if catalog else None
    except SessionNotFound:
        return None
