"""The partitions of the lineage: one a session, its key the session's id, added when a recording is registered."""

from collections.abc import Iterable, Sequence

from dagster import DynamicPartitionsDefinition

PARTITIONS = "sessions"
SESSIONS = DynamicPartitionsDefinition(name=PARTITIONS)


def contiguous_ranges(existing: Sequence[str], wanted: Iterable[str], longest: int) -> list[list[str]]:
    """Cut the wanted keys into runs of neighbours, for a run of a partition range takes all keys between its ends.

    Args:
        existing: all partition keys, in the order of their definition.
        wanted: some of them; others are passed over.
        longest: how many keys a range may have.
    """
    chosen = set(wanted)
    ranges: list[list[str]] = []
    extend = False
    for key in existing:
        if key not in chosen:
            extend = False
        elif extend and len(ranges[-1]) < longest:
            ranges[-1].append(key)
        else:
            ranges.append([key])
            extend = True
    return ranges
