"""`lucid rebuild-catalog`: the database is a cache, and the archive alone makes it again."""

import os
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from lucid_pipeline.archive.manifest import parse_time
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id, parse_session_id
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.intake.registration import fingerprint
from lucid_pipeline.stores.catalog import (
    Failure,
    Order,
    Seal,
    SessionFilter,
    SessionRecord,
    Source,
    Stage,
    State,
)
from lucid_pipeline.stores.restoring import SEALED_AWAY
from tests.bench import archives
from tests.cli.conftest import CAST, RECORDINGS, Archived
from tests.cli.support import Lucid, flip, seal_again
from tests.end_to_end.support import kill_at
from tests.lineage.support import home_in
from tests.lineage.test_user_interface import processes_of
from tests.processes import eventually
from tests.servers.archives import files_only
from tests.servers.catalogs import about_the_file, lose_catalog
from tests.support import Home, archive_by_hand, noise

NEVER_TOLD = ["source", "verified_at"]
NOT_UNSEALED = [*SEALED_AWAY, *NEVER_TOLD]
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + noise(300_000, seed=5)
WEBM = Path("lucid_pipeline/cli/demo/desktop.webm")


def records(lucid: Lucid) -> dict[UUID, SessionRecord]:
    """All that the catalog knows."""
    with lucid.opened.catalog() as catalog:
        return {record.session_id: record for record in catalog.find(SessionFilter())}


def not_known(document: Mapping[str, list[Mapping[str, list[str]]]]) -> dict[str, list[str]]:
    """The fields that are not known, by session."""
    return {session: group["fields"] for group in document["not_known"] for session in group["sessions"]}


@dataclass(frozen=True)
class Kinds:
    """A home with a session of every kind, by what it is."""

    lucid: Lucid
    of: dict[str, UUID]

    def folder(self, kind: str) -> Path:
        return self.lucid.archive_folder / "sessions" / str(self.of[kind])


@pytest.fixture
def kinds(copied: Archived) -> Kinds:
    lucid = copied.lucid
    of = {name: parse_session_id(session_id) for name, session_id in copied.ids.items()}
    new = lucid.folder / "new"
    new.mkdir()
    for name, data in {
        "video.mp4": MP4,
        "again.bin": b"sealed twice",
        "verified.bin": b"verified",
        "chunk.bin": b"a chunk of it is damaged",
        "sealed.bin": b"its sealed metadata are damaged",
        "shredded.bin": b"nobody can read it",
        "stranger.bin": b"its newest manifest is by an unknown key",
        "forged.bin": b"its manifest is not what was signed",
    }.items():
        (new / name).write_bytes(data)
    (new / os.fsdecode(b"loose-\xff.bin")).write_bytes(b"its name is no text")
    (new / "desktop.webm").write_bytes(WEBM.read_bytes())
    documents = lucid.archive(new, meta={"user": "zo\u00eb", "case": "47 11", "empty": ""})
    of |= {document["name"]: parse_session_id(document["session_id"]) for document in documents}
    found = Kinds(lucid, of)
    with lucid.opened.catalog() as catalog:
        catalog.record_seal(of["again.bin"], Seal.of(seal_again(lucid, of["again.bin"])))
        found.of["waiting"], found.of["duplicate"] = new_session_id(), new_session_id()
        for kind in ("waiting", "duplicate"):
            source = Source(Path("/landing") / kind, kind, landed=True)
            catalog.register(found.of[kind], source, kind, SessionMetadata())
        catalog.describe(of["duplicate"], 5)
        content = catalog.get(of["verified.bin"]).content_id
        assert content
        duplicated = catalog.get(of["verified.bin"]).metadata
        catalog.complete(of["duplicate"], duplicated)
        assert catalog.record_content(of["duplicate"], content) == of["verified.bin"]
    flip(next(found.folder("chunk.bin").glob("chunks/*")))
    flip(next(found.folder("sealed.bin").glob("sealed.*")))
    for kind, codes in (("verified.bin", 0), ("chunk.bin", 1), ("sealed.bin", 1)):
        lucid.json("verify", "--deep", str(of[kind]), status=codes)
    shutil.rmtree(lucid.home / "keystore" / "keyslots" / str(of["shredded.bin"]))
    seal_again(lucid, of["stranger.bin"], SigningKey.generate())
    flip(next(found.folder("forged.bin").glob("manifest.*")), offset=100)
    return found


def test_a_rebuilt_catalog_equals_the_lost_one_in_all_that_the_archive_can_know(kinds: Kinds) -> None:
    before = records(kinds.lucid)
    lose_catalog(kinds.lucid.home)
    document = kinds.lucid.json("rebuild-catalog", status=1)
    after = records(kinds.lucid)
    lost = {"waiting", "duplicate", "stranger.bin", "forged.bin"}
    assert set(before) - set(after) == {kinds.of[kind] for kind in lost}
    assert not set(after) - set(before)
    for session_id, record in after.items():
        known = before[session_id]
        assert abs(parse_time(record.registered_at) - parse_time(known.registered_at)) < timedelta(seconds=5)
        expected = replace(known, registered_at=record.registered_at, source=None, verified_at=None)
        if session_id == kinds.of["chunk.bin"]:
            assert known.damages
            expected = replace(expected, damages=())  # what a verification found, another one will find
        if session_id in (kinds.of["shredded.bin"], kinds.of["sealed.bin"]):
            blank = SessionRecord(session_id, State.SEALED, record.registered_at)
            names = ("metadata", "name", "length", "duration_ms", "content_id")
            expected = replace(expected, **{name: getattr(blank, name) for name in names})
        for field in fields(SessionRecord):
            assert getattr(record, field.name) == getattr(expected, field.name), (known.name, field.name)
    assert after[kinds.of["again.bin"]].seal == before[kinds.of["again.bin"]].seal
    assert after[kinds.of["sealed.bin"]].damages == ("sealed_mismatch",)
    codes = {session_id: reason.split()[0] for session_id, reason in document["damaged"].items()}
    assert codes.pop(str(kinds.of["forged.bin"])) in ("signature_invalid", "manifest_malformed")
    assert codes == {
        str(kinds.of["sealed.bin"]): "sealed_mismatch",
        str(kinds.of["stranger.bin"]): "unknown_signer",
    }


def test_it_lists_what_the_archive_does_not_tell_by_session_and_field(kinds: Kinds) -> None:
    lose_catalog(kinds.lucid.home)
    document = kinds.lucid.json("rebuild-catalog", status=1)
    found = not_known(document)
    assert set(found) == {str(session_id) for session_id in records(kinds.lucid)}
    unsealed = {str(kinds.of[kind]) for kind in ("shredded.bin", "sealed.bin")}
    assert {session_id for session_id, names in found.items() if names == NOT_UNSEALED} == unsealed
    assert all(names == NEVER_TOLD for session_id, names in found.items() if session_id not in unsealed)
    again = kinds.lucid.json("rebuild-catalog", status=1)
    assert (again["restored"], not_known(again)) == (0, found)
    shown = kinds.lucid.run("rebuild-catalog").text
    for said in ("not known", " source, verified_at ", "duration_ms", "and 7 more", *unsealed):
        assert said in shown


def test_what_a_catalog_that_is_there_knows_is_not_lost(kinds: Kinds) -> None:
    before = records(kinds.lucid)
    with kinds.lucid.opened.catalog() as catalog:
        failure = Failure("chunks", "the recording has gone", permanent=True)
        catalog.record_failure(kinds.of["waiting"], failure)
        catalog.hand_over(kinds.of["waiting"], Stage.RECORDING, b"a document", State.RECORDED)
        catalog.record_failure(kinds.of["waiting"], failure)
    before = records(kinds.lucid)
    for _ in range(2):
        document = kinds.lucid.json("rebuild-catalog", status=1)
        assert document["restored"] == 0
        assert records(kinds.lucid) == before
    with kinds.lucid.opened.catalog() as catalog:
        assert catalog.handed_over(kinds.of["waiting"], Stage.RECORDING) == b"a document"


def test_a_lost_catalog_is_made_again_with_the_same_sessions(copied: Archived) -> None:
    before = copied.lucid.json("list")
    lose_catalog(copied.lucid.home)
    assert "lucid rebuild-catalog" in copied.lucid.refused("list")
    document = copied.lucid.json("rebuild-catalog")
    assert document == {
        "restored": len(RECORDINGS),
        "unchanged": 0,
        "never_sealed": 0,
        "damaged": {},
        "unread": {},
        "not_known": [{"fields": NEVER_TOLD, "sessions": sorted(copied.ids.values())}],
    }
    after = copied.lucid.json("list")
    told = [
        {**old, "registered_at": new["registered_at"], "verified_at": None}
        for old, new in zip(before, after, strict=True)
    ]
    assert after == told
    assert len(copied.lucid.json("list", "--user", "alice", "--tag", "ticket=OPS=7")) == len(RECORDINGS) - 1


def test_doing_it_again_or_beside_a_good_catalog_changes_nothing(copied: Archived) -> None:
    before = copied.lucid.json("list")
    for _ in range(2):
        assert f"0 restored, {len(RECORDINGS)} known already" in copied.lucid.ok("rebuild-catalog").text
        assert copied.lucid.json("list") == before
    (copied.lucid.home / "keys" / "identity.txt").unlink()
    copied.lucid.ok("rebuild-catalog")
    assert copied.lucid.json("list") == before, "what cannot be unsealed is not forgotten"


def test_without_the_identity_what_is_sealed_away_stays_unknown_until_it_is_there(copied: Archived) -> None:
    lucid = copied.lucid
    before = lucid.json("list")
    lose_catalog(lucid.home)
    identity = lucid.home / "keys" / "identity.txt"
    identity.rename(lucid.folder / "identity.txt")
    for counted in ("restored", "unchanged"):
        document = lucid.json("rebuild-catalog")
        assert document[counted] == len(RECORDINGS)
        assert set(map(tuple, not_known(document).values())) == {tuple(NOT_UNSEALED)}
    after = lucid.json("list")
    assert [entry["seal"] for entry in after] == [entry["seal"] for entry in before]
    assert not [entry[name] for entry in after for name in SEALED_AWAY if entry.get(name)]
    (lucid.folder / "identity.txt").rename(identity)
    assert lucid.json("rebuild-catalog")["restored"] == len(RECORDINGS)
    found = {entry["session_id"]: entry for entry in lucid.json("list")}
    assert all(found[entry["session_id"]][name] == entry[name] for entry in before for name in ("name", "user", "tags"))


def test_what_is_known_is_not_read_again(copied: Archived) -> None:
    """Damage to it is for a verification to find."""
    lucid, session_id = copied.lucid, copied.ids["b-empty"]
    before = lucid.json("list")
    flip(next((lucid.archive_folder / "sessions" / session_id).glob("sealed.*")))
    assert lucid.json("rebuild-catalog")["unchanged"] == len(RECORDINGS)
    assert lucid.json("list") == before


def test_a_session_that_the_archive_has_lost_is_told(copied: Archived) -> None:
    lucid, session_id = copied.lucid, copied.ids["a-cast.cast"]
    before = lucid.json("list")
    shutil.rmtree(lucid.archive_folder / "sessions" / session_id)
    document = lucid.json("rebuild-catalog", status=1)
    assert document["unchanged"] == len(RECORDINGS) - 1
    assert list(document["damaged"]) == [session_id]
    assert "missing_object" in document["damaged"][session_id]
    assert lucid.json("list") == before


@files_only
def test_without_the_keystore_it_goes_on_with_one_warning(copied: Archived) -> None:
    lucid = copied.lucid
    lose_catalog(lucid.home)
    shutil.rmtree(lucid.home / "keystore")
    ended = lucid.run("rebuild-catalog", "--json")
    assert ended.status == 0
    assert ended.document["restored"] == len(RECORDINGS)
    assert str(lucid.home / "keystore") in ended.error
    assert ended.error.startswith("warning: ")
    assert len(lucid.json("list")) == len(RECORDINGS)


def test_a_session_without_a_key_slot_is_no_damaged_one(copied: Archived) -> None:
    lucid, session_id = copied.lucid, copied.ids["b-empty"]
    lose_catalog(lucid.home)
    shutil.rmtree(lucid.home / "keystore" / "keyslots" / session_id)
    document = lucid.json("rebuild-catalog")
    assert not_known(document)[session_id] == NOT_UNSEALED
    assert lucid.json("show", session_id)["damages"] == []
    assert sum(entry["name"] is None for entry in lucid.json("list")) == 1


def test_damage_is_told_and_the_rest_is_restored(copied: Archived) -> None:
    lucid, ids = copied.lucid, copied.ids
    lose_catalog(lucid.home)
    sessions = lucid.archive_folder / "sessions"
    flip(next((sessions / ids["a-cast.cast"]).glob("manifest.*")), offset=100)
    flip(next((sessions / ids["b-empty"]).glob("sealed.*")))
    (sessions / str(new_session_id()) / "chunks").mkdir(parents=True)
    (sessions / "not a session").mkdir()
    document = lucid.json("rebuild-catalog", status=1)
    assert (document["restored"], document["never_sealed"]) == (3, 1)
    assert sorted(document["damaged"]) == sorted([ids["a-cast.cast"], ids["b-empty"]])
    assert "2 damaged" in lucid.run("rebuild-catalog").text
    states = {entry["session_id"]: entry["damages"] for entry in lucid.json("list")}
    assert states == {ids["b-empty"]: ["sealed_mismatch"], ids["c-noise.bin"]: [], ids["d-text.log"]: []}


@about_the_file
def test_a_file_that_is_no_catalog_is_told_with_a_way_out(copied: Archived) -> None:
    lose_catalog(copied.lucid.home)
    (copied.lucid.home / "catalog.sqlite3").write_bytes(b"something else entirely" * 100)
    for command in (["list"], ["rebuild-catalog"]):
        assert "rebuild-catalog" in copied.lucid.refused(*command)


def test_a_recording_that_lands_again_is_known_by_its_content(lucid: Lucid) -> None:
    path = lucid.folder / "a.cast"
    path.write_bytes(CAST)
    [sealed] = lucid.archive(path)
    lose_catalog(lucid.home)
    lucid.ok("rebuild-catalog")
    again = lucid.home / "landing" / "a.cast"
    path.rename(again)
    with home_in(lucid.home).catalog() as catalog:
        source = Source(again, fingerprint(again, again.stat()), landed=True)
        catalog.register(new_session_id(), source, again.name, SessionMetadata())
    [duplicate] = lucid.archive(again)
    assert duplicate["duplicate_of"] == sealed["session_id"]


# Many sessions, which take several processes some time.

MANY = 2000


@pytest.fixture(scope="session")
def many(made_home: Lucid, tmp_path_factory: pytest.TempPathFactory) -> Lucid:
    """A home with many sessions in its archive, and nothing in its catalog; only that is to be changed."""
    folder = tmp_path_factory.mktemp("many")
    lucid = made_home.copy(folder / "lucid").inside(folder)
    archives.fill(lucid.opened.settings, MANY)
    return lucid


def counted(catalog: Path) -> int:
    if not catalog.exists():
        return 0
    with closing(sqlite3.connect(f"{catalog.as_uri()}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return int(connection.execute("SELECT COUNT(*) FROM sessions").fetchone()[0])
        except sqlite3.OperationalError:  # it is just being made
            return 0


@pytest.mark.parametrize("reached", [0, 1, MANY // 2])
def test_killed_at_any_point_it_goes_on_and_ends_as_if_nothing_had_been(
    many: Lucid, tmp_path: Path, reached: int
) -> None:
    catalog = tmp_path / "catalog.sqlite3"
    lucid = many.having(catalog_url=f"sqlite:///{catalog}", workers="2")
    landmark = (lambda: counted(catalog) >= reached) if reached else (lambda: len(processes_of(many.home)) > 1)
    assert kill_at(lucid, landmark, "rebuild-catalog") == -9
    eventually(lambda: not processes_of(many.home), 20)
    done = counted(catalog)
    assert reached <= done < MANY
    document = lucid.json("rebuild-catalog")
    assert (document["restored"], document["unchanged"]) == (MANY - done, done)
    with lucid.opened.catalog() as made:
        assert made.statistics(parse_time("2020-01-01T00:00:00Z").date()).sealed.sessions == MANY
        found = made.page(SessionFilter(text="payments"), Order(), None, 100)
    assert found.sessions


def test_two_at_once_make_one_catalog(many: Lucid, tmp_path: Path) -> None:
    lucid = many.having(catalog_url=f"sqlite:///{tmp_path / 'catalog.sqlite3'}", workers="1")
    with lucid.start("rebuild-catalog", "--json") as one, lucid.start("rebuild-catalog", "--json") as other:
        for process in (one, other):
            assert process.communicate(timeout=100)[1] == b""
            assert process.returncode == 0
    assert counted(tmp_path / "catalog.sqlite3") == MANY


def test_control_c_ends_it_in_one_line(many: Lucid, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.sqlite3"
    lucid = many.having(catalog_url=f"sqlite:///{catalog}", workers="2")
    with lucid.start("rebuild-catalog", start_new_session=True) as process:
        eventually(lambda: counted(catalog) or process.poll() is not None)
        os.killpg(process.pid, 2)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"interrupted; the same command goes on where this one stopped\n"
    eventually(lambda: not processes_of(many.home), 20)


def test_a_process_that_dies_is_told_in_one_line(many: Lucid, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.sqlite3"
    lucid = many.having(catalog_url=f"sqlite:///{catalog}", workers="2")
    with lucid.start("rebuild-catalog") as process:
        eventually(lambda: counted(catalog) or process.poll() is not None)
        readers = [pid for pid in processes_of(many.home) if pid != process.pid]
        os.kill(readers[0], 9)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.decode().startswith("error: a process that read the archive has died")
    assert err.count(b"\n") == 1


def test_a_session_that_the_catalog_cannot_hold_keeps_no_other_from_it(copied: Archived) -> None:
    lucid = copied.lucid
    lose_catalog(lucid.home)
    hand = Home(lucid.home, lucid.opened.keys().identities[0], lucid.opened.signing_key())
    session_id = archive_by_hand(hand, [b"endless"], padded=[False], duration_ms=2**63).manifest.session_id
    document = lucid.json("rebuild-catalog", status=1)
    assert document["restored"] == len(RECORDINGS)
    assert list(document["unread"]) == [str(session_id)]
    assert "64 bits" in document["unread"][str(session_id)]
    assert sorted(entry["session_id"] for entry in lucid.json("list")) == sorted(copied.ids.values())
