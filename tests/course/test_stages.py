"""The course, in the words that Dagster has for it."""

import subprocess
import sys

from dagster import Definitions
from dagster._core.storage import tags as dagster_tags

from lucid_pipeline.course import partitions, runs
from lucid_pipeline.course.stages import LEGS, LINEAGE, leg_of
from lucid_pipeline.instance.code_server import MODULES
from lucid_pipeline.processor.definitions import defs as processor
from lucid_pipeline.recorder.definitions import defs as recorder
from lucid_pipeline.storage.definitions import defs as storage

DEFINITIONS = {"session-recorder": recorder, "chunk-processor": processor, "session-storage": storage}


def test_each_leg_is_a_job_of_its_location_with_these_stages() -> None:
    assert [leg.location for leg in LEGS] == list(MODULES)
    for leg in LEGS:
        definitions: Definitions = DEFINITIONS[leg.location]
        selected = definitions.resolve_job_def(leg.job).asset_layer.executable_asset_keys
        assert {key.to_user_string() for key in selected} == set(leg.stages)


def test_the_legs_follow_each_other_without_a_gap() -> None:
    assert [stage for leg in LEGS for stage in leg.stages] == list(LINEAGE)
    assert [leg_of(stage).job for stage in LINEAGE] == ["record", "process", "process", "seal", "seal"]


def test_tags_are_called_what_dagster_calls_them() -> None:
    assert partitions.PARTITION_TAG == dagster_tags.PARTITION_NAME_TAG
    assert partitions.RANGE_START_TAG == dagster_tags.ASSET_PARTITION_RANGE_START_TAG
    assert partitions.RANGE_END_TAG == dagster_tags.ASSET_PARTITION_RANGE_END_TAG
    assert runs.PRIORITY_TAG == dagster_tags.PRIORITY_TAG


def test_nothing_of_it_needs_dagster() -> None:
    ask = "import sys, lucid_pipeline.course.claims, lucid_pipeline.course.runs; print('dagster' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", ask], text=True) == "False\n"
