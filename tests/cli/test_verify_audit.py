"""`lucid verify --audit`: whether the audit record is the one that was written."""

from contextlib import closing

import pytest

from lucid_pipeline.stores.audit_event import Action, Entry
from lucid_pipeline.stores.audit_log import AuditLog
from tests.cli.support import Lucid


@pytest.fixture
def log(lucid: Lucid) -> AuditLog:
    with closing(AuditLog(lucid.home / "audit")) as log:
        log.append(*[Entry(Action.CONTENT_PLAYED, subject=f"key:{n}") for n in range(3)])
    return log


def test_a_home_without_a_record_has_nothing_wrong_with_it(lucid: Lucid) -> None:
    document = lucid.json("verify", "--audit")
    assert (document["intact"], document["events"], document["head"]) == (True, 0, None)
    assert not (lucid.home / "audit").exists()


def test_a_whole_record_tells_its_head_which_can_be_compared_later(lucid: Lucid, log: AuditLog) -> None:
    document = lucid.json("verify", "--audit")
    assert (document["intact"], document["events"], document["findings"]) == (True, 3, [])
    number, digest = document["head"].split(":")
    assert (number, len(digest)) == ("3", 64)
    shown = lucid.ok("verify", "--audit").text
    assert "intact" in shown
    assert document["head"] in shown
    log.append(Entry(Action.SIGN_OUT))
    document = lucid.json("verify", "--audit", "--audit-head", document["head"])
    assert (document["intact"], document["events"]) == (True, 4)
    assert document["compared_with"].startswith("3:")


def test_a_broken_record_is_told_at_its_first_broken_place(lucid: Lucid, log: AuditLog) -> None:
    log.path.write_bytes(log.path.read_bytes().replace(b"key:1", b"key:9"))
    document = lucid.json("verify", "--audit", status=1)
    assert not document["intact"]
    assert document["findings"] == [
        {"flaw": "altered", "line": 2, "sequence": 2, "detail": "this is not what was written"}
    ]
    ended = lucid.run("verify", "--audit")
    assert (ended.status, ended.err) == (1, b"")
    assert "BROKEN" in ended.text
    assert "altered" in ended.text


def test_a_record_that_lost_its_end_is_broken_beside_a_noted_head(lucid: Lucid, log: AuditLog) -> None:
    head = lucid.json("verify", "--audit")["head"]
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:2]))
    assert lucid.json("verify", "--audit")["intact"]
    [finding] = lucid.json("verify", "--audit", "--audit-head", head, status=1)["findings"]
    assert (finding["flaw"], finding["sequence"]) == ("cut_off", 3)


def test_the_record_or_sessions_but_not_both(lucid: Lucid) -> None:
    assert "--audit" in lucid.refused("verify", "--audit", "--all")
    assert "--audit" in lucid.refused("verify", "--audit", "--deep")
    assert "--audit" in lucid.refused("verify", "--all", "--audit-head", "1:" + "0" * 64)
    assert "no head" in lucid.refused("verify", "--audit", "--audit-head", "last")


def test_a_record_that_cannot_be_read_is_told(lucid: Lucid) -> None:
    (lucid.home / "audit" / "audit.jsonl").mkdir(parents=True)
    assert "audit record" in lucid.refused("verify", "--audit")
