"""`lucid export`: the original bytes or a range of them, whole or not at all."""

import os
import re
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from tests.cli.conftest import RECORDINGS, Archived
from tests.cli.support import Lucid, entries, flip
from tests.processes import eventually, ordinary_user, without_hard_links
from tests.servers.catalogs import about_the_file, lose_catalog
from tests.support import Home, archive_by_hand, noise

MIB = 2**20
NOISE = RECORDINGS["c-noise.bin"]


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_comes_out_as_it_went_in(archived: Archived, tmp_path: Path, name: str) -> None:
    away, session_id = archived.lucid.inside(tmp_path), archived.ids[name]
    document = away.json("export", session_id, "-o", "out")
    assert document == {"session_id": session_id, "file": "out", "start": 0, "length": len(RECORDINGS[name])}
    assert (tmp_path / "out").read_bytes() == RECORDINGS[name]
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o600
    assert entries(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("0-0", 0, 1),
        ("0-", 0, len(NOISE)),
        (f"{MIB - 1}-{MIB}", MIB - 1, MIB + 1),
        (f"{MIB}-{2 * MIB - 1}", MIB, 2 * MIB),
        (f"100-{2 * MIB + 100}", 100, 2 * MIB + 101),
        (f"{len(NOISE) - 1}-", len(NOISE) - 1, len(NOISE)),
        (f"{len(NOISE) - 5}-{2**62}", len(NOISE) - 5, len(NOISE)),
    ],
)
def test_a_range_includes_both_ends(archived: Archived, tmp_path: Path, text: str, start: int, stop: int) -> None:
    document = archived.lucid.json("export", archived.ids["c-noise.bin"], "--range", text, "-o", tmp_path / "out")
    assert (document["start"], document["length"]) == (start, stop - start)
    assert (tmp_path / "out").read_bytes() == NOISE[start:stop]


def test_a_pipe_takes_the_whole_or_a_range(archived: Archived) -> None:
    session_id = archived.ids["c-noise.bin"]
    assert archived.lucid.ok("export", session_id, "-o", "-").out == NOISE
    assert archived.lucid.ok("export", session_id, "-o", "-", "--range", "7-8").out == NOISE[7:9]
    assert archived.lucid.ok("export", archived.ids["b-empty"], "-o", "-").out == b""


@pytest.mark.parametrize("text", ["5-3", "-5", "a-b", "", "5", "1-2-3", "0x1-0x2", "-", f"{10**20}-", "0 - 5", "1-2\n"])
def test_a_range_that_cannot_be_is_refused(archived: Archived, tmp_path: Path, text: str) -> None:
    line = archived.lucid.refused("export", archived.ids["c-noise.bin"], "--range", text, "-o", tmp_path / "out")
    assert "range" in line
    assert entries(tmp_path) == []


def test_a_range_behind_the_end_is_refused(archived: Archived, tmp_path: Path) -> None:
    for name in ("c-noise.bin", "b-empty"):
        length = len(RECORDINGS[name])
        line = archived.lucid.refused("export", archived.ids[name], "--range", f"{length}-", "-o", tmp_path / "out")
        assert f"{length} bytes" in line
    assert entries(tmp_path) == []


def test_a_file_that_exists_is_never_replaced(archived: Archived, tmp_path: Path) -> None:
    away = archived.lucid.inside(tmp_path)
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    for target in ("file", ".", "dangling", "/dev/null"):
        away.refused("export", archived.ids["b-empty"], "-o", target)
    assert (tmp_path / "file").read_bytes() == b"mine"
    assert entries(tmp_path) == ["dangling", "file"]


def test_places_where_nothing_can_be_written_are_refused(archived: Archived, tmp_path: Path) -> None:
    closed, shut = tmp_path / "closed", tmp_path / "shut"
    closed.mkdir(mode=0o500)
    shut.mkdir(mode=0o000)
    (tmp_path / "file").write_bytes(b"")
    for target in (closed / "out", shut / "out", tmp_path / "file" / "out", tmp_path / "none" / "out", "n" * 256):
        line = archived.lucid.refused(
            "export", archived.ids["b-empty"], "-o", target, preexec_fn=ordinary_user(), cwd=tmp_path
        )
        assert os.fspath(target)[:64] in line
    assert entries(tmp_path) == ["closed", "file", "shut"]


@pytest.mark.parametrize("name", ["[b]", "-o", "n" * 255, "line\nbreak", ":x:", b"\xff"])
def test_a_file_of_any_name_is_written(archived: Archived, tmp_path: Path, name: str | bytes) -> None:
    ended = archived.lucid.inside(tmp_path).ok("export", archived.ids["b-empty"], "-o", name)
    assert entries(tmp_path) == [os.fsdecode(name)]
    assert not {char for char in ended.text if not char.isprintable()} - {"\n"}


def test_a_reader_that_goes_away_is_no_error_to_tell(archived: Archived) -> None:
    session_id = archived.ids["c-noise.bin"]
    with archived.lucid.start("export", session_id, "-o", "-") as process:
        assert process.stdout
        assert process.stdout.read(10) == NOISE[:10]
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")


def test_an_older_state_than_the_catalog_knows_is_not_exported(copied: Archived, tmp_path: Path) -> None:
    session_id = copied.ids["b-empty"]
    with copied.lucid.opened.catalog() as catalog:
        record = catalog.get(UUID(session_id))
        assert record.seal
        catalog.restore(replace(record, seal=replace(record.seal, sequence=2)))
    ended = copied.lucid.run("export", session_id, "-o", tmp_path / "out")
    assert (ended.status, ended.out) == (1, b"")
    assert "missing_object in " in ended.error
    assert not (tmp_path / "out").exists()


@about_the_file
@pytest.mark.parametrize("content", [None, b"something else entirely" * 100])
def test_without_a_catalog_it_exports_as_well(copied: Archived, tmp_path: Path, content: bytes | None) -> None:
    catalog = copied.lucid.home / "catalog.sqlite3"
    catalog.unlink()
    if content:
        catalog.write_bytes(content)
    ended = copied.lucid.run("export", copied.ids["c-noise.bin"], "-o", tmp_path / "out")
    assert ended.status == 0
    assert (tmp_path / "out").read_bytes() == NOISE
    assert ended.err.count(b"warning: the catalog cannot be used") == ended.err.count(b"\n") == bool(content)


def chunks(archived: Archived) -> list[Path]:
    """The chunk objects of the noise, in order."""
    return sorted((archived.lucid.archive_folder / "sessions" / archived.ids["c-noise.bin"] / "chunks").iterdir())


@pytest.mark.parametrize("damaged", [[0], [1], [2], [0, 1], [0, 2]])
def test_a_damaged_recording_leaves_no_file_and_what_is_whole_is_told_and_exported(
    copied: Archived, tmp_path: Path, damaged: list[int]
) -> None:
    for index in damaged:
        flip(chunks(copied)[index])
    away = tmp_path / "away"
    away.mkdir()
    lucid, session_id = copied.lucid.inside(away), copied.ids["c-noise.bin"]
    ended = lucid.run("export", session_id, "-o", "out")
    assert (ended.status, ended.out) == (1, b"")
    assert "object_digest_mismatch" in ended.error
    assert entries(away) == []
    told = re.search(r"whole are bytes ([0-9, -]+); get them with --range ([0-9-]+)\)", ended.error)
    assert told, ended.error
    ranges = told[1].split(", ")
    assert told[2] == ranges[0]
    exported = bytearray(len(NOISE))
    for text in ranges:
        lucid.ok("export", session_id, "-o", text, "--range", text)
        part, start = (away / text).read_bytes(), int(text.split("-")[0])
        exported[start : start + len(part)] = part
    parts = [NOISE[at : at + MIB] for at in range(0, len(NOISE), MIB)]
    assert bytes(exported) == b"".join(bytes(len(part)) if n in damaged else part for n, part in enumerate(parts))


def test_a_pipe_gets_not_a_byte_that_is_damaged(copied: Archived) -> None:
    flip(chunks(copied)[1])
    ended = copied.lucid.run("export", copied.ids["c-noise.bin"], "-o", "-")
    assert (ended.status, ended.out) == (1, NOISE[:MIB])
    assert "object_digest_mismatch" in ended.error
    assert f"whole are bytes 0-{MIB - 1}, {2 * MIB}-{len(NOISE) - 1}" in ended.error


def test_nothing_whole_is_told_as_well(copied: Archived, tmp_path: Path) -> None:
    for path in chunks(copied):
        path.unlink()
    line = copied.lucid.refused("export", copied.ids["c-noise.bin"], "-o", tmp_path / "out", status=1)
    assert "missing_object" in line
    assert "nothing of it is whole" in line


@pytest.mark.parametrize("target", ["-", "out"])
def test_the_whole_has_to_be_what_was_archived_also_in_a_pipe(lucid: Lucid, tmp_path: Path, target: str) -> None:
    opened = lucid.opened
    [identity] = opened.keys().identities
    home = Home(lucid.home, identity, opened.signing_key())
    parts = [noise(MIB), b"the rest"]
    session_id = archive_by_hand(home, parts, padded=[True, True], digest_of=b"another").manifest.session_id
    ended = lucid.run("export", str(session_id), "-o", target)
    assert ended.status == 1
    assert ended.out == (parts[0] if target == "-" else b""), "a pipe gets what is authentic, but for the last chunk"
    assert "plaintext_digest_mismatch" in ended.error
    assert entries(tmp_path) == ["lucid"]
    assert lucid.ok("export", str(session_id), "-o", "-", "--range", "0-").out == b"".join(parts)


def test_json_and_the_recording_do_not_mix(archived: Archived) -> None:
    assert "--json" in archived.lucid.refused("export", archived.ids["b-empty"], "-o", "-", "--json")


def test_it_needs_no_catalog(copied: Archived, tmp_path: Path) -> None:
    lose_catalog(copied.lucid.home)
    (copied.lucid.home / "dagster").rename(tmp_path / "elsewhere")
    copied.lucid.ok("export", copied.ids["c-noise.bin"], "-o", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == NOISE


def test_it_does_not_follow_a_link_that_somebody_put_in_the_way(archived: Archived, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(noise(10))
    (tmp_path / "out").symlink_to(precious)
    archived.lucid.refused("export", archived.ids["b-empty"], "-o", tmp_path / "out")
    assert precious.read_bytes() == noise(10)


POOR = pytest.mark.parametrize("poor", [False, True], ids=["as it is", "without hard links"])


@pytest.fixture(scope="module")
def long(made_home: Lucid, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lucid, str]:
    """A recording that takes a while to export."""
    folder = tmp_path_factory.mktemp("long")
    lucid = made_home.copy(folder / "lucid").inside(folder).having(workers="1")
    with (folder / "long").open("wb") as file:
        file.truncate(1 << 30)
    [session] = lucid.archive(folder / "long")
    return lucid, session["session_id"]


@contextmanager
def amid_export(long: tuple[Lucid, str], folder: Path, *, poor: bool) -> "Iterator[subprocess.Popen[bytes]]":
    """An export to `out`, halted when some of its plaintext is on the disk, and not all of it."""
    lucid, session_id = long

    make_poor = without_hard_links() if poor else None
    with lucid.start("export", session_id, "-o", folder / "out", preexec_fn=make_poor) as process:
        eventually(lambda: any(size > 0 for size in sizes(process, folder)), every=0)
        process.send_signal(signal.SIGSTOP)
        assert all(size < 1 << 30 for size in sizes(process, folder))
        try:
            yield process
        finally:
            process.send_signal(signal.SIGCONT)


def sizes(process: "subprocess.Popen[bytes]", folder: Path) -> list[int]:
    """Sizes of the files in a folder that a process has open, whether they have a name there or not."""
    found = []
    for descriptor in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(OSError):
            if descriptor.readlink().is_relative_to(folder):
                found.append(descriptor.stat().st_size)
    return found


@POOR
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_an_export_that_is_interrupted_leaves_no_plaintext(
    long: tuple[Lucid, str], tmp_path: Path, number: signal.Signals, status: int, poor: bool
) -> None:
    with amid_export(long, tmp_path, poor=poor) as process:
        assert len(entries(tmp_path)) == poor, "only where nothing else can be done the file has a name by now"
        process.send_signal(number)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert err.count(b"\n") == 1
    assert b"interrupted" in err
    assert entries(tmp_path) == []


def test_an_export_that_is_killed_leaves_no_plaintext(long: tuple[Lucid, str], tmp_path: Path) -> None:
    with amid_export(long, tmp_path, poor=False) as process:
        process.kill()
        process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert entries(tmp_path) == []


@POOR
def test_a_file_that_appears_meanwhile_is_not_replaced(long: tuple[Lucid, str], tmp_path: Path, poor: bool) -> None:
    with amid_export(long, tmp_path, poor=poor) as process:
        (tmp_path / "out").write_bytes(b"mine")
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert b"exists" in err
    assert entries(tmp_path) == ["out"]
    assert (tmp_path / "out").read_bytes() == b"mine"


def test_a_file_system_without_hard_links_will_do(archived: Archived, tmp_path: Path) -> None:
    target = tmp_path / "out"
    poor = without_hard_links()
    archived.lucid.ok("export", archived.ids["c-noise.bin"], "-o", target, preexec_fn=poor)
    assert target.read_bytes() == NOISE
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert entries(tmp_path) == ["out"]
    archived.lucid.refused("export", archived.ids["b-empty"], "-o", target, preexec_fn=poor)
    assert target.read_bytes() == NOISE
