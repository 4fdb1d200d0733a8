"""What neither a loss of power nor another process may take along."""

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from threading import Barrier

import pytest

from lucid_pipeline.archive.keyring import save_keys
from lucid_pipeline.archive.ports import ObjectExists
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.stores import sqlite_file
from lucid_pipeline.stores.catalog import SessionFilter, Source
from lucid_pipeline.stores.catalog_sqlite import SqliteCatalog
from lucid_pipeline.stores.folder_store import FolderStore

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not name open files")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is synced and linked, in order, by its path below `tmp_path`; a file without its name yet is `partial`."""
    found: list[str] = []
    fsync, link = os.fsync, os.link

    def name(path: Path) -> str:
        return "partial" if path.name.endswith(".partial") else str(path.relative_to(tmp_path))

    def spy_fsync(descriptor: int) -> None:
        found.append(f"sync {name(Path(f'/proc/self/fd/{descriptor}').readlink())}")
        fsync(descriptor)

    def spy_link(source: Path, target: Path) -> None:
        found.append(f"link {name(source)} {name(target)}")
        link(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "link", spy_link)
    return found


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """An empty store in the folder `s`."""
    return FolderStore(tmp_path / "s", create=True)


def test_a_durable_object_has_its_bytes_on_the_disk_before_its_name_and_its_name_before_the_call_returns(
    store: FolderStore, calls: list[str]
) -> None:
    store.put("a/b/one", b"data")
    assert calls == ["sync partial", "link partial s/a/b/one", "sync s/a/b", "sync s/a", "sync s"]


def test_folders_that_are_known_to_be_durable_are_not_synced_again(store: FolderStore, calls: list[str]) -> None:
    store.put("a/b/one", b"data")
    calls.clear()
    store.put("a/b/two", b"data")
    assert calls == ["sync partial", "link partial s/a/b/two", "sync s/a/b"]
    calls.clear()
    store.put("a/c/three", b"data")
    assert calls == ["sync partial", "link partial s/a/c/three", "sync s/a/c", "sync s/a"]


def test_objects_that_are_put_for_later_are_synced_by_flush_and_then_their_folders(
    store: FolderStore, calls: list[str]
) -> None:
    store.put("a/b/one", b"data", durable=False)
    store.put("a/b/two", b"data", durable=False)
    assert calls == ["link partial s/a/b/one", "link partial s/a/b/two"]
    calls.clear()
    store.flush(["a/b/one", "a/b/two"])
    assert calls == ["sync s/a/b/one", "sync s/a/b/two", "sync s/a/b", "sync s/a", "sync s"]


def test_an_object_that_another_attempt_left_is_made_durable_by_flush(store: FolderStore, calls: list[str]) -> None:
    store.put("a/one", b"data", durable=False)
    with suppress(ObjectExists):
        store.put("a/one", b"data")
    calls.clear()
    store.flush(["a/one"])
    assert calls == ["sync s/a/one", "sync s/a", "sync s"]


def test_a_new_key_is_on_the_disk_before_anything_is_encrypted_with_it(tmp_path: Path, calls: list[str]) -> None:
    save_keys(tmp_path / "keys" / "one.txt", [SigningKey.generate()], private=True, comment="")
    assert calls == ["sync partial", "link partial keys/one.txt", "sync keys", "sync ."]


def test_a_commit_to_the_catalog_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def spy(*args: object, **options: object) -> sqlite3.Connection:
        opened.append(connect(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", spy)
    full = 2
    with closing(SqliteCatalog(tmp_path / "catalog")) as catalog:
        register(catalog)
        levels = []
        for connection in opened:
            with suppress(sqlite3.ProgrammingError):  # the one that made the catalog is closed
                levels.append(connection.execute("PRAGMA synchronous").fetchone()[0])
    assert levels
    assert set(levels) == {full}


def test_of_many_who_find_no_catalog_at_the_same_moment_one_makes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together, switch = Barrier(8), sqlite_file._switch_to_wal

    def switch_and_wait(connection: sqlite3.Connection) -> None:
        switch(connection)
        together.wait(timeout=60)

    monkeypatch.setattr(sqlite_file, "_switch_to_wal", switch_and_wait)

    def make(_number: int) -> None:
        with closing(SqliteCatalog(tmp_path / "catalog")) as catalog:
            register(catalog)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(make, range(8)))
    with closing(SqliteCatalog(tmp_path / "catalog")) as catalog:
        assert len(catalog.find(SessionFilter())) == 8


def register(catalog: SqliteCatalog) -> None:
    session_id = new_session_id()
    catalog.register(session_id, Source(Path("/file"), str(session_id)), "file", SessionMetadata())
