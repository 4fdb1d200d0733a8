"""Where a recording is cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB, ChunkPlan, ChunkSlice

lengths = st.one_of(
    st.integers(0, 2**50),
    st.builds(
        lambda size, count, more: max(0, size * count + more),
        st.sampled_from(CHUNK_SIZES),
        st.integers(0, 9),
        st.integers(-1, 1),
    ),
)


def test_chunk_sizes_are_1_2_4_8_and_16_mib() -> None:
    assert [size // 2**20 for size in CHUNK_SIZES] == [1, 2, 4, 8, 16]
    assert MIB == 2**20


@given(length=st.integers(0, 40 * 2**20), chunk_size=st.sampled_from(CHUNK_SIZES))
def test_chunks_join_up_and_cover_the_whole_recording(length: int, chunk_size: int) -> None:
    chunks = list(ChunkPlan(length, chunk_size))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.offset for chunk in chunks] == [index * chunk_size for index in range(len(chunks))]
    assert all(chunk.length == chunk_size for chunk in chunks[:-1])
    assert sum(chunk.length for chunk in chunks) == length


@given(length=lengths, chunk_size=st.sampled_from(CHUNK_SIZES))
def test_the_last_chunk_is_empty_only_in_an_empty_recording(length: int, chunk_size: int) -> None:
    plan = ChunkPlan(length, chunk_size)
    last = plan[len(plan) - 1]
    assert last.offset + last.length == length
    assert last.length <= chunk_size
    assert (last.length == 0) == (length == 0)


def test_an_empty_recording_has_one_empty_chunk() -> None:
    assert list(ChunkPlan(0, MIB)) == [ChunkSlice(index=0, offset=0, length=0)]


@pytest.mark.parametrize("index", [-1, 2, 2**64])
def test_a_chunk_outside_the_plan_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match="not in a plan of 2 chunks"):
        ChunkPlan(MIB + 1, MIB)[index]


@pytest.mark.parametrize("chunk_size", [0, -MIB, 1, MIB - 1, MIB + 1, 3 * MIB, 32 * MIB])
def test_any_other_chunk_size_is_refused(chunk_size: int) -> None:
    with pytest.raises(ValueError, match="1, 2, 4, 8 or 16 MiB"):
        ChunkPlan(1, chunk_size)


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        ChunkPlan(-1, MIB)
