"""What has to be true of a whole home, whatever happened to it; and how to look at one from outside."""

import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import pytest
from dagster import DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.storage.dagster_run import NOT_FINISHED_STATUSES

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.keys import Identity
from lucid_pipeline.archive.layout import chunk_key, chunk_table_key, manifest_key, sealed_key
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.stores.catalog import Seal, SessionFilter, SessionRecord, State
from lucid_pipeline.stores.keystore import Keystore
from tests.cli.support import Lucid, Text, salts
from tests.processes import eventually
from tests.servers.catalogs import known_of_sessions

MIB = 2**20


# A home from outside, while a command runs.


def states(lucid: Lucid) -> list[str]:
    """The states of all sessions, as the catalog has them."""
    return known_of_sessions(lucid.home, "state")


def chunk_objects(lucid: Lucid) -> list[Path]:
    return list(lucid.archive_folder.glob("sessions/*/chunks/[0-9]*"))


def kill_at(lucid: Lucid, landmark: Callable[[], object], *arguments: Text) -> int:
    """Start a command and kill it as soon as a landmark comes into sight; returns its exit status."""
    with lucid.start(*arguments, stdout=None, stderr=None) as process:
        try:
            eventually(lambda: process.poll() is not None or landmark())
        finally:
            process.kill()
    return process.returncode


def watch(process: "subprocess.Popen[bytes]", look: Callable[[Path], object]) -> None:
    """Look at a process in `/proc`, again and again, until it ends."""
    folder = Path("/proc") / str(process.pid)
    while process.poll() is None:
        with suppress(OSError):  # it ends just now
            look(folder)
        time.sleep(0.003)


# What holds at any moment, also right after a kill or beside a full disk.


def assert_nothing_is_torn(lucid: Lucid) -> None:
    """Whatever has the name of an object is that object, whole, and opens; no name or salt was used twice."""
    archive = lucid.archive_folder
    for path in archive.rglob("*"):
        if path.is_file() and not path.name.startswith("."):
            key = path.relative_to(archive).as_posix()
            assert key in possible_keys(path, archive), f"{key} is not the object that its name says"
    found = salts(archive)
    assert len(found) == len(set(found)), "a salt is repeated"
    references = Counter(referenced_keys(lucid))
    assert all(count == 1 for count in references.values()), "an object is referenced twice"
    assert all((archive / key).is_file() for key in references)
    assert_key_slots_open(lucid)


def possible_keys(path: Path, archive: Path) -> Iterator[str]:
    """The keys that an object with the bytes of this file may have."""
    session_id = parse_session_id(path.relative_to(archive).parts[1])
    digest = sha256(path.read_bytes()).digest()
    yield sealed_key(session_id, digest)
    yield chunk_table_key(session_id, digest)
    yield manifest_key(session_id, 1)
    if path.parent.name == "chunks":
        yield chunk_key(session_id, int(path.name.partition(".")[0]), digest)


def referenced_keys(lucid: Lucid) -> Iterator[str]:
    """The keys of all chunk objects, chunk tables and sealed metadata that manifests lead to."""
    sealed = lucid.sealed
    for session_id in sealed.ids():
        manifest = sealed.manifest(session_id)
        yield sealed_key(session_id, manifest.sealed_sha256)
        yield chunk_table_key(session_id, manifest.recording.chunk_table_sha256)
        yield from (chunk.key for chunk in sealed.table(session_id).objects)


def assert_key_slots_open(lucid: Lucid) -> None:
    """Every slot opens for the identity it is for, also one of an attempt that came to nothing."""
    home = lucid.opened
    keystore, identities = home.keystore(), {identity.recipient.id: identity for identity in home.keys().identities}
    for path in (lucid.home / "keystore").glob("keyslots/*/[0-9a-f]*"):
        commitment, recipient, _ = path.name.split(".")
        opens(keystore, parse_session_id(path.parent.name), commitment, identities[recipient])


def opens(keystore: Keystore, session_id: UUID, commitment: str, identity: Identity) -> None:
    """The name of a slot has half of its DEK's commitment: with zeros for the rest, only the last check may fail."""
    half = bytes.fromhex(commitment)
    slot = keystore.get(session_id, half + bytes(len(half)), identity.recipient.id)
    assert slot
    with pytest.raises(DamageError) as caught:
        identity.unwrap(slot, session_id, half + bytes(len(half)))
    assert caught.value.damage.code is DamageCode.COMMITMENT_MISMATCH


# What holds at the end.


def assert_each_is_archived_once(lucid: Lucid, recordings: Mapping[str, bytes]) -> None:
    """One verified session for each recording, byte for byte, and no other; in the archive as in the catalog."""
    assert_nothing_is_torn(lucid)
    found = sessions(lucid)
    assert sorted(record.name or "" for record in found) == sorted(recordings)
    for record in found:
        assert_sealed_and_whole(lucid, record, recordings[record.name or ""])
    folders = [path.name for path in (lucid.archive_folder / "sessions").iterdir()]
    assert sorted(folders) == sorted(str(record.session_id) for record in found), "of what recording is the other one?"


def assert_sealed_and_whole(lucid: Lucid, record: SessionRecord, data: bytes) -> None:
    """The catalog and the archive agree on the one seal of a session, and what comes out is what went in."""
    assert (record.state, record.failure) == (State.SEALED, None)
    sealed = lucid.sealed
    report = sealed.verify(record.session_id)
    assert report.damages == []
    assert report.deep
    assert report.signed
    assert record.seal == Seal.of(report.signed)
    assert sealed.export(record.session_id) == data, record.name
    [_manifest] = (lucid.archive_folder / "sessions" / str(record.session_id)).glob("manifest.*")


def sessions(lucid: Lucid) -> list[SessionRecord]:
    """All sessions that the catalog knows."""
    with lucid.opened.catalog() as catalog:
        return catalog.find(SessionFilter())


def unfinished_runs(lucid: Lucid) -> list[str]:
    """Ids of the runs that Dagster takes to be running, or about to."""
    with open_instance(lucid.opened.dagster_folder) as instance:
        return [run.run_id for run in instance.get_runs(RunsFilter(statuses=NOT_FINISHED_STATUSES))]


def status_of_run(lucid: Lucid, run_id: str) -> DagsterRunStatus:
    with open_instance(lucid.opened.dagster_folder) as instance:
        run = instance.get_run_by_id(run_id)
    assert isinstance(run, DagsterRun)
    return run.status
