"""Partition ranges: each run of neighbours takes exactly the sessions that it is meant to take."""

from itertools import pairwise

import pytest
from dagster import DagsterInstance, PartitionKeyRange, partition_loading_context
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.course.partitions import PARTITIONS, contiguous_ranges
from lucid_pipeline.lineage.partitions import SESSIONS

KEYS = [f"key-{n}" for n in range(40)]


@given(
    existing=st.lists(st.sampled_from(KEYS), unique=True),
    wanted=st.lists(st.sampled_from(KEYS)),
    longest=st.integers(1, 45),
)
def test_ranges_cover_the_wanted_keys_and_no_others(existing: list[str], wanted: list[str], longest: int) -> None:
    ranges = contiguous_ranges(existing, dict.fromkeys(wanted, 0), longest)
    place = {key: n for n, key in enumerate(existing)}

    flat = [key for batch in ranges for key in batch]
    assert flat == [key for key in existing if key in wanted], "each once, in the order of definition"
    for batch in ranges:
        assert 1 <= len(batch) <= longest
        assert existing[place[batch[0]] : place[batch[-1]] + 1] == batch, "a range takes all keys between its ends"
    for one, other in pairwise(ranges):
        neighbours = place[other[0]] == place[one[-1]] + 1
        assert len(one) == longest or not neighbours, "no range is shorter than it must be"


@pytest.mark.parametrize(
    ("wanted", "longest", "expected"),
    [
        ("", 9, []),
        ("abcdef", 9, ["abcdef"]),
        ("abcdef", 4, ["abcd", "ef"]),
        ("abdef", 9, ["ab", "def"]),
        ("fa", 9, ["a", "f"]),
        ("abcdef", 1, ["a", "b", "c", "d", "e", "f"]),
        ("axyz", 9, ["a"]),
    ],
)
def test_examples(wanted: str, longest: int, expected: list[str]) -> None:
    assert ["".join(batch) for batch in contiguous_ranges("abcdef", dict.fromkeys(wanted, 0), longest)] == expected


@given(weights=st.lists(st.integers(0, 20), max_size=12), longest=st.integers(1, 5), heaviest=st.integers(0, 20))
def test_a_range_weighs_no_more_than_it_may_unless_it_has_one_key(
    weights: list[int], longest: int, heaviest: int
) -> None:
    wanted = dict(zip(KEYS, weights, strict=False))
    ranges = contiguous_ranges(KEYS, wanted, longest, heaviest)
    assert [key for batch in ranges for key in batch] == list(wanted)
    for batch in ranges:
        assert len(batch) <= longest
        assert len(batch) == 1 or sum(wanted[key] for key in batch) <= heaviest
    for one, other in pairwise(ranges):
        full = len(one) == longest or sum(wanted[key] for key in [*one, other[0]]) > heaviest
        assert full, "no range is shorter than it must be"


def test_dagster_takes_the_same_keys_for_a_range() -> None:
    """Dynamic partitions keep the order in which they were added, which is not that of their names."""
    keys = [str(new_session_id()) for _ in range(6)][::-1]
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(PARTITIONS, keys)
        existing = instance.get_dynamic_partitions(PARTITIONS)
        [batch] = contiguous_ranges(existing, dict.fromkeys(keys[1:4], 0), longest=50)
        assert batch == keys[1:4]
        ends = PartitionKeyRange(batch[0], batch[-1])
        with partition_loading_context(dynamic_partitions_store=instance):
            assert SESSIONS.get_partition_keys_in_range(ends) == batch
