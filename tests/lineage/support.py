"""The three code locations on one small home: each asset with what its own location may hold.

`Stages` calls the assets as functions, which takes a hundredth of the time of a run; `Lineage` runs them in Dagster.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any
from uuid import UUID

from dagster import (
    AssetKey,
    AssetMaterialization,
    AssetRecordsFilter,
    AssetsDefinition,
    AssetSpec,
    DagsterInstance,
    Definitions,
    ExecuteInProcessResult,
    Failure,
    ResourceDefinition,
    RetryPolicy,
    define_asset_job,
    in_process_executor,
)
from typing_extensions import override

from lucid_pipeline.archive.reader import SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.course.partitions import PARTITIONS
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.home import Home
from lucid_pipeline.intake.registration import fingerprint, register
from lucid_pipeline.lineage.metadata import SESSION_LINK
from lucid_pipeline.lineage.stages import upstream
from lucid_pipeline.processor.definitions import ASSETS as PROCESSOR_ASSETS
from lucid_pipeline.recorder.definitions import ASSETS as RECORDER_ASSETS
from lucid_pipeline.resources.opened import processor_resources, recorder_resources, storage_resources
from lucid_pipeline.settings import Settings
from lucid_pipeline.storage.definitions import ASSETS as STORAGE_ASSETS
from lucid_pipeline.stores.catalog import Catalog, SessionRecord, Source
from tests.cli.support import tree
from tests.servers.homes import home_settings
from tests.support import export

CAST = b'{"version": 2, "width": 80, "height": 24, "timestamp": 1767225600}\n' + b"".join(
    b'[%.1f, "o", "line %d\\r\\n"]\n' % (n / 10, n) for n in range(1000)
)


@dataclass(frozen=True)
class Location:
    """What a code location is made of."""

    assets: Sequence[AssetsDefinition]
    upstream: Sequence[AssetSpec]
    resources: Callable[[Home], Mapping[str, object]]


LOCATIONS = {
    "session-recorder": Location(RECORDER_ASSETS, [], recorder_resources),
    "chunk-processor": Location(PROCESSOR_ASSETS, [upstream(RECORDING)], processor_resources),
    "session-storage": Location(STORAGE_ASSETS, [upstream(ENCRYPTED_CHUNKS)], storage_resources),
}
OWNER = {
    RECORDING: "session-recorder",
    CHUNKS: "chunk-processor",
    ENCRYPTED_CHUNKS: "chunk-processor",
    MERKLE_TREE: "session-storage",
    MANIFEST: "session-storage",
}


class _Context:
    """As much of Dagster's context as an asset asks for."""

    log = logging.getLogger("lucid.tests")

    def __init__(self, asset: AssetsDefinition, keys: Sequence[str]) -> None:
        self.asset_key = asset.key
        self.partition_keys = keys

    def add_asset_metadata(self, *_: object, **__: object) -> None:
        """Keep metadata: nobody looks at it here."""

    def log_event(self, *_: object) -> None:
        """Record an event: nobody looks at it here."""


@dataclass
class Stages:
    """A home with keys and a catalog, and the assets as functions."""

    home: Home
    catalog: Catalog
    _number: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)), repr=False)

    def land(
        self,
        data: bytes,
        name: str = "recording.bin",
        metadata: SessionMetadata | None = None,
        *,
        release: bool = False,
        landed: bool = False,
        abandoned: bool = False,
    ) -> UUID:
        """Let a recording land, and register it: as chosen by somebody, or as found in the landing folder."""
        folder = self.home.settings.landing_dir / str(next(self._number))
        folder.mkdir()
        path = folder / name
        path.write_bytes(data)
        if landed or abandoned:
            source = Source(path, fingerprint(path, path.lstat()), release, landed, abandoned)
            return self.catalog.register(new_session_id(), source, name, metadata or SessionMetadata()).session_id
        return register(path, metadata or SessionMetadata(), self.catalog, release=release).session_id

    def call(self, stage: str, *session_ids: UUID, **held: object) -> Failure | None:
        """Do the work of one asset for some sessions; returns the failure, if any.

        Args:
            stage: the asset.
            session_ids: the sessions.
            held: objects in the place of the location's own resources.
        """
        location = LOCATIONS[OWNER[stage]]
        [asset] = [asset for asset in location.assets if asset.key == AssetKey(stage)]
        function = asset.op.compute_fn.decorated_fn
        wanted = list(signature(function).parameters)[1:]
        resources = {**location.resources(self.home), "catalog": self.catalog, **held}
        try:
            function(
                _Context(asset, [str(session_id) for session_id in session_ids]),
                **{name: _opened(resources[name]) for name in wanted},
            )
        except Failure as failure:
            return failure
        return None

    def archive(self, *session_ids: UUID, upto: str = MANIFEST) -> None:
        """Do stage after stage; all must succeed."""
        for stage in LINEAGE[: LINEAGE.index(upto) + 1]:
            assert self.call(stage, *session_ids) is None

    def record(self, session_id: UUID) -> SessionRecord:
        return self.catalog.get(session_id)

    def path(self, session_id: UUID) -> Path:
        """Where a session's recording lies."""
        source = self.record(session_id).source
        assert source
        return source.path

    def objects(self) -> dict[str, bytes]:
        """All that lies in the archive, by its path."""
        return tree(self.home.settings.home / "archive")

    def slots(self) -> dict[str, bytes]:
        """All that lies in the keystore, by its path."""
        return tree(self.home.settings.home / "keystore")

    def manifests(self) -> list[str]:
        """The keys of all manifests in the archive."""
        return [key for key in self.objects() if "/manifest." in key]

    def object_path(self, key: str) -> Path:
        """The file of an object, for tests that damage it."""
        return self.home.settings.home / "archive" / key

    def plant(self, key: str, data: bytes) -> None:
        """Put an object where there is none. A file that is written behind the back of a bucket's server is none."""
        self.home.archive().put(key, data)

    def verify(self, session_id: UUID) -> VerificationReport:
        """Verify a session down to its plaintext."""
        return verify_session(
            session_id, self.home.archive(), self.home.trusted_keys(), workers=2, keys=self.home.keys()
        )

    def export(self, session_id: UUID) -> bytes:
        signed = load_manifest(session_id, self.home.archive(), self.home.trusted_keys())
        return export(SessionReader.open(signed.manifest, self.home.archive(), self.home.keys()))


@dataclass(kw_only=True)
class Lineage(Stages):
    """A home with keys and a catalog, and the Dagster instance on which its sessions are materialized."""

    instance: DagsterInstance

    def add(
        self,
        data: bytes,
        name: str = "recording.bin",
        metadata: SessionMetadata | None = None,
        *,
        release: bool = False,
        landed: bool = False,
    ) -> UUID:
        """Let a recording land, register it, and tell Dagster of its session."""
        session_id = self.land(data, name, metadata, release=release, landed=landed)
        self.instance.add_dynamic_partitions(PARTITIONS, [str(session_id)])
        return session_id

    def materialize(
        self, stage: str, *session_ids: UUID | str, retries: int = 0, **held: object
    ) -> ExecuteInProcessResult:
        """Run one asset for one session, or for all from the first to the last of several, in its own location."""
        location = LOCATIONS[OWNER[stage]]
        job = define_asset_job("one_stage", [stage], op_retry_policy=RetryPolicy(max_retries=retries))
        definitions = Definitions(
            assets=[*location.upstream, *location.assets],
            jobs=[job],
            resources={**location.resources(self.home), **held},
            executor=in_process_executor,
        )
        keys = [str(session_id) for session_id in session_ids]
        alone = len(keys) == 1
        ends = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
        return definitions.resolve_job_def(job.name).execute_in_process(
            instance=self.instance,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            partition_key=keys[0] if alone else None,
            tags={} if alone else ends,
            raise_on_error=False,
        )

    @override
    def archive(self, *session_ids: UUID, upto: str = MANIFEST) -> None:
        for stage in LINEAGE[: LINEAGE.index(upto) + 1]:
            assert self.materialize(stage, *session_ids).success

    def materializations(self, stage: str, session_id: UUID) -> list[AssetMaterialization]:
        """What the instance has recorded of a stage for a session, newest first."""
        wanted = AssetRecordsFilter(asset_key=AssetKey(stage), asset_partitions=[str(session_id)])
        records = self.instance.fetch_materializations(wanted, limit=100).records
        return [record.asset_materialization for record in records if record.asset_materialization]

    def metadata(self, stage: str, session_id: UUID) -> dict[str, Any]:
        """The newest metadata of a stage for a session, without what Dagster adds, and without the link."""
        metadata = self.materializations(stage, session_id)[0].metadata
        return {
            name: value.value
            for name, value in metadata.items()
            if not name.startswith("dagster/") and name != SESSION_LINK
        }


def failure_of(result: ExecuteInProcessResult) -> tuple[str | None, dict[str, Any]]:
    """Description and metadata of the failure that ended a run."""
    [failure] = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
    assert failure, "the step failed otherwise than by a Failure"
    return failure.description, {key: value.value for key, value in failure.metadata.items()}


def is_retried(result: ExecuteInProcessResult) -> bool:
    """Whether Dagster tried a step of a run again."""
    return any(event.is_step_up_for_retry for event in result.all_events)


def home_in(folder: Path, **settings: Any) -> Home:
    """A home below a folder, which need not be there; whatever is set where the tests run counts for nothing."""
    given = {"workers": 2, **home_settings(folder), **settings}
    return Home(Settings(_env_prefix="LUCID_TESTS_", _env_file=None, home=folder, **given))


@contextmanager
def open_home(folder: Path, **settings: Any) -> Iterator[tuple[Home, Catalog]]:
    """A home below a folder, with its keys made, and its catalog."""
    home = home_in(folder, **settings)
    home.create()
    with home.catalog(create=True) as catalog:
        yield home, catalog


@contextmanager
def open_lineage(folder: Path, instance: DagsterInstance, **settings: Any) -> Iterator[Lineage]:
    """The lineage below a folder, on an instance."""
    with open_home(folder, **settings) as (home, catalog):
        yield Lineage(home, catalog, instance=instance)


def _opened(resource: object) -> object:
    return resource.resource_fn(None) if isinstance(resource, ResourceDefinition) else resource
