"""The three code locations: what they define, what each may hold, and that loading them touches nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetsDefinition, AssetSpec, Definitions

from lucid_pipeline.course.stages import LINEAGE
from lucid_pipeline.lineage.partitions import SESSIONS
from lucid_pipeline.processor.definitions import defs as processor
from lucid_pipeline.recorder.definitions import defs as recorder
from lucid_pipeline.storage.assets import ARCHIVE
from lucid_pipeline.storage.definitions import defs as storage
from tests.lineage.support import home_in
from tests.servers.homes import home_settings

ROOT = Path(__file__).parents[2]
LOCATIONS = {"session-recorder": recorder, "chunk-processor": processor, "session-storage": storage}
SECRETS = {"keystore", "encryption", "signing_key", "identity"}


def made(definitions: Definitions) -> list[AssetsDefinition]:
    """The assets that a location makes itself."""
    return [asset for asset in definitions.assets or [] if isinstance(asset, AssetsDefinition)]


def asked_by(asset: AssetsDefinition) -> set[str]:
    """The resources that an asset asks for, but for Dagster's own, which nothing passes through."""
    return set(asset.required_resource_keys) - {"io_manager"}


def described(asset: AssetsDefinition) -> dict[str, Any]:
    spec = asset.get_asset_spec()
    return {
        "after": sorted(dep.asset_key.to_user_string() for dep in spec.deps),
        "partitions": spec.partitions_def.name,
        "group": spec.group_name,
        "kinds": sorted(spec.kinds),
        "owners": spec.owners,
        "holds": spec.tags["lucid/holds"],
        "checks": sorted(key.name for key in asset.check_keys),
        "resources": sorted(asked_by(asset)),
        "partitions a run": asset.backfill_policy.max_partitions_per_run,
    }


SNAPSHOT = {
    "session-recorder": {
        "recording": {
            "after": [],
            "partitions": "sessions",
            "group": "sessions",
            "kinds": ["file"],
            "owners": ["team:session-recorder"],
            "holds": "plaintext",
            "checks": [],
            "resources": ["catalog", "settings"],
            "partitions a run": None,
        },
    },
    "chunk-processor": {
        "chunks": {
            "after": ["recording"],
            "partitions": "sessions",
            "group": "sessions",
            "kinds": ["python"],
            "owners": ["team:chunk-processor"],
            "holds": "plaintext",
            "checks": [],
            "resources": ["catalog", "settings"],
            "partitions a run": None,
        },
        "encrypted_chunks": {
            "after": ["chunks"],
            "partitions": "sessions",
            "group": "sessions",
            "kinds": ["python"],
            "owners": ["team:chunk-processor"],
            "holds": "ciphertext",
            "checks": [],
            "resources": ["archive", "catalog", "encryption", "keystore", "progress", "settings"],
            "partitions a run": None,
        },
    },
    "session-storage": {
        "merkle_tree": {
            "after": ["encrypted_chunks"],
            "partitions": "sessions",
            "group": "sessions",
            "kinds": ["python"],
            "owners": ["team:session-storage"],
            "holds": "proof",
            "checks": ["intact"],
            "resources": ["archive", "catalog", "settings", "signing_key"],
            "partitions a run": None,
        },
        "manifest": {
            "after": ["merkle_tree"],
            "partitions": "sessions",
            "group": "sessions",
            "kinds": ["json"],
            "owners": ["team:session-storage"],
            "holds": "proof",
            "checks": ["intact"],
            "resources": ["archive", "catalog", "settings", "signing_key"],
            "partitions a run": None,
        },
    },
}


def test_the_lineage_is_what_it_was() -> None:
    """A change here is a change of the graph that operators know: make it on purpose."""
    found = {
        name: {asset.key.to_user_string(): described(asset) for asset in made(definitions)}
        for name, definitions in LOCATIONS.items()
    }
    assert found == SNAPSHOT


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_stage_leads_to_the_line_of_its_source(name: str) -> None:
    for asset in made(LOCATIONS[name]):
        [reference] = asset.get_asset_spec().metadata["dagster/code_references"].code_references
        lines = Path(reference.file_path).read_text().splitlines()
        assert f"def {asset.key.to_user_string()}(" in "".join(lines[reference.line_number - 1 :][:3])


def test_the_stages_form_one_chain_across_the_locations() -> None:
    after = {asset.key.to_user_string(): described(asset)["after"] for d in LOCATIONS.values() for asset in made(d)}
    assert after == {stage: [LINEAGE[n - 1]] if n else [] for n, stage in enumerate(LINEAGE)}


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_location_names_what_it_builds_on_as_the_owner_has_it(name: str) -> None:
    """Else Dagster would not join the partitions of the two, or would show two assets of one name."""
    owned = {asset.key: asset for definitions in LOCATIONS.values() for asset in made(definitions)}
    mine = {asset.key for asset in made(LOCATIONS[name])}
    named = [spec for spec in LOCATIONS[name].assets or [] if isinstance(spec, AssetSpec) and spec != ARCHIVE]
    needed = {dep.asset_key for asset in made(LOCATIONS[name]) for dep in asset.get_asset_spec().deps} - mine
    assert {spec.key for spec in named} == needed
    for spec in named:
        owner = owned[spec.key].get_asset_spec()
        assert (spec.partitions_def, spec.group_name) == (owner.partitions_def, owner.group_name)
        assert spec.partitions_def == SESSIONS


# Promise 3: whoever can write cannot read, and whoever can read cannot forge.


ALLOWED = {
    "session-recorder": {"catalog", "archive", "trusted_keys", "keys", "settings", "landing"},
    "chunk-processor": {"catalog", "archive", "keystore", "encryption", "settings", "progress"},
    "session-storage": {"catalog", "archive", "signing_key", "trusted_keys", "settings"},
}


@pytest.mark.parametrize("name", LOCATIONS)
def test_a_location_has_the_resources_that_it_may_have(name: str) -> None:
    assert set(LOCATIONS[name].resources or {}) == ALLOWED[name]


def test_no_location_can_both_sign_and_read_plaintext_or_keys() -> None:
    resources = {name: set(definitions.resources or {}) for name, definitions in LOCATIONS.items()}
    assert resources["session-recorder"] & SECRETS == set()
    assert resources["chunk-processor"] & {"signing_key", "identity", "keys", "trusted_keys"} == set()
    assert resources["session-storage"] & {"keystore", "encryption", "identity", "keys"} == set()


@pytest.mark.parametrize("name", LOCATIONS)
def test_what_a_location_asks_for_is_there(name: str) -> None:
    definitions = LOCATIONS[name]
    for asset in made(definitions):
        assert asked_by(asset) <= set(definitions.resources or {})
    for job in definitions.jobs or []:
        nodes = definitions.resolve_job_def(job.name).nodes
        asked = {key for node in nodes for key in node.definition.required_resource_keys}
        assert asked <= set(definitions.resources or {})


def test_the_recorder_gets_no_identity_even_where_one_lies_about(tmp_path: Path) -> None:
    from lucid_pipeline.resources.opened import recorder_resources

    home = home_in(tmp_path)
    home.create()
    assert home.settings.identity_file.exists()
    assert recorder_resources(home)["keys"].resource_fn(None) is None


# Loading them.


WATCHED_IMPORT = """
import json, os, sys

home, touched = sys.argv[1], []

def watch(event, arguments):
    if event == "open":
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or home in str(path):
            touched.append(f"{event} {path}")
    elif event in ("os.mkdir", "os.rename", "os.remove", "sqlite3.connect", "socket.connect", "subprocess.Popen"):
        touched.append(f"{event} {arguments[0]}")
    elif event in ("os.listdir", "os.scandir") and home in str(arguments[0]):
        touched.append(f"{event} {arguments[0]}")

import dagster
sys.addaudithook(watch)
from lucid_pipeline.processor.definitions import defs as processor
from lucid_pipeline.recorder.definitions import defs as recorder
from lucid_pipeline.storage.definitions import defs as storage

for defs in (recorder, processor, storage):
    defs.get_repository_def().load_all_definitions()
print(json.dumps(touched))
"""


def environment(home: Path, **more: str) -> Mapping[str, str]:
    """A process's environment, with a Lucid home and without the settings of this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LUCID_", "DAGSTER_"))}
    settings = {f"LUCID_{name.upper()}": value for name, value in {"home": str(home), **home_settings(home)}.items()}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **settings, **more}


@pytest.mark.parametrize("exists", [False, True], ids=["no home yet", "a home with keys"])
def test_loading_them_opens_no_store_reads_no_key_and_makes_no_file(exists: bool, tmp_path: Path) -> None:
    """A code server may start before `lucid init`, and a catalog that is down must not keep the graph from loading."""
    home, folder = tmp_path / "lucid", tmp_path / "cwd"
    folder.mkdir()
    if exists:
        home_in(home).create()
    variables = environment(home)
    before = sorted(tmp_path.rglob("*"))
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED_IMPORT, str(home)],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(ended.stdout.splitlines()[-1]) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_a_setting_that_cannot_be_is_told_by_its_name(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "import lucid_pipeline.recorder.definitions"],
        cwd=tmp_path,
        env=environment(tmp_path, LUCID_CHUNK_SIZE="3MiB"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1
    assert "LUCID_CHUNK_SIZE: must be 1MiB" in ended.stderr.splitlines()[-1]


def test_dagster_validates_the_workspace(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")],
        cwd=tmp_path,
        env=environment(tmp_path / "lucid", DAGSTER_DISABLE_TELEMETRY="1"),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name in LOCATIONS:
        assert f"Validation successful for code location {name}" in ended.stdout + ended.stderr
    assert not (tmp_path / "lucid").exists()
