"""Sessions, seals and reports as JSON documents and as tables."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from rich.table import Table

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.verify import VerificationReport
from lucid_pipeline.cli.output import facts, table
from lucid_pipeline.stores.audit_check import AuditReport
from lucid_pipeline.stores.audit_event import Head
from lucid_pipeline.stores.catalog import Seal, SessionRecord
from lucid_pipeline.units import duration, minute, size


def session_document(record: SessionRecord) -> dict[str, Any]:
    """All that the catalog knows of a session, for machines. Sizes in bytes, digests in hex."""
    return {
        "session_id": str(record.session_id),
        "state": record.state,
        "registered_at": record.registered_at,
        "name": record.name,
        **record.metadata.model_dump(mode="json"),
        "length": record.length,
        "duration_ms": record.duration_ms,
        "seal": _seal_document(record.seal) if record.seal else None,
        "failure": _failure_document(record),
        "duplicate_of": str(record.duplicate_of) if record.duplicate_of else None,
        "verified_at": record.verified_at,
        "damages": list(record.damages),
    }


def session_table(records: list[SessionRecord]) -> Table:
    """A line for each session."""
    columns = ("session", "state", "user", "host", "started", "size", "name")
    return table(None, columns, [_session_row(record) for record in records])


def session_facts(record: SessionRecord) -> Table:
    """Everything about one session."""
    seal, metadata = record.seal, record.metadata
    return facts(
        f"session {record.session_id}",
        {
            "state": _state(record),
            "failure": record.failure.reason if record.failure else None,
            "next attempt": _outlook(record),
            "same as": record.duplicate_of,
            "damage": "\n".join(record.damages),
            "name": record.name,
            "user": metadata.user,
            "host": metadata.host,
            "protocol": metadata.protocol,
            "started": metadata.started_at,
            "ended": metadata.ended_at,
            "tags": ", ".join(f"{key}={value}" for key, value in metadata.tags.items()),
            "duration": duration(record.duration_ms),
            "size": size(record.length),
            **(_seal_facts(seal) if seal else {}),
            "verified": record.verified_at,
        },
    )


def report_document(report: VerificationReport, obstacle: str | None = None) -> dict[str, Any]:
    """The outcome of a verification, for machines; `obstacle` is why the session could not be checked."""
    signed = report.signed
    return {
        "session_id": str(report.session_id),
        "intact": report.intact and obstacle is None,
        "deep": report.deep,
        "sequence": signed.manifest.sequence if signed else None,
        "signed_by": signed.key_id if signed else None,
        "root": signed.manifest.recording.tree.root.hex() if signed else None,
        "chunks_checked": report.chunks_checked,
        "bytes_checked": report.bytes_checked,
        "damages": [{"code": damage.code, "where": damage.where, "detail": damage.detail} for damage in report.damages],
        "obstacle": obstacle,
    }


def report_table(reports: list[VerificationReport]) -> Table:
    """A line for each verified session."""
    made = table(None, ("session", "result", "chunks", "stored", "signed by"), [])
    for report in reports:
        signed = report.signed.key_id if report.signed else ""
        result = "[green]intact[/]" if report.intact else "[red]DAMAGED[/]"
        checked = (str(report.chunks_checked), size(report.bytes_checked), signed)
        made.add_row(str(report.session_id), result, *checked)
    return made


def damage_table(reports: list[VerificationReport]) -> Table:
    """A line for each damage found."""
    rows = [(damage.code, damage.where, damage.detail) for report in reports for damage in report.damages]
    return table("damage", ("code", "where", "what"), rows)


def unchecked_table(unchecked: Mapping[UUID, str]) -> Table:
    """A line for each session that could not be checked, with the reason."""
    return table("could not be checked", ("session", "reason"), list(unchecked.items()))


def audit_document(record: Path, report: AuditReport, noted: Head | None) -> dict[str, Any]:
    """The outcome of checking the audit record, for machines; a head is what to note elsewhere, and to compare with."""
    return {
        "record": str(record),
        "intact": report.intact,
        "events": report.events,
        "head": str(report.head) if report.events else None,
        "compared_with": str(noted) if noted else None,
        "findings": [
            {"flaw": found.flaw, "line": found.line, "sequence": found.sequence, "detail": found.detail}
            for found in report.findings
        ],
        "more_findings": report.more_findings,
        "recoveries": [{"line": recovery.line, "bytes": recovery.bytes} for recovery in report.recoveries],
    }


def audit_facts(record: Path, report: AuditReport, noted: Head | None) -> Table:
    """What became of checking the audit record."""
    crashes = (f"line {found.line} accounts for {found.bytes} bytes of half a line" for found in report.recoveries)
    return facts(
        "audit record",
        {
            "record": record,
            "result": "intact" if report.intact else "BROKEN",
            "events": report.events,
            "head": report.head if report.events else None,
            "compared with": noted,
            "after a crash": "\n".join(crashes),
        },
    )


def audit_findings(report: AuditReport) -> Table:
    """A line for each place where the audit record is not what was written, the first one first."""
    rows = [(found.line, found.sequence, found.flaw, found.detail) for found in report.findings]
    title = f"broken, and {report.more_findings} places more" if report.more_findings else "broken"
    return table(title, ("line", "event", "flaw", "what"), rows)


def _session_row(record: SessionRecord) -> tuple[object, ...]:
    metadata = record.metadata
    return (
        record.session_id,
        _state(record),
        metadata.user,
        metadata.host,
        minute(metadata.started_at or record.registered_at),
        size(record.length),
        record.name,
    )


def _outlook(record: SessionRecord) -> str | None:
    if record.failure is None:
        return None
    if record.failure.retry_at is None:
        return f"none by itself: lucid retry {record.session_id}"
    return f"after {timestamp(record.failure.retry_at)}, while lucid up runs"


def _state(record: SessionRecord) -> str:
    at = f" at {record.failure.stage}" if record.failure and not record.damages else ""
    return f"{record.status}{at}"


def _seal_document(seal: Seal) -> dict[str, Any]:
    return {
        "sequence": seal.sequence,
        "envelope_sha256": seal.envelope_sha256.hex(),
        "signed_by": seal.key_id,
        "root": seal.root.hex(),
        "suite": seal.suite,
        "media_type": seal.media_type,
        "chunk_count": seal.chunk_count,
        "stored_bytes": seal.stored_bytes,
        "sealed_at": seal.sealed_at,
    }


def _seal_facts(seal: Seal) -> dict[str, object]:
    return {
        "media type": seal.media_type,
        "stored": f"{size(seal.stored_bytes)} in {seal.chunk_count} chunk{'s'[: seal.chunk_count - 1]}, {seal.suite}",
        "Merkle root": seal.root.hex(),
        "manifest": f"number {seal.sequence}, signed by {seal.key_id}, {seal.sealed_at}",
    }


def _failure_document(record: SessionRecord) -> dict[str, Any] | None:
    failure = record.failure
    if failure is None:
        return None
    return {
        "stage": failure.stage,
        "reason": failure.reason,
        "permanent": failure.permanent,
        "attempts": record.attempts,
        "retry_at": timestamp(failure.retry_at) if failure.retry_at else None,
    }
