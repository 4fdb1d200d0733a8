"""What the processor does by the clock."""

from lucid_pipeline.lineage.reconciliation import Reconciliation
from lucid_pipeline.lineage.stages import CHUNKS, ENCRYPTED_CHUNKS

RECONCILIATION = Reconciliation("reconcile_process", (CHUNKS, ENCRYPTED_CHUNKS), minute=25)

JOBS = [RECONCILIATION.job()]
SCHEDULES = [RECONCILIATION.schedule()]
