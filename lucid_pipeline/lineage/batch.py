"""How an asset works on the sessions of its run: one after the other, and a bad one never blocks another.

Dagster records a range of partitions as materialized all together, or not at all. So where some sessions of a batch
fail, the others' materializations are recorded here, one by one, and then the step fails and names the ones that did.
A store that is away is another matter: it would fail each of them, after a while, and none is to blame.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
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
from lucid_pipeline.archive.ports import KeySlotStore, ObjectStore
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.errors import LucidError, PermanentError, TransientError, UsageError
from lucid_pipeline.lineage.metadata import SESSION_LINK, session_link, table
from lucid_pipeline.lineage.retries import outage, record_attempt, record_outage
from lucid_pipeline.lineage.stages import CHECKED, INTACT
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Failure

Metadata = Mapping[str, MetadataValue]
"""What an asset says of one session in Dagster's event log. Neither log nor web server is confidential."""

Work = Callable[[UUID], Metadata]
"""The work of one stage on one session."""


def materialize_sessions(
    context: AssetExecutionContext,
    catalog: Catalog,
    settings: Settings,
    work: Work,
    stores: Sequence[ObjectStore | KeySlotStore] = (),
) -> MaterializeResult[None]:
    """Do a stage's work for every session of the run, and record what came of each.

    A session that has ended, sealed or as a duplicate, is left as it is. One that fails is tried again later, or put
    into quarantine, as the settings say. Where one of the stores that the work needs cannot be used, all that are left
    are tried again later, and no attempt is counted.

    Raises:
        dagster.Failure: some sessions failed, for the reasons in its metadata; the catalog has them as well.
    """
    batch = _Batch(context, catalog, settings, context.asset_key.to_user_string())
    for place, key in enumerate(context.partition_keys):
        try:
            session_id = parse_session_id(key)
            told = _metadata_of_ended(catalog, session_id) or work(session_id)
            batch.done[key] = {**told, SESSION_LINK: session_link(settings, key)}
        except Exception as error:  # noqa: BLE001 - whatever it is, the next session is not to blame
            checks = (partial(store.check, writing=True) for store in stores)
            if isinstance(error, TransientError) and (reason := outage(checks)):
                batch.put_off(context.partition_keys[place:], reason)
                break
            batch.fail(key, error)
    return batch.outcome()


@dataclass(slots=True)
class _Batch:
    """What came of the sessions of a run."""

    context: AssetExecutionContext
    catalog: Catalog
    settings: Settings
    stage: str
    done: dict[str, Metadata] = field(default_factory=dict)
    _reasons: dict[str, str] = field(default_factory=dict)
    _damaged: dict[str, str] = field(default_factory=dict)
    _is_permanent: bool = True

    def fail(self, key: str, error: Exception) -> None:
        """Record an attempt at a session that failed."""
        reason = reason_of(error)
        permanent = isinstance(error, PermanentError | UsageError)
        self._is_permanent = self._is_permanent and permanent
        if isinstance(error, DamageError):
            self._damaged[key] = reason
        self._record(key, reason, partial(record_attempt, permanent=permanent))

    def put_off(self, keys: Sequence[str], why: LucidError) -> None:
        """Record that sessions could not be worked on."""
        self._is_permanent = False
        for key in keys:
            self._record(key, str(why), record_outage)

    def _record(self, key: str, reason: str, record: Callable[[Catalog, UUID, str, str, Settings], Failure]) -> None:
        self._reasons[key] = reason
        self.context.log.error("session %s failed: %s", key, reason)
        # Of a key that is none of its sessions', or when it fails itself, the catalog learns nothing.
        with suppress(Exception):
            failure = record(self.catalog, parse_session_id(key), self.stage, reason, self.settings)
            link = session_link(self.settings, key)
            self.context.log_event(_observation(self.context.asset_key, key, failure, link))

    def outcome(self) -> MaterializeResult[None]:
        """Tell Dagster of all of it. Raises `dagster.Failure`."""
        if self._reasons:
            for key, metadata in self.done.items():
                self.context.log_event(AssetMaterialization(self.context.asset_key, partition=key, metadata=metadata))
            if self.stage in CHECKED and (self.done or self._damaged):
                self.context.log_event(_found(self.context.asset_key, len(self.done), self._damaged))
            summary = _summary(self._reasons, len(self.context.partition_keys))
            raise StepFailure(summary, metadata=self._reasons, allow_retries=not self._is_permanent)
        for key, metadata in self.done.items():
            self.context.add_asset_metadata(metadata, partition_key=key)
        passed = AssetCheckResult(check_name=INTACT, passed=True, metadata={"sessions": len(self.done)})
        return MaterializeResult(check_results=[passed] if self.stage in CHECKED else None)


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
