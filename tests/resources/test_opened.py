"""What each code location opens: no more than it needs, when it needs it, and closed again afterwards."""

import shutil
from pathlib import Path
from uuid import UUID

import pytest
from dagster import ResourceDefinition, build_resources

from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.resources.opened import processor_resources, recorder_resources, storage_resources
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import CAST, Lineage, Stages, home_in, open_home
from tests.servers.catalogs import about_the_file

LOCATIONS = {"recorder": recorder_resources, "processor": processor_resources, "storage": storage_resources}


@pytest.mark.parametrize("name", LOCATIONS)
def test_naming_resources_opens_and_makes_nothing(name: str, tmp_path: Path) -> None:
    assert LOCATIONS[name](home_in(tmp_path / "lucid"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", LOCATIONS)
def test_every_resource_says_what_it_is(name: str, tmp_path: Path) -> None:
    for resource in LOCATIONS[name](home_in(tmp_path)).values():
        if isinstance(resource, ResourceDefinition):
            assert resource.description
            assert str(tmp_path) not in resource.description


@pytest.mark.parametrize("name", LOCATIONS)
def test_every_resource_opens_in_a_home_that_is_ready(name: str, stages: Stages) -> None:
    resources = LOCATIONS[name](stages.home)
    with build_resources(dict(resources)) as opened:
        for resource in resources:
            assert hasattr(opened, resource)


@about_the_file
def test_the_catalog_is_closed_when_a_run_ends(stages: Stages) -> None:
    with build_resources({"catalog": recorder_resources(stages.home)["catalog"]}) as opened:
        catalog = opened.catalog
        session_id = stages.land(CAST)
        assert catalog.get(session_id).state is State.REGISTERED
    with pytest.raises(ValueError, match="closed"):
        catalog.get(session_id)


# Promise 3, by what is left of a home where a location runs.


HELD = {
    RECORDING: set(),
    CHUNKS: set(),
    ENCRYPTED_CHUNKS: {"recipients.txt"},
    MERKLE_TREE: {"signing-key.txt"},
    MANIFEST: {"signing-key.txt"},
}
STORES = {
    RECORDING: {"landing"},
    CHUNKS: {"landing"},
    ENCRYPTED_CHUNKS: {"landing", "archive", "keystore"},
    MERKLE_TREE: {"archive"},
    MANIFEST: {"archive"},
}


def without(lineage: Lineage, stage: str, session_id: UUID) -> None:
    """Materialize a stage in a home that has only what its location may hold."""
    home, aside = lineage.home.settings.home, lineage.home.settings.home.parent / "aside"
    (aside / "keys").mkdir(parents=True, exist_ok=True)
    hidden = [path.relative_to(home) for path in (home / "keys").iterdir() if path.name not in HELD[stage]]
    hidden += [Path(name) for name in ("landing", "archive", "keystore") if name not in STORES[stage]]
    hidden = [path for path in hidden if (home / path).exists()]
    for path in hidden:
        (home / path).rename(aside / path)
    result = lineage.materialize(stage, session_id)
    assert result.success
    for path in hidden:
        if (home / path).exists():
            assert list((home / path).iterdir()) == [], "an empty folder may be made, and nothing in it"
            shutil.rmtree(home / path)
        (aside / path).rename(home / path)


def test_each_stage_needs_only_what_its_location_may_hold(lineage: Lineage) -> None:
    """The recorder no keys, the processor public ones, the storage side no plaintext and no key slots."""
    session_id = lineage.add(CAST)
    for stage in LINEAGE:
        without(lineage, stage, session_id)
    assert lineage.verify(session_id).intact


@pytest.mark.parametrize(
    ("stage", "missing"), [(ENCRYPTED_CHUNKS, "recipients_file"), (MERKLE_TREE, "signing_key_file")]
)
def test_a_key_that_is_missing_fails_the_run_before_anything_is_written(
    stage: str, missing: str, lineage: Lineage
) -> None:
    session_id = lineage.add(CAST)
    lineage.archive(session_id, upto=LINEAGE[LINEAGE.index(stage) - 1])
    objects, record = lineage.objects(), lineage.record(session_id)
    getattr(lineage.home.settings, missing).unlink()
    assert not lineage.materialize(stage, session_id).success
    assert (lineage.objects(), lineage.record(session_id)) == (objects, record)


def test_settings_reach_the_encryption(tmp_path: Path) -> None:
    with open_home(tmp_path, suite="chacha20-poly1305", codec="lz4") as (home, catalog):
        stages = Stages(home, catalog)
        session_id = stages.land(CAST)
        stages.archive(session_id)
        seal = stages.record(session_id).seal
        assert seal
        assert seal.suite == "AEAD_CHACHA20_POLY1305"
        assert stages.export(session_id) == CAST
