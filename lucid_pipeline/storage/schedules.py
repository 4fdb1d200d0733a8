"""When storage looks after the archive by itself."""

from lucid_pipeline.lineage.upkeep import by_the_clock
from lucid_pipeline.storage.scrub import scrub_job

SCHEDULES = [
    by_the_clock(
        "scrub_nightly",
        "0 1 * * *",
        scrub_job,
        "Verifies a share of all sealed sessions, the longest unverified first.",
    ),
]
