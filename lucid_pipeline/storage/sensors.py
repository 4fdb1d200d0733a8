"""What starts the work of storage: encrypted sessions that wait to be hashed and sealed."""

from lucid_pipeline.lineage.backlog import Backlog
from lucid_pipeline.lineage.stages import MANIFEST, MERKLE_TREE

BACKLOG = Backlog("seal", (MERKLE_TREE, MANIFEST))

seal = BACKLOG.job()
sessions_to_seal = BACKLOG.sensor(
    "sessions_to_seal", "Requests runs for sessions whose chunks are in the archive and not proven yet."
)
