"""What starts the processor's work: recordings that wait to be cut and encrypted."""

from lucid_pipeline.lineage.backlog import Backlog
from lucid_pipeline.lineage.stages import CHUNKS, ENCRYPTED_CHUNKS

BACKLOG = Backlog("process", (CHUNKS, ENCRYPTED_CHUNKS))

process = BACKLOG.job()
recordings_to_process = BACKLOG.sensor(
    "recordings_to_process", "Requests runs for recordings that are there and not encrypted yet."
)
