"""Stores that lie: a folder with anything in it but plain files, and a store that changes its answers."""

import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.layout import chunk_key
from lucid_pipeline.archive.ports import ObjectMissing
from lucid_pipeline.errors import LucidError, TransientError
from lucid_pipeline.stores.object_store import open_object_store
from tests.attacks.support import (
    Session,
    check_copy,
    check_read,
    codes,
    flip,
    recording_of,
    refusal,
    three_chunks,
    verify,
)
from tests.processes import ordinary_user
from tests.stores.memory_store import MemoryStore
from tests.support import Home

# Folders.


@pytest.fixture
def archived(home: Home) -> tuple[Home, Path]:
    """A session of two chunks in a real folder, and the file of its first chunk."""
    manifest = home.archive(recording_of(2)).manifest
    reader = home.reader(manifest.session_id)
    return home, home.object_path(reader.table.objects[0].key)


def _verify(home: Home, chunk: Path, *, deep: bool = True) -> tuple[DamageCode, ...]:
    return codes(home.verify(UUID(chunk.parent.parent.name), deep=deep))


ODD_NAMES = [
    b"new\nline",
    b"tab\t",
    b"\x01",
    b"\xff\xfe",
    "ü".encode(),
    b"a b",
    b"%2e%2e",
    b"#1",
    b"back\\slash",
    b"~",
    b"x" * 255,
]


@pytest.mark.parametrize("name", ODD_NAMES, ids=repr)
@pytest.mark.parametrize("below", ["", "chunks"])
def test_a_file_with_an_odd_name_does_not_hide_the_session(
    archived: tuple[Home, Path], name: bytes, below: str
) -> None:
    home, chunk = archived
    folder = chunk.parent if below else chunk.parent.parent
    with open(os.fsencode(folder) + b"/" + name, "wb"):  # noqa: PTH123
        pass
    assert _verify(home, chunk) == ()


def test_a_folder_in_the_place_of_an_object_is_no_object(archived: tuple[Home, Path]) -> None:
    home, chunk = archived
    chunk.unlink()
    chunk.mkdir()
    assert _verify(home, chunk) == (DamageCode.MISSING_OBJECT,)


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/zero", "/dev/null", "/nonexistent", "/proc/self/mem", "."])
def test_a_link_in_the_place_of_an_object_is_damage(archived: tuple[Home, Path], target: str) -> None:
    home, chunk = archived
    chunk.unlink()
    chunk.symlink_to(target)
    assert _verify(home, chunk) in ((DamageCode.MISSING_OBJECT,), (DamageCode.OBJECT_DIGEST_MISMATCH,))


def test_a_folder_that_loops_does_not_hide_the_session(archived: tuple[Home, Path]) -> None:
    home, chunk = archived
    (chunk.parent.parent / "loop").symlink_to(chunk.parent.parent)
    (chunk.parent / "loop").symlink_to(chunk.parent.parent)
    assert _verify(home, chunk) == ()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
@pytest.mark.parametrize("which", ["chunk", "manifest"])
def test_a_pipe_in_the_place_of_an_object_does_not_hold_up_verification(
    archived: tuple[Home, Path], which: str
) -> None:
    """Opening a pipe waits for a writer who never comes, so the attempt is made in another process."""
    home, chunk = archived
    path = chunk if which == "chunk" else next(chunk.parent.parent.glob("manifest.*"))
    path.unlink()
    os.mkfifo(path)
    assert _read_in_another_process(home.archive_folder, path) in ("missing", "another object", "transient")


def test_an_object_that_may_not_be_read_is_a_store_that_fails() -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "sessions", "object")
        open_object_store(Path(folder).as_uri()).put("sessions/object", b"bytes")
        path.chmod(0)
        assert _read_in_another_process(Path(folder), path) == "transient"


def _read_in_another_process(folder: Path, path: Path) -> str:
    command = [sys.executable, "-m", "tests.attacks.test_hostile_stores", str(folder), str(path)]
    return subprocess.run(
        command, capture_output=True, check=True, text=True, timeout=60, preexec_fn=ordinary_user()
    ).stdout


def _read(folder: str, path: str) -> str:
    try:
        open_object_store(Path(folder).as_uri()).get(str(Path(path).relative_to(folder)), 1_000)
    except ObjectMissing:
        return "missing"
    except TransientError:
        return "transient"
    return "another object"


def test_a_session_whose_chunk_folder_is_gone_misses_every_chunk(archived: tuple[Home, Path]) -> None:
    home, chunk = archived
    shutil.rmtree(chunk.parent)
    assert _verify(home, chunk) == (DamageCode.MISSING_OBJECT,) * 2


def test_an_index_beyond_eight_digits_has_a_name_of_its_own() -> None:
    session = three_chunks()
    names = {chunk_key(session.session_id, index, bytes(32)) for index in (1, 10**8, 10**8 + 1, 10**9, 2**64 - 1)}
    assert len(names) == 5


@pytest.mark.parametrize("key", ["../outside", "{outside}", "sessions/../../outside", "sessions/a/../../../outside"])
def test_no_key_leads_out_of_the_folder(home: Home, key: str) -> None:
    outside = home.folder / "outside"
    store, key = home.store, key.format(outside=outside)
    with suppress(ValueError, LucidError, ObjectMissing):
        store.put(key, b"planted")
    assert not outside.exists()
    outside.write_bytes(b"secret")
    with suppress(ValueError, LucidError, ObjectMissing):
        assert bytes(store.get(key, 100)) != b"secret"
    with suppress(ValueError, LucidError, ObjectMissing):
        store.delete(key)
    assert outside.read_bytes() == b"secret"


# Stores that change their answers.


class _Fickle(MemoryStore):
    """Serves every object as it is at first, and damaged from its second request on; or the other way round."""

    def __init__(self, objects: dict[str, bytes], *, honest: range) -> None:
        super().__init__(objects)
        self._honest = honest
        self._requests: Counter[str] = Counter()
        self._lock = threading.Lock()

    def get(self, key: str, limit: int) -> memoryview:
        with self._lock:
            request = self._requests[key]
            self._requests[key] += 1
        data = super().get(key, limit)
        return data if request in self._honest else memoryview(flip(bytes(data), len(data) * 8 - 9))


HONEST = [range(1), range(2), range(3), range(1, 100), range(2, 100), range(0)]


@pytest.fixture(params=HONEST, ids=str)
def fickle(request: pytest.FixtureRequest, session: Session) -> tuple[Session, _Fickle]:
    return session, _Fickle(session.archive.objects, honest=request.param)


def test_a_store_that_changes_its_answers_never_gets_a_wrong_byte_through(fickle: tuple[Session, _Fickle]) -> None:
    session, store = fickle
    for _ in range(3):
        refusal(lambda: check_read(session, 0, len(session.recording), store=store))
        refusal(lambda: check_copy(session, store=store))


def test_a_store_that_changes_its_answers_is_never_a_traceback(fickle: tuple[Session, _Fickle]) -> None:
    session, store = fickle
    for deep in (False, True, True):
        found = codes(verify(session, deep=deep, store=store))
        assert set(found) <= set(DamageCode)


def test_a_store_that_lists_everything_and_has_nothing_is_missing_an_object(session: Session) -> None:
    class Empty(MemoryStore):
        def list(self, prefix: str) -> Iterator[str]:
            return session.archive.list(prefix)

    assert codes(verify(session, store=Empty())) == (DamageCode.MISSING_OBJECT,)


def test_a_store_that_sends_more_than_was_asked_for_is_refused(session: Session) -> None:
    class Generous(MemoryStore):
        def get(self, key: str, limit: int) -> memoryview:
            data = super().get(key, limit)
            return memoryview(bytes(data) + bytes(MIB)) if "/chunks/" in key else data

    found = codes(verify(session, store=Generous(session.archive.objects), deep=True))
    assert found == (DamageCode.OBJECT_DIGEST_MISMATCH,) * 3


if __name__ == "__main__":
    sys.stdout.write(_read(*sys.argv[1:]))
