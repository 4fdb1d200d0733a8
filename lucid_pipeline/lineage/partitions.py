"""The partitions of the lineage in Dagster: one a session, its key the session's id, added when it is registered."""

from collections.abc import Iterable
from pathlib import Path

from dagster import DagsterInstance, DagsterRun, DynamicPartitionsDefinition

from lucid_pipeline.course.claims import claimed_partitions
from lucid_pipeline.course.partitions import PARTITIONS, Partitions

SESSIONS = DynamicPartitionsDefinition(name=PARTITIONS)


def partitions_of(instance: DagsterInstance) -> Partitions:
    """The partition keys of an instance."""
    return Partitions(lambda: instance.get_dynamic_partitions(PARTITIONS))


def in_hand(instance: DagsterInstance, partitions: Partitions, runs: Iterable[DagsterRun]) -> set[str]:
    """The partitions that runs are about, and those that living processes have claimed."""
    claimed = claimed_partitions(Path(instance.root_directory))
    return claimed.union(*(partitions.of(run.tags) for run in runs))
