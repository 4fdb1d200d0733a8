"""How an asset works on the sessions of its run: one after the other, and a bad one never blocks another.

Dagster records a range of partitions as materialized all together, or not at all. So where some sessions of a batch
fail, the others' materializations are recorded here, one by one, and then the step fails and names the ones that did.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from uuid import UUID

from dagster import AssetExecutionContext, AssetMaterialization, Failure, MaterializeResult, MetadataValue

from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.errors import LucidError, PermanentError, UsageError
from lucid_pipeline.stores.catalog import Catalog
from lucid_pipeline.stores.catalog import Failure as SessionFailure

Metadata = Mapping[str, MetadataValue]
"""What an asset says of one session in Dagster's event log. Neither log nor web server is confidential."""

Work = Callable[[UUID], Metadata]
"""The work of one stage on one session."""


def materialize_sessions(context: AssetExecutionContext, catalog: Catalog, work: Work) -> MaterializeResult[None]:
    """Do a stage's work for every session of the run, and record what came of each.

    A session that is sealed already is left as it is.

    Raises:
        Failure: some sessions failed, for the reasons in its metadata; the catalog has them as well.
    """
    stage = context.asset_key.to_user_string()
    done: dict[str, Metadata] = {}
    reasons: dict[str, str] = {}
    permanent = True
    for key in context.partition_keys:
        try:
            session_id = parse_session_id(key)
            done[key] = _seal_metadata(catalog, session_id) or work(session_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next session is not to blame
            failure = _failure(stage, error)
            reasons[key] = failure.reason
            permanent = permanent and failure.permanent
            # Of a key that is none of its sessions', or when it fails itself, the catalog learns nothing.
            with suppress(LucidError):
                catalog.record_failure(parse_session_id(key), failure)
            context.log.error("session %s failed: %s", key, failure.reason)
    if reasons:
        for key, metadata in done.items():
            context.log_event(AssetMaterialization(context.asset_key, partition=key, metadata=metadata))
        raise Failure(_summary(reasons, len(context.partition_keys)), metadata=reasons, allow_retries=not permanent)
    for key, metadata in done.items():
        context.add_asset_metadata(metadata, partition_key=key)
    return MaterializeResult()


def _seal_metadata(catalog: Catalog, session_id: UUID) -> Metadata | None:
    seal = catalog.get(session_id).seal
    if seal is None:
        return None
    return {
        "already_sealed": MetadataValue.bool(True),
        "root": MetadataValue.text(seal.root.hex()),
        "sequence": MetadataValue.int(seal.sequence),
    }


def _failure(stage: str, error: Exception) -> SessionFailure:
    if isinstance(error, LucidError):
        return SessionFailure(stage, str(error), permanent=isinstance(error, PermanentError | UsageError))
    return SessionFailure(stage, f"unexpected {type(error).__name__}; this is a fault in Lucid", permanent=False)


def _summary(reasons: Mapping[str, str], total: int) -> str:
    if total == 1:
        return next(iter(reasons.values()))
    return f"{len(reasons)} of {total} sessions failed"
