"""Promise 4: one bad recording never blocks another, whatever is wrong with it."""

import os
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from dagster import AssetCheckEvaluation, AssetCheckKey, AssetKey

from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.course.partitions import PARTITIONS
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.errors import TransientError
from lucid_pipeline.lineage.stages import CHECKED, INTACT
from lucid_pipeline.stores.catalog import Catalog, Failure, State
from tests.lineage.support import Lineage, failure_of, is_retried
from tests.servers.archives import files_only
from tests.support import text


class Unhelpful:
    """A catalog of which one call fails, for one session or for all."""

    def __init__(self, catalog: Catalog, call: str, fail: Callable[[], object], session_id: UUID | None = None) -> None:
        self._catalog, self._call, self._fail, self._session_id = catalog, call, fail, session_id

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._catalog, name)

        def call_or_fail(session_id: UUID, *args: object) -> Any:
            if self._session_id in (None, session_id):
                self._fail()
            return call(session_id, *args)

        return call_or_fail if name == self._call else call


def failing(error: Exception) -> Callable[[], object]:
    def fail() -> None:
        raise error

    return fail


@pytest.fixture
def batch(lineage: Lineage) -> list[UUID]:
    """Three sessions in a row, of which tests spoil the second."""
    return [lineage.add(text(1000, seed)) for seed in range(3)]


def vanish(lineage: Lineage, session_id: UUID) -> str:
    lineage.path(session_id).unlink()
    return "cannot open"


def change(lineage: Lineage, session_id: UUID) -> str:
    with lineage.path(session_id).open("ab") as file:
        file.write(b"more")
    return "changed while it was read"


def lose_an_object(lineage: Lineage, session_id: UUID) -> str:
    [chunk] = lineage.object_path(f"sessions/{session_id}/chunks").iterdir()
    chunk.unlink()
    return "missing_object"


def put_something_in_the_manifests_place(lineage: Lineage, session_id: UUID) -> str:
    lineage.plant(f"sessions/{session_id}/manifest.0001.dsse.json", b"{}")
    return "manifest_malformed"


MISHAPS = [
    pytest.param(RECORDING, vanish, True, id="gone before it is recorded"),
    pytest.param(CHUNKS, vanish, True, id="gone before it is cut"),
    pytest.param(CHUNKS, change, False, id="changed before it is cut"),
    pytest.param(ENCRYPTED_CHUNKS, vanish, True, id="gone before it is encrypted"),
    pytest.param(ENCRYPTED_CHUNKS, change, False, id="changed before it is encrypted"),
    pytest.param(MERKLE_TREE, lose_an_object, True, id="an object gone before it is hashed"),
    pytest.param(MANIFEST, put_something_in_the_manifests_place, True, id="something in the manifest's place"),
]


@pytest.mark.parametrize(("stage", "mishap", "permanent"), MISHAPS)
def test_a_bad_one_is_shown_with_its_reason_and_the_others_are_sealed(
    stage: str, mishap: Any, permanent: bool, lineage: Lineage, batch: list[UUID]
) -> None:
    first, bad, last = batch
    for earlier in LINEAGE[: LINEAGE.index(stage)]:
        assert lineage.materialize(earlier, *batch).success
    before = lineage.record(bad).state
    expected = mishap(lineage, bad)

    result = lineage.materialize(stage, *batch)

    description, reasons = failure_of(result)
    assert not result.success
    assert description == "1 of 3 sessions failed"
    assert reasons.keys() == {str(bad)}
    assert expected in reasons[str(bad)]
    failure = lineage.record(bad).failure
    assert failure
    assert replace(failure, retry_at=None) == Failure(stage, reasons[str(bad)], permanent)
    assert (failure.retry_at is None) is permanent
    assert lineage.record(bad).state is before
    assert lineage.materializations(stage, bad) == []
    for good in (first, last):
        [_] = lineage.materializations(stage, good)
        assert "damage" in lineage.metadata(stage, good) or stage != MANIFEST
        for later in LINEAGE[LINEAGE.index(stage) + 1 :]:
            assert lineage.materialize(later, good).success
        assert lineage.record(good).failure is None
        assert lineage.verify(good).intact
    assert [key for key in lineage.manifests() if str(bad) not in key] == [
        key for key in lineage.manifests() if key.split("/")[1] in (str(first), str(last))
    ]


def test_the_others_have_the_same_metadata_as_without_the_bad_one(lineage: Lineage, batch: list[UUID]) -> None:
    first, bad, last = batch
    vanish(lineage, bad)
    lineage.materialize(RECORDING, *batch)
    for good in (first, last):
        assert lineage.metadata(RECORDING, good) == {"size_bytes": 1000, "media_type": "application/octet-stream"}


def test_a_single_session_fails_with_its_own_reason(lineage: Lineage, batch: list[UUID]) -> None:
    vanish(lineage, batch[1])
    description, reasons = failure_of(lineage.materialize(RECORDING, batch[1]))
    assert description == reasons[str(batch[1])]


@pytest.mark.parametrize(("spoil", "retried"), [(vanish, False), (change, True)])
def test_what_cannot_help_is_not_tried_again(spoil: Any, retried: bool, lineage: Lineage, batch: list[UUID]) -> None:
    assert lineage.materialize(RECORDING, *batch).success
    spoil(lineage, batch[1])
    result = lineage.materialize(CHUNKS, *batch, retries=1)
    assert is_retried(result) is retried
    assert failure_of(result)[1].keys() == {str(batch[1])}
    assert lineage.record(batch[0]).state is lineage.record(batch[2]).state is State.CHUNKED


def test_a_retry_succeeds_when_what_was_wrong_has_passed(lineage: Lineage, batch: list[UUID]) -> None:
    calls = count()

    def sometimes() -> None:
        if next(calls) == 1:
            raise TransientError("the catalog is busy")

    result = lineage.materialize(
        RECORDING, *batch, retries=1, catalog=Unhelpful(lineage.catalog, "describe", sometimes)
    )
    assert result.success
    assert is_retried(result)
    for session_id in batch:
        assert lineage.record(session_id).failure is None
        assert lineage.record(session_id).state is State.RECORDED


def test_a_batch_may_be_tried_again_as_long_as_one_of_its_failures_may(lineage: Lineage, batch: list[UUID]) -> None:
    assert lineage.materialize(RECORDING, *batch).success
    vanish(lineage, batch[0])
    change(lineage, batch[1])
    result = lineage.materialize(CHUNKS, *batch, retries=1)
    description, reasons = failure_of(result)
    assert description == "2 of 3 sessions failed"
    assert len(reasons) == 2
    assert is_retried(result)


def test_a_batch_of_bad_ones_fails_whole(lineage: Lineage, batch: list[UUID]) -> None:
    for session_id in batch:
        vanish(lineage, session_id)
    description, reasons = failure_of(lineage.materialize(RECORDING, *batch))
    assert description == "3 of 3 sessions failed"
    assert len(set(reasons.values())) == 3


@files_only
@pytest.mark.parametrize("store", ["archive", "keystore"])
def test_a_store_that_is_away_is_no_fault_of_any_session_however_long_it_takes(
    store: str, lineage: Lineage, batch: list[UUID]
) -> None:
    for stage in (RECORDING, CHUNKS):
        assert lineage.materialize(stage, *batch).success
    folder = lineage.home.settings.home / store
    for _ in range(lineage.home.settings.retries + 2):
        stores = {"archive": lineage.home.archive(), "keystore": lineage.home.keystore()}
        folder.rename(folder.with_suffix(".away"))
        description, reasons = failure_of(lineage.materialize(ENCRYPTED_CHUNKS, *batch, **stores))
        folder.with_suffix(".away").rename(folder)
        assert description == "3 of 3 sessions failed"
        assert set(reasons.values()) == {f"the folder {folder} has gone (is its disk mounted?)"}
    for session_id in batch:
        record = lineage.record(session_id)
        assert record.attempts == 0
        assert record.failure
        assert record.failure.retry_at, "it is tried again by itself"
        lineage.materialize(ENCRYPTED_CHUNKS, session_id)
        assert lineage.record(session_id).state is State.ENCRYPTED


@files_only
def test_what_is_left_of_a_batch_is_not_tried_while_a_store_is_away(lineage: Lineage, batch: list[UUID]) -> None:
    for stage in (RECORDING, CHUNKS):
        assert lineage.materialize(stage, *batch).success
    vanish(lineage, batch[0])
    vanish(lineage, batch[2])
    folder = lineage.home.settings.home / "archive"
    archive = lineage.home.archive()
    folder.rename(folder.with_suffix(".away"))
    _, reasons = failure_of(lineage.materialize(ENCRYPTED_CHUNKS, *batch, archive=archive))
    assert ["cannot open" in reasons[str(session_id)] for session_id in batch] == [True, False, False]
    assert [lineage.record(session_id).attempts for session_id in batch] == [1, 0, 0]


def test_a_failure_is_forgotten_when_another_try_succeeds(lineage: Lineage, batch: list[UUID]) -> None:
    session_id = batch[0]
    path, hidden = lineage.path(session_id), lineage.path(session_id).with_suffix(".hidden")
    path.rename(hidden)
    assert not lineage.materialize(RECORDING, session_id).success
    assert lineage.record(session_id).failure
    hidden.rename(path)
    assert lineage.materialize(RECORDING, session_id).success
    assert lineage.record(session_id).failure is None


@pytest.mark.parametrize("stage", LINEAGE[1:])
def test_a_stage_without_the_one_before_says_what_to_do(stage: str, lineage: Lineage, batch: list[UUID]) -> None:
    _, reasons = failure_of(lineage.materialize(stage, batch[0]))
    [reason] = reasons.values()
    assert "is not there" in reason
    assert "first)" in reason
    assert lineage.objects() == lineage.slots() == {}


def test_a_key_that_the_catalog_does_not_know_blocks_no_other(lineage: Lineage, batch: list[UUID]) -> None:
    """After the catalog has been rebuilt from the archive, say: partitions are Dagster's."""
    stranger = new_session_id()
    lineage.instance.add_dynamic_partitions(PARTITIONS, [str(stranger)])
    last = lineage.add(text(1000, seed=9))
    result = lineage.materialize(RECORDING, batch[0], last, retries=1)
    description, reasons = failure_of(result)
    assert description == "1 of 5 sessions failed"
    assert "there is no session" in reasons[str(stranger)]
    assert not is_retried(result)
    for good in (*batch, last):
        assert lineage.record(good).state is State.RECORDED
        [_] = lineage.materializations(RECORDING, good)


@pytest.mark.parametrize("key", ["../../etc/passwd", "not-a-session", "00000000-0000-0000-0000-000000000000", "%00"])
def test_a_key_that_is_no_session_id_blocks_no_other(key: str, lineage: Lineage, batch: list[UUID]) -> None:
    """Anyone who reaches Dagster's UI can add a partition."""
    lineage.instance.add_dynamic_partitions(PARTITIONS, [key])
    last = lineage.add(text(1000, seed=9))
    result = lineage.materialize(RECORDING, batch[0], last, retries=1)
    description, reasons = failure_of(result)
    assert description == "1 of 5 sessions failed"
    assert "is no session id" in reasons[key]
    assert not is_retried(result)
    for good in (*batch, last):
        assert lineage.record(good).state is State.RECORDED
        [_] = lineage.materializations(RECORDING, good)


@pytest.mark.parametrize("call", ["get", "describe", "hand_over"])
def test_a_catalog_that_fails_for_one_session_fails_only_that_one(
    call: str, lineage: Lineage, batch: list[UUID]
) -> None:
    catalog = Unhelpful(lineage.catalog, call, failing(TransientError("the catalog is busy")), batch[1])
    _, reasons = failure_of(lineage.materialize(RECORDING, *batch, catalog=catalog))
    assert reasons == {str(batch[1]): "the catalog is busy"}
    assert lineage.record(batch[0]).state is lineage.record(batch[2]).state is State.RECORDED


def test_a_catalog_that_cannot_even_note_a_failure_blocks_no_other(lineage: Lineage, batch: list[UUID]) -> None:
    reason = vanish(lineage, batch[1])
    catalog = Unhelpful(lineage.catalog, "record_failure", failing(TransientError("the catalog is full")))
    _, reasons = failure_of(lineage.materialize(RECORDING, *batch, catalog=catalog))
    assert reasons.keys() == {str(batch[1])}
    assert reason in reasons[str(batch[1])]
    for good in (batch[0], batch[2]):
        [_] = lineage.materializations(RECORDING, good)


def test_a_fault_in_lucid_itself_tells_nothing_of_the_recording(lineage: Lineage, batch: list[UUID]) -> None:
    """The text of an exception that nobody foresaw may hold anything."""
    catalog = Unhelpful(lineage.catalog, "describe", failing(KeyError("alice's secret")), batch[1])
    result = lineage.materialize(RECORDING, *batch, catalog=catalog)
    _, reasons = failure_of(result)
    assert reasons == {str(batch[1]): "unexpected KeyError; this is a fault in Lucid"}
    assert lineage.record(batch[0]).state is lineage.record(batch[2]).state is State.RECORDED
    assert "alice" not in str(lineage.instance.all_logs(result.run_id))


@pytest.mark.parametrize("name", [b"\xff\xfe.cast", b"two\nlines", b"\x1b[2J\x1b]0;owned\x07", "späť 🎥".encode()])
def test_a_name_that_nobody_can_read_blocks_no_other(name: bytes, lineage: Lineage, batch: list[UUID]) -> None:
    """Reasons tell where a recording lay, and Dagster keeps them as text."""
    bad = lineage.add(text(1000, seed=8), os.fsdecode(name))
    last = lineage.add(text(1000, seed=9))
    vanish(lineage, bad)
    _, reasons = failure_of(lineage.materialize(RECORDING, batch[0], last))
    assert reasons.keys() == {str(bad)}
    for good in (*batch, last):
        assert lineage.record(good).state is State.RECORDED
        [_] = lineage.materializations(RECORDING, good)
    assert lineage.record(bad).failure


# What the checks say.


def checks(lineage: Lineage, stage: str, run_id: str) -> list[tuple[bool, dict[str, Any]]]:
    """What a run's check has said, as the event log has it: of a failed step Dagster hands out nothing else."""
    key = AssetCheckKey(AssetKey(stage), INTACT)
    history = lineage.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
    found = [record.evaluation for record in history if record.run_id == run_id]
    return [
        (said.passed, {name: value.value for name, value in said.metadata.items()})
        for said in found
        if isinstance(said, AssetCheckEvaluation)  # and not only planned
    ]


@pytest.mark.parametrize("stage", LINEAGE)
def test_a_batch_without_damage_passes_its_check(stage: str, lineage: Lineage, batch: list[UUID]) -> None:
    for earlier in LINEAGE[: LINEAGE.index(stage)]:
        assert lineage.materialize(earlier, *batch).success
    result = lineage.materialize(stage, *batch)
    assert checks(lineage, stage, result.run_id) == ([(True, {"sessions": 3})] if stage in CHECKED else [])


@pytest.mark.parametrize(
    ("stage", "mishap"), [(MERKLE_TREE, lose_an_object), (MANIFEST, put_something_in_the_manifests_place)]
)
def test_damage_is_what_a_check_is_about_and_it_names_the_session(
    stage: str, mishap: Any, lineage: Lineage, batch: list[UUID]
) -> None:
    for earlier in LINEAGE[: LINEAGE.index(stage)]:
        assert lineage.materialize(earlier, *batch).success
    expected = mishap(lineage, batch[1])
    [(passed, metadata)] = checks(lineage, stage, lineage.materialize(stage, *batch).run_id)
    assert not passed
    assert (metadata["sessions"], metadata["damaged"]) == (3, 1)
    assert f"| {batch[1]} | " in metadata["damaged_sessions"]
    assert expected in metadata["damaged_sessions"]
    assert checks(lineage, stage, lineage.materialize(stage, batch[0]).run_id)[0][0]


def test_a_failure_that_is_no_damage_fails_no_check(lineage: Lineage, batch: list[UUID]) -> None:
    for earlier in (RECORDING, CHUNKS, ENCRYPTED_CHUNKS):
        assert lineage.materialize(earlier, *batch).success
    busy = Unhelpful(lineage.catalog, "hand_over", failing(TransientError("busy")), batch[0])
    result = lineage.materialize(MERKLE_TREE, *batch, catalog=busy)
    assert not result.success
    assert checks(lineage, MERKLE_TREE, result.run_id) == [(True, {"sessions": 2, "damaged": 0})]
    busy = Unhelpful(lineage.catalog, "hand_over", failing(TransientError("busy")))
    assert checks(lineage, MERKLE_TREE, lineage.materialize(MERKLE_TREE, *batch, catalog=busy).run_id) == []
