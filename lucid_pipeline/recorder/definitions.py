"""Definitions of the code location `session-recorder`."""

from dagster import Definitions

from lucid_pipeline.home import Home
from lucid_pipeline.instance.workers import watched_executor
from lucid_pipeline.recorder.assets import recording
from lucid_pipeline.recorder.clean_up import clean_up
from lucid_pipeline.resources.opened import recorder_resources
from lucid_pipeline.settings import load_settings

ASSETS = [recording]
JOBS = [clean_up]

defs = Definitions(
    assets=ASSETS, jobs=JOBS, resources=recorder_resources(Home(load_settings())), executor=watched_executor
)
