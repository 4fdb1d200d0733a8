"""A damaged session still serves what is whole, and says what is not."""

import pytest

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import DamageCode, DamageError
from tests.attacks.support import (
    Codes,
    Outcome,
    Session,
    check_copy,
    check_whole,
    codes,
    damaged,
    flip,
    inspect,
    intact,
    new_session,
    open_reader,
    refusal,
    verify,
)


@pytest.fixture
def broken(session: Session) -> Session:
    """A session whose middle chunk is damaged."""
    name = session.chunk_name(1)
    session.archive.objects[name] = flip(session.archive.objects[name], 8 * 5_000)
    return session


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 0),
        (0, 1),
        (0, MIB),
        (MIB - 1, MIB),
        (MIB, MIB),
        (17, 40_017),
        (2 * MIB, 2 * MIB + 1),
        (2 * MIB, None),
        (2 * MIB + 299_999, None),
        (2 * MIB + 100, 2 * MIB + 200),
        (10 * MIB, None),
    ],
)
def test_any_range_of_whole_chunks_is_served(broken: Session, start: int, stop: int | None) -> None:
    assert b"".join(open_reader(broken).read(start, stop)) == broken.recording[start:stop]


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (MIB, MIB + 1),
        (2 * MIB - 1, 2 * MIB),
        (MIB - 1, MIB + 1),
        (2 * MIB - 1, 2 * MIB + 1),
        (0, None),
        (MIB + 1, None),
    ],
)
def test_a_range_that_touches_a_damaged_chunk_serves_what_comes_before_it_and_names_it(
    broken: Session, start: int, stop: int | None
) -> None:
    served: list[bytes] = []
    with pytest.raises(DamageError) as raised:
        served.extend(open_reader(broken).read(start, stop))
    assert b"".join(served) == broken.recording[start : max(start, MIB)]
    assert raised.value.damage.where == broken.chunk_name(1)


def test_one_reader_serves_what_is_whole_after_it_has_met_damage(broken: Session) -> None:
    reader = open_reader(broken)
    for _ in range(2):
        assert refusal(lambda: list(reader.read(MIB, MIB + 1))) is DamageCode.OBJECT_DIGEST_MISMATCH
        assert b"".join(reader.read(2 * MIB)) == broken.recording[2 * MIB :]
        assert b"".join(reader.read(0, MIB)) == broken.recording[:MIB]


def test_the_reader_tells_what_is_whole(broken: Session) -> None:
    done: list[int] = []
    ranges = open_reader(broken).whole_ranges(2, done.append)
    assert ranges == [(0, MIB), (2 * MIB, len(broken.recording))]
    assert sum(done) == len(broken.recording)
    assert refusal(lambda: check_whole(broken)) is DamageCode.OBJECT_DIGEST_MISMATCH
    for name in broken.archive.objects:
        if "chunks/" in name:
            broken.archive.objects[name] = b""
    assert open_reader(broken).whole_ranges(2, done.append) == []


def test_what_is_whole_and_adjacent_is_one_range(session: Session) -> None:
    assert open_reader(session).whole_ranges(2, lambda _bytes: None) == [(0, len(session.recording))]
    check_whole(session)


@pytest.mark.parametrize("deep", [False, True])
def test_a_report_counts_what_is_whole_and_names_what_is_not(broken: Session, deep: bool) -> None:
    report = verify(broken, deep=deep)
    whole = [broken.table.objects[index] for index in (0, 2)]
    assert not report.intact
    assert (report.chunks_checked, report.bytes_checked) == (2, sum(chunk.length for chunk in whole))
    assert [(damage.code, damage.where) for damage in report.damages] == [
        (DamageCode.OBJECT_DIGEST_MISMATCH, broken.chunk_name(1))
    ]


def test_every_damaged_chunk_is_in_the_report_in_order(session: Session) -> None:
    session.archive.delete(session.chunk_name(2))
    session.archive.objects[session.chunk_name(0)] = b""
    session.archive.delete(session.sealed_name)
    missing, mismatch = DamageCode.MISSING_OBJECT, DamageCode.OBJECT_DIGEST_MISMATCH
    found = [(damage.code, damage.where) for damage in verify(session).damages]
    assert found == [
        (missing, session.sealed_name),
        (mismatch, session.chunk_name(0)),
        (missing, session.chunk_name(2)),
    ]


def test_a_session_of_which_nothing_is_whole_says_so_for_every_chunk(session: Session) -> None:
    for index in range(3):
        session.archive.delete(session.chunk_name(index))
    assert inspect(session) == damaged(session, DamageCode.MISSING_OBJECT, 0, 1, 2)
    assert verify(session).chunks_checked == 0


def test_a_session_without_its_slots_has_its_chunks_verified_one_by_one(broken: Session) -> None:
    broken.keystore.objects.clear()
    missing, mismatch = DamageCode.KEYSLOT_MISSING, DamageCode.OBJECT_DIGEST_MISMATCH
    assert inspect(broken) == Outcome((mismatch,), (missing, mismatch), (missing,) * 3, missing)


def test_an_empty_recording_is_as_well_protected_as_any(session: Session) -> None:
    empty = new_session(b"", like=session)
    assert inspect(empty) == intact(empty)
    name = empty.chunk_name(0)
    forged = empty.copy()
    empty.archive.objects[name] = flip(empty.archive.objects[name], 8 * 100)
    assert _findings(empty) == ((DamageCode.OBJECT_DIGEST_MISMATCH,),) * 2 + (DamageCode.OBJECT_DIGEST_MISMATCH,)
    forged.store_chunk(0, flip(forged.chunks[0], 8 * 100))
    assert _findings(forged) == ((), (DamageCode.DECRYPT_FAILED,), DamageCode.DECRYPT_FAILED)


def _findings(session: Session) -> tuple[Codes, Codes, DamageCode | None]:
    """What verification without and with keys finds, and what a copy is refused for."""
    copied = refusal(lambda: check_copy(session))
    return codes(verify(session)), codes(verify(session, deep=True)), copied


def test_the_digest_of_an_empty_recording_counts(session: Session) -> None:
    empty = new_session(b"", like=session)
    recording = empty.metadata.recording.model_copy(update={"sha256": bytes(32)})
    empty.change_metadata(recording=recording)
    mismatch = DamageCode.PLAINTEXT_DIGEST_MISMATCH
    assert _findings(empty) == ((), (mismatch,), mismatch)


def test_damage_that_is_put_right_is_gone(broken: Session) -> None:
    """Verification keeps nothing: the same bytes put back are the same session."""
    assert inspect(broken) == damaged(broken, DamageCode.OBJECT_DIGEST_MISMATCH, 1)
    name = broken.chunk_name(1)
    broken.archive.objects[name] = flip(broken.archive.objects[name], 8 * 5_000)
    assert inspect(broken) == intact(broken)
