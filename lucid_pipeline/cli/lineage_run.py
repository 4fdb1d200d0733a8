"""Running the lineage in this process: the real assets of all three code locations, on the shared Dagster instance."""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from uuid import UUID

from dagster import (
    AssetKey,
    DagsterEventType,
    DagsterExecutionInterruptedError,
    DagsterInstance,
    DagsterRunStatus,
    Definitions,
    ExecuteInProcessResult,
    InitLoggerContext,
    RunConfig,
    RunsFilter,
    in_process_executor,
    logger,
)
from dagster._core.storage.partition_status_cache import AssetPartitionStatus

from lucid_pipeline.archive.ports import Progress
from lucid_pipeline.course.claims import RegisteredProcess
from lucid_pipeline.course.partitions import (
    LONGEST_RANGE,
    PARTITION_TAG,
    PARTITIONS,
    contiguous_ranges,
    partition_tags,
)
from lucid_pipeline.course.progress import stages_left
from lucid_pipeline.course.stages import LINEAGE
from lucid_pipeline.home import Home
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.instance.processes import PROCESS_TAG, registered_process
from lucid_pipeline.instance.workers import is_held
from lucid_pipeline.lineage.partitions import SESSIONS, partitions_of
from lucid_pipeline.locks import exclusive
from lucid_pipeline.processor.definitions import ASSETS as PROCESSOR_ASSETS
from lucid_pipeline.recorder.clean_up import REMOVE_RECORDINGS, RemoveRecordings, clean_up
from lucid_pipeline.recorder.definitions import ASSETS as RECORDER_ASSETS
from lucid_pipeline.resources.opened import Resources
from lucid_pipeline.storage.definitions import ASSETS as STORAGE_ASSETS
from lucid_pipeline.stores.catalog import Catalog, SessionRecord

_NO_CONSOLE: dict[str, object] = {"console": {}}
_LOOK_SECONDS = 0.5


class LineageRunner:
    """Takes sessions through the lineage in runs of this process, until each is sealed or has failed."""

    def __init__(
        self,
        instance: DagsterInstance,
        folder: Path,
        process: RegisteredProcess,
        catalog: Catalog,
        resources: Resources,
    ) -> None:
        self._instance = instance
        self._folder = folder
        self._process = process
        self._tags = {PROCESS_TAG: process.name}
        self.catalog = catalog
        self._definitions = Definitions(
            assets=[*RECORDER_ASSETS, *PROCESSOR_ASSETS, *STORAGE_ASSETS],
            jobs=[clean_up],
            resources=resources,
            executor=in_process_executor,
            loggers={"console": _silent},
        )
        self._lineage = self._definitions.resolve_implicit_global_asset_job_def()

    def archive(self, session_ids: Sequence[UUID]) -> list[SessionRecord]:
        """Run the stages that are missing, and return what the catalog then says of each session.

        Sessions that stand at the same stage share runs of a partition range. Where one fails, Dagster ends its run
        after that stage, and the others go on in a run of their own.
        """
        keys = [str(session_id) for session_id in session_ids]
        self._process.claim(keys)
        self._wait_for_others(set(keys))
        self._add_partitions(keys)
        waiting = [self.catalog.get(session_id) for session_id in session_ids]
        while waiting := [record for record in waiting if stages_left(record)]:
            for stages in sorted({stages_left(record) for record in waiting}, key=len, reverse=True):
                wanted = {str(record.session_id): 0 for record in waiting if stages_left(record) == stages}
                for batch in contiguous_ranges(self._partitions(), wanted, LONGEST_RANGE):
                    self._run(batch, stages)
            waiting = self._advanced(waiting)
        return [self.catalog.get(session_id) for session_id in session_ids]

    def remove_recordings(self, session_ids: Sequence[UUID]) -> Mapping[UUID, str]:
        """Run the clean-up job for sessions whose recordings are to be removed; returns why some stay."""
        config = RemoveRecordings(session_ids=[str(session_id) for session_id in session_ids])
        with _nothing_on_the_terminal():
            result = self._definitions.resolve_job_def(clean_up.name).execute_in_process(
                instance=self._instance,
                run_config=RunConfig(ops={REMOVE_RECORDINGS: config}, loggers=_NO_CONSOLE),
                tags=self._tags,
                raise_on_error=False,
            )
        _raise_interrupt(result)
        if result.success:
            return {}
        failures = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
        reasons = {key: value.value for failure in failures if failure for key, value in failure.metadata.items()}
        if not reasons:
            return dict.fromkeys(session_ids, "the clean-up run failed")
        return {session_id: str(reasons[str(session_id)]) for session_id in session_ids if str(session_id) in reasons}

    def _wait_for_others(self, keys: set[str]) -> None:
        """Until no run of another process, one that lives, has any of these in hand: two would do the work twice."""
        under_way = RunsFilter(statuses=[DagsterRunStatus.STARTED])
        while True:
            partitions = partitions_of(self._instance)
            runs = [run for run in self._instance.get_runs(under_way) if keys & set(partitions.of(run.tags))]
            if not any(is_held(self._folder, run.run_id) for run in runs):
                return
            time.sleep(_LOOK_SECONDS)

    def _advanced(self, before: Sequence[SessionRecord]) -> list[SessionRecord]:
        """The sessions that came further than they were and have not failed: another run may take them on."""
        after = [self.catalog.get(record.session_id) for record in before]
        return [new for old, new in zip(before, after, strict=True) if new.failure is None and _has_moved(old, new)]

    def _run(self, batch: Sequence[str], stages: Sequence[str]) -> None:
        partitions = partition_tags(batch)
        with _nothing_on_the_terminal():
            result = self._lineage.execute_in_process(
                instance=self._instance,
                run_config={"loggers": _NO_CONSOLE},
                asset_selection=[AssetKey(stage) for stage in stages],
                tags={**self._tags, **partitions},
                raise_on_error=False,
                partition_key=partitions.get(PARTITION_TAG),
            )
        _raise_interrupt(result)

    def _partitions(self) -> Sequence[str]:
        return self._instance.get_dynamic_partitions(PARTITIONS)

    def _add_partitions(self, keys: Sequence[str]) -> None:
        with exclusive(self._folder):
            known = set(self._partitions())
            self._instance.add_dynamic_partitions(PARTITIONS, [key for key in dict.fromkeys(keys) if key not in known])


@contextmanager
def _nothing_on_the_terminal() -> Iterator[None]:
    """Keep to the event log, and to what is raised: with a full disk Dagster writes its events to standard error."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
        yield


def _raise_interrupt(result: ExecuteInProcessResult) -> None:
    """Raise the interrupt again by which control-c ended a run: Dagster records it, and keeps it to itself."""
    for event in result.all_events:
        error = event.job_failure_data.error if event.event_type is DagsterEventType.RUN_FAILURE else None
        if error and error.cls_name == DagsterExecutionInterruptedError.__name__:
            raise KeyboardInterrupt


def _has_moved(old: SessionRecord, new: SessionRecord) -> bool:
    return old.failure is not None or len(stages_left(new)) < len(stages_left(old))


@logger
def _silent(_context: InitLoggerContext) -> logging.Logger:
    """Nothing on the terminal, which belongs to the progress bar; Dagster's event log has it all."""
    silent = logging.getLogger("lucid.silent")
    silent.handlers = [logging.NullHandler()]
    silent.propagate = False
    return silent


@contextmanager
def open_runner(home: Home, progress: Progress) -> Iterator[LineageRunner]:
    """A runner with everything that the three locations need, opened now, so that what is missing is told at once.

    Args:
        home: where everything is.
        progress: told of every number of raw bytes that has been encrypted.
    """
    with home.catalog() as catalog, open_instance(home.dagster_folder) as instance:
        home.check_stores(writing=True)
        resources = {
            "catalog": catalog,
            "archive": home.archive(),
            "keystore": home.keystore(),
            "encryption": home.encryption(),
            "signing_key": home.signing_key(),
            "trusted_keys": home.trusted_keys(),
            "keys": home.keys_at_hand(),
            "settings": home.settings,
            "progress": progress,
        }
        with registered_process(instance, home.dagster_folder) as process:
            yield LineageRunner(instance, home.dagster_folder, process, catalog, resources)


def materialized(home: Home, session_ids: Sequence[UUID]) -> Mapping[str, int]:
    """For each stage of the lineage, how many of these sessions Dagster has as materialized."""
    keys = [str(session_id) for session_id in session_ids]
    with open_instance(home.dagster_folder) as instance:
        return {stage: _count(instance, AssetKey(stage), keys) for stage in LINEAGE}


def _count(instance: DagsterInstance, asset: AssetKey, keys: Sequence[str]) -> int:
    statuses = instance.get_status_by_partition(asset, keys, SESSIONS) or {}
    return sum(status is AssetPartitionStatus.MATERIALIZED for status in statuses.values())
