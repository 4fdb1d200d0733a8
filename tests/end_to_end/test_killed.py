"""`kill -9` at any point of `lucid archive`, then the same command again: as if nothing had happened."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from dagster import DagsterRunStatus

from tests.cli.support import Lucid, entries, objects_like
from tests.end_to_end.support import (
    MIB,
    assert_each_is_archived_once,
    assert_nothing_is_torn,
    assert_sealed_and_whole,
    chunk_objects,
    kill_at,
    sessions,
    states,
    status_of_run,
    unfinished_runs,
)
from tests.servers.catalogs import known_of_sessions
from tests.support import noise, rows

RECORDINGS = {
    "a-first.bin": noise(2 * MIB + 1, seed=1),
    "b-empty": b"",
    "c-long.bin": noise(14 * MIB, seed=2),
    "d-last.bin": noise(MIB - 1, seed=3),
}
LATE = noise(70_000, seed=4)
"""Lands before the command that was killed is repeated."""

WITH_LATE = RECORDINGS | {"e-late.bin": LATE}

SIGKILL = -9
REACHED = ["registered", "recorded", "chunked", "encrypted", "hashed", "sealed"]

Landmark = Callable[[Lucid], object]


@pytest.fixture
def slow(lucid: Lucid) -> Lucid:
    """One worker and small stored chunks, so that there is much to be interrupted."""
    return lucid.having(chunk_size="1MiB", workers="1", codec="stored")


@pytest.fixture
def landing(slow: Lucid) -> Path:
    folder = slow.folder / "landing"
    folder.mkdir()
    for name, data in RECORDINGS.items():
        (folder / name).write_bytes(data)
    return folder


def a_process_has_its_name(lucid: Lucid) -> object:
    processes = lucid.home / "dagster" / "processes"
    return processes.exists() and entries(processes)


def partitions_are_added(lucid: Lucid) -> object:
    return rows(lucid.home / "dagster" / "history" / "runs" / "index.db", "SELECT 1 FROM dynamic_partitions")


def a_run_has_begun(lucid: Lucid) -> object:
    return {path.name for path in (lucid.home / "dagster" / "history" / "runs").glob("*.db")} - {"index.db"}


def a_session_is(state: str) -> Landmark:
    """Or has come further."""
    return lambda lucid: any(REACHED.index(reached) >= REACHED.index(state) for reached in states(lucid))


def all_are(state: str) -> Landmark:
    def reached(lucid: Lucid) -> bool:
        found = [REACHED.index(reached) for reached in states(lucid)]
        return len(found) == len(RECORDINGS) and min(found) >= REACHED.index(state)

    return reached


def a_key_slot_is_there(lucid: Lucid) -> object:
    return list((lucid.home / "keystore").glob("keyslots/*/*"))


def chunks_are_there(count: int) -> Landmark:
    return lambda lucid: len(chunk_objects(lucid)) >= count


def an_object_is_being_written(lucid: Lucid) -> object:
    """It has another name until it is whole."""
    return [path for folder in ("archive", "keystore") for path in (lucid.home / folder).rglob(".*")]


def there_is(pattern: str, count: int = 1) -> Landmark:
    return lambda lucid: len(objects_like(lucid.archive_folder, pattern)) >= count


def a_session_is_verified(lucid: Lucid) -> object:
    return [at for at in known_of_sessions(lucid.home, "verified_at") if at]


def a_recording_has_gone(lucid: Lucid) -> object:
    return len(entries(lucid.folder / "landing")) < len(RECORDINGS)


LANDMARKS: dict[str, Landmark] = {
    "before anything is registered": a_process_has_its_name,
    "when partitions are added": partitions_are_added,
    "when a run has begun": a_run_has_begun,
    "when all are cut": all_are("chunked"),
    "at the first key slot": a_key_slot_is_there,
    "at the first chunk object": chunks_are_there(1),
    "while an object is written": an_object_is_being_written,
    "amid the chunk objects": chunks_are_there(11),
    "when all are encrypted": all_are("encrypted"),
    "at the first chunk table": there_is("chunk-table.*"),
    "at the first manifest": there_is("manifest.*"),
    "at the last manifest": there_is("manifest.*", count=len(RECORDINGS)),
}

MOVING: dict[str, Landmark] = {
    "when the first is sealed": a_session_is("sealed"),
    "when the first is verified": a_session_is_verified,
    "when the first has gone": a_recording_has_gone,
}


@pytest.mark.parametrize("landmark", LANDMARKS.values(), ids=LANDMARKS)
def test_the_same_command_again_ends_as_if_nothing_had_happened(slow: Lucid, landing: Path, landmark: Landmark) -> None:
    assert kill_at(slow, lambda: landmark(slow), "archive", landing) == SIGKILL
    assert_nothing_is_torn(slow)
    left_running = unfinished_runs(slow)

    document = slow.json("archive", landing)
    assert document["failed"] == []
    assert [entry["name"] for entry in document["sessions"]] == sorted(RECORDINGS)
    assert_each_is_archived_once(slow, RECORDINGS)
    assert_no_run_is_left(slow, left_running)
    assert {path.name: path.read_bytes() for path in landing.iterdir()} == RECORDINGS, "without --move files stay"


@pytest.mark.parametrize("landmark", MOVING.values(), ids=MOVING)
def test_a_recording_is_only_gone_when_its_session_is_sealed_and_verified(
    slow: Lucid, landing: Path, landmark: Landmark
) -> None:
    assert kill_at(slow, lambda: landmark(slow), "archive", "--move", landing) == SIGKILL
    assert_nothing_is_torn(slow)
    assert_nothing_is_lost(slow, landing)
    left_running = unfinished_runs(slow)

    (landing / "e-late.bin").write_bytes(LATE)
    assert slow.json("archive", "--move", landing)["failed"] == []
    assert entries(landing) == []
    assert_each_is_archived_once(slow, WITH_LATE)
    assert_no_run_is_left(slow, left_running)


def test_killed_again_and_again_at_any_moment(slow: Lucid, landing: Path) -> None:
    moments = random.Random(2)
    for _ in range(4):
        kill_at(slow, seconds_after_its_start(slow, moments.uniform(0, 1)), "archive", "--move", landing)
        assert_nothing_is_torn(slow)
        assert_nothing_is_lost(slow, landing)
    (landing / "e-late.bin").write_bytes(LATE)
    assert slow.json("archive", "--move", landing)["failed"] == []
    assert entries(landing) == []
    assert_each_is_archived_once(slow, WITH_LATE)
    assert unfinished_runs(slow) == []


def seconds_after_its_start(lucid: Lucid, seconds: float) -> Callable[[], bool]:
    """A landmark for a process that is yet to be started. Those that were killed have left their names."""
    folder = lucid.home / "dagster" / "processes"
    before = set(folder.glob("*"))
    begun: list[float] = []

    def is_reached() -> bool:
        if not begun and set(folder.glob("*")) - before:
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() - begun[0] >= seconds

    return is_reached


def assert_nothing_is_lost(lucid: Lucid, landing: Path) -> None:
    """A recording is in the landing folder as it was, or in a session that is sealed and has been verified."""
    found = {record.name: record for record in sessions(lucid)}
    for name, data in RECORDINGS.items():
        if (landing / name).exists():
            assert (landing / name).read_bytes() == data
        else:
            assert found[name].verified_at, f"{name} has gone, and nobody had verified its session"
            assert_sealed_and_whole(lucid, found[name], data)


def assert_no_run_is_left(lucid: Lucid, run_ids: list[str]) -> None:
    assert {status_of_run(lucid, run_id) for run_id in run_ids} <= {DagsterRunStatus.FAILURE}
    assert unfinished_runs(lucid) == []
