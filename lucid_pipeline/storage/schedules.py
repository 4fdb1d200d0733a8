"""What storage does by the clock."""

from lucid_pipeline.lineage.reconciliation import Reconciliation
from lucid_pipeline.lineage.stages import MANIFEST, MERKLE_TREE
from lucid_pipeline.lineage.upkeep import by_the_clock
from lucid_pipeline.storage.scrub import scrub_job

RECONCILIATION = Reconciliation("reconcile_seal", (MERKLE_TREE, MANIFEST), minute=35)

JOBS = [scrub_job, RECONCILIATION.job()]
SCHEDULES = [
    by_the_clock(
        "scrub_nightly",
        "0 1 * * *",
        scrub_job,
        "Verifies a share of all sealed sessions, the longest unverified first.",
    ),
    RECONCILIATION.schedule(),
]
