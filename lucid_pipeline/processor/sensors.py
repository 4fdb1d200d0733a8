"""What starts the processor's work: recordings that wait to be cut and encrypted."""

from lucid_pipeline.course.stages import PROCESS
from lucid_pipeline.home import Home
from lucid_pipeline.lineage.backlog import Backlog

BACKLOG = Backlog(PROCESS, [Home.check_archive, Home.check_keystore])

process = BACKLOG.job()
recordings_to_process = BACKLOG.sensor(
    "recordings_to_process", "Requests runs for recordings that are there and not encrypted yet."
)
