"""`lucid verify`: proofs for whoever has the public key, and every damage by its name."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from lucid_pipeline.archive.keyring import save_keys
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.signing import SigningKey
from tests.cli.conftest import RECORDINGS, Archived
from tests.cli.support import Lucid, flip, objects_like
from tests.processes import ordinary_user
from tests.servers.archives import files_only
from tests.servers.catalogs import about_the_file, has_catalog, lose_catalog


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
            "obstacle": None,
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
    lose_catalog(copied.lucid.home)
    assert len(copied.lucid.json("verify", "--all", "--deep")) == len(RECORDINGS)
    assert not has_catalog(copied.lucid.home)


@contextmanager
def garbage(catalog: Path) -> Iterator[None]:
    catalog.write_bytes(b"something else entirely" * 100)
    yield


@contextmanager
def without_its_tables(catalog: Path) -> Iterator[None]:
    with closing(sqlite3.connect(catalog)) as connection:
        connection.execute("ALTER TABLE sessions RENAME TO other")
    yield


@contextmanager
def with_nonsense_in_a_row(catalog: Path) -> Iterator[None]:
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        connection.execute("UPDATE sessions SET damages = 'no JSON', state = 'sealed'")
    yield


@contextmanager
def locked(catalog: Path) -> Iterator[None]:
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield


@contextmanager
def locked_for_writers(catalog: Path) -> Iterator[None]:
    with closing(sqlite3.connect(catalog, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


@contextmanager
def closed(catalog: Path) -> Iterator[None]:
    catalog.chmod(0o000)
    yield


@contextmanager
def in_a_home_of_another(catalog: Path) -> Iterator[None]:
    catalog.chmod(0o444)
    catalog.parent.chmod(0o555)
    yield
    catalog.parent.chmod(0o755)


USELESS = [
    garbage,
    without_its_tables,
    with_nonsense_in_a_row,
    locked,
    locked_for_writers,
    closed,
    in_a_home_of_another,
]


@about_the_file
@pytest.mark.parametrize("state", USELESS)
def test_a_catalog_that_cannot_be_used_costs_one_warning_and_no_proof(
    copied: Archived, state: Callable[[Path], AbstractContextManager[None]]
) -> None:
    flip(objects_like(copied.lucid.archive_folder, "chunks/00000002.*")[0])
    with state(copied.lucid.home / "catalog.sqlite3"):
        ended = copied.lucid.run("verify", "--all", "--json", preexec_fn=ordinary_user())
    assert ended.status == 1
    assert sorted(report["intact"] for report in ended.document) == [False, True, True, True]
    assert ended.error.startswith("warning: the catalog ")


@files_only
def test_a_session_that_cannot_be_read_does_not_hide_the_others(copied: Archived) -> None:
    """Neither in the archive nor in the catalog is it taken for damage."""
    lucid, ids = copied.lucid, copied.ids
    flip(next((lucid.archive_folder / "sessions" / ids["c-noise.bin"] / "chunks").iterdir()))
    unreadable = next((lucid.archive_folder / "sessions" / ids["b-empty"]).glob("sealed.*"))
    unreadable.chmod(0o000)
    ended = lucid.run("verify", "--all", "--json", preexec_fn=ordinary_user())
    assert (ended.status, ended.err) == (1, b"")
    reports = {report["session_id"]: report for report in ended.document}
    assert reports.keys() == set(ids.values())
    assert {name: reports[ids[name]]["intact"] for name in ids} == {
        "a-cast.cast": True,
        "b-empty": False,
        "c-noise.bin": False,
        "d-text.log": True,
    }
    assert unreadable.name in reports[ids["b-empty"]]["obstacle"]
    assert [name for name in ids if reports[ids[name]]["damages"]] == ["c-noise.bin"]
    assert [entry["name"] for entry in lucid.json("list", "--state", "damaged")] == ["c-noise.bin"]
    ended = lucid.run("verify", ids["b-empty"], ids["d-text.log"], preexec_fn=ordinary_user())
    assert ended.status == 1
    assert "could not be checked" in ended.text
    assert ended.text.count("intact") == 1


def test_what_another_public_key_makes_of_it_is_not_remembered(copied: Archived, tmp_path: Path) -> None:
    stranger = tmp_path / "stranger.txt"
    save_keys(stranger, [SigningKey.generate().public], private=False, comment="another's")
    before = copied.lucid.json("list")
    copied.lucid.json("verify", "--all", "--public-key", stranger, status=1)
    assert copied.lucid.json("list") == before


def test_what_only_a_key_shows_is_remembered_by_those_who_verify_without(copied: Archived) -> None:
    lucid, session_id = copied.lucid, copied.ids["b-empty"]
    [slot] = (lucid.home / "keystore" / "keyslots" / session_id).iterdir()
    whole = slot.read_bytes()
    slot.write_bytes(b"{}")
    lucid.json("verify", session_id, "--deep", status=1)
    lucid.json("verify", session_id)
    assert lucid.json("show", session_id)["damages"] == ["decrypt_failed"]
    slot.write_bytes(whole)
    lucid.json("verify", session_id, "--deep")
    assert lucid.json("show", session_id)["damages"] == []


def test_that_this_identity_has_no_slot_is_told_and_not_remembered(copied: Archived) -> None:
    session_id = copied.ids["b-empty"]
    shutil.rmtree(copied.lucid.home / "keystore" / "keyslots" / session_id)
    [report] = copied.lucid.json("verify", session_id, "--deep", status=1)
    assert [damage["code"] for damage in report["damages"]] == ["keyslot_missing"]
    assert copied.lucid.json("show", session_id)["damages"] == []


def test_ids_without_a_manifest_are_named_beside_the_reports_of_the_others(copied: Archived) -> None:
    unknown = [str(new_session_id()) for _ in range(2)]
    ended = copied.lucid.run("verify", unknown[0], copied.ids["b-empty"], unknown[1])
    assert ended.status == 2
    assert ended.text.count("intact") == 1
    assert "never sealed" not in ended.text
    assert f"no manifest of session {unknown[0]}, {unknown[1]} (" in ended.error


def test_ids_or_all_but_not_both_and_not_neither(lucid: Lucid) -> None:
    assert "--all" in lucid.refused("verify")
    assert "--all" in lucid.refused("verify", "--all", str(new_session_id()))


def test_an_archive_that_is_not_there_is_not_taken_for_an_intact_one(lucid: Lucid, tmp_path: Path) -> None:
    wrong = lucid.having(archive_url=(tmp_path / "no-such-folder").as_uri())
    assert "no-such-folder" in wrong.refused("verify", "--all")
    assert not (tmp_path / "no-such-folder").exists()
