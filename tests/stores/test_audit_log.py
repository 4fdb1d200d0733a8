"""The audit record as it is written: durable, one chain whoever appends, mended in the open after a crash."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
import rfc8785

from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.stores.audit_check import AuditReport, check_audit_log
from lucid_pipeline.stores.audit_event import Action, Entry, Outcome
from lucid_pipeline.stores.audit_log import AuditLog, AuditUnavailable
from tests.end_to_end.small_disk import small_disk
from tests.processes import eventually, ordinary_user

PLAYED = Entry(Action.CONTENT_PLAYED, subject="key:1", address="127.0.0.1", request_id="r1")

APPENDING = """
import sys
from pathlib import Path
from lucid_pipeline.stores.audit_event import Action, Entry
from lucid_pipeline.stores.audit_log import AuditLog
log, name, times = AuditLog(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
for n in range(times):
    for event in log.append(Entry(Action.CONTENT_PLAYED, subject=name, details={"n": n, "filler": "x" * 200})):
        print(n, event.head, flush=True)
"""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    with closing(AuditLog(tmp_path / "audit")) as log:
        yield log


def lines(log: AuditLog) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.path.read_bytes().splitlines()]


def check(log: AuditLog) -> AuditReport:
    return check_audit_log(log.path)


def start_appending(log: AuditLog, name: str, times: int) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", APPENDING, log.path.parent, name, str(times)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_an_event_says_who_did_what_when_and_to_which_session(log: AuditLog) -> None:
    session_id = new_session_id()
    entry = Entry(
        Action.CONTENT_PLAYED, Outcome.REFUSED, "key:1", "10.0.0.1", session_id, "r1", {"range": "bytes=0-", "n": 3}
    )
    [event] = log.append(entry)
    [line] = lines(log)
    assert line == {
        "sequence": 1,
        "time": event.time,
        "action": "content.played",
        "outcome": "refused",
        "subject": "key:1",
        "address": "10.0.0.1",
        "session_id": str(session_id),
        "request_id": "r1",
        "details": {"range": "bytes=0-", "n": 3},
        "previous": sha256(b"lucid/audit-origin@v1").hexdigest(),
        "hash": event.hash.hex(),
    }


def test_each_event_is_chained_to_the_one_before_as_documented(log: AuditLog) -> None:
    log.append(PLAYED)
    log.append(PLAYED, PLAYED)
    previous = sha256(b"lucid/audit-origin@v1").digest()
    for number, line in enumerate(lines(log), 1):
        assert (line["sequence"], line["previous"]) == (number, previous.hex())
        body = {name: value for name, value in line.items() if name not in ("previous", "hash")}
        previous = sha256(b"lucid/audit@v1\0" + previous + rfc8785.dumps(body)).digest()
        assert line["hash"] == previous.hex()


def test_the_next_process_goes_on_where_the_last_one_ended(log: AuditLog) -> None:
    log.append(PLAYED)
    with closing(AuditLog(log.path.parent)) as later:
        [event] = later.append(PLAYED)
    assert event.sequence == 2
    assert check(log).intact


def test_whatever_text_callers_choose_can_be_recorded(log: AuditLog) -> None:
    odd = "\ud800 \0 \n \u2028 \U0001f600 " + "x" * 1000
    log.append(Entry(Action.SIGN_IN_FAILED, subject=odd, details={"n": 2**60, "sent": odd}))
    report = check(log)
    assert (report.intact, report.events) == (True, 1)
    [line] = lines(log)
    assert len(str(line["subject"])) < 300


def test_nobody_else_may_read_it(log: AuditLog) -> None:
    log.append(PLAYED)
    assert log.path.stat().st_mode & 0o777 == 0o600
    assert log.path.parent.stat().st_mode & 0o777 == 0o700


def test_threads_share_a_chain_and_syncs(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one sync is under way all others wait, and then need one more."""
    syncs, sync, all_wait = [], os.fdatasync, threading.Event()

    def slow_sync(descriptor: int) -> None:
        syncs.append(descriptor)
        assert all_wait.wait(20)
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow_sync)
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(log.append, PLAYED)
        eventually(lambda: syncs)
        others = [pool.submit(log.append, PLAYED, PLAYED) for _ in range(8)]
        eventually(lambda: len(log._waiting) == 8)
        all_wait.set()
        sequences = [event.sequence for other in (first, *others) for event in other.result()]
    assert sorted(sequences) == list(range(1, 18))
    assert len(syncs) == 2
    assert check(log).intact


def test_processes_share_one_chain(log: AuditLog) -> None:
    started = [start_appending(log, name, 40) for name in ("a", "b", "c")]
    told = [process.communicate(timeout=60)[0].splitlines() for process in started]
    assert [len(said) for said in told] == [40, 40, 40]
    report = check(log)
    assert (report.events, report.findings, report.recoveries) == (120, [], [])


def test_after_kill_9_all_that_was_told_to_be_recorded_is_there(log: AuditLog) -> None:
    for _round in range(4):
        with start_appending(log, "killed", 100_000) as process:
            assert process.stdout
            told = [process.stdout.readline() for _ in range(20)]
            process.send_signal(signal.SIGKILL)
            told += process.stdout.readlines()
        log.append(PLAYED)
        heads = {f"{line['sequence']}:{line['hash']}" for line in lines(log)}
        assert {said.split()[1] for said in told if said.endswith("\n")} <= heads
        assert check(log).intact


@pytest.mark.parametrize("kept", [1, 100, -1])
def test_half_a_line_is_accounted_for_and_stays(log: AuditLog, kept: int) -> None:
    log.append(PLAYED, PLAYED, PLAYED)
    log.close()
    whole = log.path.read_bytes().splitlines(keepends=True)
    half = whole[2][:kept]
    log.path.write_bytes(whole[0] + whole[1] + half)
    assert [(found.flaw, found.line) for found in check(log).findings] == [("unfinished", 3)]
    with closing(AuditLog(log.path.parent)) as later:
        [event] = later.append(PLAYED)
    assert event.sequence == 4
    assert half in log.path.read_bytes()
    report = check(log)
    assert report.intact
    [recovery] = report.recoveries
    assert (recovery.line, recovery.bytes) == (4, len(half) + 2)
    recovered = json.loads(log.path.read_bytes().splitlines()[3])
    assert recovered["action"] == "log.recovered"
    assert recovered["details"] == {
        "bytes": len(half) + 2,
        "sha256": sha256(half + b"#\n").hexdigest(),
        "unfinished": True,
    }


def test_half_a_line_after_half_a_line_too(log: AuditLog) -> None:
    log.append(PLAYED)
    whole = log.path.read_bytes()
    for half in (whole[:50], whole[:60]):
        with log.path.open("ab") as file:
            file.write(half)
        with closing(AuditLog(log.path.parent)) as later:
            later.append()
        whole += half
    with closing(AuditLog(log.path.parent)) as later:
        later.append(PLAYED)
    report = check(log)
    assert (report.intact, len(report.recoveries)) == (True, 2)


def test_blocks_that_never_reached_the_disk_are_accounted_for(log: AuditLog) -> None:
    """After a loss of power a file can be longer than what was written of it."""
    log.append(PLAYED)
    with log.path.open("ab") as file:
        file.write(b"\0" * 70_000 + b"\n")
    with closing(AuditLog(log.path.parent)) as later:
        later.append(PLAYED)
    report = check(log)
    assert (report.intact, report.events, len(report.recoveries)) == (True, 3, 1)


def test_an_altered_last_line_is_not_taken_for_one_that_a_crash_left(log: AuditLog) -> None:
    log.append(PLAYED, PLAYED)
    log.path.write_bytes(log.path.read_bytes().replace(b'"sequence":2', b'"sequence":3'))
    with closing(AuditLog(log.path.parent)) as later:
        later.append(PLAYED)
    assert [(found.flaw, found.line) for found in check(log).findings] == [("altered", 2)]


def test_what_is_cut_off_while_the_process_lives_shows(log: AuditLog) -> None:
    log.append(PLAYED, PLAYED, PLAYED)
    os.truncate(log.path, len(log.path.read_bytes().splitlines(keepends=True)[0]))
    assert check(log).intact, "nothing shows yet"
    log.append(PLAYED)
    [found] = check(log).findings
    assert (found.flaw, found.line, found.sequence) == ("missing", 2, 2)


def test_a_record_that_was_removed_while_the_process_lives_shows(log: AuditLog) -> None:
    log.append(PLAYED, PLAYED)
    log.path.unlink()
    log.append(PLAYED)
    [found] = check(log).findings
    assert (found.flaw, found.line, found.sequence) == ("missing", 1, 1)


def test_a_full_disk_refuses_and_leaves_nothing_half(tmp_path: Path) -> None:
    with small_disk(tmp_path / "audit", 1024 * 1024) as disk, closing(AuditLog(tmp_path / "audit")) as log:
        log.append(PLAYED)
        disk.leave(0)
        with pytest.raises(AuditUnavailable, match="full"):
            log.append(*[PLAYED] * 20)
        before = check(log)
        assert before.intact
        disk.make_room()
        [event] = log.append(PLAYED)
        assert event.sequence == before.head.sequence + 1
        assert check(log).intact


def test_a_failed_sync_refuses_and_leaves_nothing(log: AuditLog, monkeypatch: pytest.MonkeyPatch) -> None:
    log.append(PLAYED)
    before = log.path.read_bytes()

    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(AuditUnavailable, match="Input/output error"):
            log.append(PLAYED)
    assert log.path.read_bytes() == before
    log.append(PLAYED)
    assert check(log).events == 2


def test_a_record_that_may_not_be_written_refuses(log: AuditLog) -> None:
    log.append(PLAYED)
    log.path.chmod(0o400)
    process = subprocess.run(
        [sys.executable, "-c", APPENDING, log.path.parent, "x", "1"],
        preexec_fn=ordinary_user(),
        capture_output=True,
        text=True,
    )
    assert "AuditUnavailable: cannot write the audit record" in process.stderr


def test_a_file_that_is_no_audit_record_is_not_appended_to(log: AuditLog) -> None:
    log.path.parent.mkdir()
    log.path.write_bytes(b"something else\n" * 1_000_000)
    with pytest.raises(AuditUnavailable, match="move the file away"):
        log.append(PLAYED)
    assert log.path.stat().st_size == 15_000_000


def test_a_process_that_hangs_in_the_middle_keeps_nobody_forever(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    log.append(PLAYED)
    monkeypatch.setattr("lucid_pipeline.stores.audit_log._BUSY_SECONDS", 0.05)
    with log.path.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AuditUnavailable, match="another process"):
            log.append(PLAYED)
    assert [event.sequence for event in log.append(PLAYED)] == [2]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file append-only")
def test_a_file_that_the_system_holds_to_being_appended_to_will_do(log: AuditLog) -> None:
    log.append(PLAYED)
    log.close()
    half = log.path.read_bytes()[:70]
    with log.path.open("ab") as file:
        file.write(half)
    if subprocess.run(["chattr", "+a", log.path], capture_output=True).returncode:
        pytest.skip("this file system knows no append-only files")
    try:
        with closing(AuditLog(log.path.parent)) as later:
            later.append(PLAYED)
        with pytest.raises(PermissionError):
            os.truncate(log.path, 0)
    finally:
        subprocess.run(["chattr", "-a", log.path], check=True)
    report = check(log)
    assert (report.intact, report.events, len(report.recoveries)) == (True, 3, 1)
