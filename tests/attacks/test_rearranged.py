"""Segments and chunks swapped, dropped, duplicated, appended or moved, all of them genuine."""

from collections.abc import Callable

import pytest

from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.encryption import HEADER_BYTES, MESSAGE_OFFSET, ChunkFlags, ChunkHeader, Suite
from tests.attacks.support import (
    Outcome,
    Session,
    archive_again,
    build_frame,
    damaged,
    damaged_inside,
    inspect,
    new_session,
    recording_of,
    refused,
    segments,
    three_chunks,
    with_segments,
)

Rearrange = Callable[[list[bytes]], list[bytes]]

OF_SEGMENTS: dict[str, Rearrange] = {
    "first two swapped": lambda parts: [parts[1], parts[0], *parts[2:]],
    "first dropped": lambda parts: parts[1:],
    "middle dropped": lambda parts: [parts[0], *parts[2:]],
    "last dropped": lambda parts: parts[:-1],
    "all but the first dropped": lambda parts: parts[:1],
    "all dropped": lambda _parts: [],
    "first duplicated": lambda parts: [parts[0], *parts],
    "last duplicated": lambda parts: [*parts, parts[-1]],
    "first appended": lambda parts: [*parts, parts[0]],
    "empty segment appended": lambda parts: [*parts, bytes(16)],
    "last moved to the front": lambda parts: [parts[-1], *parts[:-1]],
    "last cut by a byte": lambda parts: [*parts[:-1], parts[-1][:-1]],
    "last cut to its tag": lambda parts: [*parts[:-1], parts[-1][-16:]],
    "last cut below a tag": lambda parts: [*parts[:-1], parts[-1][:15]],
    "last extended by a byte": lambda parts: [*parts[:-1], parts[-1] + b"\x00"],
    "all replaced by zeros": lambda parts: [bytes(len(part)) for part in parts],
}


@pytest.mark.parametrize("rearrange", OF_SEGMENTS.values(), ids=OF_SEGMENTS)
def test_rearranged_segments_need_no_key_to_be_seen(session: Session, rearrange: Rearrange) -> None:
    name, data = session.chunk_name(1), session.chunks[1]
    session.archive.objects[name] = with_segments(data, rearrange(segments(data)))
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("rearrange", OF_SEGMENTS.values(), ids=OF_SEGMENTS)
def test_a_sealer_cannot_sign_away_rearranged_segments(suite: Suite, rearrange: Rearrange) -> None:
    session = three_chunks(suite)
    data = session.chunks[1]
    session.store_chunk(1, with_segments(data, rearrange(segments(data))))
    assert inspect(session) == damaged_inside(session, DamageCode.DECRYPT_FAILED, 1)


def test_a_sealer_cannot_move_a_segment_into_another_chunk(session: Session) -> None:
    theirs, ours = segments(session.chunks[0]), segments(session.chunks[1])
    session.store_chunk(1, with_segments(session.chunks[1], [ours[0], theirs[1], ours[2]]))
    assert inspect(session) == damaged_inside(session, DamageCode.DECRYPT_FAILED, 1)


def test_a_sealer_cannot_put_the_segments_of_one_chunk_behind_the_header_of_another(session: Session) -> None:
    session.store_chunk(1, with_segments(session.chunks[1], segments(session.chunks[0])))
    assert inspect(session) == damaged_inside(session, DamageCode.DECRYPT_FAILED, 1)


def test_a_sealer_cannot_put_the_whole_message_of_one_chunk_behind_the_header_of_another(session: Session) -> None:
    session.store_chunk(1, session.chunks[1][:HEADER_BYTES] + session.chunks[0][HEADER_BYTES:])
    assert inspect(session) == damaged_inside(session, DamageCode.COMMITMENT_MISMATCH, 1)


@pytest.mark.parametrize("length", [0, 1, 39, 40, 63, 64, 95, MESSAGE_OFFSET, 111])
def test_a_chunk_object_cut_anywhere_is_seen_with_and_without_a_new_signature(session: Session, length: int) -> None:
    name, cut = session.chunk_name(1), session.chunks[1][:length]
    forged = session.copy()
    session.archive.objects[name] = cut
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)
    forged.store_chunk(1, cut)
    if length < HEADER_BYTES:
        assert inspect(forged) == damaged(forged, DamageCode.UNSUPPORTED_FORMAT, 1)
    else:
        assert inspect(forged) == damaged_inside(forged, DamageCode.DECRYPT_FAILED, 1)


# Chunks, by someone who writes the archive.


def test_chunks_whose_objects_are_swapped_are_both_damaged(session: Session) -> None:
    objects, first, second = session.archive.objects, session.chunk_name(0), session.chunk_name(1)
    objects[first], objects[second] = objects[second], objects[first]
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 0, 1)


@pytest.mark.parametrize("index", range(3))
def test_a_dropped_chunk_is_missing_and_costs_one_chunk(session: Session, index: int) -> None:
    session.archive.delete(session.chunk_name(index))
    assert inspect(session) == damaged(session, DamageCode.MISSING_OBJECT, index)


def test_a_chunk_stored_over_another_damages_the_other_alone(session: Session) -> None:
    session.archive.objects[session.chunk_name(2)] = session.chunks[1]
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 2)


@pytest.mark.parametrize("extra", [b"\x00", b"LUC1", bytes(1 << 20)])
def test_a_chunk_object_that_was_extended_is_refused_unread(session: Session, extra: bytes) -> None:
    name = session.chunk_name(1)
    length = len(session.archive.objects[name])
    session.archive.objects[name] += extra
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)
    assert len(session.archive.get(name, length + 1)) == length + 1


def test_a_chunk_moved_here_from_another_session_is_refused(session: Session, other: Session) -> None:
    session.archive.objects[session.chunk_name(1)] = other.chunks[1]
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)


def test_chunks_that_nobody_lists_change_nothing(session: Session, other: Session) -> None:
    for data in other.chunks:
        session.archive.put(
            f"sessions/{session.session_id}/chunks/00000003.{'0' * 32}{len(session.archive.objects)}", data
        )
    assert inspect(session) == Outcome((), (), (None, None, None), None)


# Chunks, listed and signed by a sealer gone bad, who has no DEK.


def test_a_sealer_cannot_swap_chunks(session: Session) -> None:
    first, second, third = session.chunks
    session.store_chunks([second, first, third])
    assert inspect(session) == damaged(session, DamageCode.COMMITMENT_MISMATCH, 0, 1)


def test_a_sealer_cannot_swap_the_last_chunk_with_another(session: Session) -> None:
    first, second, third = session.chunks
    session.store_chunks([first, third, second])
    assert inspect(session) == damaged(session, DamageCode.COMMITMENT_MISMATCH, 1, 2)


CHUNK_LISTS: dict[str, tuple[Rearrange, int]] = {
    "first dropped": (lambda chunks: chunks[1:], 2),
    "middle dropped": (lambda chunks: [chunks[0], chunks[2]], 1),
    "last dropped": (lambda chunks: chunks[:-1], 1),
    "all but the first dropped": (lambda chunks: chunks[:1], 1),
    "all but the last dropped": (lambda chunks: chunks[2:], 1),
    "first duplicated": (lambda chunks: [chunks[0], *chunks], 3),
    "last duplicated": (lambda chunks: [*chunks, chunks[2]], 2),
    "first appended": (lambda chunks: [*chunks, chunks[0]], 2),
    "all appended": (lambda chunks: [*chunks, *chunks], 4),
}


@pytest.mark.parametrize(("rearrange", "misplaced"), CHUNK_LISTS.values(), ids=CHUNK_LISTS)
def test_a_sealer_cannot_change_how_many_chunks_there_are(
    session: Session, rearrange: Rearrange, misplaced: int
) -> None:
    session.store_chunks(rearrange(session.chunks))
    found = (DamageCode.COMMITMENT_MISMATCH,) * misplaced
    rows = DamageCode.SEALED_MISMATCH
    assert inspect(session) == Outcome(found, (rows, *found), (rows,) * 3, rows)


@pytest.mark.parametrize("index", range(3))
def test_a_sealer_cannot_move_a_chunk_here_from_another_session(session: Session, other: Session, index: int) -> None:
    session.store_chunk(index, other.chunks[index])
    assert inspect(session) == damaged(session, DamageCode.COMMITMENT_MISMATCH, index)


@pytest.mark.parametrize("index", range(3))
def test_a_sealer_cannot_mix_in_a_chunk_of_an_earlier_attempt(session: Session, index: int) -> None:
    """It has the very same header, so nobody without the key can tell; another DEK made it."""
    earlier = session.copy()
    for store in (earlier.archive, earlier.keystore):
        store.objects.clear()
    archive_again(earlier)
    session.store_chunk(index, earlier.chunks[index])
    assert inspect(session) == damaged_inside(session, DamageCode.COMMITMENT_MISMATCH, index)


def test_a_sealer_cannot_use_the_chunks_of_a_shorter_session_as_a_prefix(session: Session) -> None:
    shorter = new_session(recording_of(2), like=session)
    session.store_chunks(shorter.chunks)
    mismatch, rows = DamageCode.COMMITMENT_MISMATCH, DamageCode.SEALED_MISMATCH
    assert inspect(session) == Outcome((mismatch,) * 2, (rows, mismatch, mismatch), (rows,) * 3, rows)


def test_a_sealer_cannot_pass_the_sealed_metadata_off_as_a_chunk(session: Session) -> None:
    session.store_chunk(0, session.archive.objects[session.sealed_name])
    assert inspect(session) == damaged(session, DamageCode.COMMITMENT_MISMATCH, 0)


# Chunks made by a writer gone bad, who has the DEK, and signed.


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"stream_id": 1}, id="another stream"),
        pytest.param({"index": 1}, id="another index"),
        pytest.param({"index": 2**64 - 1}, id="the highest index"),
        pytest.param({"flags": ChunkFlags.LAST | ChunkFlags.PADDED}, id="last before the end"),
        pytest.param({"flags": ChunkFlags.SEALED_METADATA | ChunkFlags.PADDED}, id="sealed metadata"),
        pytest.param({"suite": Suite.CHACHA20_POLY1305}, id="another suite than the session's"),
    ],
)
def test_a_writer_cannot_encrypt_for_one_place_and_list_in_another(session: Session, header: dict[str, int]) -> None:
    right = session.header(0)
    fields = {name: getattr(right, name) for name in ("suite", "session_id", "index", "flags", "stream_id")}
    session.store_chunk(0, session.encrypt(ChunkHeader(**{**fields, **header}), session.frame(0)))
    assert inspect(session) == damaged(session, DamageCode.COMMITMENT_MISMATCH, 0)


def test_a_last_chunk_that_is_not_flagged_as_last_is_refused(session: Session) -> None:
    header = ChunkHeader(session.manifest.aead, session.session_id, 2, ChunkFlags.PADDED)
    session.store_chunk(2, session.encrypt(header, session.frame(2)))
    assert inspect(session) == damaged(session, DamageCode.COMMITMENT_MISMATCH, 2)


def test_a_writer_cannot_use_another_key_for_one_chunk(session: Session, other: Session) -> None:
    session.store_chunk(1, other.encrypt(session.header(1), session.frame(1)))
    assert inspect(session) == damaged_inside(session, DamageCode.COMMITMENT_MISMATCH, 1)


def test_one_more_empty_chunk_is_refused_unless_the_metadata_knows_it(session: Session) -> None:
    chunks = [
        *(session.encrypt(session.header(index, 4), session.frame(index)) for index in range(3)),
        session.encrypt(session.header(3, 4), build_frame(b"")),
    ]
    session.store_chunks(chunks)
    rows = DamageCode.SEALED_MISMATCH
    assert inspect(session) == Outcome((), (rows,), (rows,) * 3, rows)


def test_an_archive_without_its_chunk_table_is_refused(session: Session) -> None:
    session.archive.delete(session.table_name)
    assert inspect(session) == refused(session, DamageCode.MISSING_OBJECT)
