"""How a session came to be, as a caller reads it: from Dagster, and from the catalog where Dagster is silent."""

from typing import Any

from lucid_api.access.scopes import Scope
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.course.stages import LINEAGE
from lucid_pipeline.stores.catalog import Failure
from tests.api.conftest import SealedHome
from tests.api.live import Live
from tests.api.support import Api, assert_problem


def states(lineage: dict[str, Any]) -> list[str]:
    return [asset["state"] for asset in lineage["assets"]]


def values(asset: dict[str, Any]) -> dict[str, Any]:
    return {entry["label"]: entry["value"] for entry in asset["metadata"]}


def test_each_stage_is_told_as_it_is_made(live: Live) -> None:
    session_id = live.record(3_000_000)
    assert states(live.lineage(session_id)) == ["missing"] * 5
    runs = [live.take_on(session_id)[0]["run_id"]]
    assert states(live.lineage(session_id)) == ["materialized", *["missing"] * 4]
    runs += [live.take_on(session_id)[0]["run_id"] for _ in range(2)]

    lineage = live.lineage(session_id)
    assert (lineage["session_id"], lineage["dagster"]) == (str(session_id), "answers")
    assets = lineage["assets"]
    assert [asset["name"] for asset in assets] == list(LINEAGE)
    assert [asset["after"] for asset in assets] == [None, *LINEAGE[:4]]
    assert {asset["known_from"] for asset in assets} == {"dagster"}
    assert states(lineage) == ["materialized"] * 5
    assert [asset["run_id"] for asset in assets] == [runs[0], runs[1], runs[1], runs[2], runs[2]]
    assert {asset["run_status"] for asset in assets} == {"success"}
    assert all(asset["materialized_at"] > "2026" for asset in assets)

    record = live.catalog.get(session_id)
    assert record.seal
    assert values(assets[0])["size_bytes"] == 3_000_000
    encrypted = {entry["label"]: (entry["type"], entry["value"]) for entry in assets[2]["metadata"]}
    assert encrypted["codecs"] == ("json", {"zstd": 1})
    assert encrypted["stored_bytes"] == ("int", record.seal.stored_bytes)
    assert encrypted["compression_ratio"][0] == "float"
    assert encrypted["suite"] == ("text", record.seal.suite)
    assert values(assets[4])["root"] == record.seal.root.hex()


def test_a_stage_that_failed_says_why(live: Live) -> None:
    session_id = live.record()
    source = live.catalog.get(session_id).source
    assert source
    source.path.unlink()
    [run] = live.take_on(session_id)
    assert run["status"] == "failure"
    first, *others = live.lineage(session_id)["assets"]
    assert (first["state"], first["run_id"], first["run_status"]) == ("failed", run["run_id"], "failure")
    failure = live.catalog.get(session_id).failure
    assert failure
    assert first["reason"] == failure.reason
    assert {asset["state"] for asset in others} == {"missing"}


def test_without_dagster_the_catalog_tells_what_it_knows(api: Api, sealed_home: SealedHome) -> None:
    session_id = next(iter(sealed_home.ids.values()))
    answer = api.get(f"/sessions/{session_id}/lineage", Scope.SESSIONS_READ)
    assert answer.status_code == 200
    lineage = answer.json()
    assert lineage["dagster"] == "away"
    assert states(lineage) == ["materialized"] * 5
    assert {asset["known_from"] for asset in lineage["assets"]} == {"catalog"}
    assert {asset["run_id"] for asset in lineage["assets"]} == {None}
    manifest = lineage["assets"][4]
    assert len(values(manifest)["root"]) == 64
    assert manifest["materialized_at"]


def test_without_dagster_the_catalog_tells_why_a_stage_failed(own_api: Api, tmp_path: Any) -> None:
    from lucid_pipeline.archive.sealed import SessionMetadata
    from lucid_pipeline.intake.registration import register

    path = tmp_path / "recording.bin"
    path.write_bytes(b"x")
    catalog = own_api.services.catalog
    session_id = register(path, SessionMetadata(), catalog, release=False).session_id
    catalog.record_failure(session_id, Failure("recording", "it is not there", permanent=True))
    lineage = own_api.get(f"/sessions/{session_id}/lineage", Scope.SESSIONS_READ).json()
    assert states(lineage) == ["failed", *["missing"] * 4]
    assert lineage["assets"][0]["reason"] == "it is not there"


def test_a_session_that_does_not_exist_has_none(api: Api) -> None:
    assert_problem(api.get(f"/sessions/{new_session_id()}/lineage", Scope.SESSIONS_READ), 404, "not-found")
    assert_problem(api.get("/sessions/..%2Fx/lineage", Scope.SESSIONS_READ), 404, "not-found")
