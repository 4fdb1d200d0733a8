"""A bucket whose server stops, hangs, or has no room: nothing sealed is lost, nothing twice, and work goes on."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from threading import Timer

import pytest

from tests.cli.support import Lucid, Text, entries
from tests.end_to_end.small_disk import SmallDisk, small_disk
from tests.end_to_end.support import MIB, assert_each_is_archived_once, assert_nothing_is_torn, chunk_objects
from tests.processes import eventually
from tests.servers.s3 import Gateway, credentials, gateway_or_skip
from tests.support import noise

IMPATIENT = """
import sys
from lucid_pipeline.stores import bucket_store
bucket_store._PATIENT = bucket_store._PATIENT._replace(retry_seconds=2)
from lucid_pipeline.cli.main import main
main()
"""
"""`lucid`, but for how long it waits for a server."""

RECORDINGS = {f"{name}.bin": noise(6 * MIB, seed=number) for number, name in enumerate("abc")}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Gateway]:
    """A server that a test may stop."""
    with gateway_or_skip(tmp_path / "server") as gateway:
        yield gateway


@pytest.fixture
def stored(lucid: Lucid, server: Gateway, monkeypatch: pytest.MonkeyPatch) -> Lucid:
    """`lucid` on a home whose archive and keystore are in a bucket; the objects are files where a folder has them."""
    bucket = server.link_bucket(lucid.folder / "bucket")
    for name in ("archive", "keystore"):
        shutil.rmtree(lucid.home / name, ignore_errors=True)
        (lucid.folder / "bucket" / name).mkdir(parents=True)
        (lucid.home / name).symlink_to(lucid.folder / "bucket" / name)
    access = credentials(server.url)
    for variable in access.items():
        monkeypatch.setenv(*variable)
    return Lucid(lucid.home, {**lucid.settings, **access}, lucid.folder).having(
        archive_url=f"s3://{bucket}/archive",
        keystore_url=f"s3://{bucket}/keystore",
        chunk_size="1MiB",
        workers="1",
        codec="stored",
    )


def land(lucid: Lucid, recordings: Mapping[str, bytes]) -> Path:
    folder = lucid.folder / "landing"
    folder.mkdir(exist_ok=True)
    for name, data in recordings.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("chunks", [1, 9, 17])
def test_a_server_that_is_killed_amid_a_batch_and_comes_back_is_waited_for(
    stored: Lucid, server: Gateway, chunks: int
) -> None:
    landing = land(stored, RECORDINGS)
    with stored.start("archive", "--json", landing) as process:
        eventually(lambda: process.poll() is not None or len(chunk_objects(stored)) >= chunks)
        server.stop()
        Timer(2, server.start).start()
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, b""), out
    assert_each_is_archived_once(stored, RECORDINGS)


def test_a_server_that_hangs_again_and_again_is_waited_for(stored: Lucid, server: Gateway) -> None:
    landing = land(stored, RECORDINGS)
    with stored.start("archive", "--json", landing) as process:
        for chunks in (1, 6, 11, 16):
            eventually(lambda wanted=chunks: process.poll() is not None or len(chunk_objects(stored)) >= wanted)
            os.kill(server.pid, signal.SIGSTOP)
            Timer(0.5, os.kill, (server.pid, signal.SIGCONT)).start()
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (0, b""), out
    assert_each_is_archived_once(stored, RECORDINGS)


def test_where_the_server_does_not_come_back_it_says_so_and_the_same_command_goes_on_later(
    stored: Lucid, server: Gateway
) -> None:
    landing = land(stored, RECORDINGS)
    with impatient(stored, "archive", "--move", "--json", landing) as process:
        eventually(lambda: process.poll() is not None or chunk_objects(stored))
        server.stop()
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (1, b""), err
    failed = json.loads(out)["failed"]
    assert len(failed) == 3
    assert len({session["reason"] for session in failed}) == 1, "it was asked once, for all of them"
    assert "does the server run" in failed[0]["reason"]
    assert all(session["failure"]["retry_at"] for session in stored.json("list")), "none is in quarantine"
    assert entries(landing) == sorted(RECORDINGS)
    assert "cannot be used" in stored.refused("archive", "--move", landing, status=1)

    server.start()
    assert_nothing_is_torn(stored)
    assert stored.json("archive", "--move", landing)["failed"] == []
    assert entries(landing) == []
    assert_each_is_archived_once(stored, RECORDINGS)


def impatient(lucid: Lucid, *arguments: Text) -> "subprocess.Popen[bytes]":
    """Start a command that soon gives up a server."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", IMPATIENT, *arguments]
    return subprocess.Popen(command, env=lucid.environment, cwd=lucid.folder, stdout=pipe, stderr=pipe)


def test_two_commands_on_the_same_recordings_seal_each_once(stored: Lucid) -> None:
    landing = land(stored, RECORDINGS)
    with stored.start("archive", "--json", landing) as one, stored.start("archive", "--json", landing) as other:
        for process in (one, other):
            process.communicate(timeout=100)
    assert stored.json("archive", landing)["failed"] == []
    assert_each_is_archived_once(stored, RECORDINGS)


@pytest.fixture
def disk(stored: Lucid) -> Iterator[SmallDisk]:
    """The disk of the server."""
    with small_disk(stored.folder / "bucket", 16 * MIB) as disk:
        yield disk


def test_a_server_without_room_is_told_and_with_room_the_same_command_ends_well(stored: Lucid, disk: SmallDisk) -> None:
    recording = {"a.bin": RECORDINGS["a.bin"]}
    landing = land(stored, recording)
    disk.leave(3 * MIB)
    with impatient(stored, "archive", "--move", "--json", landing) as process:
        out, err = process.communicate(timeout=100)
    assert (process.returncode, err) == (1, b"")
    [failed] = json.loads(out)["failed"]
    assert re.search("space|full|room", failed["reason"]), failed
    assert entries(landing) == ["a.bin"]
    disk.make_room()
    assert_nothing_is_torn(stored)

    assert stored.json("archive", "--move", landing)["failed"] == []
    assert entries(landing) == []
    assert_each_is_archived_once(stored, recording)
