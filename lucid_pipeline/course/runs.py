"""The runs that take waiting sessions on: which sessions share one, in which lane it queues, and what marks it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lucid_pipeline.course.partitions import LONGEST_RANGE, contiguous_ranges, partition_tags
from lucid_pipeline.course.progress import stages_left
from lucid_pipeline.course.stages import LINEAGE, Leg
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import SessionRecord

BACKLOG_TAG = "lucid/backlog"
"""On a run that takes sessions on, with the name of its job: so many of them may be queued or under way."""

AGAIN_TAG = "lucid/again"
"""On a run of a session that has failed before."""

SIZE_TAG = "lucid/size"
HUGE = "huge"

PRIORITY_TAG = "dagster/priority"
_LOW = -10
_FEW = 10


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run of a leg's job, through some of its stages, that takes neighbouring partitions, or one alone."""

    leg: Leg
    stages: tuple[str, ...]
    keys: Sequence[str]
    tags: Mapping[str, str]
    """What Dagster has to know of it, its partitions among that."""


def planned_runs(
    leg: Leg, free: Mapping[str, SessionRecord], existing: Sequence[str], settings: Settings
) -> Iterator[PlannedRun]:
    """Runs for sessions that wait for a leg: those that are nearest to their end first; of these, the oldest first.

    Args:
        leg: what they wait for.
        free: sessions that nobody has in hand, by partition key.
        existing: all partition keys, in the order of their definition.
        settings: say what is huge.
    """
    own = {
        key: (tuple(stage for stage in stages_left(record) if stage in leg.stages), record.attempts > 0)
        for key, record in free.items()
    }
    for kind in sorted(set(own.values()), key=lambda kind: (len(kind[0]), kind[1])):
        weights = {key: _weight(free[key], settings) for key in free if own[key] == kind}
        for batch in contiguous_ranges(existing, weights, LONGEST_RANGE, settings.huge_bytes):
            yield PlannedRun(leg, kind[0], batch, _tags(leg, kind[0], batch, free[batch[0]], settings))


def _tags(
    leg: Leg, stages: Sequence[str], batch: Sequence[str], first: SessionRecord, settings: Settings
) -> dict[str, str]:
    tags = {BACKLOG_TAG: leg.job, PRIORITY_TAG: str(LINEAGE.index(stages[0])), **partition_tags(batch)}
    if first.attempts:
        tags |= {AGAIN_TAG: "true"}
    if _is_huge(first, settings):
        tags |= {SIZE_TAG: HUGE, PRIORITY_TAG: str(_LOW)}
    return tags


def _weight(record: SessionRecord, settings: Settings) -> int:
    """What a session adds to a run, in bytes: too much for any other beside it, if it is huge or has failed twice.

    After its first failure it has few beside it: most of a run that died are not to blame, and soon done.
    """
    if record.attempts > 1 or _is_huge(record, settings):
        return settings.huge_bytes + 1
    return max(record.length or 0, settings.huge_bytes // _FEW if record.attempts else 0)


def _is_huge(record: SessionRecord, settings: Settings) -> bool:
    return (record.length or 0) >= settings.huge_bytes
