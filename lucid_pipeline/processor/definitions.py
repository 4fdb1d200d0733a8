"""Definitions of the code location `chunk-processor`."""

from dagster import Definitions

from lucid_pipeline.course.stages import RECORDING
from lucid_pipeline.home import Home
from lucid_pipeline.instance.workers import watched_executor
from lucid_pipeline.lineage.stages import upstream
from lucid_pipeline.processor.assets import chunks, encrypted_chunks
from lucid_pipeline.processor.schedules import JOBS, SCHEDULES
from lucid_pipeline.processor.sensors import process, recordings_to_process
from lucid_pipeline.resources.opened import processor_resources
from lucid_pipeline.settings import load_settings

ASSETS = [chunks, encrypted_chunks]

defs = Definitions(
    assets=[upstream(RECORDING), *ASSETS],
    jobs=[process, *JOBS],
    sensors=[recordings_to_process],
    schedules=SCHEDULES,
    resources=processor_resources(Home(load_settings())),
    executor=watched_executor,
)
