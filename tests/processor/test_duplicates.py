"""The same bytes dropped again: recognised, kept once, and never to the loss of either."""

from hashlib import sha256
from uuid import UUID

import pytest

from lucid_pipeline.archive.sealed import SessionMetadata, content_id
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import CAST, Lineage, Stages
from tests.support import text

ALICE = SessionMetadata(user="alice")


def drop(stages: Stages, data: bytes = CAST, metadata: SessionMetadata = ALICE, **how: bool) -> UUID:
    return stages.land(data, metadata=metadata, **{"release": True, "landed": True, **how})


def state(stages: Stages, session_id: UUID) -> tuple[State, UUID | None]:
    record = stages.record(session_id)
    assert record.failure is None
    return record.state, record.duplicate_of


def test_the_same_bytes_with_the_same_metadata_are_kept_once(stages: Stages) -> None:
    first = drop(stages)
    stages.archive(first)
    objects, slots = stages.objects(), stages.slots()
    again = drop(stages)
    stages.archive(again)
    assert state(stages, first) == (State.SEALED, None)
    assert state(stages, again) == (State.DUPLICATE, first)
    assert (stages.objects(), stages.slots()) == (objects, slots)
    assert stages.path(again).read_bytes() == CAST


def test_they_are_recognised_in_one_batch_too(stages: Stages) -> None:
    sessions = [drop(stages, data) for data in (CAST, text(3000), CAST, CAST)]
    stages.archive(*sessions)
    first, other, *again = sessions
    assert state(stages, first) == state(stages, other) == (State.SEALED, None)
    assert [state(stages, session_id) for session_id in again] == [(State.DUPLICATE, first)] * 2
    assert {key.split("/")[1] for key in stages.objects()} == {str(first), str(other)}
    for session_id, data in ((first, CAST), (other, text(3000))):
        assert stages.export(session_id) == data


DIFFERENT = [
    (text(3000), ALICE, {}),
    (CAST[:-1], ALICE, {}),
    (CAST, SessionMetadata(user="bob"), {}),
    (CAST, SessionMetadata(user="alice", tags={"take": "2"}), {}),
    (CAST, ALICE, {"landed": False}),
    (CAST, ALICE, {"abandoned": True}),
]


@pytest.mark.parametrize(("data", "metadata", "how"), DIFFERENT, ids=[str(n) for n in range(len(DIFFERENT))])
def test_what_differs_in_anything_or_was_chosen_is_a_session_of_its_own(
    data: bytes, metadata: SessionMetadata, how: dict[str, bool], stages: Stages
) -> None:
    first, second = drop(stages), drop(stages, data, metadata, **how)
    stages.archive(first, second)
    for session_id in (first, second):
        assert state(stages, session_id) == (State.SEALED, None)


def test_what_was_chosen_first_counts_as_well(stages: Stages) -> None:
    first = drop(stages, landed=False)
    stages.archive(first)
    again = drop(stages)
    stages.archive(again)
    assert state(stages, again) == (State.DUPLICATE, first)


def test_empty_recordings_are_no_duplicates(stages: Stages) -> None:
    first, second = drop(stages, b""), drop(stages, b"")
    stages.archive(first, second)
    assert state(stages, first) == state(stages, second) == (State.SEALED, None)


def test_another_attempt_is_no_duplicate_of_the_one_before(stages: Stages) -> None:
    session_id = drop(stages)
    stages.archive(session_id, upto=ENCRYPTED_CHUNKS)
    for stage in (CHUNKS, ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST):
        assert stages.call(stage, session_id) is None
    assert state(stages, session_id) == (State.SEALED, None)


def test_whatever_stage_is_asked_for_a_duplicate_stays_one(stages: Stages) -> None:
    first, again = drop(stages), drop(stages)
    stages.archive(first, again)
    before, objects = stages.record(again), stages.objects()
    for stage in LINEAGE:
        assert stages.call(stage, again) is None
    assert (stages.record(again), stages.objects()) == (before, objects)


def test_a_store_that_does_not_remove_leaves_a_duplicate_all_the_same(
    stages: Stages, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_key: str) -> None:
        raise TransientError("the store does not answer")

    first = drop(stages)
    stages.archive(first)
    again, store = drop(stages), stages.home.archive()
    stages.archive(again, upto=CHUNKS)
    monkeypatch.setattr(store, "delete", refuse)
    assert stages.call(ENCRYPTED_CHUNKS, again, archive=store) is None
    assert state(stages, again) == (State.DUPLICATE, first)


def test_the_assets_say_whose_duplicate_it_is(lineage: Lineage) -> None:
    first, again = (lineage.add(CAST, metadata=ALICE, release=True, landed=True) for _ in range(2))
    lineage.archive(first, again)
    for stage in (ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST):
        assert lineage.metadata(stage, again) == {"duplicate_of": str(first)}
    assert lineage.metadata(MANIFEST, first)["damage"] == "none"


def test_what_tells_the_content_does_not_tell_its_digest(stages: Stages) -> None:
    session_id = drop(stages)
    stages.archive(session_id)
    digest = sha256(CAST).digest()
    found = stages.record(session_id).content_id
    assert found == content_id(digest, "complete")
    assert found != digest
    assert found != content_id(digest, "truncated")
    assert not any(found.hex() in key or found in data for key, data in stages.objects().items())
