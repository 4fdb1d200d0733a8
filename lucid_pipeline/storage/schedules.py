"""What storage does by the clock."""

from dagster import JobDefinition
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from lucid_pipeline.course.stages import MANIFEST, MERKLE_TREE
from lucid_pipeline.lineage.reconciliation import Reconciliation
from lucid_pipeline.lineage.upkeep import by_the_clock
from lucid_pipeline.storage.scrub import scrub_job
from lucid_pipeline.storage.sweep import sweep_job

RECONCILIATION = Reconciliation("reconcile_seal", (MERKLE_TREE, MANIFEST), minute=35)

JOBS: list[JobDefinition | UnresolvedAssetJobDefinition] = [scrub_job, sweep_job, RECONCILIATION.job()]
SCHEDULES = [
    by_the_clock(
        "scrub_nightly",
        "0 1 * * *",
        scrub_job,
        "Verifies a share of all sealed sessions, the longest unverified first.",
    ),
    by_the_clock("sweep_daily", "0 4 * * *", sweep_job, "Removes what attempts that died left beside sealed sessions."),
    RECONCILIATION.schedule(),
]
