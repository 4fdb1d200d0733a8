"""`lucid rebuild-catalog`: the database is a cache, and the archive alone makes it again."""

from lucid_pipeline.archive.session_id import new_session_id
from tests.cli.conftest import RECORDINGS, Archived
from tests.cli.support import Lucid, flip

SEALED_AWAY = ("name", "user", "host", "protocol", "started_at", "ended_at", "tags", "length", "duration_ms")


def lose_catalog(lucid: Lucid) -> None:
    for path in lucid.home.glob("catalog.sqlite3*"):
        path.unlink()


def test_a_lost_catalog_is_made_again_with_the_same_sessions(copied: Archived) -> None:
    before = copied.lucid.json("list")
    lose_catalog(copied.lucid)
    assert "lucid rebuild-catalog" in copied.lucid.refused("list")
    document = copied.lucid.json("rebuild-catalog")
    assert document == {"restored": len(RECORDINGS), "never_sealed": 0, "damaged": {}}
    # When a session was registered or verified stands in no manifest; when it was sealed does.
    expected = [{**entry, "registered_at": entry["seal"]["sealed_at"], "verified_at": None} for entry in before]
    assert copied.lucid.json("list") == expected
    assert len(copied.lucid.json("list", "--user", "alice", "--tag", "ticket=OPS=7")) == len(RECORDINGS) - 1


def test_doing_it_again_or_beside_a_good_catalog_changes_nothing(copied: Archived) -> None:
    before = copied.lucid.json("list")
    for _ in range(2):
        assert f"{len(RECORDINGS)} sessions restored" in copied.lucid.ok("rebuild-catalog").text
        assert copied.lucid.json("list") == before
    (copied.lucid.home / "keys" / "identity.txt").unlink()
    copied.lucid.ok("rebuild-catalog")
    assert copied.lucid.json("list") == before, "what cannot be unsealed is not forgotten"


def test_without_the_identity_what_is_sealed_away_stays_unknown(copied: Archived) -> None:
    before = copied.lucid.json("list")
    lose_catalog(copied.lucid)
    (copied.lucid.home / "keys" / "identity.txt").unlink()
    copied.lucid.ok("rebuild-catalog")
    after = copied.lucid.json("list")
    assert [entry["seal"] for entry in after] == [entry["seal"] for entry in before]
    assert not [entry[name] for entry in after for name in SEALED_AWAY if entry[name]]


def test_damage_is_told_and_the_rest_is_restored(copied: Archived) -> None:
    lucid, ids = copied.lucid, copied.ids
    lose_catalog(lucid)
    sessions = lucid.archive_folder / "sessions"
    flip(next((sessions / ids["a-cast.cast"]).glob("manifest.*")), offset=100)
    flip(next((sessions / ids["b-empty"]).glob("sealed.*")))
    (sessions / str(new_session_id()) / "chunks").mkdir(parents=True)
    (sessions / "not a session").mkdir()
    document = lucid.json("rebuild-catalog", status=1)
    assert (document["restored"], document["never_sealed"]) == (3, 1)
    assert list(document["damaged"]) == [ids["a-cast.cast"]]
    assert "1 damaged" in lucid.run("rebuild-catalog").text
    states = {entry["session_id"]: entry["damages"] for entry in lucid.json("list")}
    assert states == {ids["b-empty"]: ["sealed_mismatch"], ids["c-noise.bin"]: [], ids["d-text.log"]: []}


def test_a_file_that_is_no_catalog_is_told_with_a_way_out(copied: Archived) -> None:
    lose_catalog(copied.lucid)
    (copied.lucid.home / "catalog.sqlite3").write_bytes(b"something else entirely" * 100)
    for command in (["list"], ["rebuild-catalog"]):
        assert "rebuild-catalog" in copied.lucid.refused(*command)
