"""The scrub: every night a share of the archive is verified, so that damage is found while it can still be mended.

Those sessions come first that were longest not verified. Each night's share is a fixed part of all stored bytes, so
the whole archive has its turn within `LUCID_SCRUB_DAYS`, however it grows; where nights were missed, twice the share is
taken until that is made up for. What was found is recorded after each session: a scrub that is cut off loses nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from logging import Logger
from uuid import UUID

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetCheckSeverity,
    AssetObservation,
    AssetSelection,
    MetadataValue,
    ResourceParam,
    asset_check,
    define_asset_job,
)

from lucid_pipeline.archive.manifest import parse_time, timestamp
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.lineage.batch import reason_of
from lucid_pipeline.lineage.metadata import MEGABYTE, Stopwatch, stopwatch, table, throughput
from lucid_pipeline.lineage.upkeep import FIRST
from lucid_pipeline.settings import Settings
from lucid_pipeline.storage.assets import ARCHIVE
from lucid_pipeline.stores.catalog import Catalog, Proof, SessionFilter, SessionRecord
from lucid_pipeline.stores.throttled_store import ThrottledStore
from lucid_pipeline.stores.verification import Verifier

_PAGE = 500
_MOST_UNREAD = 50
_MOST_NAMED = 1000
_ONE_WORKER = 1  # the other cores belong to the sessions, and the limit on bytes is soon reached


@dataclass(slots=True)
class Night:
    """What one night's scrub has verified, and what it could not read. `stored_bytes` are those of sessions done."""

    sessions: int = 0
    stored_bytes: int = 0
    bytes_read: int = 0
    unread: dict[UUID, str] = field(default_factory=dict)


def scrub(catalog: Catalog, verifier: Verifier, days: int, log: Logger) -> Night:
    """Verify tonight's share, and record for each session what was found.

    A session that cannot be read now is not damaged: it is left to the next night, and another one takes its place. But
    when that happens often, the store is out of order, and the scrub gives up.

    Args:
        catalog: says which sessions there are, and learns what was found.
        verifier: reads them.
        days: nights in which the whole archive is to have its turn.
        log: is told of damage, and of what cannot be read.
    """
    night, started = Night(), timestamp(datetime.now(UTC))
    share = _share(catalog, days)
    for record in _longest_unverified(catalog, started, night.unread):
        if night.stored_bytes >= share or len(night.unread) >= _MOST_UNREAD:
            break
        session_id = record.session_id
        try:
            report, _ = verifier.verify(catalog.get(session_id), catalog)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next session is not to blame
            night.unread[session_id] = reason_of(error)
            log.warning("session %s cannot be verified: %s", session_id, night.unread[session_id])
            continue
        for damage in report.damages:
            log.error("session %s is damaged: %s", session_id, damage)
        night.sessions += 1
        night.stored_bytes += record.seal.stored_bytes if record.seal else 0
        night.bytes_read += report.bytes_checked
    return night


@asset_check(asset=ARCHIVE.key)
def scrubbed(
    context: AssetCheckExecutionContext,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    trusted_keys: ResourceParam[Sequence[PublicKey]],
    settings: ResourceParam[Settings],
) -> AssetCheckResult:
    """Every sealed session is read back in its turn and is intact. Each run takes the share of one night."""
    limit = settings.scrub_megabytes_per_second * MEGABYTE
    verifier = Verifier(ThrottledStore(archive, limit), trusted_keys, _ONE_WORKER, keys=None)
    with stopwatch() as watch:
        night = scrub(catalog, verifier, settings.scrub_days, context.log)
    damaged = catalog.find(SessionFilter(proof=Proof.DAMAGED), _MOST_NAMED)
    oldest = _days_unverified(catalog)
    figures = _figures(night, catalog, len(damaged), oldest, watch)
    # What a check says is listed; only what an asset says is plotted.
    context.op_execution_context.log_event(AssetObservation(ARCHIVE.key, metadata=figures))
    return AssetCheckResult(
        passed=not damaged and not night.unread and oldest <= settings.scrub_days,
        severity=AssetCheckSeverity.ERROR if damaged else AssetCheckSeverity.WARN,
        description=_summary(night, damaged, oldest, settings.scrub_days),
        metadata={
            **figures,
            **_listed("damaged_sessions", "codes", ((r.session_id, ", ".join(r.damages)) for r in damaged)),
            **_listed("unread_sessions", "reason", night.unread.items()),
        },
    )


scrub_job = define_asset_job(
    "scrub",
    selection=AssetSelection.checks(scrubbed),
    description="Read back and verify tonight's share of the archive.",
    tags=FIRST,
)


def _share(catalog: Catalog, days: int) -> int:
    """How many bytes are to be verified tonight."""
    share = -(-catalog.holding().stored_bytes // days)
    return 2 * share if _days_unverified(catalog) > days else share


def _days_unverified(catalog: Catalog) -> float:
    """For how long the session that was longest not verified has not been."""
    ages = [datetime.now(UTC) - parse_time(record.proven_at or "") for record in catalog.longest_unverified(1)]
    return max((age / timedelta(days=1) for age in ages), default=0.0)


def _longest_unverified(catalog: Catalog, started: str, passed_over: Collection[UUID]) -> Iterator[SessionRecord]:
    """The sessions that have not been verified since, in their order; those passed over stay at its beginning."""
    while page := [
        record
        for record in catalog.longest_unverified(len(passed_over) + _PAGE)
        if (record.proven_at or "") < started and record.session_id not in passed_over
    ]:
        yield from page


def _figures(
    night: Night, catalog: Catalog, damaged: int, oldest: float, watch: Stopwatch
) -> Mapping[str, MetadataValue]:
    holding = catalog.holding()
    return {
        "sessions": MetadataValue.int(night.sessions),
        "bytes_read": MetadataValue.int(night.bytes_read),
        **throughput(night.bytes_read, watch),
        "damaged": MetadataValue.int(damaged),
        "unread": MetadataValue.int(len(night.unread)),
        "oldest_verification_days": MetadataValue.float(round(oldest, 2)),
        "sessions_in_archive": MetadataValue.int(holding.sessions),
        "bytes_in_archive": MetadataValue.int(holding.stored_bytes),
    }


def _listed(name: str, column: str, rows: Iterable[tuple[UUID, str]]) -> Mapping[str, MetadataValue]:
    """A table of sessions, where there are any."""
    listed = [(str(session_id), text) for session_id, text in rows]
    return {name: table(("session", column), listed)} if listed else {}


def _summary(night: Night, damaged: Sequence[SessionRecord], oldest: float, days: int) -> str:
    parts = [f"{night.sessions} sessions were verified tonight"]
    if damaged:
        parts.append(f"{len(damaged)} of all are damaged: see lucid verify")
    if night.unread:
        parts.append(f"{len(night.unread)} could not be read, which is no damage")
    if oldest > days:
        parts.append(f"one was last verified {oldest:.0f} days ago, which is to be {days} at most")
    return "; ".join(parts)
