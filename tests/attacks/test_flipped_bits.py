"""One bit of an object is flipped: by someone who writes the archive, or by a sealer gone bad, who signs it again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.encryption import HEADER_BYTES, MESSAGE_OFFSET, Suite
from tests.attacks.support import (
    Outcome,
    Session,
    damaged,
    damaged_inside,
    flip,
    inspect,
    one_chunk,
    three_chunks,
    unreadable,
)

OBJECT_BITS = len(three_chunks().chunks[0]) * 8
PADDED_BIT = 6 * 8 + 1
SESSION_STREAM_AND_INDEX = range(8, 36)

body_bits = st.tuples(st.integers(0, 2), st.integers(MESSAGE_OFFSET * 8, OBJECT_BITS - 1))


@pytest.mark.parametrize("offset", range(MESSAGE_OFFSET))
def test_a_flipped_bit_before_the_segments_needs_no_key_to_be_seen(small: Session, offset: int) -> None:
    name = small.chunk_name(0)
    small.archive.objects[name] = flip(small.archive.objects[name], offset * 8 + offset % 8)
    assert inspect(small) == damaged(small, DamageCode.OBJECT_DIGEST_MISMATCH, 0)


@settings(max_examples=60, deadline=None)
@given(body_bits)
def test_a_flipped_bit_in_the_segments_needs_no_key_to_be_seen_and_costs_one_chunk(place: tuple[int, int]) -> None:
    index, bit = place
    session = three_chunks()
    name = session.chunk_name(index)
    session.archive.objects[name] = flip(session.archive.objects[name], bit)
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, index)


@pytest.mark.parametrize("suite", Suite)
@pytest.mark.parametrize("offset", range(HEADER_BYTES))
def test_a_sealer_cannot_sign_away_a_flipped_bit_of_the_header(suite: Suite, offset: int) -> None:
    for bit in range(offset * 8, offset * 8 + 8):
        small = one_chunk(suite)
        small.store_chunk(0, flip(small.chunks[0], bit))
        assert inspect(small) == _of_flipped_header(small, bit), f"bit {bit}"


def _of_flipped_header(session: Session, bit: int) -> Outcome:
    if bit == PADDED_BIT:  # what a writer may choose: only the encryption knows what it chose
        return damaged_inside(session, DamageCode.COMMITMENT_MISMATCH, 0)
    if bit // 8 in SESSION_STREAM_AND_INDEX or bit in (6 * 8, 6 * 8 + 2):
        return damaged(session, DamageCode.COMMITMENT_MISMATCH, 0)
    return damaged(session, DamageCode.UNSUPPORTED_FORMAT, 0)


@pytest.mark.parametrize("offset", range(HEADER_BYTES, MESSAGE_OFFSET))
def test_a_sealer_cannot_sign_away_a_flipped_bit_of_salt_or_commitment(small: Session, offset: int) -> None:
    small.store_chunk(0, flip(small.chunks[0], offset * 8 + offset % 8))
    assert inspect(small) == damaged_inside(small, DamageCode.COMMITMENT_MISMATCH, 0)


@settings(max_examples=60, deadline=None)
@given(body_bits)
def test_a_sealer_cannot_sign_away_a_flipped_bit_of_a_segment(place: tuple[int, int]) -> None:
    index, bit = place
    session = three_chunks()
    session.store_chunk(index, flip(session.chunks[index], bit))
    assert inspect(session) == damaged_inside(session, DamageCode.DECRYPT_FAILED, index)


@pytest.mark.parametrize("suite", Suite)
def test_the_last_byte_of_a_segment_is_as_well_protected_as_any(suite: Suite) -> None:
    session = three_chunks(suite)
    session.store_chunk(1, flip(session.chunks[1], len(session.chunks[1]) * 8 - 1))
    assert inspect(session) == damaged_inside(session, DamageCode.DECRYPT_FAILED, 1)


@pytest.mark.parametrize("offset", [0, 4, 5, 6, 7, 8, 24, 28, 36, 40, 64, 96, 300, -1])
def test_a_flipped_bit_of_the_sealed_metadata_needs_no_key_to_be_seen(session: Session, offset: int) -> None:
    name = session.sealed_name
    data = session.archive.objects[name]
    session.archive.objects[name] = flip(data, offset % len(data) * 8)
    everything = (DamageCode.SEALED_MISMATCH,) * 3
    assert inspect(session) == Outcome(everything[:1], everything[:1], everything, everything[0])


@pytest.mark.parametrize(
    ("offset", "code"),
    [(40, DamageCode.COMMITMENT_MISMATCH), (64, DamageCode.COMMITMENT_MISMATCH), (96, DamageCode.DECRYPT_FAILED)],
)
def test_a_sealer_cannot_sign_away_a_flipped_bit_inside_the_sealed_metadata(
    session: Session, offset: int, code: DamageCode
) -> None:
    session.store_sealed(flip(session.archive.objects[session.sealed_name], offset * 8))
    assert inspect(session) == unreadable(session, code)


@pytest.mark.parametrize(
    ("bit", "code"),
    [
        pytest.param(0, DamageCode.UNSUPPORTED_FORMAT, id="magic"),
        pytest.param(4 * 8 + 1, DamageCode.UNSUPPORTED_FORMAT, id="version"),
        pytest.param(5 * 8 + 3, DamageCode.UNSUPPORTED_FORMAT, id="suite"),
        pytest.param(6 * 8 + 7, DamageCode.UNSUPPORTED_FORMAT, id="flag from the future"),
        pytest.param(6 * 8 + 2, DamageCode.COMMITMENT_MISMATCH, id="sealed metadata flag"),
        pytest.param(7 * 8, DamageCode.UNSUPPORTED_FORMAT, id="reserved byte"),
        pytest.param(8 * 8, DamageCode.COMMITMENT_MISMATCH, id="session"),
        pytest.param(24 * 8, DamageCode.COMMITMENT_MISMATCH, id="stream"),
        pytest.param(28 * 8, DamageCode.COMMITMENT_MISMATCH, id="index"),
        pytest.param(36 * 8, DamageCode.UNSUPPORTED_FORMAT, id="reserved word"),
    ],
)
def test_the_header_of_the_sealed_metadata_needs_no_key_to_be_checked(
    session: Session, bit: int, code: DamageCode
) -> None:
    session.store_sealed(flip(session.archive.objects[session.sealed_name], bit))
    assert inspect(session) == Outcome((code,), (code,), (code,) * 3, code)
