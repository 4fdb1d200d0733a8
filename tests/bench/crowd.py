"""A home with a past: sessions that are sealed and materialized, as far as catalog and Dagster can tell."""

from datetime import UTC, datetime

from dagster import AssetKey, AssetMaterialization

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.course.partitions import PARTITIONS
from lucid_pipeline.course.stages import LINEAGE
from lucid_pipeline.home import Home
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.stores.catalog import Seal, SessionRecord, State


def add_past_sessions(home: Home, count: int) -> None:
    """Let a home have had so many sessions. Their recordings and objects are not there."""
    now = timestamp(datetime.now(UTC))
    seal = Seal(1, bytes(32), "0" * 16, bytes(32), "AEAD_AES_256_GCM", "application/x-asciicast", 1, 10_000, now)
    sessions = [new_session_id() for _ in range(count)]
    with home.catalog(create=True) as catalog:
        for session_id in sessions:
            catalog.restore(SessionRecord(session_id, State.SEALED, now, seal=seal, verified_at=now))
    keys = [str(session_id) for session_id in sessions]
    with open_instance(home.dagster_folder) as instance:
        instance.add_dynamic_partitions(PARTITIONS, keys)
        for stage in LINEAGE:
            for key in keys:
                instance.report_runless_asset_event(AssetMaterialization(AssetKey(stage), partition=key))
