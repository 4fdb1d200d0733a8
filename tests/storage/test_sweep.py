"""What dead attempts left is removed, and never anything that a manifest needs."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from dagster import DagsterInstance, Definitions, in_process_executor

from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.reader import load_manifest
from lucid_pipeline.archive.sealing import SealingRequest, hash_chunks, seal_session
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.errors import TransientError
from lucid_pipeline.lineage.handover import receive
from lucid_pipeline.resources.opened import storage_resources
from lucid_pipeline.storage import sweep as sweep_module
from lucid_pipeline.storage.assets import ARCHIVE
from lucid_pipeline.storage.sweep import Swept, sweep, sweep_job
from lucid_pipeline.stores.catalog import Seal, Stage
from lucid_pipeline.stores.folder_store import FolderStore
from lucid_pipeline.stores.verification import Verifier
from tests.lineage.support import CAST, Stages, failure_of, home_in
from tests.support import noise

TOMORROW = datetime.now(UTC) + timedelta(days=1)


def sealed_after_a_dead_attempt(stages: Stages, data: bytes = CAST * 90) -> tuple[UUID, dict[str, bytes]]:
    """A session that is sealed, and what an attempt that died before it left."""
    session_id = stages.land(data)
    before = stages.objects()
    stages.archive(session_id, upto=ENCRYPTED_CHUNKS)
    left = {key: stages.objects()[key] for key in stages.objects().keys() - before.keys()}
    for stage in (ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST):
        assert stages.call(stage, session_id) is None
    return session_id, left


def swept(stages: Stages, before: datetime = TOMORROW, archive: object = None) -> Swept:
    verifier = Verifier(archive or stages.home.archive(), stages.home.trusted_keys(), 1, None)
    return sweep(stages.catalog, verifier, before)


def run_job(stages: Stages, **settings: Any) -> Any:
    """Run the job as the schedule does."""
    home = home_in(stages.home.settings.home, **settings)
    definitions = Definitions(
        assets=[ARCHIVE], jobs=[sweep_job], resources=storage_resources(home), executor=in_process_executor
    )
    with DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("sweep").execute_in_process(
            instance=instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            raise_on_error=False,
        )
        [record] = instance.fetch_observations(ARCHIVE.key, limit=10).records
        assert record.asset_observation
        return result, {name: value.value for name, value in record.asset_observation.metadata.items()}


def age(stages: Stages, hours: float) -> None:
    """Let everything in the archive have been stored so long ago, and every session been sealed then."""
    then = datetime.now(UTC) - timedelta(hours=hours)
    for key in stages.objects():
        os.utime(stages.object_path(key), (then.timestamp(), then.timestamp()))


# It goes.


def test_what_a_dead_attempt_left_is_removed_and_nothing_else(stages: Stages) -> None:
    session_id, left = sealed_after_a_dead_attempt(stages)
    assert len(left) > 3
    kept = {key: data for key, data in stages.objects().items() if key not in left}
    done = swept(stages)
    assert stages.objects() == kept
    assert (done.objects, done.stored_bytes) == (len(left), sum(map(len, left.values())))
    assert stages.verify(session_id).intact
    assert stages.export(session_id) == CAST * 90


def test_what_a_killed_write_left_is_removed(stages: Stages) -> None:
    session_id = stages.land(CAST)
    stages.archive(session_id)
    before = stages.objects()
    for folder in ("", "chunks/"):
        stages.object_path(f"sessions/{session_id}/{folder}.0123456789abcdef.partial").write_bytes(b"12345")
    assert (swept(stages).objects, stages.objects()) == (2, before)


def test_a_session_is_looked_at_once_for_each_manifest(stages: Stages) -> None:
    session_id, left = sealed_after_a_dead_attempt(stages)
    assert swept(stages).sessions == 1
    assert swept(stages) == Swept()
    seal = stages.record(session_id).seal
    assert seal
    assert left.keys().isdisjoint(stages.objects())


def test_all_sessions_have_their_turn(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "_PAGE", 2)
    left: dict[str, bytes] = {}
    for _ in range(5):
        left |= sealed_after_a_dead_attempt(stages, b"data")[1]
    assert swept(stages).sessions == 5
    assert left.keys().isdisjoint(stages.objects())


def test_a_session_without_leftovers_is_neither_read_nor_verified(stages: Stages) -> None:
    session_id = stages.land(CAST)
    stages.archive(session_id)
    assert swept(stages, archive=Unreadable(stages, lambda _key: True)) == Swept(sessions=1)
    assert stages.record(session_id).verified_at is None


def test_beside_a_session_that_keeps_nothing_it_was_verified_just_before(stages: Stages) -> None:
    session_id, _ = sealed_after_a_dead_attempt(stages)
    swept(stages)
    assert stages.record(session_id).verified_at


# It stays.


@pytest.mark.parametrize("upto", [RECORDING, CHUNKS, ENCRYPTED_CHUNKS, MERKLE_TREE])
def test_beside_a_session_that_is_not_sealed_everything_stays(stages: Stages, upto: str) -> None:
    session_id = stages.land(CAST)
    for stage in (RECORDING, CHUNKS, ENCRYPTED_CHUNKS, *LINEAGE[: LINEAGE.index(upto) + 1]):
        assert stages.call(stage, session_id) is None
    before = stages.objects()
    assert swept(stages) == Swept()
    assert stages.objects() == before


def test_what_is_young_stays_and_is_looked_for_again(stages: Stages) -> None:
    session_id, left = sealed_after_a_dead_attempt(stages)
    before = stages.objects()
    *old, young = left
    for key in old:
        os.utime(stages.object_path(key), (0, 0))
    stages.catalog.restore(_sealed_long_ago(stages, session_id))
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert swept(stages, hour_ago).objects == len(old)
    assert stages.objects() == {key: data for key, data in before.items() if key not in old}
    assert swept(stages).objects == 1
    assert young not in stages.objects()


def test_a_session_that_was_sealed_just_now_is_left_in_peace(stages: Stages) -> None:
    _, left = sealed_after_a_dead_attempt(stages)
    for key in left:
        os.utime(stages.object_path(key), (0, 0))
    assert swept(stages, datetime.now(UTC) - timedelta(hours=1)) == Swept()


def test_what_is_not_lucids_stays(stages: Stages) -> None:
    session_id, left = sealed_after_a_dead_attempt(stages)
    strange = [
        "notes.txt",
        "chunks/notes.txt",
        "chunks/00000000",
        "chunks/00000000.0123456789abcdef0123456789abcde",
        "chunks/0.0123456789abcdef0123456789abcdef",
        "chunk-table.json",
        "manifest.dsse.json",
        "x.partial",
        ".partial",
        "sealed.luc",
        "elsewhere/00000000.0123456789abcdef0123456789abcdef",
    ]
    for name in strange:
        path = stages.object_path(f"sessions/{session_id}/{name}")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert swept(stages).objects == len(left)
    assert all(stages.object_path(f"sessions/{session_id}/{name}").exists() for name in strange)


def flip_last_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [Path.unlink, flip_last_byte])
@pytest.mark.parametrize("which", ["chunk", "chunk-table", "sealed", "manifest"])
def test_beside_a_damaged_session_everything_stays(stages: Stages, which: str, spoil: Callable[[Path], object]) -> None:
    session_id, left = sealed_after_a_dead_attempt(stages)
    needed = [key for key in stages.objects() if key not in left]
    [spoiled, *_] = [key for key in needed if f"/{which}." in key or f"/{which}s/" in key]
    path = stages.object_path(spoiled)
    data = path.read_bytes()
    spoil(path)
    before = stages.objects()
    for _ in range(2):
        assert swept(stages).kept.keys() == {session_id}
        assert stages.objects() == before
    path.write_bytes(data)
    if stages.record(session_id).damages:
        report, _ = Verifier(stages.home.archive(), stages.home.trusted_keys(), 1, stages.home.keys()).verify(
            stages.record(session_id), stages.catalog
        )
        assert report.intact
    assert swept(stages).objects == len(left)


def test_beside_a_session_that_was_found_damaged_with_a_key_everything_stays(stages: Stages) -> None:
    session_id, _ = sealed_after_a_dead_attempt(stages)
    stages.catalog.record_verification(session_id, ("decrypt_failed",), "2026-03-01T00:00:00.000Z")
    before = stages.objects()
    assert "decrypt_failed" in swept(stages).kept[session_id]
    assert stages.objects() == before


def test_what_an_earlier_manifest_refers_to_stays(stages: Stages) -> None:
    session_id = stages.land(CAST * 90)
    stages.archive(session_id, upto=ENCRYPTED_CHUNKS)
    request = receive(stages.catalog, session_id, Stage.ENCRYPTED_CHUNKS, SealingRequest)
    assert stages.call(ENCRYPTED_CHUNKS, session_id) is None
    again = receive(stages.catalog, session_id, Stage.ENCRYPTED_CHUNKS, SealingRequest)
    assert stages.call(ENCRYPTED_CHUNKS, session_id) is None
    archive, key = stages.home.archive(), stages.home.signing_key()
    first = seal_session(request, hash_chunks(request, archive, 1), key, archive)
    second = seal_session(again, hash_chunks(again, archive, 1), key, archive, first)
    stages.catalog.record_seal(session_id, Seal.of(second))
    needed = [first_or_second.key for r in (request, again) for first_or_second in (*r.objects, r.sealed)]
    before = stages.objects().keys()

    done = swept(stages)

    assert done.objects == len(request.objects) + 1
    assert stages.objects().keys() > set(needed)
    assert stages.objects().keys() < before
    assert load_manifest(session_id, archive, stages.home.trusted_keys()).manifest.sequence == 2
    stages.object_path(manifest_key(session_id, 2)).unlink()
    assert load_manifest(session_id, archive, stages.home.trusted_keys()).manifest == first.manifest
    assert all(len(archive.get(key, 2**30)) for key in needed)


# What cannot be read.


class Unreadable(FolderStore):
    """The archive, of which something cannot be read."""

    def __init__(self, stages: Stages, fails: Callable[[str], bool]) -> None:
        super().__init__(stages.home.settings.home / "archive")
        self._fails = fails

    def get(self, key: str, limit: int) -> memoryview:
        if self._fails(key):
            raise TransientError("the disk does not answer")
        return super().get(key, limit)


def test_a_session_that_cannot_be_read_keeps_everything_and_the_next_has_its_turn(stages: Stages) -> None:
    first, left = sealed_after_a_dead_attempt(stages, noise(100, 1))
    _, others = sealed_after_a_dead_attempt(stages, noise(100, 2))
    done = swept(stages, archive=Unreadable(stages, lambda key: str(first) in key))
    assert done.kept == {first: "the disk does not answer"}
    assert left.keys() <= stages.objects().keys()
    assert others.keys().isdisjoint(stages.objects())
    assert swept(stages).objects == len(left)


def test_a_store_that_is_down_ends_the_sweep(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep_module, "_MOST_FAILURES", 2)
    for _ in range(4):
        sealed_after_a_dead_attempt(stages, b"data")
    before = stages.objects()
    assert len(swept(stages, archive=Unreadable(stages, lambda _key: True)).kept) == 2
    assert stages.objects() == before


# The job.


def test_the_job_says_what_it_removed(stages: Stages) -> None:
    session_id, left = sealed_after_a_dead_attempt(stages)
    stages.catalog.restore(_sealed_long_ago(stages, session_id))
    age(stages, hours=23)
    result, said = run_job(stages)
    assert result.success
    assert (said["sessions_swept"], said["objects_removed"]) == (1, 0), "not a day old"
    age(stages, hours=25)
    result, said = run_job(stages)
    assert result.success
    assert (said["objects_removed"], said["bytes_removed"]) == (len(left), sum(map(len, left.values())))
    assert said["sessions_kept"] == 0


def test_the_job_fails_where_something_is_wrong(stages: Stages) -> None:
    session_id, left = sealed_after_a_dead_attempt(stages)
    stages.catalog.restore(_sealed_long_ago(stages, session_id))
    age(stages, hours=25)
    [chunk, *_] = [key for key in stages.objects() if "/chunks/" in key and key not in left]
    stages.object_path(chunk).unlink()
    result, said = run_job(stages)
    description, reasons = failure_of(result)
    assert description == "1 sessions keep what lies beside them"
    assert "missing_object" in reasons[str(session_id)]
    assert (said["objects_removed"], said["sessions_kept"]) == (0, 1)


def _sealed_long_ago(stages: Stages, session_id: UUID) -> Any:
    record = stages.record(session_id)
    assert record.seal
    return replace(record, seal=replace(record.seal, sealed_at="2026-01-01T00:00:00.000Z"))
