"""`lucid demo`: the whole way on one screen, on a machine that has nothing yet."""

from pathlib import Path

from tests.cli.support import Lucid, tree


def test_it_archives_and_verifies_the_bundled_recordings(tmp_path: Path) -> None:
    lucid = Lucid(tmp_path / "lucid", folder=tmp_path)
    text = lucid.ok("demo").text
    listed = lucid.json("list")
    names = ["demo-desktop.webm", "demo-terminal.cast"]
    assert sorted(entry["name"] for entry in listed) == names
    for entry in listed:
        assert entry["state"] == "sealed"
        assert entry["seal"]["root"] in text
        assert entry["session_id"] in text
        assert lucid.sealed.verify(entry["session_id"]).intact
    for stage in ("recording", "chunks", "encrypted_chunks", "merkle_tree", "manifest"):
        assert stage in text
    assert text.count("2 of 2") == 5
    assert "lucid verify --all" in text
    assert list((lucid.home / "landing").iterdir()) == [], "they have been moved"

    again = lucid.having(keep_landing="1").json("demo")
    assert [entry["verification"]["intact"] for entry in again] == [True, True]
    assert len(lucid.json("list")) == 4, "each landing is a session of its own"
    assert [path.name for path in sorted((lucid.home / "landing").glob("demo-*/*"))] == names
    assert len(list((lucid.home / "landing").iterdir())) == 1


def test_a_recording_of_the_user_that_is_called_like_one_of_its_own_stays(tmp_path: Path) -> None:
    lucid = Lucid(tmp_path / "lucid", folder=tmp_path)
    landing = lucid.home / "landing"
    landing.mkdir(parents=True)
    mine = {"demo-desktop.webm": b"mine", "demo-terminal.cast": b"mine too"}
    for name, data in mine.items():
        (landing / name).write_bytes(data)
    lucid.ok("demo")
    assert tree(landing) == mine
    assert len(lucid.json("list")) == 2
