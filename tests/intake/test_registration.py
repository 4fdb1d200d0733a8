"""How a recording enters: it gets an id that says nothing of it, once for each state of the file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import PermanentError
from lucid_pipeline.intake.registration import fingerprint, register
from lucid_pipeline.stores.catalog import Catalog, SessionFilter, SessionRecord, State
from tests.lineage.support import Stages

ALICE = SessionMetadata(user="alice", host="vault", tags={"case": "42"})


@pytest.fixture
def catalog(stages: Stages) -> Catalog:
    return stages.catalog


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recording.cast"
    path.write_bytes(b"recorded")
    return path


def registered(path: Path, catalog: Catalog, *, release: bool = False) -> SessionRecord:
    return register(path, ALICE, catalog, release=release)


def test_a_recording_becomes_a_session_that_waits(path: Path, catalog: Catalog) -> None:
    record = registered(path, catalog)
    assert record.state is State.REGISTERED
    assert (record.name, record.metadata) == ("recording.cast", ALICE)
    assert record.source
    assert (record.source.path, record.source.release) == (path, False)
    assert record.session_id.version == 7
    assert catalog.find(SessionFilter(user="alice")) == [record]


def test_the_same_state_of_a_file_is_the_same_session(path: Path, catalog: Catalog) -> None:
    first = registered(path, catalog)
    assert registered(path, catalog) == first
    assert registered(path.parent / ".." / path.parent.name / path.name, catalog) == first
    link = path.with_name("link")
    link.symlink_to(path)
    assert registered(link, catalog) == first


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes())


def grow(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"more")


@pytest.mark.parametrize("change", [touch, rewrite, grow])
def test_a_changed_file_is_another_session(change: Callable[[Path], None], path: Path, catalog: Catalog) -> None:
    first = registered(path, catalog)
    change(path)
    assert registered(path, catalog).session_id != first.session_id


def test_the_same_bytes_elsewhere_are_another_session(path: Path, catalog: Catalog) -> None:
    first = registered(path, catalog)
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    linked = path.with_name("hard link")
    linked.hardlink_to(path)
    others = [registered(other, catalog) for other in (copy, linked)]
    assert len({first.session_id, *(other.session_id for other in others)}) == 3


def test_a_fingerprint_tells_times_that_copying_tools_restore(path: Path) -> None:
    before = path.stat()
    first = fingerprint(path, before)
    path.write_bytes(b"RECORDED")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert fingerprint(path, after) != first


def test_to_be_removed_may_be_said_later_and_is_not_taken_back(path: Path, catalog: Catalog) -> None:
    for release, expected in ((False, False), (True, True), (False, True)):
        source = registered(path, catalog, release=release).source
        assert source
        assert source.release is expected


def loop(path: Path) -> None:
    path.symlink_to(path)


REFUSED = [
    (lambda path: None, "cannot find"),
    (Path.mkdir, "not a regular file"),
    (os.mkfifo, "not a regular file"),
    (loop, "cannot find"),
    (lambda path: path.symlink_to("nowhere"), "cannot find"),
    (lambda path: path.symlink_to("/dev/null"), "not a regular file"),
]


@pytest.mark.parametrize(("make", "reason"), REFUSED, ids=["missing", "folder", "fifo", "loop", "dangling", "device"])
def test_what_is_no_file_is_refused(
    make: Callable[[Path], object], reason: str, tmp_path: Path, catalog: Catalog
) -> None:
    path = tmp_path / "thing"
    make(path)
    with pytest.raises(PermanentError, match=reason):
        registered(path, catalog)
    assert catalog.find(SessionFilter()) == []


def test_what_may_not_be_read_is_refused(path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermanentError, match="may not be read"):
        registered(path, catalog)


@pytest.mark.parametrize("name", [b"a\xff\xfeb.cast", b"new\nline", "späť 🎥.webm".encode(), b"-rf *", b"%00..%2f"])
def test_any_file_name_can_be_archived_and_none_becomes_an_id(name: bytes, tmp_path: Path, stages: Stages) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    path.write_bytes(b"recorded")
    record = registered(path, stages.catalog)
    assert record.source
    assert record.source.path == path
    assert record.name == name.decode("utf-8", "replace")
    stages.archive(record.session_id)
    assert stages.export(record.session_id) == b"recorded"
    assert all(key.startswith(f"sessions/{record.session_id}/") for key in stages.objects())
