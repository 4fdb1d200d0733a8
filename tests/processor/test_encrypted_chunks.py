"""The asset `encrypted_chunks`: ciphertext for every recipient, and nothing handed over that is not whole."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import Codec
from lucid_pipeline.archive.encryption import Suite
from lucid_pipeline.archive.keys import Identity
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader, load_manifest
from lucid_pipeline.archive.writer import Encryption
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, MANIFEST, MERKLE_TREE
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.catalog import Stage, State
from tests.lineage.support import Stages
from tests.support import export, mixture, text

DATA = mixture(9 * MIB)


@pytest.fixture
def chunked(stages: Stages) -> UUID:
    """A session of two chunks that waits to be encrypted."""
    session_id = stages.land(DATA)
    stages.archive(session_id, upto=CHUNKS)
    return session_id


def test_every_recipient_can_open_the_session(stages: Stages, chunked: UUID) -> None:
    identities = [Identity.generate() for _ in range(3)]
    recipients = [identity.recipient for identity in identities]
    encryption = Encryption(recipients, Suite.CHACHA20_POLY1305, Codec.LZ4, 2)
    assert stages.call(ENCRYPTED_CHUNKS, chunked, encryption=encryption) is None
    assert len(stages.slots()) == 3
    for stage in (MERKLE_TREE, MANIFEST):
        assert stages.call(stage, chunked) is None
    home = stages.home
    signed = load_manifest(chunked, home.archive(), home.trusted_keys())
    for identity in identities:
        keys = Keys([identity], home.keystore())
        assert export(SessionReader.open(signed.manifest, home.archive(), keys)) == DATA


def test_no_plaintext_is_in_the_archive_or_the_keystore(stages: Stages) -> None:
    marker = b"correct horse battery staple"
    session_id = stages.land(marker + text(5000))
    stages.archive(session_id)
    for data in (*stages.objects().values(), *stages.slots().values()):
        assert marker not in data
        assert b"recording.bin" not in data


def test_progress_is_told_of_every_byte(stages: Stages, chunked: UUID) -> None:
    told: list[int] = []
    assert stages.call(ENCRYPTED_CHUNKS, chunked, progress=told.append) is None
    assert sorted(told) == [MIB, 8 * MIB]


def test_a_slot_is_kept_before_any_chunk_is_stored(stages: Stages, chunked: UUID) -> None:
    """Chunks without a slot could never be read."""
    slots: list[int] = []
    archive = stages.home.archive()
    put = archive.put

    def watched_put(*args: Any, **options: Any) -> None:
        slots.append(len(stages.slots()))
        put(*args, **options)

    archive.put = watched_put
    assert stages.call(ENCRYPTED_CHUNKS, chunked, archive=archive) is None
    assert set(slots) == {1}


class Failing:
    """A store of which one call fails at its n-th use."""

    def __init__(self, store: ObjectStore, call: str, at: int) -> None:
        self._store, self._call, self._left = store, call, at

    def __getattr__(self, name: str) -> Any:
        call: Callable[..., object] = getattr(self._store, name)
        if name != self._call:
            return call

        def failing(*args: object, **options: object) -> object:
            self._left -= 1
            if self._left < 0:
                raise TransientError("no space is left")
            return call(*args, **options)

        return failing


@pytest.mark.parametrize("at", range(3), ids=["first chunk", "second chunk", "sealed metadata"])
def test_an_archive_that_fails_midway_leaves_the_session_as_it_was(at: int, stages: Stages, chunked: UUID) -> None:
    failure = stages.call(ENCRYPTED_CHUNKS, chunked, archive=Failing(stages.home.archive(), "put", at))
    assert failure
    assert failure.allow_retries
    assert "no space is left" in str(failure.description)
    assert stages.record(chunked).state is State.CHUNKED
    assert stages.catalog.handed_over(chunked, Stage.ENCRYPTED_CHUNKS) is None
    for stage in (ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST):
        assert stages.call(stage, chunked) is None
    assert stages.verify(chunked).intact


def test_a_keystore_that_fails_stores_no_chunk(stages: Stages, chunked: UUID) -> None:
    failure = stages.call(ENCRYPTED_CHUNKS, chunked, keystore=Failing(stages.home.keystore(), "put", 0))
    assert failure
    assert stages.objects() == {}


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shrink(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(MIB)


@pytest.mark.parametrize("change", [grow, shrink, Path.touch])
def test_a_recording_that_changes_while_it_is_encrypted_is_not_handed_over(
    change: Callable[[Path], object], stages: Stages, chunked: UUID
) -> None:
    path = stages.path(chunked)
    failure = stages.call(ENCRYPTED_CHUNKS, chunked, progress=lambda _bytes: change(path))
    assert failure
    assert failure.allow_retries
    assert "changed while it was read" in str(failure.description)
    assert stages.record(chunked).state is State.CHUNKED
    assert stages.catalog.handed_over(chunked, Stage.ENCRYPTED_CHUNKS) is None
