"""The archive in a folder: the contract, and what is a folder's own."""

import errno
import os
import resource
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lucid_pipeline.archive.ports import KeySlotStore, ObjectExists, ObjectMissing, ObjectStore
from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.stores.keystore import Keystore
from lucid_pipeline.stores.object_store import open_object_store
from tests.stores.keystore_contract import KeystoreContract
from tests.stores.object_store_contract import KEY, LIMIT, ObjectStoreContract


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the objects lie."""
    return tmp_path / "archive"


@pytest.fixture
def store(folder: Path) -> ObjectStore:
    """An empty store."""
    return open_object_store(folder.as_uri(), create=True)


class TestFolderStore(ObjectStoreContract):
    """The contract, on real files."""

    @pytest.fixture
    def same_place(self, store: ObjectStore, folder: Path) -> ObjectStore:
        """The same folder, opened once more."""
        return open_object_store(folder.as_uri())


class TestKeystoreInAFolder(KeystoreContract):
    """The contract of a keystore, on real files."""

    @pytest.fixture
    def keystore(self, store: ObjectStore) -> KeySlotStore:
        """An empty keystore."""
        return Keystore(store)


def test_a_folder_that_went_is_told_at_the_check(store: ObjectStore, folder: Path) -> None:
    folder.rmdir()
    with pytest.raises(TransientError, match="has gone"):
        store.check(writing=False)


def test_only_their_owner_can_read_objects(store: ObjectStore, folder: Path) -> None:
    mask = os.umask(0)
    try:
        store.put(KEY, b"data")
    finally:
        os.umask(mask)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {0o700, 0o600}


def test_nothing_but_the_object_is_left(store: ObjectStore, folder: Path) -> None:
    store.put(KEY, b"data")
    with pytest.raises(ObjectExists):
        store.put(KEY, b"other")
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / KEY]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/x", "a//b", "a/./b", "", "a/", "a\0b", "a\nb"])
def test_no_key_leads_out_of_the_folder(store: ObjectStore, folder: Path, key: str) -> None:
    (folder.parent / "x").write_bytes(b"not an object")
    calls = (lambda: store.put(key, b""), lambda: store.get(key, LIMIT), lambda: store.delete(key))
    for call in calls:
        with pytest.raises(ValueError, match="no key"):
            call()
    assert (folder.parent / "x").read_bytes() == b"not an object"


def test_what_others_left_beside_objects_hides_none(store: ObjectStore, folder: Path) -> None:
    store.put("s/object", b"data")
    store.put("s/folder/object", b"data")
    (folder / "s" / "link").symlink_to("object")
    (folder / "s" / "looped").symlink_to(".")
    (folder / os.fsdecode(b"s/\xff")).write_bytes(b"")
    (folder / os.fsdecode(b"s/line\nbreak")).mkdir()
    os.mkfifo(folder / "s" / "pipe")
    assert list(store.list("s/")) == ["s/object"]
    assert list(store.list_folders("s/")) == ["s/folder/"]
    for name in ("link", "looped", "pipe", "folder"):
        with pytest.raises(ObjectMissing):
            store.get(f"s/{name}", LIMIT)
        with pytest.raises(ObjectMissing):
            store.status(f"s/{name}")


@pytest.mark.parametrize("url", ["file://{}/none", "file://{}/file", "file://{}/file/below"])
def test_a_folder_that_is_not_there_is_no_empty_archive(tmp_path: Path, url: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=str(tmp_path)):
        open_object_store(url.format(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    "url",
    [
        *("", "archive", "/archive", "http://host/x", "file://host/x", "file:archive", "file:///a%00b"),
        *("s3:///x", "s3://bucket:9000/x", "s3://[x", "s4://bucket"),
    ],
)
def test_a_url_that_names_no_store_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="file:///folder or s3://bucket/prefix"):
        open_object_store(url)


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("s3://ada:hunter2@bucket/prefix", "AWS_SECRET_ACCESS_KEY"),
        ("s3://hunter2@bucket", "AWS_SECRET_ACCESS_KEY"),
        ("file://ada:hunter2@/folder", "AWS_SECRET_ACCESS_KEY"),
        ("s3://bucket/prefix?secret=hunter2", "leave that out"),
        ("s3://bucket/prefix#hunter2", "leave that out"),
        ("file:///folder?hunter2", "%3F"),
        ("file:///folder#hunter2", "%23"),
    ],
)
def test_a_url_with_more_than_a_place_is_refused_and_not_quoted(url: str, hint: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_object_store(url)
    assert raised.value.hint
    assert hint in raised.value.hint
    assert "hunter2" not in str(raised.value)


def test_a_folder_that_goes_away_is_a_store_that_fails_and_is_not_made_again(store: ObjectStore, folder: Path) -> None:
    store.put(KEY, b"data")
    folder.rename(folder.with_name("elsewhere"))
    calls: list[Callable[[], object]] = [
        lambda: store.put(KEY, b"data"),
        lambda: store.get(KEY, LIMIT),
        lambda: store.list("sessions/"),
        lambda: store.list_folders("sessions/"),
        lambda: store.flush([KEY]),
    ]
    for call in calls:
        with pytest.raises(TransientError, match="has gone"):
            call()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.EIO, "is its disk in order"),
        (errno.ESTALE, "is its disk in order"),
        (errno.EROFS, "read-only"),
        (errno.EMFILE, "ulimit"),
        (errno.EACCES, "may this user"),
    ],
)
def test_a_disk_that_fails_is_told_with_a_hint_that_fits(
    store: ObjectStore, number: int, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(TransientError, match=os.strerror(number)) as raised:
        store.put(KEY, b"data")
    assert hint in str(raised.value)
    monkeypatch.undo()
    with pytest.raises(ObjectMissing):
        store.get(KEY, LIMIT)


def test_too_many_open_files_are_told_as_that(store: ObjectStore, folder: Path) -> None:
    store.put(KEY, b"data")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(TransientError, match="ulimit"):
            store.get(KEY, LIMIT)
        with pytest.raises(UsageError, match="ulimit"):
            open_object_store(folder.as_uri())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
