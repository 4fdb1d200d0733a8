"""`--move`: a recording is removed only when what replaces it has been read back and verified."""

import json
from pathlib import Path

from tests.cli.conftest import Archived
from tests.cli.support import Lucid, entries, flip, names, objects_like, tree
from tests.processes import eventually, ordinary_user
from tests.support import noise

MIB = 2**20
NEWER = b"a newer recording under the name of the first"


def test_files_are_removed_and_folders_stay(lucid: Lucid, tmp_path: Path) -> None:
    root = tmp_path / "landing"
    (root / "deeper").mkdir(parents=True)
    (root / "one").write_bytes(b"one")
    (root / "deeper" / "two").write_bytes(b"")
    document = lucid.json("archive", "--move", root)
    assert document["failed"] == []
    assert [path.name for path in root.rglob("*")] == ["deeper"]
    assert {entry["name"]: lucid.sealed.export(entry["session_id"]) for entry in document["sessions"]} == {
        "one": b"one",
        "two": b"",
    }
    shown = lucid.json("show", document["sessions"][0]["session_id"])
    assert shown["verified_at"], "the session was verified before its file was removed"
    assert lucid.refused("archive", "--move", root)


def test_a_file_that_was_archived_before_is_verified_and_removed(copied: Archived, tmp_path: Path) -> None:
    target = tmp_path / "landing"
    target.mkdir()
    data = noise(10_000)
    (target / "file").write_bytes(data)
    [entry] = copied.lucid.archive(target)
    document = copied.lucid.json("archive", "--move", target)
    assert document["sessions"][0]["session_id"] == entry["session_id"]
    assert list(target.iterdir()) == []


def test_a_damaged_session_keeps_its_file(lucid: Lucid, tmp_path: Path) -> None:
    for name in ("damaged", "whole"):
        (tmp_path / name).write_bytes(noise(5_000, seed=len(name)))
    damaged, _whole = lucid.archive("damaged", "whole")
    [chunk] = (lucid.archive_folder / "sessions" / damaged["session_id"] / "chunks").iterdir()
    flip(chunk)
    document = lucid.json("archive", "--move", "damaged", "whole", status=1)
    [failed] = document["failed"]
    assert failed["path"] == "damaged"
    assert "object_digest_mismatch" in failed["reason"]
    assert "stays" in failed["reason"]
    assert "\n" not in failed["reason"]
    assert (tmp_path / "damaged").read_bytes() == noise(5_000, seed=len("damaged"))
    assert not (tmp_path / "whole").exists(), "one damaged session does not keep another's file"
    assert lucid.json("show", damaged["session_id"])["damages"] == ["object_digest_mismatch"]


def test_a_session_that_no_longer_decrypts_keeps_its_file(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    lucid.archive("file")
    for slot in (lucid.home / "keystore").rglob("*.json"):
        slot.unlink()
    [failed] = lucid.json("archive", "--move", "file", status=1)["failed"]
    assert "keyslot_missing" in failed["reason"]
    assert (tmp_path / "file").exists()


def test_keep_landing_forbids_move(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    keeping = lucid.having(keep_landing="true")
    assert "LUCID_KEEP_LANDING" in keeping.refused("archive", "--move", "file")
    keeping.archive("file")
    assert (tmp_path / "file").exists()


def test_files_that_change_meanwhile_stay_and_the_others_go(lucid: Lucid, tmp_path: Path) -> None:
    root = tmp_path / "landing"
    root.mkdir()
    data = {name: noise(3_000, seed=number) for number, name in enumerate(("a-replaced", "c-vanished", "d-good"))}
    for name, content in data.items():
        (root / name).write_bytes(content)
    grown = root / "b-growing"
    with grown.open("wb") as file:
        file.truncate(512 * MIB)
    with lucid.having(codec="stored", workers="1").start("archive", "--move", "--json", root) as process:
        # The first one has been encrypted: the second one, which is large, is being read.
        eventually(lambda: objects_like(lucid.archive_folder, "sealed.*"))
        newer = tmp_path / "newer"
        newer.write_bytes(NEWER)
        newer.replace(root / "a-replaced")
        with grown.open("ab") as file:
            file.write(b"more")
        (root / "c-vanished").unlink()
        document = json.loads(process.communicate(timeout=200)[0])
    assert process.returncode == 1
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in document["failed"]}
    assert set(reasons) == {"a-replaced", "b-growing", "c-vanished"}
    assert "has changed since it was archived, so it stays" in reasons["a-replaced"]
    assert "changed while it was read" in reasons["b-growing"]
    assert "No such file" in reasons["c-vanished"]
    assert {path.name for path in root.iterdir()} == {"a-replaced", "b-growing"}
    exports = {entry["name"]: lucid.sealed.export(entry["session_id"]) for entry in document["sessions"]}
    assert exports == {"a-replaced": data["a-replaced"], "d-good": data["d-good"]}
    # What stayed is archived as it is now; nothing has been lost, and nothing is there twice.
    grown.write_bytes(b"finished")
    again = lucid.json("archive", "--move", root)
    assert sorted(names(again["sessions"])) == ["a-replaced", "b-growing"]
    found = [lucid.sealed.export(session_id) for session_id in lucid.sealed.ids()]
    assert sorted(found) == sorted([data["a-replaced"], data["d-good"], b"finished", NEWER])
    assert list(root.iterdir()) == []


def test_a_folder_that_forbids_removal_keeps_its_file_and_says_so(lucid: Lucid, tmp_path: Path) -> None:
    root = tmp_path / "landing"
    root.mkdir()
    (root / "file").write_bytes(b"data")
    root.chmod(0o500)
    [failed] = lucid.json("archive", "--move", root, status=1, preexec_fn=ordinary_user())["failed"]
    assert "cannot remove" in failed["reason"]
    assert "Permission denied" in failed["reason"]
    root.chmod(0o700)
    before = tree(lucid.archive_folder)
    assert lucid.json("archive", "--move", root)["failed"] == []
    assert tree(lucid.archive_folder) == before
    assert entries(root) == []
