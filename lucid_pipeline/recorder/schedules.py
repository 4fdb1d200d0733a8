"""What the recorder does by the clock."""

from lucid_pipeline.course.stages import RECORDING
from lucid_pipeline.lineage.reconciliation import Reconciliation

RECONCILIATION = Reconciliation("reconcile_record", (RECORDING,), minute=15)

JOBS = [RECONCILIATION.job()]
SCHEDULES = [RECONCILIATION.schedule()]
