"""`lucid archive`: recordings, by themselves or in folders, become sealed sessions."""

import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id, parse_session_id
from lucid_pipeline.intake.registration import fingerprint
from lucid_pipeline.stores.catalog import Source
from tests.cli.conftest import CAST, META, RECORDINGS, Archived
from tests.cli.support import Lucid, flip, names, salts, tree
from tests.lineage.support import home_in
from tests.processes import ordinary_user
from tests.servers.catalogs import IN_MONGODB
from tests.support import noise

ODD_NAMES = [
    b"-rf",
    b" space ",
    b"line\nbreak",
    b"escape\x1b[31m",
    b"--move",
    b"latin1-\xe9\xff",
    b"[bold] :x:",
    "übergröße-录像".encode(),
    b"quote'\"$(touch x)`%s",
    b"n" * 255,
]


class TestAFolder:
    """Archived once, with metadata; each test looks at one thing."""

    def test_each_file_is_a_sealed_session_in_the_order_of_names(self, archived: Archived) -> None:
        sessions = archived.document["sessions"]
        assert list(names(sessions)) == ["a-cast.cast", "b-empty", "d-text.log"]
        assert [entry["state"] for entry in sessions] == ["sealed"] * 3
        assert archived.document["failed"] == []

    def test_ids_are_canonical_and_sort_in_the_order_of_registration(self, archived: Archived) -> None:
        ids = [entry["session_id"] for entry in archived.document["sessions"]]
        assert [str(parse_session_id(text)) for text in ids] == ids == sorted(ids)

    def test_sizes_are_those_of_the_files_and_of_the_objects(self, archived: Archived) -> None:
        for entry in archived.document["sessions"]:
            assert entry["length"] == len(RECORDINGS[entry["name"]])
            folder = archived.lucid.archive_folder / "sessions" / entry["session_id"] / "chunks"
            stored = [path.stat().st_size for path in folder.iterdir()]
            assert (entry["seal"]["stored_bytes"], entry["seal"]["chunk_count"]) == (sum(stored), len(stored))

    def test_its_document_says_where_each_file_lies_and_how_it_is_proved(self, archived: Archived) -> None:
        entry = archived.document["sessions"][0]
        manifest = archived.lucid.sealed.manifest(entry["session_id"])
        assert entry["path"] == str(archived.landing / "landing" / "a-cast.cast")
        assert entry["seal"]["root"] == manifest.recording.tree.root.hex()
        assert entry["seal"]["sequence"] == manifest.sequence == 1
        assert entry["seal"]["media_type"] == manifest.recording.media_type == "application/x-asciicast"
        assert entry["duration_ms"] == 99_900

    def test_meta_is_what_the_session_says_and_other_keys_are_tags(self, archived: Archived) -> None:
        for entry in archived.document["sessions"]:
            said = {name: entry[name] for name in META if name != "ticket"}
            assert said == {name: value for name, value in META.items() if name != "ticket"}
            assert entry["tags"] == {"ticket": "OPS=7"}

    def test_what_was_archived_comes_out_byte_for_byte(self, archived: Archived) -> None:
        sealed = archived.lucid.sealed
        assert {name: sealed.export(archived.ids[name]) for name in RECORDINGS} == RECORDINGS
        assert all(sealed.verify(session_id).intact for session_id in sealed.ids())

    def test_files_stay_where_they_are(self, archived: Archived) -> None:
        found = [*(archived.landing / "landing").iterdir(), *(archived.landing / "other").iterdir()]
        assert {path.name: path.read_bytes() for path in found} == RECORDINGS

    def test_each_has_one_key_slot_and_no_salt_is_repeated(self, archived: Archived) -> None:
        slots = tree(archived.lucid.home / "keystore")
        assert sorted(Path(name).parts[1] for name in slots) == sorted(archived.ids.values())
        found = salts(archived.lucid.archive_folder)
        assert len(found) == len(set(found)) == 10, "6 chunks, and 4 sealed metadata"


def test_the_same_command_again_finds_the_same_sessions_and_makes_nothing(copied: Archived) -> None:
    before = tree(copied.lucid.archive_folder), tree(copied.lucid.home / "keystore")
    ended = copied.lucid.ok("archive", copied.landing / "landing", copied.landing / "other")
    for name, session_id in copied.ids.items():
        [line] = [line for line in ended.text.splitlines() if session_id in line]
        assert name in line or name in ended.text
    assert len(copied.lucid.json("list")) == len(RECORDINGS)
    assert (tree(copied.lucid.archive_folder), tree(copied.lucid.home / "keystore")) == before


def test_files_of_any_name_at_any_depth(lucid: Lucid, tmp_path: Path) -> None:
    root = tmp_path / "landing"
    recordings: dict[Path, bytes] = {}
    for number, name in enumerate(ODD_NAMES):
        path = root.joinpath(*["deep", "-er", os.fsdecode(b"\xff")][: number % 4], os.fsdecode(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        recordings[path] = noise(number * 100, seed=number)
        path.write_bytes(recordings[path])
    # A folder, and two files by names relative to the working directory that look like options.
    away = lucid.inside(root)
    document = away.json("archive", "--", root, "-rf", "--move")
    assert document["failed"] == []
    assert [entry["path"] for entry in document["sessions"]] == [*map(str, in_order(recordings)), "-rf", "--move"]
    for entry in document["sessions"]:
        path, metadata = root / entry["path"], lucid.sealed.reader(entry["session_id"]).metadata.recording
        assert lucid.sealed.export(entry["session_id"]) == recordings[path]
        assert metadata.name == os.fsencode(path.name).decode("utf-8", "replace") == entry["name"]
    assert len({entry["session_id"] for entry in document["sessions"]}) == len(ODD_NAMES), "a file is one session"
    # No name has become a path, and what a person sees can not disturb the terminal.
    made = b"\n".join(os.fsencode(path) for path in lucid.home.rglob("*"))
    assert not any(name in made for name in ODD_NAMES if len(name) > 3)
    shown = away.ok("list")
    assert not {char for char in shown.text if not char.isprintable()} - {"\n"}
    assert "[bold] :x:" in shown.text


def in_order(paths: Iterable[Path]) -> list[Path]:
    """The files of a folder before those of folders in it, each in the order of their names."""
    return sorted(paths, key=lambda path: (path.parent.parts, path.name))


def test_what_is_no_file_is_refused_and_the_rest_goes_on(lucid: Lucid, tmp_path: Path) -> None:
    root = tmp_path / "landing"
    root.mkdir()
    (root / "good").write_bytes(b"good")
    (root / "link").symlink_to("good")
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("..", target_is_directory=True)
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
        (root / "shut").mkdir(mode=0o000)
        (root / "unreadable").write_bytes(b"secret")
        (root / "unreadable").chmod(0o000)
        document = lucid.json("archive", root, "/dev/null", "no-such-file", status=1, preexec_fn=ordinary_user())
    assert list(names(document["sessions"])) == ["good"]
    reasons = {entry["path"]: entry["reason"] for entry in document["failed"]}
    expected = {
        "link": "is a link",
        "loop": "is a link",
        "up": "is a link",
        "dangling": "is a link",
        "fifo": "is not a regular file",
        "socket": "is not a regular file",
        "shut": "Permission denied",
        "unreadable": "may not be read",
        "/dev/null": "is not a regular file",
        "no-such-file": "No such file",
    }
    assert set(reasons) == {path if path[0] in "/n" else str(root / path) for path in expected}
    for path, reason in expected.items():
        told = reasons.get(path) or reasons[str(root / path)]
        assert reason in told, (path, told)
        assert "\n" not in told


def test_a_person_is_told_which_failed_and_why(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"good")
    ended = lucid.run("archive", "good", "bad")
    assert ended.status == 1
    archived, _, failed = ended.text.partition("failed")
    assert "good" in archived
    assert "bad" in failed
    assert "No such file or directory" in failed


def test_a_file_that_is_named_twice_is_archived_once(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"once")
    document = lucid.json("archive", "file", "file", "folder/../file", "--move")
    assert len({entry["session_id"] for entry in document["sessions"]}) == 1
    assert document["failed"] == []
    assert not (tmp_path / "file").exists()


def test_the_home_itself_is_never_archived_or_moved(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "recording").write_bytes(CAST)
    (lucid.home / "landing" / "landed").write_bytes(b"landed")
    before = tree(lucid.home / "keys")
    document = lucid.json("archive", tmp_path, "--move")
    assert sorted(names(document["sessions"])) == ["landed", "recording"]
    assert tree(lucid.home / "keys") == before
    assert lucid.sealed.export(document["sessions"][0]["session_id"])
    for own in ("keys/identity.txt", *([] if IN_MONGODB else ["catalog.sqlite3"]), "archive"):
        refused = lucid.json("archive", "--move", lucid.home / own, status=1)
        assert refused["sessions"] == []
    assert tree(lucid.home / "keys") == before


def test_nothing_to_archive_is_wrong_usage(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "empty" / "deeper").mkdir(parents=True)
    assert "no file" in lucid.refused("archive", tmp_path / "empty")


@pytest.mark.parametrize(
    ("meta", "part"),
    [
        ("user", "KEY=VALUE"),
        ("=x", "KEY=VALUE"),
        ("user=a\nb", "printable"),
        ("user=\x1b[31m", "printable"),
        (b"user=\xff", "printable"),
        ("started_at=yesterday", "2026-01-31T12:00:00Z"),
        ("ended_at=2026-01-31T12:00:00", "2026-01-31T12:00:00Z"),
        ("ended_at=20260131T120000Z", "2026-01-31T12:00:00Z"),
    ],
)
def test_meta_that_cannot_be_is_refused(lucid: Lucid, tmp_path: Path, meta: str | bytes, part: str) -> None:
    (tmp_path / "file").write_bytes(b"data")
    assert part in lucid.refused("archive", "file", "--meta", meta)
    assert "twice" in lucid.refused("archive", "file", "--meta", "user=a", "--meta", "user=b")
    assert lucid.json("list") == []


def test_a_missing_key_is_told_before_anything_is_registered(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    for name in ("recipients.txt", "signing-key.txt", "trusted-keys.txt"):
        key = lucid.home / "keys" / name
        data = key.read_bytes()
        key.unlink()
        line = lucid.refused("archive", "file")
        assert str(key) in line
        assert "lucid init" in line
        key.write_bytes(data)
        key.chmod(0o600)
    assert lucid.json("list") == []
    assert tree(lucid.archive_folder) == {}


def test_a_host_without_an_identity_archives_what_it_cannot_read(lucid: Lucid, tmp_path: Path) -> None:
    identity = lucid.home / "keys" / "identity.txt"
    kept = identity.rename(tmp_path / "identity-elsewhere")
    (tmp_path / "file").write_bytes(CAST)
    (tmp_path / "moved").write_bytes(CAST)
    [entry] = lucid.archive("file")
    assert "identity.txt" in lucid.refused("export", entry["session_id"], "-o", "out")
    assert lucid.json("archive", "--move", "moved")["failed"] == []
    assert not (tmp_path / "moved").exists(), "the proofs need no identity"
    kept.rename(identity)
    assert lucid.sealed.export(entry["session_id"]) == CAST


def test_a_file_whose_session_has_been_damaged_since_is_not_called_archived(lucid: Lucid, tmp_path: Path) -> None:
    for name in ("damaged", "whole"):
        (tmp_path / name).write_bytes(name.encode())
    damaged, whole = lucid.archive("damaged", "whole")
    [chunk] = (lucid.archive_folder / "sessions" / damaged["session_id"] / "chunks").iterdir()
    data = chunk.read_bytes()
    flip(chunk)
    lucid.json("verify", "--all", status=1)
    document = lucid.json("archive", "damaged", "whole", status=1)
    assert [entry["session_id"] for entry in document["sessions"]] == [whole["session_id"]]
    [failed] = document["failed"]
    assert failed["path"] == "damaged"
    for part in (damaged["session_id"], "object_digest_mismatch", "lucid verify", "touched"):
        assert part in failed["reason"]
    assert "failed" in lucid.run("archive", "damaged").text

    # As the hint says: it is archived anew, or fine again once the archive has been mended and verified.
    (tmp_path / "damaged").touch()
    [anew] = lucid.archive("damaged")
    assert anew["session_id"] != damaged["session_id"]
    chunk.write_bytes(data)
    lucid.json("verify", "--all", "--deep")
    lucid.archive("damaged", "whole")


def test_move_looks_again_at_a_session_that_was_damaged(lucid: Lucid, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"data")
    [session] = lucid.archive("file")
    [chunk] = (lucid.archive_folder / "sessions" / session["session_id"] / "chunks").iterdir()
    flip(chunk)
    lucid.json("verify", "--all", status=1)
    flip(chunk)
    assert lucid.json("archive", "--move", "file")["failed"] == []
    assert not (tmp_path / "file").exists()


def test_what_lies_beside_recordings_in_a_folder_describes_them_and_is_not_archived(lucid: Lucid) -> None:
    folder = lucid.folder / "recordings"
    folder.mkdir()
    for name, data in {
        "a.cast": CAST,
        "a.cast.meta.json": b'{"user": "ann", "host": "db-1", "tags": {"case": "1"}}',
        "a.cast.done": b"",
        "b.cast": CAST,
        "b.cast.done": bytes(5000),
        "lone.done": b"",
        "lone.meta.json": b"{}",
    }.items():
        (folder / name).write_bytes(data)
    entries = {entry["name"]: entry for entry in lucid.archive(folder, meta={"user": "zoë"})}
    assert entries.keys() == {"a.cast", "b.cast", "b.cast.done", "lone.done", "lone.meta.json"}
    said = entries["a.cast"]
    assert (said["user"], said["host"], said["tags"]) == ("zoë", "db-1", {"case": "1"})
    assert entries["b.cast"]["host"] is None
    [named] = lucid.archive(folder / "a.cast.meta.json")
    assert named["name"] == "a.cast.meta.json"


def test_a_bad_sidecar_fails_its_recording_alone_and_is_told(lucid: Lucid) -> None:
    folder = lucid.folder / "recordings"
    folder.mkdir()
    for name in ("bad.cast", "good.cast"):
        (folder / name).write_bytes(CAST)
    (folder / "bad.cast.meta.json").write_text('{"password": "correct horse"}')
    document = lucid.json("archive", folder, status=1)
    [failed] = document["failed"]
    assert "bad.cast.meta.json cannot be used: a sidecar has no field 'password'" in failed["reason"]
    assert "correct horse" not in json.dumps(document)
    assert [entry["name"] for entry in document["sessions"]] == ["good.cast"]
    (folder / "bad.cast.meta.json").write_text('{"user": "ann"}')
    assert {entry["user"] for entry in lucid.archive(folder)} == {"ann", None}


def test_a_duplicate_that_landed_is_listed_and_shown_as_one_and_archived_no_more(lucid: Lucid) -> None:
    landing = lucid.home / "landing"
    first, again = landing / "a.cast", landing / "b.cast"
    for path in (first, again):
        path.write_bytes(CAST)
    with home_in(lucid.home).catalog() as catalog:
        for path in (first, again):
            source = Source(path, fingerprint(path, path.stat()), release=True, landed=True)
            catalog.register(new_session_id(), source, path.name, SessionMetadata())
    [sealed] = lucid.archive(first)
    [duplicate] = lucid.archive(again)
    assert (duplicate["state"], duplicate["duplicate_of"]) == ("duplicate", sealed["session_id"])
    assert "before, as another session" in lucid.ok("archive", again).text
    assert [entry["name"] for entry in lucid.json("list", "--state", "duplicate")] == ["b.cast"]
    assert sealed["session_id"] in lucid.ok("show", duplicate["session_id"]).text
    assert lucid.json("archive", "--move", again)["failed"] == []
    assert not again.exists()
