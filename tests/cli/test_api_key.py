"""`lucid api-key`: the first key, where there is no browser."""

import json
from typing import Any

from lucid_pipeline.stores.audit_check import check_audit_log
from tests.api.support import running_api
from tests.cli.support import Lucid


def document(lucid: Lucid, *arguments: str) -> Any:
    return lucid.ok("api-key", *arguments, "--json").document


def test_a_key_that_it_makes_opens_the_service(lucid: Lucid) -> None:
    made = document(lucid, "create", "--role", "viewer", "--label", "the wall", "--days", "30")
    assert (made["label"], made["created_by"]) == ("the wall", "command line")
    assert made["expires_at"] > made["created_at"]
    with running_api(lucid.home) as api:
        me = api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {made['key']}"}).json()
        assert me == {"subject": f"key:{made['key_id']}", "scopes": ["content:play", "sessions:read"]}
        assert "deleted" in lucid.ok("api-key", "delete", made["key_id"]).text
        gone = api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {made['key']}"})
        assert gone.status_code == 401, "while the service runs"


def test_it_is_told_once_and_can_be_copied_from_its_line(lucid: Lucid) -> None:
    shown = lucid.ok("api-key", "create", "--role", "operator").text
    [line] = [line for line in shown.splitlines() if line.startswith("lucid_")]
    assert len(line) == len("lucid_") + 16 + 1 + 43
    listed = lucid.ok("api-key", "list").text
    assert line.split("_")[1] in listed
    assert line not in listed
    [found] = document(lucid, "list")
    assert found["scopes"] == ["runs:write", "sessions:read", "verify:write"]
    assert "key" not in found


def test_what_it_does_is_on_record(lucid: Lucid) -> None:
    made = document(lucid, "create", "--role", "admin")
    lucid.ok("api-key", "delete", made["key_id"])
    path = lucid.home / "audit" / "audit.jsonl"
    assert check_audit_log(path).events == 2
    record = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(event["action"], event["subject"]) for event in record] == [
        ("key.created", "command line"),
        ("key.deleted", "command line"),
    ]
    assert made["key"].split("_", 2)[2] not in path.read_text()


def test_what_cannot_be_is_refused(lucid: Lucid) -> None:
    assert "no key" in lucid.refused("api-key", "delete", "0123456789abcdef")
    assert "--label" in lucid.refused("api-key", "create", "--role", "viewer", "--label", "two\nlines")
    assert "viewer" in lucid.refused("api-key", "create", "--role", "root")
    assert "--role" in lucid.refused("api-key", "create")
    assert not (lucid.home / "audit").exists()


def test_a_home_that_is_not_there_is_not_made(lucid: Lucid) -> None:
    nowhere = Lucid(lucid.home.parent / "nowhere", folder=lucid.folder)
    assert "lucid init" in nowhere.refused("api-key", "create", "--role", "viewer")
    assert not nowhere.home.exists()


def test_a_key_that_cannot_be_put_on_record_is_not_made(lucid: Lucid) -> None:
    (lucid.home / "audit" / "audit.jsonl").mkdir(parents=True)
    assert "audit record" in lucid.refused("api-key", "create", "--role", "viewer", status=1)
    assert document(lucid, "list") == []
