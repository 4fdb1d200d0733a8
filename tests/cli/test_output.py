"""Output: whatever stands behind standard output, a command ends with a status and at most one line."""

import os
import pty
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Archived
from tests.cli.support import Lucid, objects_like
from tests.processes import eventually, heed_control_c
from tests.support import noise


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["verify", "--all", "--json"]], ids=" ".join)
def test_a_reader_that_has_gone_is_no_fault_of_ours(archived: Archived, arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = archived.lucid.run(*arguments, stdout=write)
    os.close(write)
    assert ended.status == 1
    assert ended.err == b""


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["export", "SESSION", "-o", "-"]], ids=" ".join)
def test_standard_output_on_a_full_disk_is_told_in_one_line(archived: Archived, arguments: list[str]) -> None:
    given = [archived.ids["c-noise.bin"] if text == "SESSION" else text for text in arguments]
    with Path("/dev/full").open("wb") as full:
        ended = archived.lucid.run(*given, stdout=full)
    assert ended.status == 1
    assert "No space left" in ended.error
    assert "unexpected" not in ended.error


def test_output_of_people_stays_readable_where_only_ascii_is(archived: Archived) -> None:
    environment = {**archived.lucid.environment, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    assert archived.ids["b-empty"] in archived.lucid.ok("list", env=environment).text


def test_on_a_terminal_it_shows_progress_and_no_session_id_is_cut(archived: Archived) -> None:
    parent, child = pty.openpty()
    with archived.lucid.start("verify", "--all", stdout=child, stderr=child) as process:
        os.close(child)
        shown = read_all(parent)
        process.wait(timeout=60)
    os.close(parent)
    assert process.returncode == 0
    for session_id in archived.ids.values():
        assert session_id.encode() in shown


def read_all(descriptor: int) -> bytes:
    """All that a terminal shows until its last writer has gone, which Linux tells by an error."""
    shown = b""
    while True:
        try:
            part = os.read(descriptor, 65536)
        except OSError:
            return shown
        if not part:
            return shown
        shown += part


def test_control_c_is_told_in_one_line_and_the_same_command_goes_on(lucid: Lucid, tmp_path: Path) -> None:
    root = tmp_path / "landing"
    root.mkdir()
    recordings = {name: noise(5_000, seed=number) for number, name in enumerate("abc")}
    for name, data in recordings.items():
        (root / name).write_bytes(data)
    with (root / "z-large").open("wb") as file:
        file.truncate(1 << 30)
    with lucid.having(codec="stored", workers="1").start("archive", root, preexec_fn=heed_control_c) as process:
        eventually(lambda: objects_like(lucid.archive_folder, "chunks/00000001.*"))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert out == b""
    assert err.count(b"\n") == 1
    assert b"interrupted" in err
    (root / "z-large").unlink()
    document = lucid.json("archive", root)
    assert {entry["name"]: lucid.sealed.export(entry["session_id"]) for entry in document["sessions"]} == recordings
