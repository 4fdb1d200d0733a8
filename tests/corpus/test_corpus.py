"""An archive of format version 1, made by the first version of Lucid, that every later one verifies and exports."""

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lucid_pipeline.archive.encryption import ChunkHeader, decrypt_object, plaintext_length
from lucid_pipeline.archive.keyring import load_keys
from lucid_pipeline.archive.keys import Identity
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader, archived_sessions, load_chunk_table, load_manifest
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.archive.verify import verify_session
from lucid_pipeline.stores.keystore import Keystore
from lucid_pipeline.stores.object_store import open_object_store
from tests.support import export

CORPUS = Path(__file__).parent / "v1"
DIGEST = "bc4468d90392f8bc4d5f5c00faa70d4faa3638aa0884534d2d71bd87bec1d721"
EXPECTED: list[dict[str, Any]] = json.loads((CORPUS / "expected.json").read_text("utf-8"))

sessions = pytest.mark.parametrize("expected", EXPECTED, ids=lambda expected: expected["about"])


@pytest.fixture
def store() -> ObjectStore:
    return open_object_store((CORPUS / "archive").as_uri())


@pytest.fixture
def trusted() -> list[PublicKey]:
    return load_keys(CORPUS / "public-key.txt", PublicKey)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """The corpus's own identity, with the mode that git does not keep."""
    path = tmp_path / "identity.txt"
    shutil.copyfile(CORPUS / "identity.txt", path)
    path.chmod(0o600)
    return Keys(load_keys(path, Identity, private=True), Keystore(open_object_store((CORPUS / "keystore").as_uri())))


def reader_of(expected: dict[str, Any], store: ObjectStore, trusted: list[PublicKey], keys: Keys) -> SessionReader:
    return SessionReader.open(load_manifest(UUID(expected["session_id"]), store, trusted).manifest, store, keys)


def test_no_file_of_the_corpus_has_changed() -> None:
    files = sorted(path for path in CORPUS.rglob("*") if path.is_file())
    listing = "".join(f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(CORPUS)}\n" for path in files)
    assert sha256(listing.encode()).hexdigest() == DIGEST
    assert sum(path.stat().st_size for path in files) < 400_000


def test_its_identity_says_that_it_is_for_tests_only() -> None:
    assert (CORPUS / "identity.txt").read_text().startswith("# TEST ONLY")


def test_it_holds_the_sessions_that_it_should(store: ObjectStore) -> None:
    assert [str(session_id) for session_id in archived_sessions(store)] == [
        session["session_id"] for session in EXPECTED
    ]
    assert len(EXPECTED) == 13


@sessions
def test_it_verifies_without_any_secret(expected: dict[str, Any], store: ObjectStore, trusted: list[PublicKey]) -> None:
    report = verify_session(UUID(expected["session_id"]), store, trusted, workers=2)
    assert report.intact, report.damages
    assert report.signed is not None
    manifest = report.signed.manifest
    assert report.chunks_checked == manifest.recording.chunk_count == expected["chunk_count"]
    assert manifest.recording.tree.root.hex() == expected["root"]
    assert report.signed.envelope_sha256.hex() == expected["envelope_sha256"]
    assert (manifest.sequence, manifest.suite) == (expected["sequence"], expected["suite"])


@sessions
def test_it_verifies_to_the_last_plaintext_byte(
    expected: dict[str, Any], store: ObjectStore, trusted: list[PublicKey], keys: Keys
) -> None:
    report = verify_session(UUID(expected["session_id"]), store, trusted, workers=2, keys=keys)
    assert report.intact, report.damages
    assert report.deep


@sessions
def test_it_exports_the_original_bytes(
    expected: dict[str, Any], store: ObjectStore, trusted: list[PublicKey], keys: Keys
) -> None:
    data = export(reader_of(expected, store, trusted, keys))
    assert (len(data), sha256(data).hexdigest()) == (expected["length"], expected["sha256"])


@sessions
def test_its_metadata_reads_as_it_was_written(
    expected: dict[str, Any], store: ObjectStore, trusted: list[PublicKey], keys: Keys
) -> None:
    assert json.loads(reader_of(expected, store, trusted, keys).metadata.encode()) == expected["metadata"]


@sessions
def test_any_range_reads_as_it_was(
    expected: dict[str, Any], store: ObjectStore, trusted: list[PublicKey], keys: Keys
) -> None:
    reader = reader_of(expected, store, trusted, keys)
    for start, stop, digest in expected["ranges"]:
        assert sha256(b"".join(reader.read(start, stop))).hexdigest() == digest


def test_it_has_every_codec_in_both_suites_padded_and_not(
    store: ObjectStore, trusted: list[PublicKey], keys: Keys
) -> None:
    codecs, flags = set(), set()
    for expected in EXPECTED:
        manifest = load_manifest(UUID(expected["session_id"]), store, trusted).manifest
        dek = keys.unlock(manifest)
        for chunk in load_chunk_table(manifest, store).objects:
            data = store.get(chunk.key, chunk.length)
            header = ChunkHeader.parse(data, chunk.key)
            out = memoryview(bytearray(plaintext_length(len(data)) or 0))
            codec = decrypt_object(header, dek.secret, data, out, chunk.key)[0]
            codecs.add((int(header.suite), codec))
            flags.add(int(header.flags))
    assert codecs == {(suite, codec) for suite in (1, 2) for codec in (0, 1, 2)}
    assert flags == {0b01, 0b10, 0b11}
