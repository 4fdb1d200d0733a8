"""`lucid verify`: proofs, without any secret; with --deep also the plaintext; with --audit the audit record."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from lucid_pipeline.archive.keyring import load_keys
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, archived_sessions
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.cli.describe import (
    audit_document,
    audit_facts,
    audit_findings,
    damage_table,
    report_document,
    report_table,
    unchecked_table,
)
from lucid_pipeline.cli.memory import open_memory
from lucid_pipeline.cli.output import Json, Output
from lucid_pipeline.errors import PermanentError, SessionNotFound, TransientError, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.paths import is_there
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.audit_check import check_audit_log
from lucid_pipeline.stores.audit_event import Head
from lucid_pipeline.stores.catalog import SessionRecord


def verify(
    sessions: Annotated[list[str] | None, typer.Argument(metavar="SESSION...", help="Session ids.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every session in the archive.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Decrypt too, and check the plaintext's digest.")] = False,
    public_key: Annotated[
        Path | None, typer.Option(help="Trust the keys in this file, instead of the trusted keys.")
    ] = None,
    audit: Annotated[bool, typer.Option("--audit", help="The audit record, and no session.")] = False,
    audit_head: Annotated[
        str | None, typer.Option(metavar="N:HASH", help="A head of the audit record that was noted elsewhere.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Prove that sessions, or the audit record, are unaltered. Exit status 1 if any is not, or could not be checked."""
    if audit + every + bool(sessions) != 1:
        raise UsageError("name the sessions to verify, or --all of them, or --audit", "lucid verify --all")
    if (audit_head and not audit) or (audit and (deep or public_key)):
        raise UsageError("--audit-head belongs to --audit, --deep and --public-key to sessions", "lucid verify --help")
    home, output = Home(load_settings()), Output(as_json)
    if audit:
        _verify_audit(home, Head.parse(audit_head) if audit_head else None, output)
    else:
        wanted = [parse_session_id(text) for text in sessions or []]
        _verify_sessions(home, wanted, output, deep=deep, public_key=public_key)


def _verify_sessions(
    home: Home, wanted: Sequence[UUID], output: Output, *, deep: bool, public_key: Path | None
) -> None:
    """Verify these sessions, or all of them where none is named."""
    trusted = load_keys(public_key, PublicKey) if public_key else home.trusted_keys()
    verifier = _Verifier(home.archive(), trusted, home.settings.workers, home.keys() if deep else None, output)
    outcome = _Outcome()
    with open_memory(home) as memory:
        for session_id in wanted or sorted({*archived_sessions(verifier.store), *memory.sealed()}):
            try:
                report = verifier.verify(session_id, memory.get(session_id))
            except SessionNotFound:
                outcome.absent.append(session_id)
            except (PermanentError, TransientError) as error:
                outcome.unchecked[session_id] = str(error)
            else:
                outcome.reports.append(report)
                if public_key is None:  # else other keys are trusted than those that the catalog speaks of
                    memory.record(report)
    _show(outcome, output, every=not wanted, deep=deep)
    if outcome.absent and wanted:
        ids = ", ".join(str(session_id) for session_id in outcome.absent)
        raise SessionNotFound(f"the archive has no manifest of session {ids}", "see: lucid list")
    if outcome.unchecked or not all(report.intact for report in outcome.reports):
        raise typer.Exit(1)


def _verify_audit(home: Home, noted: Head | None, output: Output) -> None:
    record = home.audit_log().path
    length = record.stat().st_size if is_there(record, "audit record") else None
    with output.progress("verifying the audit record", length) as progress:
        report = check_audit_log(record, noted, progress)
    tables = [audit_facts(record, report, noted)]
    if report.findings:
        tables.append(audit_findings(report))
    output.result(audit_document(record, report, noted), *tables)
    if not report.intact:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class _Verifier:
    store: ObjectStore
    trusted: Sequence[PublicKey]
    workers: int
    keys: Keys | None
    output: Output

    def verify(self, session_id: UUID, remembered: SessionRecord | None) -> VerificationReport:
        seal = remembered.seal if remembered else None
        with self.output.progress(f"verifying {session_id}", seal.stored_bytes if seal else None) as progress:
            return verify_session(
                session_id,
                self.store,
                self.trusted,
                workers=self.workers,
                keys=self.keys,
                known=seal.known if seal else None,
                progress=progress,
            )


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of each session: a report, no manifest, or a reason why it could not be checked."""

    reports: list[VerificationReport] = field(default_factory=list)
    absent: list[UUID] = field(default_factory=list)
    unchecked: dict[UUID, str] = field(default_factory=dict)


def _show(outcome: _Outcome, output: Output, *, every: bool, deep: bool) -> None:
    reports, unchecked = outcome.reports, outcome.unchecked
    if not (reports or unchecked or every):
        return
    shown: list[object] = [report_table(reports)]
    if any(report.damages for report in reports):
        shown.append(damage_table(reports))
    if unchecked:
        shown.append(unchecked_table(unchecked))
    if outcome.absent and every:
        shown.append(f"{len(outcome.absent)} never sealed: there is nothing to verify yet")
    documents = [report_document(report) for report in reports]
    documents += [report_document(VerificationReport(key, deep), reason) for key, reason in unchecked.items()]
    output.result(documents, *shown)
