"""Runs as callers start, find and cancel them, with a real Dagster that runs them."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.runs import requests
from lucid_api.runs.problems import TooManyRunRequests
from lucid_api.runs.requests import RunRequests
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.stores.catalog import State
from tests.api.live import QUARANTINE, Live
from tests.api.support import PREFIX, Api, assert_problem
from tests.processes import eventually

NOBODYS = "8f0f6a3c-31a3-4b8f-9c2f-6f2f3a0f9a51"


@pytest.mark.parametrize(
    ("method", "path", "needed", "body"),
    [
        ("POST", "/runs", Scope.RUNS_WRITE, {"sessions": "waiting"}),
        ("GET", "/runs", Scope.SESSIONS_READ, None),
        ("GET", f"/runs/{NOBODYS}", Scope.SESSIONS_READ, None),
        ("GET", f"/runs/{NOBODYS}/events", Scope.SESSIONS_READ, None),
        ("POST", f"/runs/{NOBODYS}/cancellation", Scope.RUNS_WRITE, None),
        ("GET", "/sessions/01a207bc-8e81-7370-a993-4daf2ca01f8c/lineage", Scope.SESSIONS_READ, None),
    ],
)
def test_each_operation_wants_to_know_who_asks(api: Api, method: str, path: str, needed: Scope, body: object) -> None:
    api.assert_guarded(method, path, needed, json=body)


def test_sessions_are_taken_on_from_where_they_stand_in_runs_that_they_share(live: Live) -> None:
    first, second = live.record(), live.record()
    answer = live.start(first, second)
    assert answer.status_code == 202
    document = answer.json()
    [run] = document["runs"]
    assert answer.headers["Location"] == f"{PREFIX}/runs/{run['run_id']}"
    assert document["sessions"] == [
        {"session_id": str(key), "outcome": "started", "run_id": run["run_id"]} for key in (first, second)
    ]
    assert (run["job"], run["location"], run["stages"]) == ("record", "session-recorder", ["recording"])
    assert run["tags"] == {"lucid/backlog": "record", "lucid/request": document["request"]}

    ended = live.ended(run["run_id"])
    assert (ended["status"], ended["sessions"]) == ("success", [str(first), str(second)])
    assert [run["job"] for run in live.take_on(first)] == ["process"]
    assert [run["job"] for run in live.take_on(second, first)] == ["seal", "process"]
    assert [run["status"] for run in live.take_on(second)] == ["success"]
    assert {live.catalog.get(session).state for session in (first, second)} == {State.SEALED}

    told = assert_problem(live.start(first, second), 409, "nothing-to-run")
    assert [session["outcome"] for session in told["sessions"]] == ["sealed", "sealed"]


def test_all_that_waits_is_taken_on_and_what_is_in_quarantine_is_not(live: Live) -> None:
    waiting, failed = live.record(), live.record()
    live.catalog.record_failure(failed, QUARANTINE)
    answer = live.api.ask("POST", "/runs", Scope.RUNS_WRITE, json={"sessions": "waiting"})
    assert answer.status_code == 202
    outcomes = {session["session_id"]: session["outcome"] for session in answer.json()["sessions"]}
    assert outcomes[str(waiting)] == "started"
    assert str(failed) not in outcomes
    for run in answer.json()["runs"]:
        live.ended(run["run_id"])


def test_a_session_in_quarantine_is_tried_again_as_if_it_had_never_failed(live: Live) -> None:
    session_id = live.record()
    live.take_on(session_id)
    live.catalog.record_failure(session_id, QUARANTINE)
    [run] = live.take_on(session_id)
    assert (run["job"], run["status"]) == ("process", "success")
    record = live.catalog.get(session_id)
    assert (record.state, record.failure, record.attempts) == (State.ENCRYPTED, None, 0)


def test_what_a_run_has_in_hand_is_left_to_it(live: Live) -> None:
    busy, free = live.record(8_000_000_000), live.record()
    live.take_on(busy)
    [long] = live.start(busy).json()["runs"]
    answer = live.start(busy, free).json()
    assert [session["outcome"] for session in answer["sessions"]] == ["in_hand", "started"]
    assert answer["sessions"][0]["run_id"] == long["run_id"]
    assert [run["first_session"] for run in answer["runs"]] == [str(free)]

    eventually(lambda: live.run(long["run_id"])["status"] == "started", every=0.1)
    cancellation = f"/runs/{long['run_id']}/cancellation"
    for _ in range(2):
        canceled = live.api.ask("POST", cancellation, Scope.RUNS_WRITE)
        assert canceled.status_code == 202, canceled.text
        assert canceled.json()["status"] in ("canceling", "canceled")
    assert live.ended(long["run_id"])["status"] == "canceled"
    assert live.api.ask("POST", cancellation, Scope.RUNS_WRITE).status_code == 202

    done = live.ended(answer["runs"][0]["run_id"])
    assert done["status"] == "success"
    assert_problem(live.api.ask("POST", f"/runs/{done['run_id']}/cancellation", Scope.RUNS_WRITE), 409, "run-has-ended")


def test_of_requests_at_the_same_time_one_starts_the_run(live: Live) -> None:
    session_id = live.record(500_000_000)
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: live.start(session_id), range(3)))
    assert [answer.status_code for answer in answers] == [202] * 3
    [run] = {run["run_id"] for answer in answers for run in answer.json()["runs"]}
    outcomes = [session["outcome"] for answer in answers for session in answer.json()["sessions"]]
    assert sorted(outcomes) == ["in_hand", "in_hand", "started"]
    assert live.ended(run)["status"] == "success"


def test_nobody_waits_for_a_turn_behind_many_or_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "_PATIENCE_SECONDS", 0.05)
    turns = RunRequests()
    with ThreadPoolExecutor(1) as other, turns.turn_of("a"):

        def wait() -> None:
            with turns.turn_of("b"):
                pass

        with pytest.raises(TooManyRunRequests):
            other.submit(wait).result()
    with turns.turn_of("b"):
        pass


def test_a_session_that_does_not_exist_keeps_all_others_from_being_started(live: Live) -> None:
    session_id = live.record()
    assert_problem(live.start(session_id, new_session_id()), 404, "not-found")
    assert live.catalog.get(session_id).state is State.REGISTERED
    assert live.api.get("/runs", Scope.SESSIONS_READ, params={"session": str(session_id)}).json() == {"runs": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"sessions": []},
        {"sessions": "all"},
        {"sessions": ["../../etc/passwd"]},
        {"sessions": ["01a207bc-8e81-7370-a993-4daf2ca01f8c"] * 501},
        {"sessions": "waiting", "force": True},
        {"sessions": None},
        ["waiting"],
    ],
)
def test_a_request_that_makes_no_sense_is_refused(api: Api, body: object) -> None:
    assert_problem(api.ask("POST", "/runs", Scope.RUNS_WRITE, json=body), 422, "invalid")


def test_the_same_request_under_the_same_key_starts_nothing_twice(live: Live) -> None:
    session_id = live.record()
    headers = live.api.headers(Scope.RUNS_WRITE) | {"Idempotency-Key": "only-once"}
    body = {"sessions": [str(session_id)]}
    first, second = (live.api.client.post(f"{PREFIX}/runs", headers=headers, json=body) for _ in range(2))
    assert first.status_code == 202
    assert (second.status_code, second.content) == (202, first.content)
    assert second.headers["Location"] == first.headers["Location"]
    other = live.api.client.post(f"{PREFIX}/runs", headers=headers, json={"sessions": "waiting"})
    assert_problem(other, 422, "idempotency-key-reused")
    found = live.api.get("/runs", Scope.SESSIONS_READ, params={"request": first.json()["request"]}).json()["runs"]
    assert [run["run_id"] for run in found] == [first.json()["runs"][0]["run_id"]]


def test_runs_are_listed_page_by_page(live: Live) -> None:
    sessions = [live.record() for _ in range(3)]
    started = [live.start(session_id).json()["runs"][0]["run_id"] for session_id in sessions]
    for run_id in started:
        live.ended(run_id)

    found: list[str] = []
    path = f"{PREFIX}/runs?limit=2&status=success&status=failure"
    while path:
        page = live.api.client.get(path, headers=live.api.headers(Scope.SESSIONS_READ))
        runs = page.json()["runs"]
        assert 1 <= len(runs) <= 2
        assert {run["status"] for run in runs} <= {"success", "failure"}
        found += [run["run_id"] for run in runs]
        path = page.links["next"]["url"] if "next" in page.links else ""
    assert len(found) == len(set(found))
    assert found[:3] == started[::-1]

    of_session = live.api.get("/runs", Scope.SESSIONS_READ, params={"session": str(sessions[1])}).json()["runs"]
    assert [run["run_id"] for run in of_session] == [started[1]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "cursor=x", "status=done", "session=x", "request=x", "sort=job"]
)
def test_a_list_that_makes_no_sense_is_refused(api: Api, query: str) -> None:
    assert_problem(api.get(f"/runs?{query}", Scope.SESSIONS_READ), 422, "invalid")


@pytest.mark.parametrize("run_id", ["x", "..%2F..%2Fetc", NOBODYS.upper(), NOBODYS + "0", f"{{{NOBODYS}}}"])
def test_an_id_that_is_none_is_refused(api: Api, run_id: str) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancellation")):
        answer = api.ask(method, f"/runs/{run_id}{path}", Scope.SESSIONS_READ, Scope.RUNS_WRITE)
        assert answer.status_code in (404, 422), answer.text


def test_a_run_that_does_not_exist_is_not_found(live: Live) -> None:
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancellation")):
        answer = live.api.ask(method, f"/runs/{NOBODYS}{path}", Scope.SESSIONS_READ, Scope.RUNS_WRITE)
        assert_problem(answer, 404, "not-found")
