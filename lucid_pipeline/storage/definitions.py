"""Definitions of the code location `session-storage`."""

from dagster import Definitions

from lucid_pipeline.course.stages import ENCRYPTED_CHUNKS
from lucid_pipeline.home import Home
from lucid_pipeline.instance.workers import watched_executor
from lucid_pipeline.lineage.stages import upstream
from lucid_pipeline.resources.opened import storage_resources
from lucid_pipeline.settings import load_settings
from lucid_pipeline.storage.assets import ARCHIVE, manifest, merkle_tree
from lucid_pipeline.storage.schedules import JOBS, SCHEDULES
from lucid_pipeline.storage.scrub import scrubbed
from lucid_pipeline.storage.sensors import seal, sessions_to_seal

ASSETS = [merkle_tree, manifest]

defs = Definitions(
    assets=[upstream(ENCRYPTED_CHUNKS), *ASSETS, ARCHIVE],
    asset_checks=[scrubbed],
    jobs=[seal, *JOBS],
    sensors=[sessions_to_seal],
    schedules=SCHEDULES,
    resources=storage_resources(Home(load_settings())),
    executor=watched_executor,
)
