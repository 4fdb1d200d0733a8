"""Whichever way a recording takes through the lineage, the manifest says the same."""

from pathlib import Path
from typing import Any
from uuid import UUID

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.course.partitions import PARTITIONS
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.intake.registration import register
from lucid_pipeline.stores.catalog import SessionFilter, State, Status
from tests.cli.conftest import CAST
from tests.cli.running import Up, instance_of, started
from tests.cli.support import Lucid
from tests.processes import eventually

OWN = {"session_id", "created_at", "dek_commitment", "sealed_sha256", "tree", "chunk_table_sha256"}
"""What no two sessions share, since each has a key of its own."""

SIDECAR = b'{"user": "ada", "tags": {"case": "7"}}'


def said(lucid: Lucid, session_id: UUID) -> Any:
    """What manifest and sealed metadata of a session say, but for what it shares with no other."""
    reader = lucid.sealed.reader(session_id)
    return _without_own(reader.manifest.model_dump(mode="json")), reader.metadata.model_dump(mode="json")


def _without_own(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_own(held) for name, held in value.items() if name not in OWN}
    return [_without_own(held) for held in value] if isinstance(value, list) else value


def a_recording(folder: Path) -> Path:
    folder.mkdir()
    (folder / "a.cast.meta.json").write_bytes(SIDECAR)
    (folder / "a.cast").write_bytes(CAST)
    return folder / "a.cast"


def registered(lucid: Lucid, *folders: Path) -> list[str]:
    """Sessions of recordings that wait, and that Dagster knows."""
    with lucid.opened.catalog() as catalog:
        records = [register(a_recording(folder), SessionMetadata(), catalog, release=False) for folder in folders]
    keys = [str(record.session_id) for record in records]
    with instance_of(lucid) as instance:
        instance.add_dynamic_partitions(PARTITIONS, keys)
    return keys


def is_sealed(lucid: Lucid, *keys: str) -> bool:
    with lucid.opened.catalog() as catalog:
        return all(catalog.get(UUID(key)).state is State.SEALED for key in keys)


def landed(lucid: Lucid) -> str:
    """A recording that the sensors take from the landing folder to its manifest."""
    path = a_recording(lucid.home / "landing" / "in")
    path.with_name("a.cast.done").touch()

    def session() -> str | None:
        with lucid.opened.catalog() as catalog:
            found = catalog.find(SessionFilter(statuses=[Status.SEALED]))
        return str(found[0].session_id) if found else None

    return eventually(session, 120, every=0.5)


def run_from_the_ui(lucid: Lucid, up: Up, keys: list[str]) -> None:
    """A run in each location, for all from the first to the last."""
    for location, stages in (
        ("session-recorder", [RECORDING]),
        ("chunk-processor", [CHUNKS, ENCRYPTED_CHUNKS]),
        ("session-storage", [MERKLE_TREE, MANIFEST]),
    ):
        assert up.ui.materialize(location, stages, keys[0], keys[-1]) == "SUCCESS"
    assert is_sealed(lucid, *keys)


def test_all_ways_lead_to_the_same_manifest(lucid: Lucid, tmp_path: Path) -> None:
    with started(lucid) as up:
        by_sensors = landed(lucid)
        up.ui.stop_sensors()
        single = registered(lucid, tmp_path / "single")
        several = registered(lucid, tmp_path / "one", tmp_path / "other")
        backfilled = registered(lucid, tmp_path / "third", tmp_path / "fourth")
        run_from_the_ui(lucid, up, single)
        run_from_the_ui(lucid, up, several)
        up.ui.backfill(LINEAGE, backfilled)
        eventually(lambda: is_sealed(lucid, *backfilled), 240, every=0.5)
        [archived] = lucid.archive(a_recording(tmp_path / "archived"))
        before = said(lucid, UUID(single[0]))
        run_from_the_ui(lucid, up, single)
        assert said(lucid, UUID(single[0])) == before, "a run for what is sealed changes nothing"
    everything = [by_sensors, *single, *several, *backfilled, archived["session_id"]]
    manifest, metadata = said(lucid, UUID(by_sensors))
    assert metadata["recording"]["user"] == "ada"
    assert manifest["streams"][0]["chunk_count"] == 1
    for key in everything:
        assert said(lucid, UUID(key)) == (manifest, metadata)
    assert len(list(lucid.archive_folder.glob("sessions/*/manifest.*"))) == len(everything)
