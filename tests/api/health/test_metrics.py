"""Figures as Prometheus reads them."""

import re
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from lucid_api.access.scopes import Scope
from tests.api.conftest import SealedHome
from tests.api.support import PREFIX, Api, assert_problem

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def figures(api: Api) -> dict[tuple[str, ...], float]:
    """Each figure by its name and the values of its labels, in the order of their names."""
    answer = api.client.get("/metrics", headers=api.headers(Scope.SESSIONS_READ))
    assert answer.status_code == 200, answer.text
    families = text_string_to_metric_families(answer.text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_it_wants_to_know_who_asks(api: Api) -> None:
    nobody = api.client.get("/metrics")
    assert_problem(nobody, 401, "unauthorized")
    others = [scope for scope in Scope if scope is not Scope.SESSIONS_READ]
    assert_problem(api.client.get("/metrics", headers=api.headers(*others)), 403, "forbidden")


def test_sessions_are_counted_by_what_they_are(api: Api, sealed_home: SealedHome) -> None:
    found = figures(api)
    assert found[("lucid_sessions", "sealed")] == len(sealed_home.ids)
    assert found[("lucid_sessions", "quarantined")] == 0
    assert found[("lucid_sessions", "damaged")] == 0
    assert found[("lucid_backlog_sessions",)] == 0
    assert found[("lucid_sealed_sessions",)] == len(sealed_home.ids)
    assert found[("lucid_recorded_bytes",)] == sum(map(len, sealed_home.originals.values()))
    assert found[("lucid_stored_bytes",)] > 0
    assert 0 < found[("lucid_oldest_proof_age_seconds",)] < 3600


def test_the_parts_of_the_service_are_told(api: Api) -> None:
    found = figures(api)
    assert found[("lucid_component_up", "catalog")] == 1
    assert found[("lucid_component_up", "dagster")] == 0


def test_requests_are_counted_by_their_operation_and_never_by_what_they_asked_for(
    api: Api, sealed_home: SealedHome
) -> None:
    before = figures(api)
    session_id = next(iter(sealed_home.ids.values()))
    for path in (f"{PREFIX}/sessions/{session_id}/lineage", "/no/such/place/at/all", f"{PREFIX}/runs/{session_id}"):
        api.client.get(path)
    api.client.request("BREW", f"{PREFIX}/me")
    after = figures(api)

    def counted(*key: str) -> Any:
        return after.get(key, 0) - before.get(key, 0)

    assert counted("lucid_http_requests_total", "GET", "get_lineage", "401") == 1
    assert counted("lucid_http_request_seconds_count", "GET", "get_lineage") == 1
    assert counted("lucid_http_response_bytes_total", "get_lineage") > 0
    assert counted("lucid_http_requests_total", "GET", "other", "404") == 1
    labels = {label for key in after for label in key[1:]}
    assert "BREW" not in labels
    assert not [label for label in labels if re.search(r"[0-9a-f]{8}-|such/place", label)]


def test_newer_prometheus_gets_openmetrics(api: Api) -> None:
    answer = api.client.get("/metrics", headers={**api.headers(Scope.SESSIONS_READ), "Accept": OPENMETRICS})
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")
