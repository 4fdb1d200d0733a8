"""A sealed session is left as it is, whatever is materialized again in Dagster's UI."""

from uuid import UUID

import pytest

from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, RECORDING
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import Lineage
from tests.support import text


@pytest.fixture
def sealed(lineage: Lineage) -> UUID:
    session_id = lineage.add(text(5000))
    lineage.archive(session_id)
    return session_id


@pytest.mark.parametrize("stage", LINEAGE)
def test_materializing_again_writes_nothing(stage: str, lineage: Lineage, sealed: UUID) -> None:
    objects, slots, record = lineage.objects(), lineage.slots(), lineage.record(sealed)
    assert lineage.materialize(stage, sealed).success
    assert (lineage.objects(), lineage.slots(), lineage.record(sealed)) == (objects, slots, record)
    assert lineage.metadata(stage, sealed) == {
        "already_sealed": True,
        "root": lineage.metadata(MANIFEST, sealed)["root"],
        "sequence": 1,
    }


def test_it_needs_its_recording_no_more(lineage: Lineage, sealed: UUID) -> None:
    lineage.path(sealed).unlink()
    lineage.catalog.release_source(sealed)
    for stage in LINEAGE:
        assert lineage.materialize(stage, sealed).success


def test_in_a_range_it_is_passed_over_and_the_others_go_on(lineage: Lineage, sealed: UUID) -> None:
    last = lineage.add(text(5000, seed=1))
    objects = lineage.objects()
    lineage.archive(sealed, last)
    assert lineage.record(last).state is State.SEALED
    assert objects.items() <= lineage.objects().items()
    assert len(lineage.manifests()) == 2
    assert lineage.verify(sealed).intact
    assert lineage.verify(last).intact


def test_a_bad_one_beside_it_changes_nothing_of_it(lineage: Lineage, sealed: UUID) -> None:
    bad = lineage.add(text(5000, seed=1))
    lineage.path(bad).unlink()
    record, objects = lineage.record(sealed), lineage.objects()
    assert not lineage.materialize(RECORDING, sealed, bad).success
    assert (lineage.record(sealed), lineage.objects()) == (record, objects)
    assert lineage.metadata(RECORDING, sealed)["already_sealed"] is True


@pytest.mark.parametrize("stage", [CHUNKS, ENCRYPTED_CHUNKS])
def test_a_changed_recording_is_not_archived_into_it(stage: str, lineage: Lineage, sealed: UUID) -> None:
    lineage.path(sealed).write_bytes(b"something else")
    objects = lineage.objects()
    assert lineage.materialize(stage, sealed).success
    assert lineage.objects() == objects
    assert lineage.export(sealed) == text(5000)
