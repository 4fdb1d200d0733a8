"""`GET /audit-events`: what was done, the newest first, for those who may; and that they looked."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lucid_api.access.audit_record import AuditRecord
from lucid_api.access.scopes import Scope
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.stores.audit_event import Action, Entry
from tests.api.access.support import bearer, events, new_key, recorded
from tests.api.support import Api, assert_problem

SESSION = new_session_id()


def ask(api: Api, **parameters: Any) -> Any:
    return api.get("/audit-events", Scope.AUDIT_READ, params=parameters)


def actions(api: Api, **parameters: Any) -> list[str]:
    """Of the events that are found; but for those of finding them."""
    answer = ask(api, **parameters)
    assert answer.status_code == 200, answer.text
    found = [event["action"] for event in answer.json()["events"]]
    return [action for action in found if action != "audit.read"]


@pytest.fixture
def api(bare_api: Api) -> Api:
    """One that has done a few things."""
    bare_api.services.audit.append(
        Entry(Action.CONTENT_PLAYED, subject="key:a", session_id=SESSION, address="10.0.0.1", request_id="r1"),
        Entry(Action.UPLOAD_RECEIVED, subject="key:b", details={"bytes": 7}),
        Entry(Action.SIGN_OUT, subject="key:a"),
    )
    return bare_api


def test_the_record_is_for_those_who_may_read_it(api: Api) -> None:
    api.assert_guarded("GET", "/audit-events", Scope.AUDIT_READ)


def test_events_are_told_as_they_stand_there(api: Api, bare_home: Path) -> None:
    answer = ask(api, action="content.played").json()
    assert answer == {"events": [events(bare_home)[0]], "altered": 0}
    assert answer["events"][0]["session_id"] == str(SESSION)


def test_filters(api: Api) -> None:
    assert actions(api) == ["sign_out", "upload.received", "content.played"]
    assert actions(api, subject="key:a") == ["sign_out", "content.played"]
    assert actions(api, session=str(SESSION)) == ["content.played"]
    assert actions(api, subject="key:a", action="sign_out") == ["sign_out"]
    assert actions(api, subject="nobody") == []
    now = datetime.now(UTC)
    assert len(actions(api, recorded_after=(now - timedelta(minutes=1)).isoformat())) == 3
    assert actions(api, recorded_after=(now + timedelta(minutes=1)).isoformat()) == []
    assert actions(api, recorded_before=(now - timedelta(minutes=1)).isoformat()) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"action": "sign.out"},
        {"session": "../../etc"},
        {"session": str(SESSION).upper()},
        {"recorded_after": "yesterday"},
        {"recorded_after": "2026-01-31T12:00:00"},
        {"limit": "0"},
        {"limit": "201"},
        {"actions": "sign_out"},
        {"subject": "x" * 257},
    ],
)
def test_what_cannot_be_asked_is_refused(api: Api, parameters: Mapping[str, str]) -> None:
    assert_problem(ask(api, **parameters), 422, "invalid")


@pytest.mark.parametrize(
    ("cursor", "status", "kind"),
    [
        ("WyJhIl0", 404, "not-found"),
        ("WzEsMl0", 404, "not-found"),
        ("WyIyMDI2IiwxMDAwMDAwMDAwMDAwMDAwMDAwMDAwMF0", 404, "not-found"),
        ("x", 404, "not-found"),
        ("%%%", 422, "invalid"),
        ("", 422, "invalid"),
        ("ä", 422, "invalid"),
        ("a" * 2001, 422, "invalid"),
    ],
)
def test_a_cursor_is_taken_from_the_page_before(api: Api, cursor: str, status: int, kind: str) -> None:
    assert_problem(ask(api, cursor=cursor), status, kind)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_the_ends_of_time_are_moments_too(api: Api, moment: str) -> None:
    begins = moment.startswith("0001")
    assert len(actions(api, recorded_after=moment)) == (3 if begins else 0)
    assert len(actions(api, recorded_before=moment)) == (0 if begins else 3)


def test_pages_lead_from_the_newest_to_the_oldest(api: Api) -> None:
    headers = api.headers(Scope.AUDIT_READ)
    path: str | None = "/api/v1/audit-events?limit=2&recorded_after=2026-01-01T00:00:00%2B01:00"
    found: list[int] = []
    while path:
        answer = api.client.get(path, headers=headers)
        page = [event["sequence"] for event in answer.json()["events"]]
        assert 1 <= len(page) <= 2
        found += page
        path = answer.links["next"]["url"] if "next" in answer.links else None
    assert found == [4, 3, 2, 1]


def test_that_somebody_reads_it_is_on_record_but_not_every_page(api: Api, bare_home: Path) -> None:
    (one, text), (other, another) = new_key(api, Scope.AUDIT_READ), new_key(api, Scope.AUDIT_READ)
    for _ in range(3):
        for key in (text, another):
            assert api.client.get("/api/v1/audit-events", headers=bearer(key)).status_code == 200
    assert [event["subject"] for event in recorded(bare_home, "audit.read")] == [one.subject, other.subject]


def test_what_was_altered_is_left_out_and_counted(api: Api, bare_home: Path) -> None:
    path = bare_home / "audit" / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"bytes":7', b'"bytes":8'))
    answer = ask(api).json()
    assert answer["altered"] == 1
    assert [event["action"] for event in answer["events"]] == ["audit.read", "sign_out", "content.played"]


def test_who_reads_without_being_on_record_reads_nothing(bare_api: Api, bare_home: Path) -> None:
    (bare_home / "audit" / "audit.jsonl").mkdir()
    assert_problem(ask(bare_api), 503, "unavailable")


def test_what_goes_on_is_recorded_once_in_a_while(
    bare_api: Api, monkeypatch: pytest.MonkeyPatch, bare_home: Path
) -> None:
    record: AuditRecord = bare_api.services.audit
    now = 1000.0
    monkeypatch.setattr("lucid_api.access.audit_record.time.monotonic", lambda: now)
    playing = Entry(Action.CONTENT_PLAYED, subject="key:a", address="a", session_id=SESSION, details={"range": "0-1"})
    record.append_once(playing)
    record.append_once(Entry(Action.CONTENT_PLAYED, subject="key:a", address="a", session_id=SESSION))
    assert len(events(bare_home)) == 1
    others = (
        Entry(Action.TRANSCRIPT_READ, subject="key:a", address="a", session_id=SESSION),
        Entry(Action.CONTENT_PLAYED, subject="key:b", address="a", session_id=SESSION),
        Entry(Action.CONTENT_PLAYED, subject="key:a", address="b", session_id=SESSION),
        Entry(Action.CONTENT_PLAYED, subject="key:a", address="a", session_id=new_session_id()),
    )
    for other in others:
        record.append_once(other)
    assert len(events(bare_home)) == 5
    now += 601
    record.append_once(playing)
    assert len(events(bare_home)) == 6


def test_nobody_waits_long_for_the_index(bare_api: Api, monkeypatch: pytest.MonkeyPatch, bare_home: Path) -> None:
    monkeypatch.setattr("lucid_api.access.audit_record._INDEXED_EVERY", 3)

    def indexed() -> int:
        with closing(sqlite3.connect(bare_home / "audit" / "index.sqlite3")) as connection:
            [count] = connection.execute("SELECT COUNT(*) FROM events").fetchone()
        return int(count)

    counts = []
    for _ in range(7):
        bare_api.services.audit.append(Entry(Action.SIGN_OUT))
        counts.append(indexed())
    assert counts == [0, 0, 3, 3, 3, 6, 6]


def test_what_could_not_be_recorded_is_tried_again(bare_api: Api, bare_home: Path) -> None:
    (bare_home / "audit" / "audit.jsonl").mkdir()
    headers = bare_api.headers(Scope.AUDIT_READ)
    assert bare_api.client.get("/api/v1/audit-events", headers=headers).status_code == 503
    (bare_home / "audit" / "audit.jsonl").rmdir()
    assert bare_api.client.get("/api/v1/audit-events", headers=headers).status_code == 200
    assert len(recorded(bare_home, "audit.read")) == 1


def test_lines_are_what_lucid_verify_reads(api: Api, bare_home: Path) -> None:
    [event] = ask(api, action="sign_out").json()["events"]
    lines = (bare_home / "audit" / "audit.jsonl").read_text().splitlines()
    assert json.loads(lines[event["sequence"] - 1]) == event
