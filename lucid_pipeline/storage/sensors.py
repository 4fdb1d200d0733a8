"""What starts the work of storage: encrypted sessions that wait to be hashed and sealed."""

from lucid_pipeline.course.stages import SEAL
from lucid_pipeline.home import Home
from lucid_pipeline.lineage.backlog import Backlog

BACKLOG = Backlog(SEAL, [Home.check_archive])

seal = BACKLOG.job()
sessions_to_seal = BACKLOG.sensor(
    "sessions_to_seal", "Requests runs for sessions whose chunks are in the archive and not proven yet."
)
