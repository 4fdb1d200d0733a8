"""The partitions of the lineage: one a session, its key the session's id, added when a recording is registered."""

from collections.abc import Mapping, Sequence

from dagster import DynamicPartitionsDefinition

PARTITIONS = "sessions"
LONGEST_RANGE = 50
"""How many sessions one run takes: what a run costs is then small beside its work, and what it risks is bounded."""

SESSIONS = DynamicPartitionsDefinition(name=PARTITIONS)


def contiguous_ranges(
    existing: Sequence[str], wanted: Mapping[str, int], longest: int, heaviest: int | None = None
) -> list[list[str]]:
    """Cut the wanted keys into runs of neighbours, for a run of a partition range takes all keys between its ends.

    Args:
        existing: all partition keys, in the order of their definition.
        wanted: some of them, with what each weighs; others are passed over.
        longest: how many keys a range may have.
        heaviest: what a range may weigh; a key that weighs more has one to itself.
    """
    ranges: list[list[str]] = []
    room, total = 0, 0
    for key in existing:
        weight = wanted.get(key)
        if weight is None:
            room = 0
            continue
        if not room or (heaviest is not None and total + weight > heaviest):
            ranges.append([])
            room, total = longest, 0
        ranges[-1].append(key)
        room, total = room - 1, total + weight
    return ranges
