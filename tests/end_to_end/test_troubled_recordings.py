"""Recordings that cannot be read, change, or vanish: each is told by name, lost by nobody, and stops no other."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.cli.support import Lucid, Text, entries, names, tree
from tests.end_to_end.support import MIB, assert_nothing_is_torn, assert_sealed_and_whole, chunk_objects, sessions
from tests.processes import eventually, ordinary_user
from tests.support import noise

GOOD = {"a-good.bin": noise(3000, seed=1), "z-good.bin": noise(5000, seed=2)}
FINISHED = b"what it was in the end"
LONG = 192 * MIB
"""Holes, which are read in an instant and take no room: long enough to be caught while they are read."""

Trouble = Callable[[Path], object]


@pytest.fixture
def landing(lucid: Lucid) -> Path:
    folder = lucid.folder / "landing"
    folder.mkdir()
    for name, data in GOOD.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def slow(lucid: Lucid) -> Lucid:
    return lucid.having(workers="1", chunk_size="1MiB")


def long_file(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(LONG)
    return path


def state(path: Path) -> tuple[int, ...]:
    """What would show that somebody wrote to a file, moved or replaced it, or changed its mode."""
    status = path.stat()
    return status.st_ino, status.st_mode, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_nlink


def told(document: Any) -> dict[str, str]:
    """Why files failed, by their names; each reason is one line that names its file."""
    reasons = {Path(entry["path"]).name: entry["reason"] for entry in document["failed"]}
    for name, reason in reasons.items():
        assert name in reason
        assert reason.isprintable()
        assert "fault in Lucid" not in reason
    return reasons


# While they are read.


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"another beginning")


def rewrite_and_set_its_time_back(path: Path) -> None:
    """As a copying tool does that writes in place and keeps times."""
    before = path.stat()
    rewrite(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(path: Path) -> None:
    os.truncate(path, LONG // 2)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(FINISHED)
    other.rename(path)


@pytest.mark.parametrize("trouble", [grow, rewrite, rewrite_and_set_its_time_back, truncate])
def test_a_file_that_changes_while_it_is_read_is_archived_when_it_is_finished(
    slow: Lucid, landing: Path, trouble: Trouble
) -> None:
    changing = long_file(landing / "changing.bin")
    before = {name: state(landing / name) for name in GOOD}
    process = start_and_wait_for(slow, landing, chunks=2)
    trouble(changing)
    changed = state(changing)
    document = ended_with_failures(process)
    assert list(names(document["sessions"])) == list(GOOD), "the others go on"
    assert "changed while it was read" in told(document)["changing.bin"]
    assert state(changing) == changed, "only the one who changed it has touched it"
    assert_nothing_is_torn(slow)

    changing.write_bytes(FINISHED)
    assert slow.json("archive", landing)["failed"] == []
    assert {name: state(landing / name) for name in GOOD} == before
    assert_archived(slow, {**GOOD, "changing.bin": FINISHED})


@pytest.mark.parametrize("trouble", [Path.unlink, replace])
def test_a_file_that_loses_its_name_while_it_is_read_is_archived_as_it_was(
    slow: Lucid, landing: Path, trouble: Trouble
) -> None:
    """It is open, so its bytes are there to the end; a file that takes its name is another recording."""
    long_file(landing / "long.bin")
    process = start_and_wait_for(slow, landing, chunks=2)
    trouble(landing / "long.bin")
    out, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (0, b""), out
    assert_nothing_is_torn(slow)
    [session] = [session for session in json.loads(out)["sessions"] if session["name"] == "long.bin"]
    assert session["length"] == LONG
    assert slow.sealed.verify(session["session_id"]).intact

    left = tree(landing)
    found = {str(entry["name"]): entry for entry in slow.archive(landing)}
    assert {name: slow.sealed.export(entry["session_id"]) for name, entry in found.items()} == left
    assert session["session_id"] not in [entry["session_id"] for entry in found.values()]


# Before it is their turn.


def forbid(path: Path) -> None:
    path.chmod(0)


def become_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def become_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


TROUBLES: dict[str, tuple[Trouble, str]] = {
    "forbidden.bin": (forbid, "Permission denied"),
    "gone.bin": (Path.unlink, "No such file"),
    "grown.bin": (grow, "changed"),
    "piped.bin": (become_a_pipe, "is not a regular file"),
    "replaced.bin": (replace, "changed"),
    "rewritten.bin": (rewrite, "changed"),
    "unfolded.bin": (become_a_folder, "is not a regular file"),
}


def test_whatever_befalls_files_before_their_turn_each_is_told_by_name_and_the_others_go_on(
    slow: Lucid, landing: Path
) -> None:
    """They have been found and registered, and the others are to be moved; while a long one is read, they change."""
    long_file(landing / "b-long.bin")
    for name in TROUBLES:
        (landing / name).write_bytes(noise(100_000, seed=len(name)))
    process = start_and_wait_for(slow, landing, "--move", chunks=2, preexec_fn=ordinary_user())
    for name, (trouble, _) in TROUBLES.items():
        trouble(landing / name)
    document = ended_with_failures(process)
    assert list(names(document["sessions"])) == ["a-good.bin", "b-long.bin", "z-good.bin"]
    reasons = told(document)
    assert set(reasons) == set(TROUBLES)
    for name, (_, reason) in TROUBLES.items():
        assert reason in reasons[name]
    assert_nothing_is_torn(slow)
    assert set(entries(landing)) == set(TROUBLES) - {"gone.bin"}

    finished = {name: FINISHED + name.encode() for name in TROUBLES}
    for name, data in finished.items():
        put_back(landing / name, data)
    again = slow.json("archive", "--move", landing)
    assert again["failed"] == []
    assert sorted(names(again["sessions"])) == sorted(finished)
    assert entries(landing) == []
    assert_archived(slow, {**GOOD, **finished})


def test_a_forbidden_file_that_is_named_itself_does_not_stop_the_others(lucid: Lucid, landing: Path) -> None:
    forbidden = landing / "forbidden.bin"
    forbidden.write_bytes(FINISHED)
    forbid(forbidden)
    paths = [landing / "a-good.bin", forbidden, landing / "z-good.bin"]
    document = lucid.json("archive", *paths, status=1, preexec_fn=ordinary_user())
    assert list(names(document["sessions"])) == list(GOOD)
    assert set(told(document)) == {"forbidden.bin"}

    forbidden.chmod(0o600)
    assert lucid.json("archive", *paths, preexec_fn=ordinary_user())["failed"] == []
    assert_archived(lucid, {**GOOD, "forbidden.bin": FINISHED})


def put_back(path: Path, data: bytes) -> None:
    if path.is_dir():
        path.rmdir()
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def start_and_wait_for(
    lucid: Lucid, landing: Path, *options: Text, chunks: int, **more: Any
) -> "subprocess.Popen[bytes]":
    """Start to archive, and wait until so many chunk objects are there: the first are those of the files before."""
    process = lucid.start("archive", "--json", *options, landing, **more)
    eventually(lambda: process.poll() is not None or len(chunk_objects(lucid)) >= chunks)
    return process


def ended_with_failures(process: "subprocess.Popen[bytes]") -> Any:
    """What a process said that has told of failures in its document, and only there."""
    out, err = process.communicate(timeout=200)
    assert (process.returncode, err) == (1, b""), out
    return json.loads(out)


def assert_archived(lucid: Lucid, recordings: Mapping[str, bytes]) -> None:
    """These recordings are sealed, whole, each once. What was refused has sessions of its own, without a seal."""
    sealed = [record for record in sessions(lucid) if record.seal and record.name in recordings]
    assert sorted(record.name or "" for record in sealed) == sorted(recordings)
    for record in sealed:
        assert_sealed_and_whole(lucid, record, recordings[record.name or ""])
    assert_nothing_is_torn(lucid)
