"""Reconciliation: what is sealed, and Dagster does not show as materialized, is told to Dagster.

A step logs its materializations at its end, so a kill after the work leaves sessions that are sealed and look as if
nothing had been made; and somebody may delete `dagster/`. Assets pass a sealed session over and say so, so that a range
of hundreds takes seconds. The other way round nothing is left to do: what Dagster shows as materialized and the catalog
has not as done waits there, and the backlog's sensors take it on.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagster import (
    AssetKey,
    DagsterInstance,
    DefaultScheduleStatus,
    ResourceParam,
    RunRequest,
    RunsFilter,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    define_asset_job,
    schedule,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from lucid_pipeline.course.partitions import PARTITION_TAG, PARTITIONS, contiguous_ranges, partition_tags
from lucid_pipeline.lineage.partitions import in_hand, partitions_of
from lucid_pipeline.lineage.upkeep import LAST, host_time_zone, is_under_way
from lucid_pipeline.locks import exclusive
from lucid_pipeline.stores.catalog import Catalog

_LONGEST = 500
_MOST_RUNS = 4


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The reconciliation of one location.

    `name` is the name of its job, `stages` are the asset keys of the location in the order of the lineage, and `minute`
    is the minute of every hour at which it looks: not all locations at once.
    """

    name: str
    stages: tuple[str, ...]
    minute: int

    def job(self) -> UnresolvedAssetJobDefinition:
        """The job that passes sealed sessions over, so that Dagster knows of them."""
        description = "Tell Dagster of sessions that are sealed already; their recordings are not touched again."
        return define_asset_job(self.name, selection=list(self.stages), description=description, tags=LAST)

    def schedule(self) -> ScheduleDefinition:
        """Every hour a bounded number of runs for what Dagster lacks."""

        @schedule(
            name=f"{self.name}_hourly",
            cron_schedule=f"{self.minute} * * * *",
            job_name=self.name,
            description="Finds sessions that are sealed and not shown as materialized, and tells Dagster of them.",
            execution_timezone=host_time_zone(),
            default_status=DefaultScheduleStatus.RUNNING,
        )
        def reconcile(
            context: ScheduleEvaluationContext, catalog: ResourceParam[Catalog]
        ) -> Sequence[RunRequest] | SkipReason:
            if is_under_way(context.instance, self.name):
                return SkipReason("the last reconciliation is still under way")
            return self.requests(context.instance, catalog) or SkipReason("Dagster knows of all that is sealed")

        return reconcile

    def requests(self, instance: DagsterInstance, catalog: Catalog) -> list[RunRequest]:
        """Runs for sealed sessions that Dagster lacks, at most as many as an hour is to have; adds their partitions.

        The order of the questions matters: a run that ends meanwhile has logged what it made before it is asked for.
        """
        sealed = [str(session_id) for session_id in catalog.sealed()]
        with exclusive(Path(instance.root_directory)):
            partitions = partitions_of(instance)
            runs = instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES))
            taken = in_hand(instance, partitions, runs)
            made = [instance.get_materialized_partitions(AssetKey(stage)) for stage in self.stages]
            known = set.intersection(*made)
            free = dict.fromkeys((key for key in sealed if key not in taken), 0)
            missing = free.keys() - known
            existing = set(partitions.keys)
            ranges = [
                *_ranges(partitions.keys, free, missing),
                *_ranges([key for key in free if key not in existing], free, missing),
            ][:_MOST_RUNS]
            new = [key for keys in ranges for key in keys if key not in existing]
            if new:
                instance.add_dynamic_partitions(PARTITIONS, new)
        return [_request(keys) for keys in ranges]


def _ranges(keys: Sequence[str], free: dict[str, int], missing: Collection[str]) -> Iterator[list[str]]:
    """Stretches of sealed sessions from the first to the last that Dagster lacks; those between are told once more."""
    for stretch in contiguous_ranges(keys, free, _LONGEST):
        places = [place for place, key in enumerate(stretch) if key in missing]
        if places:
            yield stretch[places[0] : places[-1] + 1]


def _request(keys: Sequence[str]) -> RunRequest:
    tags = partition_tags(keys)
    return RunRequest(partition_key=tags.get(PARTITION_TAG), tags=tags)
