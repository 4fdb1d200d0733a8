"""What the recorder does by the clock."""

from lucid_pipeline.lineage.reconciliation import Reconciliation
from lucid_pipeline.lineage.stages import RECORDING

RECONCILIATION = Reconciliation("reconcile_record", (RECORDING,), minute=15)

JOBS = [RECONCILIATION.job()]
SCHEDULES = [RECONCILIATION.schedule()]
