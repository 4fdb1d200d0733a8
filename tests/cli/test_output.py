"""Output: whatever stands behind standard output, a command ends with a status and at most one line."""

import os
import pty
import signal
from pathlib import Path

import pytest

from tests.cli.conftest import Archived
from tests.cli.support import Lucid, objects_like
from tests.processes import eventually
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


SIGNALS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_is_told_in_one_line_and_the_same_command_goes_on(
    lucid: Lucid, tmp_path: Path, number: signal.Signals
) -> None:
    root = tmp_path / "landing"
    root.mkdir()
    recordings = {name: noise(5_000, seed=number) for number, name in enumerate("abc")}
    for name, data in recordings.items():
        (root / name).write_bytes(data)
    with (root / "z-large").open("wb") as file:
        file.truncate(1 << 30)
    with lucid.having(codec="stored", workers="1").start("archive", root) as process:
        eventually(lambda: objects_like(lucid.archive_folder, "chunks/00000001.*"))
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == SIGNALS[number], (out, err)
    assert out == b""
    assert err.count(b"\n") == 1
    assert b"interrupted" in err
    assert [record["failure"] for record in lucid.json("list")] == [None] * 4
    (root / "z-large").unlink()
    document = lucid.json("archive", root)
    assert {entry["name"]: lucid.sealed.export(entry["session_id"]) for entry in document["sessions"]} == recordings


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("library", ["_rust.abi3", "_pydantic_core", "_obstore", "_sqlite3"])
def test_an_interrupt_while_modules_are_imported_is_no_traceback(
    lucid: Lucid, library: str, number: signal.Signals
) -> None:
    with lucid.start("list") as process:
        maps = Path(f"/proc/{process.pid}/maps")
        eventually(lambda: library in maps.read_text(), every=0)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (SIGNALS[number], b"", b"interrupted\n")


def test_what_is_ignored_as_by_nohup_stays_ignored(lucid: Lucid) -> None:
    def ignore() -> None:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    with lucid.start("init", preexec_fn=ignore) as process:
        while process.poll() is None:
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["--version"], ["--help"]], ids=" ".join)
def test_a_closed_standard_output_is_told_in_one_line(archived: Archived, arguments: list[str]) -> None:
    ended = archived.lucid.run(*arguments, preexec_fn=lambda: os.close(1))
    assert ended.status == 1
    assert "Bad file descriptor" in ended.error


def test_closed_standard_streams_do_no_harm(lucid: Lucid, tmp_path: Path) -> None:
    """No file may get the number of a stream: what is printed would land in it."""
    recording = noise(5_000)
    (tmp_path / "file").write_bytes(recording)
    ended = lucid.run("archive", tmp_path / "file", preexec_fn=lambda: os.closerange(0, 3))
    assert (ended.status, ended.out, ended.err) == (1, b"", b""), "nobody can be told what was archived"
    [entry] = lucid.json("list")
    assert lucid.sealed.verify(entry["session_id"]).intact
    assert lucid.sealed.export(entry["session_id"]) == recording
