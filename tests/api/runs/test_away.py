"""Dagster is stopped while the API serves: what needs it says so, all else goes on, and all is well when it is back."""

import shutil
from pathlib import Path

from lucid_api.access.scopes import Scope
from tests.api.live import running_lucid
from tests.api.support import assert_problem, running_api
from tests.cli.running import started
from tests.processes import eventually
from tests.servers.catalogs import copy_catalog


def test_dagster_is_stopped_and_started_again(tmp_path: Path) -> None:
    with running_lucid(tmp_path) as live:
        session_id = live.record()
        [run] = live.take_on(session_id)
        copy = tmp_path / "copy"
        shutil.copytree(live.lucid.home, copy)
        copy_catalog(live.lucid.home, copy)
        url = live.up.document["dagster_url"]
        lucid = live.lucid
        with running_api(copy, dagster_url=url) as api:
            runs = f"/runs/{run['run_id']}"
            assert api.get(runs, Scope.SESSIONS_READ).json()["status"] == "success"

            live.up.process.terminate()
            assert live.up.process.wait(60) == 0
            for method, path in (
                ("GET", runs),
                ("GET", "/runs"),
                ("GET", f"{runs}/events"),
                ("POST", f"{runs}/cancellation"),
            ):
                answer = api.ask(method, path, Scope.SESSIONS_READ, Scope.RUNS_WRITE)
                assert_problem(answer, 503, "dagster-away")
                assert int(answer.headers["Retry-After"]) > 0
            body = {"sessions": [str(session_id)]}
            assert_problem(api.ask("POST", "/runs", Scope.RUNS_WRITE, json=body), 503, "dagster-away")

            lineage = api.get(f"/sessions/{session_id}/lineage", Scope.SESSIONS_READ).json()
            assert (lineage["dagster"], lineage["assets"][0]["state"]) == ("away", "materialized")
            assert api.get("/me").status_code == 200
            health = api.client.get("/health")
            assert (health.status_code, health.json()["status"]) == (200, "degraded")

            with started(lucid, port=int(url.rpartition(":")[2])):
                eventually(lambda: api.get(runs, Scope.SESSIONS_READ).status_code == 200, every=0.2)
                lineage = api.get(f"/sessions/{session_id}/lineage", Scope.SESSIONS_READ).json()
                assert (lineage["dagster"], lineage["assets"][0]["run_id"]) == ("answers", run["run_id"])
