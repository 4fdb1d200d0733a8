"""`dagster dev -w workspace.yaml` as a person uses it: one graph, a partition a session, runs that end in manifests."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lucid_pipeline.archive.verify import verify_session
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.lineage.stages import CHECKED, INTACT
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import CAST, OWNER, Stages, open_home
from tests.lineage.test_definitions import ROOT, environment
from tests.processes import eventually
from tests.support import text

FINISHED = ("SUCCESS", "FAILURE", "CANCELED")


class UserInterface:
    """What a person does in the browser, through the GraphQL that the browser uses."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/graphql"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(self._url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer
        return dict(answer["data"])

    def locations(self) -> dict[str, str] | None:
        """How each location loaded, once all have."""
        try:
            entries = self.ask(
                """{ workspaceOrError { ... on Workspace { locationEntries {
                    name loadStatus locationOrLoadError { __typename } } } } }"""
            )["workspaceOrError"]["locationEntries"]
        except OSError:
            return None
        if any(entry["loadStatus"] != "LOADED" for entry in entries):
            return None
        return {entry["name"]: entry["locationOrLoadError"]["__typename"] for entry in entries}

    def graph(self) -> dict[str, dict[str, Any]]:
        nodes = self.ask(
            """{ assetNodes { assetKey { path } dependencyKeys { path } dependedByKeys { path } isExecutable groupName
                kinds partitionDefinition { name } repository { location { name } } } }"""
        )["assetNodes"]
        return {
            node["assetKey"]["path"][0]: {
                "after": [key["path"][0] for key in node["dependencyKeys"]],
                "before": [key["path"][0] for key in node["dependedByKeys"]],
                "location": node["repository"]["location"]["name"],
                "executable": node["isExecutable"],
                "partitions": (node["partitionDefinition"] or {}).get("name"),
                "group": node["groupName"],
            }
            for node in nodes
        }

    def add_partition(self, key: str) -> None:
        selector = {"repositoryLocationName": "session-recorder", "repositoryName": "__repository__"}
        answer = self.ask(
            """mutation($selector: RepositorySelector!, $key: String!) { addDynamicPartition(
                repositorySelector: $selector, partitionsDefName: "sessions", partitionKey: $key) { __typename } }""",
            selector=selector,
            key=key,
        )
        assert answer["addDynamicPartition"]["__typename"] == "AddDynamicPartitionSuccess"

    def stop_sensors(self) -> None:
        """Leave everything to the person at the browser."""
        found = self.ask(
            """{ repositoriesOrError { ... on RepositoryConnection { nodes { sensors { sensorState { id } } } } } }"""
        )["repositoriesOrError"]["nodes"]
        for state in (sensor["sensorState"]["id"] for node in found for sensor in node["sensors"]):
            answer = self.ask("mutation($id: String!) { stopSensor(id: $id) { __typename } }", id=state)
            assert answer["stopSensor"]["__typename"] == "StopSensorMutationResult", answer

    def backfill(self, stages: Sequence[str], keys: Sequence[str]) -> None:
        """Start a backfill of assets, of whatever locations, for some partitions."""
        answer = self.ask(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                __typename ... on PythonError { message } } }""",
            params={"assetSelection": [{"path": [stage]} for stage in stages], "partitionNames": list(keys)},
        )["launchPartitionBackfill"]
        assert answer["__typename"] == "LaunchBackfillSuccess", answer

    def materialize(self, location: str, stages: Sequence[str], first: str, last: str) -> str:
        """Materialize assets of one location for a range of partitions in one run; returns how it ended."""
        selector = {
            "repositoryLocationName": location,
            "repositoryName": "__repository__",
            "pipelineName": "__ASSET_JOB",
            "assetSelection": [{"path": [stage]} for stage in stages],
            "assetCheckSelection": [
                {"assetKey": {"path": [stage]}, "name": INTACT} for stage in stages if stage in CHECKED
            ],
        }
        ends = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
        tags = [{"key": key, "value": value} for key, value in ends.items()]
        answer = self.ask(
            """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
                __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={"selector": selector, "mode": "default", "executionMetadata": {"tags": tags}},
        )["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        self.run_id = answer["run"]["runId"]
        return eventually(self._ended, 120, every=0.2)

    def _ended(self) -> str | None:
        query = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        status: str = self.ask(query, id=self.run_id)["runOrError"]["status"]
        return status if status in FINISHED else None

    def failure(self) -> dict[str, str]:
        """What the failed step of the last run says of each session."""
        events = self.ask(
            """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
                ... on ExecutionStepFailureEvent { failureMetadata { metadataEntries {
                    label ... on TextMetadataEntry { text } } } } } } } }""",
            id=self.run_id,
        )["logsForRun"]["events"]
        entries = [entry for event in events if event for entry in event["failureMetadata"]["metadataEntries"]]
        return {entry["label"]: entry["text"] for entry in entries}

    def materialized(self, stage: str) -> list[str]:
        node = self.ask(
            """query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
                assetPartitionStatuses { ... on DefaultPartitionStatuses { materializedPartitions } } } } }""",
            key={"path": [stage]},
        )["assetNodeOrError"]
        return list(node["assetPartitionStatuses"]["materializedPartitions"])

    def metadata(self, stage: str, key: str) -> dict[str, Any]:
        node = self.ask(
            """query($key: AssetKeyInput!, $partition: String!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
                assetMaterializations(partitions: [$partition], limit: 1) { metadataEntries {
                    label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intValue } } } } } }""",
            key={"path": [stage]},
            partition=key,
        )["assetNodeOrError"]
        entries = node["assetMaterializations"][0]["metadataEntries"]
        return {entry["label"]: entry.get("text", entry.get("intValue")) for entry in entries}


def processes_of(home: Path) -> dict[int, str]:
    """All processes that have this Lucid home in their environment, which is handed down to every child."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"LUCID_HOME={home}\0".encode() in (process / "environ").read_bytes():
                found[int(process.name)] = (process / "cmdline").read_text().replace("\0", " ")[:200]
        except OSError:
            continue
    return found


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Stages]:
    with open_home(tmp_path / "lucid") as (home, catalog), open_instance(home.dagster_folder):
        yield Stages(home, catalog)


@pytest.fixture
def interface(stages: Stages, tmp_path: Path) -> Iterator[UserInterface]:
    home = stages.home.settings.home
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = tmp_path / "dagster.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "dev", "-w", ROOT / "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)],
            cwd=tmp_path,
            env=environment(home, DAGSTER_HOME=str(stages.home.dagster_folder)),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        interface = UserInterface(port)
        eventually(lambda: process.poll() is not None or interface.locations(), 120, every=0.2)
        assert process.poll() is None, log.read_text()
        yield interface
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
        try:
            assert process.wait(60) == 0
            eventually(lambda: not processes_of(home))
        finally:
            for left in processes_of(home):
                os.kill(left, signal.SIGKILL)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc to see that all processes have ended")
def test_a_user_sees_one_lineage_and_takes_recordings_through_it(interface: UserInterface, stages: Stages) -> None:
    assert interface.locations() == dict.fromkeys(
        ("session-recorder", "chunk-processor", "session-storage"), "RepositoryLocation"
    )
    graph = interface.graph()
    archive = graph.pop("archive")
    assert (archive["after"], archive["executable"]) == ([MANIFEST], False)
    assert graph == {
        stage: {
            "after": list(LINEAGE[max(0, n - 1) : n]),
            "before": list((*LINEAGE, "archive")[n + 1 : n + 2]),
            "location": OWNER[stage],
            "executable": True,
            "partitions": "sessions",
            "group": "sessions",
        }
        for n, stage in enumerate(LINEAGE)
    }

    interface.stop_sensors()
    first, second, bad = (stages.land(data) for data in (CAST, text(100_000), b"gone tomorrow"))
    stages.path(bad).unlink()
    for session_id in (first, second, bad):
        interface.add_partition(str(session_id))
    good = [str(first), str(second)]

    assert interface.materialize("session-recorder", [RECORDING], str(first), str(bad)) == "FAILURE"
    reasons = interface.failure()
    failure = stages.record(bad).failure
    assert failure
    assert reasons == {str(bad): failure.reason}
    assert interface.materialize("chunk-processor", [CHUNKS, ENCRYPTED_CHUNKS], *good) == "SUCCESS"
    assert interface.materialize("session-storage", [MERKLE_TREE, MANIFEST], *good) == "SUCCESS"

    for stage in LINEAGE:
        assert sorted(interface.materialized(stage)) == sorted(good)
    home = stages.home
    for session_id in (first, second):
        record = stages.record(session_id)
        assert record.state is State.SEALED
        assert record.seal
        assert interface.metadata(MANIFEST, str(session_id))["root"] == record.seal.root.hex()
        assert interface.metadata(MANIFEST, str(session_id))["damage"] == "none"
        assert verify_session(session_id, home.archive(), home.trusted_keys(), workers=2, keys=home.keys()).intact
    assert stages.export(first) == CAST
    assert stages.record(bad).state is State.REGISTERED
