"""`lucid retry`: a session in quarantine is as if it had never failed."""

from pathlib import Path

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.intake.registration import register
from lucid_pipeline.stores.catalog import Failure
from tests.cli.support import Lucid

UNKNOWN = "01a207bc-8e74-7669-8629-8a4d73c7c432"


def quarantined(lucid: Lucid, path: Path) -> str:
    """A session that has failed for good; returns its id."""
    path.write_bytes(b"recording")
    with lucid.opened.catalog() as catalog:
        record = register(path, SessionMetadata(), catalog, release=False)
        catalog.record_failure(record.session_id, Failure("recording", "its sidecar is bad", permanent=True))
    return str(record.session_id)


def test_a_session_in_quarantine_is_tried_again(lucid: Lucid, tmp_path: Path) -> None:
    session_id, other = quarantined(lucid, tmp_path / "a"), quarantined(lucid, tmp_path / "b")
    failure = {"stage": "recording", "reason": "its sidecar is bad", "permanent": True, "attempts": 1, "retry_at": None}
    assert lucid.json("show", session_id)["failure"] == failure
    assert f"lucid retry {session_id}" in lucid.ok("show", session_id).text

    assert lucid.json("retry", session_id) == [session_id]

    assert lucid.json("show", session_id)["failure"] is None
    assert lucid.json("show", other)["failure"] == failure
    [archived] = lucid.archive(tmp_path / "a")
    assert (archived["session_id"], archived["state"]) == (session_id, "sealed")


def test_nothing_is_retried_unless_all_can_be(lucid: Lucid, tmp_path: Path) -> None:
    session_id = quarantined(lucid, tmp_path / "a")
    assert UNKNOWN in lucid.refused("retry", session_id, UNKNOWN)
    assert lucid.json("show", session_id)["failure"]
    lucid.json("retry", session_id)
    assert "has not failed" in lucid.refused("retry", session_id)
    assert "no session id" in lucid.refused("retry", "../../etc/passwd")
