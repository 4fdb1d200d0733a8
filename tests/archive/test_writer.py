"""From a recording to chunk objects: what is written, and what happens when the recording does not stay still."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_extensions import override

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import Codec, padme_length
from lucid_pipeline.archive.encryption import ChunkFlags, ChunkHeader, Suite, plaintext_length
from lucid_pipeline.archive.manifest import SignedManifest
from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.planning import plan_recording
from lucid_pipeline.archive.ports import Progress
from lucid_pipeline.archive.reader import load_chunk_table
from lucid_pipeline.archive.recording import open_recording
from lucid_pipeline.archive.sealed import LARGEST_METADATA, SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.writer import EncryptedSession, encrypt_session
from lucid_pipeline.errors import PermanentError, TransientError
from lucid_pipeline.stores.folder_store import FolderStore
from tests.support import Home, mixture, noise, text

CAST = b'{"version": 2, "width": 80, "height": 24}\n' + b'[1.5, "o", "some text"]\n' * 100_000
WEBM = b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84webm" + noise(2 * MIB)


def encrypt(
    home: Home, data: bytes, *, codec: Codec = Codec.ZSTD, progress: Progress = lambda _: None
) -> EncryptedSession:
    with open_recording(home.landing_file(data)) as recording:
        return encrypt_session(
            recording,
            plan_recording(recording, MIB),
            SessionMetadata(),
            new_session_id(),
            home.encryption(codec=codec),
            home.store,
            home.keystore,
            progress,
        )


def archive(home: Home, path: Path, progress: Progress) -> SignedManifest:
    return archive_recording(
        path,
        SessionMetadata(),
        new_session_id(),
        home.encryption(workers=1),
        home.signing_key,
        home.store,
        home.keystore,
        chunk_size=MIB,
        progress=progress,
    )


def objects(home: Home) -> list[Path]:
    return [path for path in home.archive_folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(("data", "padded"), [(CAST, True), (WEBM, False), (mixture(2 * MIB), True)])
def test_all_but_video_is_padded(data: bytes, padded: bool, home: Home) -> None:
    for chunk in encrypt(home, data).request.objects:
        stored = home.object_path(chunk.key).read_bytes()
        header = ChunkHeader.parse(memoryview(stored), "")
        length = plaintext_length(len(stored))
        assert length is not None
        assert (ChunkFlags.PADDED in header.flags) is padded
        assert (padme_length(length) == length) or not padded


def test_headers_say_session_place_and_which_is_last(home: Home) -> None:
    request = encrypt(home, mixture(3 * MIB)).request
    for index, chunk in enumerate(request.objects):
        header = ChunkHeader.parse(memoryview(home.object_path(chunk.key).read_bytes()), "")
        assert (header.session_id, header.stream_id, header.index) == (request.session_id, 0, index)
        assert (ChunkFlags.LAST in header.flags) is (index == 2)
        assert header.suite is Suite.AES_256_GCM


def test_codecs_are_counted_by_what_was_really_used(home: Home) -> None:
    data = text(MIB) + noise(MIB) + text(MIB)
    assert encrypt(home, data, codec=Codec.LZ4).codecs == {Codec.LZ4: 2, Codec.STORED: 1}
    assert encrypt(home, data, codec=Codec.STORED).codecs == {Codec.STORED: 3}


def test_progress_adds_up_to_the_recording(home: Home) -> None:
    done: list[int] = []
    encrypt(home, mixture(2 * MIB + 5), progress=done.append)
    assert sorted(done) == [5, MIB, MIB]


def test_whoever_writes_keeps_nothing_that_could_decrypt(home: Home) -> None:
    session = encrypt(home, b"the recording")
    assert "secret" not in repr(session)
    assert home.keystore.get(session.request.session_id, session.request.dek_commitment, home.identity.recipient.id)
    assert session.request.encode().count(b"wrapped") == 0


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def shorten(path: Path) -> None:
    os.truncate(path, MIB + 1)


def overwrite(path: Path) -> None:
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"other bytes")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


@pytest.mark.parametrize("change", [append, shorten, overwrite])
def test_a_recording_that_changes_while_it_is_read_is_never_sealed(change: Callable[[Path], None], home: Home) -> None:
    path = home.landing_file(mixture(3 * MIB))
    changes = iter([change])

    def at_first_chunk(_bytes: int) -> None:
        next(changes, lambda _path: None)(path)

    with pytest.raises(TransientError, match="changed while it was read"):
        archive(home, path, at_first_chunk)
    assert objects(home) == []


def test_a_recording_that_vanishes_while_it_is_read_is_archived_whole(home: Home) -> None:
    """The open file stays; whoever removed it wanted it gone from the landing folder."""
    data = mixture(3 * MIB)
    path = home.landing_file(data)
    signed = archive(home, path, lambda _bytes: path.unlink(missing_ok=True))
    assert not path.exists()
    assert home.export(signed.manifest.session_id) == data


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: os.mkfifo(path)])
def test_what_is_no_file_is_refused_and_leaves_nothing(
    make: Callable[[Path], None], home: Home, tmp_path: Path
) -> None:
    make(tmp_path / "recording")
    with pytest.raises(PermanentError):
        home.archive(tmp_path / "recording")
    assert not list(home.folder.rglob("*.json"))


def test_an_error_in_one_thread_stops_the_work(home: Home) -> None:
    def refuse(_bytes: int) -> None:
        raise ArithmeticError("from a worker")

    with pytest.raises(ArithmeticError, match="from a worker"):
        archive(home, home.landing_file(mixture(3 * MIB)), refuse)
    assert objects(home) == []


def test_an_attempt_whose_metadata_is_too_large_to_be_sealed_leaves_nothing(home: Home) -> None:
    recording = home.landing_file(mixture(2 * MIB))
    with pytest.raises(PermanentError, match="fewer tags"):
        home.archive(recording, metadata=SessionMetadata(tags={"much": "x" * LARGEST_METADATA}))
    assert objects(home) == []


class Forgetful(FolderStore):
    """A store that says of all objects of some kind that it failed, though it has stored them."""

    kind = ""

    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        super().put(key, data, durable=durable)
        if self.kind in key:
            raise TransientError("the answer was lost")


@pytest.mark.parametrize("kind", ["chunks/00000002", "sealed"])
def test_an_object_of_which_nobody_knows_whether_it_was_stored_is_removed_as_well(kind: str, home: Home) -> None:
    store = Forgetful(home.archive_folder, create=True)
    store.kind = kind
    with open_recording(home.landing_file(mixture(3 * MIB))) as recording:
        plan = plan_recording(recording, MIB)
        with pytest.raises(TransientError, match="the answer was lost"):
            encrypt_session(
                recording,
                plan,
                SessionMetadata(),
                new_session_id(),
                home.encryption(),
                store,
                home.keystore,
                lambda _bytes: None,
            )
    assert objects(home) == []


def test_a_manifest_lists_what_lies_in_the_archive(home: Home) -> None:
    manifest = home.archive(mixture(2 * MIB)).manifest
    table = load_chunk_table(manifest, home.store)
    folder = home.archive_folder / "sessions" / str(manifest.session_id)
    assert {home.object_path(chunk.key) for chunk in table.objects} == set((folder / "chunks").iterdir())
    assert len([entry for entry in folder.iterdir() if entry.is_file()]) == 3
