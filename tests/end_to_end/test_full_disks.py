"""A full disk: one clear error, nothing lost, the rest goes on; and with room again, the same command ends well."""

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.support import Lucid, entries, names, tree
from tests.end_to_end.small_disk import SmallDisk, small_disk
from tests.end_to_end.support import MIB, assert_each_is_archived_once, assert_nothing_is_torn
from tests.servers.archives import files_only
from tests.servers.catalogs import about_the_file
from tests.support import noise

KIB = 1024
SMALL = {f"{name}.bin": noise(100 * KIB, seed=number) for number, name in enumerate("abc")}
LATE = {"late.bin": noise(5 * KIB, seed=9)}


def land(lucid: Lucid, recordings: Mapping[str, bytes]) -> Path:
    folder = lucid.folder / "landing"
    folder.mkdir(exist_ok=True)
    for name, data in recordings.items():
        (folder / name).write_bytes(data)
    return folder


def told_to_be_full(lucid: Lucid, landing: Path) -> list[str]:
    """Archive and move, which has to fail, and to say clearly why; returns the lines that say so."""
    ended = lucid.run("archive", "--move", "--json", landing)
    assert ended.status == 1, ended
    lines = [ended.error] if ended.err else [entry["reason"] for entry in ended.document["failed"]]
    assert lines
    for line in lines:
        assert "\n" not in line
        assert "unexpected" not in line, line
        assert re.search(r"\b(full|space)\b", line), line
    return lines


def assert_kept_or_archived(lucid: Lucid, landing: Path, recordings: Mapping[str, bytes]) -> None:
    """Each recording lies where it landed, as it was, or is in a session that is whole."""
    assert_nothing_is_torn(lucid)
    sealed = lucid.sealed
    archived = [sealed.export(session_id) for session_id in sealed.ids() if sealed.verify(session_id).intact]
    kept = tree(landing)
    assert all(data == recordings[name] for name, data in kept.items())
    assert all(name in kept or data in archived for name, data in recordings.items())


# The archive.


@pytest.fixture
def archive_disk(lucid: Lucid) -> Iterator[SmallDisk]:
    with small_disk(lucid.archive_folder, 8 * MIB) as disk:
        yield disk


@files_only
def test_a_recording_that_is_too_large_for_the_archive_takes_no_room_from_the_next(
    lucid: Lucid, archive_disk: SmallDisk
) -> None:
    """Nor is it lost: the disk has room for the two others, whether they come before it or after it."""
    recordings = {
        "a-before.bin": noise(KIB, seed=1),
        "b-too-large.bin": noise(10 * MIB, seed=2),
        "c-after.bin": noise(3 * MIB, seed=3),
    }
    landing = land(lucid, recordings)
    slow = lucid.having(chunk_size="1MiB")
    document = slow.json("archive", "--move", landing, status=1)
    assert_kept_or_archived(slow, landing, recordings)
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in document["failed"]}
    assert set(reasons) == {"b-too-large.bin"}
    assert "is full" in reasons["b-too-large.bin"]
    assert list(names(document["sessions"])) == ["a-before.bin", "c-after.bin"]
    assert entries(landing) == ["b-too-large.bin"]


@files_only
@pytest.mark.parametrize("pages", [0, 26, 28], ids=["no object", "the chunk", "the chunk table"])
def test_whatever_object_still_fits_into_the_archive_nothing_is_lost(
    lucid: Lucid, archive_disk: SmallDisk, pages: int
) -> None:
    landing = land(lucid, {"a.bin": SMALL["a.bin"]})
    archive_disk.leave(pages * 4 * KIB)
    [line] = told_to_be_full(lucid, landing)
    assert str(lucid.archive_folder) in line
    assert tree(landing) == {"a.bin": SMALL["a.bin"]}
    archive_disk.make_room()
    assert_kept_or_archived(lucid, landing, {"a.bin": SMALL["a.bin"]})
    assert list(lucid.archive_folder.rglob(".*")) == [], "what was half written does not stay"

    assert lucid.json("archive", "--move", landing)["failed"] == []
    assert entries(landing) == []
    assert_each_is_archived_once(lucid, {"a.bin": SMALL["a.bin"]})


# The keystore.


@files_only
def test_without_room_for_its_key_slot_a_recording_stays_and_the_others_go(lucid: Lucid) -> None:
    landing = land(lucid, SMALL)
    with small_disk(lucid.home / "keystore", MIB) as disk:
        disk.leave(4 * KIB)
        document = lucid.json("archive", "--move", landing, status=1)
        assert list(names(document["sessions"])) == ["a.bin"], "its slot fits"
        for entry in document["failed"]:
            assert f"the disk of {lucid.home / 'keystore'} is full" in entry["reason"]
        assert [Path(entry["path"]).name for entry in document["failed"]] == ["b.bin", "c.bin"] == entries(landing)
        assert_kept_or_archived(lucid, landing, SMALL)

        disk.make_room()
        assert lucid.json("archive", "--move", landing)["failed"] == []
        assert entries(landing) == []
        assert_each_is_archived_once(lucid, SMALL)


# The catalog, Dagster's home, and all of it on one disk.


@pytest.mark.parametrize(
    ("place", "free"),
    [*(pytest.param(".", free, marks=files_only) for free in (0, 512 * KIB)), ("dagster", 0), ("dagster", 64 * KIB)],
)
def test_a_full_home_is_told_in_one_line_and_loses_nothing(lucid: Lucid, place: str, free: int) -> None:
    landing = land(lucid, SMALL)
    with small_disk(lucid.home / place, 16 * MIB) as disk:
        disk.leave(free)
        lines = told_to_be_full(lucid, landing)
        disk.make_room()
        assert_kept_or_archived(lucid, landing, SMALL)
        assert lines

        land(lucid, LATE)
        assert lucid.json("archive", "--move", landing)["failed"] == []
        assert entries(landing) == []
        assert_each_is_archived_once(lucid, SMALL | LATE)


@about_the_file
@pytest.mark.parametrize("free", [0, 48 * KIB])
def test_a_full_disk_of_the_catalog_is_told_in_one_line_and_loses_nothing(lucid: Lucid, free: int) -> None:
    landing = land(lucid, SMALL)
    with small_disk(lucid.folder / "disk", 4 * MIB) as disk:
        catalog = disk.folder / "catalog.sqlite3"
        shutil.move(lucid.home / "catalog.sqlite3", catalog)
        elsewhere = lucid.having(catalog_url=f"sqlite:///{catalog}")
        disk.leave(free)
        lines = told_to_be_full(elsewhere, landing)
        assert any(str(catalog) in line for line in lines)
        disk.make_room()
        assert_kept_or_archived(elsewhere, landing, SMALL)

        land(lucid, LATE)
        assert elsewhere.json("archive", "--move", landing)["failed"] == []
        assert entries(landing) == []
        assert_each_is_archived_once(elsewhere, SMALL | LATE)


# Where an export goes.


def test_an_export_that_does_not_fit_leaves_nothing_and_can_be_repeated(lucid: Lucid) -> None:
    [entry] = lucid.archive(*(land(lucid, {"a.bin": noise(3 * MIB)}).iterdir()))
    with small_disk(lucid.folder / "disk", 8 * MIB) as disk:
        disk.leave(2 * MIB)
        line = lucid.refused("export", entry["session_id"], "-o", disk.folder / "out", status=1)
        assert "No space left on device" in line
        disk.make_room()
        assert entries(disk.folder) == []
        lucid.ok("export", entry["session_id"], "-o", disk.folder / "out")
        assert (disk.folder / "out").read_bytes() == noise(3 * MIB)
