"""How a session came to be, stage by stage: as Dagster has it, and as the catalog knows where Dagster cannot say."""

from collections.abc import Mapping

from lucid_api.runs.dagster import Dagster
from lucid_api.runs.decoding import Found, metadata_of, run_of, time_of
from lucid_api.runs.models import AssetState, Lineage, LineageAsset, MetadataEntry, Run, RunStatus
from lucid_api.runs.problems import DagsterAway, DagsterFailed
from lucid_pipeline.course.partitions import PARTITION_TAG
from lucid_pipeline.course.progress import stages_done
from lucid_pipeline.course.stages import LINEAGE, MANIFEST, RECORDING, leg_of
from lucid_pipeline.stores.catalog import SessionRecord

_RUNNING = (RunStatus.STARTING, RunStatus.STARTED, RunStatus.SUSPENDED, RunStatus.CANCELING)
_MOST_EVENTS = 100
_REASON = "failure"
"""The label under which an asset tells why a session failed."""


async def lineage_of(record: SessionRecord, dagster: Dagster) -> Lineage:
    """The lineage of a session that the catalog knows."""
    found: Mapping[str, Found] = {}
    answers = True
    try:
        found = await dagster.lineage(str(record.session_id))
    except (DagsterAway, DagsterFailed):
        answers = False
    return Lineage(
        session_id=str(record.session_id),
        dagster="answers" if answers else "away",
        assets=[_told(stage, record, found[stage]) if stage in found else _known(stage, record) for stage in LINEAGE],
    )


async def runs_of(session_id: str, dagster: Dagster) -> list[str]:
    """The ids of runs that a session has to do with: those that told something of it, and the last that were to."""
    found = await dagster.lineage(session_id, _MOST_EVENTS)
    alone = await dagster.runs(_MOST_EVENTS, {"tags": [{"key": PARTITION_TAG, "value": session_id}]})
    ids = dict.fromkeys(run.run_id for run in alone)
    for stage in found.values():
        if last := stage["latestRunForPartition"]:
            ids[last["runId"]] = None
        ids |= dict.fromkeys(event["runId"] for event in (*stage["assetMaterializations"], *stage["assetObservations"]))
    return list(ids)


def _told(stage: str, record: SessionRecord, found: Found) -> LineageAsset:
    """A stage as Dagster has it."""
    last = run_of(found["latestRunForPartition"]) if found["latestRunForPartition"] else None
    made = next(iter(found["assetMaterializations"]), None)
    state = _state(last, made)
    run_id = _run_id(state, last, made)
    return LineageAsset(
        name=stage,
        location=leg_of(stage).location,
        after=_before(stage),
        known_from="dagster",
        state=state,
        run_id=run_id,
        run_status=last.status if last and last.run_id == run_id else None,
        materialized_at=time_of(int(made["timestamp"]) / 1000) if made else None,
        metadata=metadata_of(made["metadataEntries"]) if made else [],
        reason=_reason(stage, record, found, run_id) if state is AssetState.FAILED else None,
    )


def _run_id(state: AssetState, last: Run | None, made: Found | None) -> str | None:
    if made and state is AssetState.MATERIALIZED:
        return str(made["runId"])
    return last.run_id if last else None


def _state(last: Run | None, made: Found | None) -> AssetState:
    """What became of a stage, by the last run that was to make it and the last time that it was made."""
    if last is None or (made and made["runId"] == last.run_id) or last.status is RunStatus.SUCCESS:
        return AssetState.MATERIALIZED if made else AssetState.MISSING
    if last.status.has_ended:
        return AssetState.FAILED
    return AssetState.IN_PROGRESS if last.status in _RUNNING else AssetState.QUEUED


def _reason(stage: str, record: SessionRecord, found: Found, run_id: str | None) -> str | None:
    """Why that run did not make it: as the asset told it, or else the catalog."""
    for observed in found["assetObservations"]:
        if observed["runId"] == run_id:
            return next(
                (str(entry.value) for entry in metadata_of(observed["metadataEntries"]) if entry.label == _REASON), None
            )
    return _known_reason(stage, record)


def _known(stage: str, record: SessionRecord) -> LineageAsset:
    """A stage as the catalog knows it."""
    is_done, reason = stage in stages_done(record), _known_reason(stage, record)
    state = AssetState.FAILED if reason else AssetState.MATERIALIZED if is_done else AssetState.MISSING
    return LineageAsset(
        name=stage,
        location=leg_of(stage).location,
        after=_before(stage),
        known_from="catalog",
        state=state,
        run_id=None,
        run_status=None,
        materialized_at=record.seal.sealed_at if record.seal and stage == MANIFEST else None,
        metadata=_known_metadata(stage, record),
        reason=reason,
    )


def _known_reason(stage: str, record: SessionRecord) -> str | None:
    return record.failure.reason if record.failure and record.failure.stage == stage else None


def _known_metadata(stage: str, record: SessionRecord) -> list[MetadataEntry]:
    """What an asset tells that stands in the catalog as well, under the same labels."""
    seal = record.seal
    if stage == MANIFEST and seal:
        return [
            MetadataEntry(label="root", type="text", value=seal.root.hex()),
            MetadataEntry(label="sequence", type="int", value=seal.sequence),
            MetadataEntry(label="signed_by", type="text", value=seal.key_id),
            MetadataEntry(label="chunk_count", type="int", value=seal.chunk_count),
            MetadataEntry(label="stored_bytes", type="int", value=seal.stored_bytes),
        ]
    if stage == RECORDING and record.length is not None:
        return [MetadataEntry(label="size_bytes", type="int", value=record.length)]
    return []


def _before(stage: str) -> str | None:
    place = LINEAGE.index(stage)
    return LINEAGE[place - 1] if place else None
