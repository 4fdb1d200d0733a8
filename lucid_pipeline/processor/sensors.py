"""What starts the processor's work: recordings that wait to be cut and encrypted."""

from functools import partial

from lucid_pipeline.course.stages import PROCESS
from lucid_pipeline.home import Home
from lucid_pipeline.lineage.backlog import Backlog

BACKLOG = Backlog(PROCESS, [partial(Home.check_archive, writing=True), partial(Home.check_keystore, writing=True)])

process = BACKLOG.job()
recordings_to_process = BACKLOG.sensor(
    "recordings_to_process", "Requests runs for recordings that are there and not encrypted yet."
)
