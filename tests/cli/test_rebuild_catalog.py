"""`lucid rebuild-catalog`: the database is a cache, and the archive alone makes it again."""

import shutil

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.intake.registration import fingerprint
from lucid_pipeline.stores.catalog import Source
from tests.cli.conftest import CAST, RECORDINGS, Archived
from tests.cli.support import Lucid, flip
from tests.lineage.support import home_in

SEALED_AWAY = ("name", "user", "host", "protocol", "started_at", "ended_at", "tags", "length", "duration_ms")


def lose_catalog(lucid: Lucid) -> None:
    for path in lucid.home.glob("catalog.sqlite3*"):
        path.unlink()


def test_a_lost_catalog_is_made_again_with_the_same_sessions(copied: Archived) -> None:
    before = copied.lucid.json("list")
    lose_catalog(copied.lucid)
    assert "lucid rebuild-catalog" in copied.lucid.refused("list")
    document = copied.lucid.json("rebuild-catalog")
    assert document == {"restored": len(RECORDINGS), "not_unsealed": 0, "never_sealed": 0, "damaged": {}}
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
    assert f"{len(RECORDINGS)} not unsealed" in copied.lucid.ok("rebuild-catalog").text
    after = copied.lucid.json("list")
    assert [entry["seal"] for entry in after] == [entry["seal"] for entry in before]
    assert not [entry[name] for entry in after for name in SEALED_AWAY if entry[name]]


def test_sealed_metadata_that_is_damaged_is_told_and_the_session_restored_with_what_is_known(copied: Archived) -> None:
    lucid, session_id = copied.lucid, copied.ids["b-empty"]
    before = lucid.json("show", session_id)
    flip(next((lucid.archive_folder / "sessions" / session_id).glob("sealed.*")))
    document = lucid.json("rebuild-catalog", status=1)
    assert (document["restored"], list(document["damaged"])) == (len(RECORDINGS), [session_id])
    assert "sealed_mismatch" in document["damaged"][session_id]
    assert lucid.json("show", session_id) == {**before, "damages": ["sealed_mismatch"]}


def test_without_the_keystore_it_goes_on_with_one_warning(copied: Archived) -> None:
    lucid = copied.lucid
    lose_catalog(lucid)
    shutil.rmtree(lucid.home / "keystore")
    ended = lucid.run("rebuild-catalog", "--json")
    assert ended.status == 0
    assert ended.document == {
        "restored": len(RECORDINGS),
        "not_unsealed": len(RECORDINGS),
        "never_sealed": 0,
        "damaged": {},
    }
    assert str(lucid.home / "keystore") in ended.error
    assert ended.error.startswith("warning: ")
    assert len(lucid.json("list")) == len(RECORDINGS)


def test_a_session_without_a_key_slot_is_no_damaged_one(copied: Archived) -> None:
    lucid, session_id = copied.lucid, copied.ids["b-empty"]
    lose_catalog(lucid)
    shutil.rmtree(lucid.home / "keystore" / "keyslots" / session_id)
    assert lucid.json("rebuild-catalog") == {
        "restored": len(RECORDINGS),
        "not_unsealed": 1,
        "never_sealed": 0,
        "damaged": {},
    }
    assert lucid.json("show", session_id)["damages"] == []
    assert sum(entry["name"] is None for entry in lucid.json("list")) == 1


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
    assert list(document["damaged"]) == sorted([ids["a-cast.cast"], ids["b-empty"]])
    assert "2 damaged" in lucid.run("rebuild-catalog").text
    states = {entry["session_id"]: entry["damages"] for entry in lucid.json("list")}
    assert states == {ids["b-empty"]: ["sealed_mismatch"], ids["c-noise.bin"]: [], ids["d-text.log"]: []}


def test_a_file_that_is_no_catalog_is_told_with_a_way_out(copied: Archived) -> None:
    lose_catalog(copied.lucid)
    (copied.lucid.home / "catalog.sqlite3").write_bytes(b"something else entirely" * 100)
    for command in (["list"], ["rebuild-catalog"]):
        assert "rebuild-catalog" in copied.lucid.refused(*command)


def test_a_recording_that_lands_again_is_known_by_its_content(lucid: Lucid) -> None:
    path = lucid.folder / "a.cast"
    path.write_bytes(CAST)
    [sealed] = lucid.archive(path)
    lose_catalog(lucid)
    lucid.ok("rebuild-catalog")
    again = lucid.home / "landing" / "a.cast"
    path.rename(again)
    with home_in(lucid.home).catalog() as catalog:
        source = Source(again, fingerprint(again, again.stat()), landed=True)
        catalog.register(new_session_id(), source, again.name, SessionMetadata())
    [duplicate] = lucid.archive(again)
    assert duplicate["duplicate_of"] == sealed["session_id"]
