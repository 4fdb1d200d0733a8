"""Definitions of the code location `session-recorder`."""

from dagster import Definitions

from lucid_pipeline.home import Home
from lucid_pipeline.instance.workers import watched_executor
from lucid_pipeline.recorder.assets import recording
from lucid_pipeline.recorder.clean_up import clean_up
from lucid_pipeline.recorder.landing import LandingFolder
from lucid_pipeline.recorder.removals import recordings_to_remove
from lucid_pipeline.recorder.schedules import JOBS, SCHEDULES
from lucid_pipeline.recorder.sensors import landed_recordings, record
from lucid_pipeline.resources.opened import recorder_resources
from lucid_pipeline.settings import load_settings

ASSETS = [recording]

_home = Home(load_settings())

defs = Definitions(
    assets=ASSETS,
    jobs=[record, clean_up, *JOBS],
    sensors=[landed_recordings, recordings_to_remove],
    schedules=SCHEDULES,
    resources={**recorder_resources(_home), "landing": LandingFolder(_home)},
    executor=watched_executor,
)
