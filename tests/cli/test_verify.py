"""`lucid verify`: proofs for whoever has the public key, and every damage by its name."""

import shutil
from pathlib import Path

from lucid_pipeline.archive.session_id import new_session_id
from tests.cli.conftest import RECORDINGS, Archived
from tests.cli.support import Lucid, flip, objects_like


def test_ids_and_all_of_them(archived: Archived) -> None:
    ids = sorted(archived.ids.values())
    reports = archived.lucid.json("verify", *ids[:2])
    assert [report["session_id"] for report in reports] == ids[:2]
    reports = archived.lucid.json("verify", "--all")
    assert [report["session_id"] for report in reports] == ids
    for report in reports:
        manifest = archived.lucid.sealed.manifest(report["session_id"])
        assert report == {
            "session_id": report["session_id"],
            "intact": True,
            "deep": False,
            "sequence": 1,
            "signed_by": report["signed_by"],
            "root": manifest.recording.tree.root.hex(),
            "chunks_checked": manifest.recording.chunk_count,
            "bytes_checked": manifest.recording.stored_bytes,
            "damages": [],
        }


def test_deep_decrypts_too_and_the_catalog_remembers(copied: Archived) -> None:
    reports = copied.lucid.json("verify", "--all", "--deep")
    assert [(report["deep"], report["intact"]) for report in reports] == [(True, True)] * len(RECORDINGS)
    assert all(entry["verified_at"] for entry in copied.lucid.json("list"))


def test_the_public_key_and_the_archive_are_all_that_it_takes(archived: Archived, tmp_path: Path) -> None:
    shutil.copytree(archived.lucid.archive_folder, tmp_path / "archive")
    shutil.copy(archived.lucid.home / "keys" / "trusted-keys.txt", tmp_path / "public-key.txt")
    verifier = Lucid(tmp_path / "lucid", {"LUCID_ARCHIVE_URL": (tmp_path / "archive").as_uri()}, tmp_path)
    reports = verifier.json("verify", "--all", "--public-key", "public-key.txt")
    assert [report["intact"] for report in reports] == [True] * len(RECORDINGS)
    assert verifier.ok("verify", archived.ids["b-empty"], "--public-key", "public-key.txt").text.count("intact") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "public-key.txt"], "nothing has been made"
    flip(objects_like(tmp_path / "archive", "chunks/*")[0])
    assert verifier.run("verify", "--all", "--public-key", "public-key.txt").status == 1


def test_another_public_key_finds_an_unknown_signer(archived: Archived, lucid: Lucid) -> None:
    other = lucid.home / "keys" / "trusted-keys.txt"
    other.unlink()
    (lucid.home / "keys" / "signing-key.txt").unlink()
    lucid.ok("init")
    [report] = archived.lucid.json("verify", archived.ids["b-empty"], "--public-key", other, status=1)
    assert [damage["code"] for damage in report["damages"]] == ["unknown_signer"]


def test_damage_is_named_and_the_other_sessions_are_checked_as_well(copied: Archived) -> None:
    lucid, ids = copied.lucid, copied.ids
    sessions = lucid.archive_folder / "sessions"
    noise = sorted((sessions / ids["c-noise.bin"] / "chunks").iterdir())
    flip(noise[0])
    noise[1].unlink()
    flip(next((sessions / ids["d-text.log"]).glob("sealed.*")))
    next((sessions / ids["b-empty"]).glob("manifest.*")).unlink()
    reports = {report["session_id"]: report for report in lucid.json("verify", "--all", status=1)}
    found = {name: sorted(damage["code"] for damage in reports[ids[name]]["damages"]) for name in ids}
    assert found == {
        "a-cast.cast": [],
        "b-empty": ["missing_object"],
        "c-noise.bin": ["missing_object", "object_digest_mismatch"],
        "d-text.log": ["sealed_mismatch"],
    }
    assert reports[ids["c-noise.bin"]]["chunks_checked"] == 1
    ended = lucid.run("verify", "--all")
    assert (ended.status, ended.err) == (1, b"")
    assert ended.text.count("DAMAGED") == 3
    for code in ("missing_object", "object_digest_mismatch", "sealed_mismatch"):
        assert code in ended.text
    [listed] = [entry for entry in lucid.json("list") if entry["name"] == "c-noise.bin"]
    assert sorted(listed["damages"]) == ["missing_object", "object_digest_mismatch"]
    assert "damaged" in lucid.ok("list").text


def test_a_session_that_was_never_sealed_does_not_stop_the_others(copied: Archived) -> None:
    unsealed = copied.lucid.archive_folder / "sessions" / str(new_session_id()) / "chunks"
    unsealed.mkdir(parents=True)
    (unsealed / "00000000.0123456789abcdef0123456789abcdef").write_bytes(b"LUC1")
    reports = copied.lucid.json("verify", "--all")
    assert [report["session_id"] for report in reports] == sorted(copied.ids.values())


def test_a_session_that_is_gone_from_the_archive_is_damage_where_the_catalog_knows_it(copied: Archived) -> None:
    gone = copied.ids["d-text.log"]
    shutil.rmtree(copied.lucid.archive_folder / "sessions" / gone)
    reports = {report["session_id"]: report for report in copied.lucid.json("verify", "--all", status=1)}
    assert [damage["code"] for damage in reports[gone]["damages"]] == ["missing_object"]
    assert sum(report["intact"] for report in reports.values()) == len(RECORDINGS) - 1


def test_without_the_catalog_it_verifies_as_well(copied: Archived) -> None:
    for path in copied.lucid.home.glob("catalog.sqlite3*"):
        path.unlink()
    assert len(copied.lucid.json("verify", "--all", "--deep")) == len(RECORDINGS)
    assert not list(copied.lucid.home.glob("catalog.sqlite3*"))


def test_ids_or_all_but_not_both_and_not_neither(lucid: Lucid) -> None:
    assert "--all" in lucid.refused("verify")
    assert "--all" in lucid.refused("verify", "--all", str(new_session_id()))


def test_an_archive_that_is_not_there_is_not_taken_for_an_intact_one(lucid: Lucid, tmp_path: Path) -> None:
    wrong = lucid.having(archive_url=(tmp_path / "no-such-folder").as_uri())
    assert "no-such-folder" in wrong.refused("verify", "--all")
    assert not (tmp_path / "no-such-folder").exists()
