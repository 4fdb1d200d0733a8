"""What starts the recorder's work: recordings that are finished in the landing folder."""

from datetime import UTC, datetime

from dagster import DefaultSensorStatus, ResourceParam, SensorEvaluationContext, SensorResult, sensor

from lucid_pipeline.course.stages import RECORD
from lucid_pipeline.lineage.backlog import TICK_SECONDS, Backlog
from lucid_pipeline.recorder.landing import LandingFolder
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog

BACKLOG = Backlog(RECORD)

record = BACKLOG.job()


@sensor(
    job_name=RECORD.job,
    description="Registers recordings that are finished in the landing folder, and requests runs for those that wait.",
    minimum_interval_seconds=TICK_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
)
def landed_recordings(
    context: SensorEvaluationContext,
    catalog: ResourceParam[Catalog],
    settings: ResourceParam[Settings],
    landing: ResourceParam[LandingFolder],
) -> SensorResult:
    """Registers recordings that are finished in the landing folder, and requests runs for those that wait."""
    for message in landing.take_in(catalog, datetime.now(UTC)).messages:
        context.log.warning(message)
    return BACKLOG.tick(context.instance, catalog, settings, context.cursor)
