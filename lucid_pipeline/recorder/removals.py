"""What starts the clean-up: recordings whose sessions are sealed, and which lie there still."""

from datetime import UTC, datetime

from dagster import (
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from lucid_pipeline.lineage.upkeep import FIRST, is_under_way
from lucid_pipeline.recorder.clean_up import clean_up, due_removals
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog

_TICK_SECONDS = 60


@sensor(
    job_name=clean_up.name,
    minimum_interval_seconds=_TICK_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description="Removes recordings whose sessions are sealed, each after its session has been read back and verified.",
)
def recordings_to_remove(
    context: SensorEvaluationContext, catalog: ResourceParam[Catalog], settings: ResourceParam[Settings]
) -> RunRequest | SkipReason:
    """Requests a run that removes recordings that are due.

    One run at a time, which takes what is due when it starts, up to a bound. What it could not remove is due again an
    hour later, so that nothing has to look for it by the clock.
    """
    if settings.keep_landing:
        return SkipReason("LUCID_KEEP_LANDING is set: no recording is removed")
    if is_under_way(context.instance, clean_up.name):
        return SkipReason("recordings are being removed")
    if not due_removals(catalog, datetime.now(UTC), 1):
        return SkipReason("no recording is due to be removed")
    return RunRequest(tags=FIRST)
