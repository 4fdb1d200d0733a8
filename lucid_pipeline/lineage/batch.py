"""How an asset works on the sessions of its run: one after the other, and a bad one never blocks another.

Dagster records a range of partitions as materialized all together, or not at all. So where some sessions of a batch
fail, the others' materializations are recorded here, one by one, and then the step fails and names the ones that did.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import UUID

from dagster import (
    AssetCheckEvaluation,
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    AssetObservation,
    MaterializeResult,
    MetadataValue,
)
from dagster import Failure as StepFailure

from lucid_pipeline.archive.damage import DamageError
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.errors import LucidError, PermanentError, UsageError
from lucid_pipeline.lineage.metadata import SESSION_LINK, session_link, table
from lucid_pipeline.lineage.retries import record_attempt
from lucid_pipeline.lineage.stages import CHECKED, INTACT
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Failure

Metadata = Mapping[str, MetadataValue]
"""What an asset says of one session in Dagster's event log. Neither log nor web server is confidential."""

Work = Callable[[UUID], Metadata]
"""The work of one stage on one session."""


def materialize_sessions(
    context: AssetExecutionContext, catalog: Catalog, settings: Settings, work: Work
) -> MaterializeResult[None]:
    """Do a stage's work for every session of the run, and record what came of each.

    A session that has ended, sealed or as a duplicate, is left as it is. One that fails is tried again later, or put
    into quarantine, as the settings say.

    Raises:
        dagster.Failure: some sessions failed, for the reasons in its metadata; the catalog has them as well.
    """
    stage = context.asset_key.to_user_string()
    done: dict[str, Metadata] = {}
    reasons: dict[str, str] = {}
    damaged: dict[str, str] = {}
    permanent = True
    for key in context.partition_keys:
        try:
            session_id = parse_session_id(key)
            told = _metadata_of_ended(catalog, session_id) or work(session_id)
            done[key] = {**told, SESSION_LINK: session_link(settings, key)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the next session is not to blame
            reasons[key] = reason = reason_of(error)
            is_permanent = isinstance(error, PermanentError | UsageError)
            permanent = permanent and is_permanent
            if isinstance(error, DamageError):
                damaged[key] = reason
            context.log.error("session %s failed: %s", key, reason)
            # Of a key that is none of its sessions', or when it fails itself, the catalog learns nothing.
            with suppress(Exception):
                failure = record_attempt(
                    catalog, parse_session_id(key), stage, reason, settings, permanent=is_permanent
                )
                link = session_link(settings, key)
                context.log_event(_observation(context.asset_key, key, failure, link))
    if reasons:
        for key, metadata in done.items():
            context.log_event(AssetMaterialization(context.asset_key, partition=key, metadata=metadata))
        if stage in CHECKED and (done or damaged):
            context.log_event(_found(context.asset_key, len(done), damaged))
        raise StepFailure(_summary(reasons, len(context.partition_keys)), metadata=reasons, allow_retries=not permanent)
    for key, metadata in done.items():
        context.add_asset_metadata(metadata, partition_key=key)
    passed = AssetCheckResult(check_name=INTACT, passed=True, metadata={"sessions": len(done)})
    return MaterializeResult(check_results=[passed] if stage in CHECKED else None)


def duplicate_metadata(original: UUID) -> Metadata:
    """What an asset says of a session whose recording is that of another once more."""
    return {"duplicate_of": MetadataValue.text(str(original))}


def _metadata_of_ended(catalog: Catalog, session_id: UUID) -> Metadata | None:
    record = catalog.get(session_id)
    if record.duplicate_of:
        return duplicate_metadata(record.duplicate_of)
    seal = record.seal
    if seal is None:
        return None
    return {
        "already_sealed": MetadataValue.bool(True),
        "root": MetadataValue.text(seal.root.hex()),
        "sequence": MetadataValue.int(seal.sequence),
    }


def reason_of(error: Exception) -> str:
    """The one line that a person is told; of what Lucid did not foresee, only what it is."""
    if isinstance(error, LucidError):
        return str(error)
    return f"unexpected {type(error).__name__}; this is a fault in Lucid"


def _observation(asset: AssetKey, partition: str, failure: Failure, link: MetadataValue) -> AssetObservation:
    """What the asset's page says of a partition that was not made."""
    if failure.retry_at is None:
        outlook = "in quarantine: lucid retry starts anew"
    else:
        outlook = f"is tried again after {timestamp(failure.retry_at)}"
    metadata = {
        "failure": MetadataValue.text(failure.reason),
        "outlook": MetadataValue.text(outlook),
        SESSION_LINK: link,
    }
    return AssetObservation(asset, partition=partition, metadata=metadata)


def _found(asset: AssetKey, intact: int, damaged: Mapping[str, str]) -> AssetCheckEvaluation:
    """What a check says of a run that ends in failure: Dagster would not ask for it any more."""
    metadata: dict[str, MetadataValue] = {
        "sessions": MetadataValue.int(intact + len(damaged)),
        "damaged": MetadataValue.int(len(damaged)),
    }
    if damaged:
        metadata["damaged_sessions"] = table(("session", "reason"), list(damaged.items()))
    return AssetCheckEvaluation(asset_key=asset, check_name=INTACT, passed=not damaged, metadata=metadata)


def _summary(reasons: Mapping[str, str], total: int) -> str:
    if total == 1:
        return next(iter(reasons.values()))
    return f"{len(reasons)} of {total} sessions failed"
