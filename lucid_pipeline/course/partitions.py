"""The partitions of the lineage, one a session, and which of them a run takes: one alone, or a range of neighbours."""

from collections.abc import Callable, Collection, Mapping, Sequence

PARTITIONS = "sessions"
"""The name of their definition in Dagster; each key is a session's id."""

LONGEST_RANGE = 50
"""How many sessions one run takes: what a run costs is then small beside its work, and what it risks is bounded."""

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"


def partition_tags(keys: Sequence[str]) -> dict[str, str]:
    """The tags by which Dagster knows that a run takes these neighbours, or this one alone."""
    if len(keys) == 1:
        return {PARTITION_TAG: keys[0]}
    return {RANGE_START_TAG: keys[0], RANGE_END_TAG: keys[-1]}


class Partitions:
    """All partition keys, in the order of their definition; read when they are first asked for."""

    def __init__(self, read: Callable[[], Sequence[str]]) -> None:
        self._read = read
        self._keys: list[str] | None = None
        self._places: dict[str, int] = {}

    @property
    def keys(self) -> Sequence[str]:
        """All keys, in the order of their definition."""
        if self._keys is None:
            self._keys = list(self._read())
            self._places = {key: place for place, key in enumerate(self._keys)}
        return self._keys

    def of(self, tags: Mapping[str, str]) -> Sequence[str]:
        """The partitions that a run with these tags is about."""
        if alone := tags.get(PARTITION_TAG):
            return [alone]
        first, last = tags.get(RANGE_START_TAG), tags.get(RANGE_END_TAG)
        return self.between(first, last) if first and last else []

    def between(self, first: str, last: str) -> Sequence[str]:
        """The keys from one to another; none where these are no keys."""
        if first == last:
            return [first]
        keys = self.keys
        if first not in self._places or last not in self._places:
            return []
        return keys[self._places[first] : self._places[last] + 1]

    def add_unknown(self, wanted: Collection[str]) -> list[str]:
        """Put those keys behind all others that are not there yet, as a request will; returns them."""
        keys = self.keys
        unknown = [key for key in wanted if key not in self._places]
        self._keys = [*keys, *unknown]
        return unknown


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
