"""`lucid copy-archive`: an archive in another store, verified there, whatever came between."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id, parse_session_id
from lucid_pipeline.stores.object_store import open_object_store
from tests.bench import archives
from tests.cli.conftest import RECORDINGS, Archived
from tests.cli.support import Lucid, flip, seal_again, tree
from tests.end_to_end.small_disk import small_disk
from tests.end_to_end.support import MIB, kill_at
from tests.processes import eventually, ordinary_user
from tests.servers.catalogs import lose_catalog
from tests.servers.s3 import credentials, running_moto
from tests.support import noise


@dataclass(frozen=True)
class Copying:
    """An archive in the folder of a home, and the folder that it is copied to."""

    lucid: Lucid
    destination: Path

    @classmethod
    def into(cls, lucid: Lucid, destination: Path) -> "Copying":
        destination.mkdir()
        return cls(lucid, destination)

    @property
    def command(self) -> tuple[str, ...]:
        return ("copy-archive", self.lucid.archive_folder.as_uri(), self.destination.as_uri())

    def copy(self, *, status: int = 0, **options: Any) -> Any:
        """The document of the command."""
        return self.lucid.json(*self.command, status=status, **options)

    @property
    def there(self) -> Lucid:
        """The same home with the copy as its archive."""
        return self.lucid.having(archive_url=self.destination.as_uri())

    def folder(self, session_id: str | UUID) -> Path:
        return self.destination / "sessions" / str(session_id)

    def manifests(self) -> list[UUID]:
        """The sessions that are sealed at the destination."""
        return [parse_session_id(path.parent.name) for path in self.destination.glob("sessions/*/manifest.*")]

    def assert_what_is_sealed_there_is_whole(self) -> None:
        for session_id in self.manifests():
            assert self.there.sealed.verify(session_id).intact

    def assert_is_the_same(self) -> None:
        assert objects(self.destination) == objects(self.lucid.archive_folder)


def objects(archive: Path) -> dict[str, bytes]:
    """All objects; what a killed process left half written is hidden, and none."""
    return {key: data for key, data in tree(archive).items() if not Path(key).name.startswith(".")}


def damages(document: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Where damage was found and which, by session."""
    return {
        session["session_id"]: [(damage["at"], damage["code"]) for damage in session["damages"]]
        for session in document["damaged"]
    }


@pytest.fixture
def copying(copied: Archived, tmp_path: Path) -> Copying:
    """A home with a session of each of `RECORDINGS`, and an empty folder."""
    return Copying.into(copied.lucid, tmp_path / "destination")


# What it does where nothing comes between.


def test_all_commands_go_on_with_the_copy_as_their_archive(copying: Copying, copied: Archived) -> None:
    before, kept = copied.lucid.json("list"), objects(copied.lucid.archive_folder)
    assert copying.copy() == {
        "copied": len(RECORDINGS),
        "already_there": 0,
        "never_sealed": 0,
        "objects_copied": len(kept),
        "bytes_copied": sum(map(len, kept.values())),
        "damaged": [],
        "unread": {},
    }
    copying.assert_is_the_same()
    copied.lucid.archive_folder.rename(copied.lucid.folder / "away")
    there = copying.there
    assert there.json("list") == before
    there.ok("verify", "--all", "--deep")
    for name, session_id in copied.ids.items():
        there.ok("export", session_id, "-o", there.folder / f"{name}.out")
        assert (there.folder / f"{name}.out").read_bytes() == RECORDINGS[name]
    (there.folder / "new.bin").write_bytes(b"sealed after the move")
    [new] = there.archive(there.folder / "new.bin")
    there.ok("verify", "--deep", new["session_id"])
    assert there.json("rebuild-catalog")["unchanged"] == len(RECORDINGS) + 1


def test_run_again_it_copies_what_was_sealed_since(copying: Copying, copied: Archived) -> None:
    copying.copy()
    before = {path: path.stat() for path in copying.destination.rglob("*") if path.is_file()}
    (copied.lucid.folder / "new.bin").write_bytes(b"sealed while it ran, or after")
    copied.lucid.archive(copied.lucid.folder / "new.bin")
    seal_again(copied.lucid, parse_session_id(copied.ids["c-noise.bin"]))
    document = copying.copy()
    assert (document["copied"], document["already_there"]) == (2, len(RECORDINGS) - 1)
    assert document["objects_copied"] == 4 + 1, "a session of one chunk, and a manifest"
    copying.assert_is_the_same()
    for path, status in before.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == (status.st_ino, status.st_mtime_ns)
    again = copied.lucid.ok(*copying.command).text
    assert f"0 copied, {len(RECORDINGS) + 1} there already; 0 objects" in again
    assert "Key slots are not in an archive" in again


def test_what_no_manifest_leads_to_stays_behind(copying: Copying, copied: Archived) -> None:
    kept = tree(copied.lucid.archive_folder)
    sessions = copied.lucid.archive_folder / "sessions"
    never_sealed = sessions / str(new_session_id()) / "chunks"
    never_sealed.mkdir(parents=True)
    (sessions / "no session").mkdir()
    for path in (
        never_sealed / f"00000000.{'0' * 32}",
        sessions / "no session" / "manifest.0001.dsse.json",
        sessions / copied.ids["b-empty"] / "chunks" / f"00000000.{'0' * 32}",
        sessions / copied.ids["b-empty"] / f"sealed.{'0' * 32}.luc",
        sessions / copied.ids["b-empty"] / f".{'0' * 16}.partial",
        sessions / "notes.txt",
    ):
        path.write_bytes(b"of an attempt that came to nothing")
    assert copying.copy()["never_sealed"] == 1
    assert tree(copying.destination) == kept


def test_places_that_cannot_be_are_refused_before_anything_is_copied(copying: Copying, tmp_path: Path) -> None:
    lucid, archive, destination = copying.lucid, copying.lucid.archive_folder, copying.destination
    (tmp_path / "link").symlink_to(archive)
    (archive / "inside").mkdir()
    for source, other in (
        (archive.as_uri(), (tmp_path / "link").as_uri()),
        ((archive / "inside").as_uri(), archive.as_uri()),
        ("s3://bucket/archive", "s3://bucket/archive/"),
    ):
        assert "same place" in lucid.refused("copy-archive", source, other)
    nowhere = (tmp_path / "none").as_uri()
    for source, other in ((archive.as_uri(), nowhere), (nowhere, destination.as_uri())):
        assert "cannot use the folder" in lucid.refused("copy-archive", source, other)
    assert tree(destination) == {}


# Damage.


def test_damage_at_the_source_is_listed_and_the_rest_is_copied(copying: Copying, copied: Archived) -> None:
    ids, archive, lucid = copied.ids, copied.lucid.archive_folder, copied.lucid
    whole = tree(archive)
    sessions = archive / "sessions"
    flip(next((sessions / ids["a-cast.cast"]).glob("manifest.*")), offset=100)
    next((sessions / ids["b-empty"]).glob("sealed.*")).unlink()
    first, _, last = sorted((sessions / ids["c-noise.bin"] / "chunks").iterdir())
    flip(first)
    last.unlink()
    document = copying.copy(status=1)
    [(_, [(side, code)])] = [item for item in damages(document).items() if item[0] == ids["a-cast.cast"]]
    assert (side, code in ("signature_invalid", "manifest_malformed")) == ("source", True)
    assert damages(document) == {
        ids["a-cast.cast"]: [(side, code)],
        ids["b-empty"]: [("source", "missing_object")],
        ids["c-noise.bin"]: [("source", "object_digest_mismatch"), ("source", "missing_object")],
    }
    assert (document["copied"], list(map(str, copying.manifests()))) == (1, [ids["d-text.log"]])
    copying.there.ok("verify", "--deep", ids["d-text.log"])
    shown = lucid.run(*copying.command)
    assert shown.status == 1
    assert "3 damaged" in shown.text
    listed = ("missing_object", "object_digest_mismatch", ids["a-cast.cast"], ids["b-empty"], ids["c-noise.bin"])
    assert all(said in shown.text for said in listed)
    for key, data in whole.items():
        (archive / key).write_bytes(data)
    assert copying.copy()["copied"] == 3
    copying.assert_is_the_same()


def test_a_signer_whom_nobody_trusts_is_damage_of_that_manifest_alone(copying: Copying, copied: Archived) -> None:
    session_id = copied.ids["c-noise.bin"]
    stranger = Lucid(copied.lucid.folder / "stranger", folder=copied.lucid.folder)
    stranger.ok("init")
    seal_again(copied.lucid, parse_session_id(session_id), stranger.opened.signing_key())
    document = copying.copy(status=1)
    assert damages(document) == {session_id: [("source", "unknown_signer")]}
    assert len(copying.manifests()) == len(RECORDINGS)
    assert "missing_object" not in copying.there.ok("verify", session_id).text


def test_what_cannot_be_read_at_the_source_is_listed_and_the_rest_is_copied(copying: Copying, copied: Archived) -> None:
    session_id = copied.ids["c-noise.bin"]
    chunk = next((copied.lucid.archive_folder / "sessions" / session_id / "chunks").iterdir())
    chunk.chmod(0)
    document = copying.copy(status=1, preexec_fn=ordinary_user())
    assert list(document["unread"]) == [session_id]
    assert "Permission denied" in document["unread"][session_id]
    assert (document["copied"], document["damaged"]) == (len(RECORDINGS) - 1, [])
    assert not list(copying.folder(session_id).glob("manifest.*"))
    chunk.chmod(0o600)
    assert copying.copy()["copied"] == 1
    copying.assert_is_the_same()


@pytest.mark.parametrize("name", ["chunks/00000001.*", "sealed.*", "chunk-table.*", "manifest.*"])
def test_another_object_that_is_at_the_destination_is_told_and_left_there(
    copying: Copying, copied: Archived, name: str
) -> None:
    session_id = copied.ids["c-noise.bin"]
    copying.copy()
    [damaged] = copying.folder(session_id).glob(name)
    manifest = next(copying.folder(session_id).glob("manifest.*"))
    if damaged != manifest:
        manifest.unlink()
    flip(damaged)
    before = tree(copying.destination)
    for _ in range(2):
        document = copying.copy(status=1)
        assert damages(document) == {session_id: [("destination", "object_digest_mismatch")]}
        assert (document["copied"], document["already_there"]) == (0, len(RECORDINGS) - 1)
        assert tree(copying.destination) == before, "neither replaced, nor taken for whole"
    damaged.unlink()
    assert copying.copy()["copied"] == 1
    copying.assert_is_the_same()


# What comes between.

SESSIONS = 200
CHUNKS = 66
"""Of one more session, so many that several threads copy it."""


@pytest.fixture(scope="session")
def hundreds(made_home: Lucid, tmp_path_factory: pytest.TempPathFactory) -> Lucid:
    """A home with many small sessions and a large one, which is the last; not to be changed."""
    folder = tmp_path_factory.mktemp("hundreds")
    lucid = made_home.copy(folder / "lucid").inside(folder).having(workers="2")
    archives.fill(lucid.opened.settings, SESSIONS)
    large = folder / "large.bin"
    large.write_bytes(noise(CHUNKS * MIB))
    home = lucid.opened
    archive_recording(
        large,
        SessionMetadata(),
        new_session_id(),
        home.encryption(),
        home.signing_key(),
        home.archive(),
        home.keystore(),
        chunk_size=MIB,
    )
    large.unlink()
    return lucid


@pytest.fixture
def many(hundreds: Lucid, tmp_path: Path) -> Copying:
    return Copying.into(hundreds, tmp_path / "destination")


def count(copying: Copying, pattern: str) -> int:
    return sum(1 for _ in copying.destination.glob(pattern))


LANDMARKS: dict[str, Callable[[Copying], bool]] = {
    "its first object": lambda copying: count(copying, "sessions/*/*") > 0,
    "half of the sessions": lambda copying: count(copying, "sessions/*/manifest.*") >= SESSIONS // 2,
    "some chunks of the large one": lambda copying: count(copying, "sessions/*/chunks/0000000[5-9].*") > 2,
}


@pytest.mark.parametrize("landmark", LANDMARKS)
def test_killed_at_any_point_what_is_sealed_there_is_whole_and_it_goes_on(many: Copying, landmark: str) -> None:
    assert kill_at(many.lucid, lambda: LANDMARKS[landmark](many), *many.command) == -9
    many.assert_what_is_sealed_there_is_whole()
    done, there = len(many.manifests()), len(objects(many.destination))
    assert done < SESSIONS + 1
    document = many.copy()
    assert (document["already_there"], document["copied"]) == (done, SESSIONS + 1 - done)
    assert document["objects_copied"] == len(objects(many.lucid.archive_folder)) - there
    many.assert_is_the_same()


def test_at_every_moment_what_is_sealed_there_is_whole(many: Copying) -> None:
    with many.lucid.start(*many.command, stdout=None, stderr=None) as process:
        looks = 0
        while process.poll() is None:
            for session_id in many.manifests()[-3:]:
                assert many.there.sealed.verify(session_id).intact
                looks += 1
    assert (process.returncode, looks > 3) == (0, True)
    many.assert_is_the_same()


def test_two_at_once_make_one_copy(many: Copying) -> None:
    command = (*many.command, "--json")
    with many.lucid.start(*command) as one, many.lucid.start(*command) as other:
        ended = [process.communicate(timeout=100) for process in (one, other)]
    assert [(process.returncode, err) for process, (_, err) in zip((one, other), ended, strict=True)] == [(0, b"")] * 2
    many.assert_is_the_same()
    assert not list(many.destination.rglob(".*"))


def test_control_c_ends_it_in_one_line(many: Copying) -> None:
    with many.lucid.start(*many.command) as process:
        eventually(lambda: len(many.manifests()) > 2 or process.poll() is not None)
        process.send_signal(2)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"interrupted; the same command goes on where this one stopped\n")
    many.assert_what_is_sealed_there_is_whole()
    assert not list(many.destination.rglob(".*"))


@pytest.mark.parametrize("free", [0, 4096, 600 * 1024, 2 * MIB], ids=["nothing", "a page", "some", "most"])
def test_a_full_disk_is_told_and_with_room_again_it_goes_on(copied: Archived, tmp_path: Path, free: int) -> None:
    with small_disk(tmp_path / "destination", 8 * MIB) as disk:
        copying = Copying(copied.lucid, disk.folder)
        disk.leave(free)
        line = copied.lucid.refused(*copying.command, status=1)
        assert f"the disk of {disk.folder} is full" in line
        copying.assert_what_is_sealed_there_is_whole()
        assert not list(disk.folder.rglob(".*")), "what was half written does not stay"
        disk.make_room()
        copying.copy()
        copying.assert_is_the_same()


# Between a folder and a bucket.


@dataclass(frozen=True)
class Bucket:
    """A bucket, and the variables by which a client reaches it."""

    url: str
    credentials: Mapping[str, str]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with running_moto() as server:
        server.make_bucket("moved")
        for name, value in credentials(server.url).items():
            monkeypatch.setenv(name, value)
        yield Bucket("s3://moved", credentials(server.url))


def test_a_bucket_that_is_not_there_is_told_before_anything_is_read(copying: Copying, bucket: Bucket) -> None:
    lucid = Lucid(copying.lucid.home, {**copying.lucid.settings, **bucket.credentials}, copying.lucid.folder)
    error = lucid.refused("copy-archive", lucid.archive_folder.as_uri(), f"{bucket.url}-elsewhere", status=1)
    assert "NoSuchBucket" in error


def test_into_a_bucket_and_out_again_it_stays_the_same(copying: Copying, copied: Archived, bucket: Bucket) -> None:
    """And a catalog that is lost meanwhile is made again from there, by a keystore in a bucket."""
    lucid = Lucid(copied.lucid.home, {**copied.lucid.settings, **bucket.credentials}, copied.lucid.folder)
    archive = f"{bucket.url}/an archive"
    for counted in ("copied", "already_there"):
        assert lucid.json("copy-archive", lucid.archive_folder.as_uri(), archive)[counted] == len(RECORDINGS)
    keystore = open_object_store(f"{bucket.url}/keystore")
    for key, slot in tree(lucid.home / "keystore").items():
        keystore.put(key, slot)
    there, before = lucid.having(archive_url=archive, keystore_url=f"{bucket.url}/keystore"), lucid.json("list")
    for name in ("archive", "keystore"):
        (lucid.home / name).rename(lucid.folder / f"away-{name}")
    lose_catalog(lucid.home)
    assert there.json("rebuild-catalog")["restored"] == len(RECORDINGS)
    after = there.json("list")
    assert [entry["seal"] for entry in after] == [entry["seal"] for entry in before]
    assert [entry["name"] for entry in after] == [entry["name"] for entry in before]
    there.ok("verify", "--all", "--deep")
    there.ok("copy-archive", archive, copying.destination.as_uri())
    assert objects(copying.destination) == objects(lucid.folder / "away-archive")
