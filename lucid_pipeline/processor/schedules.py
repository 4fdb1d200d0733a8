"""What the processor does by the clock."""

from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS
from lucid_pipeline.lineage.reconciliation import Reconciliation

RECONCILIATION = Reconciliation("reconcile_process", (CHUNKS, ENCRYPTED_CHUNKS), minute=25)

JOBS = [RECONCILIATION.job()]
SCHEDULES = [RECONCILIATION.schedule()]
