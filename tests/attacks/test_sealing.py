"""What an honest sealer refuses to sign: requests of a writer gone bad, and what someone else has put in the way.

Whatever is wrong, it is damage, nothing is signed, and no object out of the session's own place is touched.
"""

from hashlib import sha256
from typing import Any

import pytest

from lucid_pipeline.archive.chunk_table import StoredObject
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.layout import manifest_key, sealed_key
from lucid_pipeline.archive.sealing import SealingRequest, hash_chunks, seal_session
from lucid_pipeline.errors import PermanentError
from tests.attacks.support import LARGEST_SEALED_OBJECT, Session, chunk_entry, flip, inspect, intact
from tests.support import Home


@pytest.fixture
def unsealed(session: Session) -> Session:
    """A session as its writer leaves it: encrypted, and not yet sealed."""
    return session


@pytest.fixture
def request_(unsealed: Session) -> SealingRequest:
    """The true request for the session, whose manifest and chunk table are then removed."""
    manifest, sealed = unsealed.manifest, unsealed.archive.objects[unsealed.sealed_name]
    request = SealingRequest(
        session_id=unsealed.session_id,
        media_type=manifest.recording.media_type,
        chunk_size=manifest.recording.chunk_size,
        suite=manifest.suite,
        dek_commitment=manifest.dek_commitment,
        objects=unsealed.table.objects,
        sealed=StoredObject(key=unsealed.sealed_name, length=len(sealed), sha256=manifest.sealed_sha256),
    )
    for name in (unsealed.table_name, unsealed.manifest_name):
        unsealed.archive.delete(name)
    return request


def _seal(session: Session, request: SealingRequest) -> None:
    hashed = hash_chunks(request, session.archive, workers=2)
    seal_session(request, hashed, session.signing_key, session.archive)


def _refusal(session: Session, request: SealingRequest) -> DamageCode:
    """The code with which sealing is refused; nothing is signed, and nothing outside the session was asked for."""
    session.archive.asked.clear()
    with pytest.raises(DamageError) as raised:
        _seal(session, request)
    assert not [name for name in session.archive.objects if "/manifest." in name]
    prefix = f"sessions/{session.session_id}/"
    assert all(key.startswith(prefix) and ".." not in key for key in session.archive.asked)
    return raised.value.damage.code


def _changed(request: SealingRequest, at: int, /, **changes: Any) -> SealingRequest:
    objects = list(request.objects)
    objects[at] = objects[at].model_copy(update=changes)
    return request.model_copy(update={"objects": objects})


def test_a_true_request_is_sealed(unsealed: Session, request_: SealingRequest) -> None:
    """The means of the other tests add no damage of their own."""
    _seal(unsealed, request_)
    assert inspect(unsealed) == intact(unsealed)


def test_a_digest_that_was_only_told_is_not_signed(unsealed: Session, request_: SealingRequest) -> None:
    name = request_.objects[1].key
    unsealed.archive.objects[name] = flip(unsealed.archive.objects[name], 8 * 1000)
    assert _refusal(unsealed, request_) is DamageCode.OBJECT_DIGEST_MISMATCH


@pytest.mark.parametrize("length", [0, 1, 41_103, 41_105])
def test_a_length_that_was_only_told_is_not_signed(unsealed: Session, request_: SealingRequest, length: int) -> None:
    assert _refusal(unsealed, _changed(request_, 1, length=length)) is DamageCode.OBJECT_DIGEST_MISMATCH


def test_a_length_beyond_any_chunk_object_is_not_signed(unsealed: Session, request_: SealingRequest) -> None:
    found = _refusal(unsealed, _changed(request_, 1, length=2**63))
    assert found in (DamageCode.CHUNK_TABLE_MISMATCH, DamageCode.OBJECT_DIGEST_MISMATCH)


@pytest.mark.parametrize("index", range(3))
def test_an_object_that_is_not_there_is_not_signed(unsealed: Session, request_: SealingRequest, index: int) -> None:
    unsealed.archive.delete(request_.objects[index].key)
    assert _refusal(unsealed, request_) is DamageCode.MISSING_OBJECT


def test_sealed_metadata_that_is_not_there_is_not_signed(unsealed: Session, request_: SealingRequest) -> None:
    unsealed.archive.delete(request_.sealed.key)
    assert _refusal(unsealed, request_) is DamageCode.MISSING_OBJECT


def test_sealed_metadata_that_is_not_what_was_told_is_not_signed(unsealed: Session, request_: SealingRequest) -> None:
    name = request_.sealed.key
    unsealed.archive.objects[name] = flip(unsealed.archive.objects[name], 8 * 200)
    assert _refusal(unsealed, request_) in (DamageCode.OBJECT_DIGEST_MISMATCH, DamageCode.SEALED_MISMATCH)


@pytest.mark.parametrize("byte", [0, 4, 5, 6, 7, 8, 24, 28, 35, 36])
def test_an_object_whose_header_is_of_another_place_or_time_is_not_signed(
    unsealed: Session, request_: SealingRequest, byte: int
) -> None:
    data = flip(unsealed.archive.objects[request_.objects[1].key], byte * 8)
    forged = chunk_entry(unsealed.session_id, 1, data)
    unsealed.archive.put(forged.key, data)
    request = _changed(request_, 1, key=forged.key, sha256=forged.sha256)
    expected = DamageCode.COMMITMENT_MISMATCH if byte in (6, 8, 24, 28, 35) else DamageCode.UNSUPPORTED_FORMAT
    assert _refusal(unsealed, request) is expected


@pytest.mark.parametrize("byte", [0, 4, 5, 7, 8, 24, 28, 35, 36])
def test_sealed_metadata_whose_header_is_of_another_place_or_time_is_not_signed(
    unsealed: Session, request_: SealingRequest, byte: int
) -> None:
    data = flip(unsealed.archive.objects[request_.sealed.key], byte * 8)
    forged = unsealed.copy()
    forged.archive.objects.update(unsealed.archive.objects)
    entry = chunk_entry(unsealed.session_id, 0, data)
    name = f"sessions/{unsealed.session_id}/sealed.{entry.sha256.hex()[:32]}.luc"
    forged.archive.put(name, data)
    sealed = StoredObject(key=name, length=len(data), sha256=entry.sha256)
    expected = DamageCode.COMMITMENT_MISMATCH if byte in (8, 24, 28, 35) else DamageCode.UNSUPPORTED_FORMAT
    assert _refusal(forged, request_.model_copy(update={"sealed": sealed})) is expected


def test_chunks_in_another_order_are_not_signed(unsealed: Session, request_: SealingRequest) -> None:
    first, second, third = request_.objects
    request = request_.model_copy(update={"objects": [second, first, third]})
    assert _refusal(unsealed, request) in (DamageCode.COMMITMENT_MISMATCH, DamageCode.CHUNK_TABLE_MISMATCH)


@pytest.mark.parametrize("keep", [slice(0, 2), slice(1, 3), slice(0, 1)])
def test_some_of_the_chunks_are_not_signed_as_all_of_them(
    unsealed: Session, request_: SealingRequest, keep: slice
) -> None:
    request = request_.model_copy(update={"objects": request_.objects[keep]})
    assert _refusal(unsealed, request) in (DamageCode.COMMITMENT_MISMATCH, DamageCode.CHUNK_TABLE_MISMATCH)


def test_the_chunks_of_another_session_are_not_signed_here(
    unsealed: Session, request_: SealingRequest, other: Session
) -> None:
    unsealed.archive.objects.update(other.archive.objects)
    objects = other.table.objects
    for name in (other.table_name, other.manifest_name):
        unsealed.archive.delete(name)
    request = request_.model_copy(update={"objects": objects})
    assert _refusal(unsealed, request) in (DamageCode.COMMITMENT_MISMATCH, DamageCode.CHUNK_TABLE_MISMATCH)


def test_sealed_metadata_larger_than_any_is_not_signed_and_not_read_whole(
    unsealed: Session, request_: SealingRequest
) -> None:
    data = unsealed.archive.objects[request_.sealed.key] + bytes(2 * LARGEST_SEALED_OBJECT)
    digest = sha256(data).digest()
    name = sealed_key(unsealed.session_id, digest)
    unsealed.archive.put(name, data)
    sealed = StoredObject(key=name, length=len(data), sha256=digest)
    unsealed.archive.served = 0
    assert _refusal(unsealed, request_.model_copy(update={"sealed": sealed})) is DamageCode.SEALED_MISMATCH
    assert unsealed.archive.served < LARGEST_SEALED_OBJECT + 1_000_000


KEYS = ["/etc/passwd", "../../../etc/passwd", "sessions/../x", "", "x", "keyslots/x.json", "a\x00b", "a\nb", "a//b"]


@pytest.mark.parametrize("key", KEYS)
def test_a_chunks_key_that_is_not_its_own_is_never_followed(
    unsealed: Session, request_: SealingRequest, key: str
) -> None:
    unsealed.archive.objects[key] = unsealed.archive.objects[request_.objects[1].key]
    assert _refusal(unsealed, _changed(request_, 1, key=key)) is DamageCode.CHUNK_TABLE_MISMATCH


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_sealed_metadata_that_is_not_its_own_is_never_followed(
    unsealed: Session, request_: SealingRequest, key: str
) -> None:
    unsealed.archive.objects[key] = unsealed.archive.objects[request_.sealed.key]
    sealed = request_.sealed.model_copy(update={"key": key})
    assert _refusal(unsealed, request_.model_copy(update={"sealed": sealed})) is DamageCode.SEALED_MISMATCH


@pytest.mark.parametrize("key", KEYS)
def test_no_key_leads_the_sealer_out_of_a_real_folder(home: Home, request_: SealingRequest, key: str) -> None:
    store = home.store
    with pytest.raises(DamageError):
        hash_chunks(_changed(request_, 0, key=key), store, workers=1)


@pytest.mark.parametrize("index", [0, 2, 3, 2**63])
def test_an_entry_out_of_its_place_is_not_signed(unsealed: Session, request_: SealingRequest, index: int) -> None:
    assert _refusal(unsealed, _changed(request_, 1, index=index)) is DamageCode.CHUNK_TABLE_MISMATCH


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"suite": "AEAD_AEGIS_256"}, id="suite from the future"),
        pytest.param({"suite": ""}, id="no suite"),
        pytest.param({"suite": "AEAD_CHACHA20_POLY1305"}, id="another suite"),
        pytest.param({"chunk_size": 0}, id="chunk size zero"),
        pytest.param({"chunk_size": -1}, id="negative chunk size"),
        pytest.param({"chunk_size": 3 * 1024 * 1024}, id="chunk size that is not allowed"),
        pytest.param({"objects": []}, id="no chunks"),
    ],
)
def test_a_request_that_no_reader_would_accept_is_not_signed(
    unsealed: Session, request_: SealingRequest, changes: dict[str, Any]
) -> None:
    with pytest.raises(PermanentError):
        _seal(unsealed, request_.model_copy(update=changes))
    assert not [name for name in unsealed.archive.objects if "/manifest." in name]


# Someone else got there first.


def test_garbage_in_the_place_of_the_manifest_is_not_taken_for_one(unsealed: Session, request_: SealingRequest) -> None:
    unsealed.archive.put(manifest_key(unsealed.session_id, 1), b"{}")
    with pytest.raises(DamageError) as raised:
        _seal(unsealed, request_)
    assert raised.value.damage.code is DamageCode.MANIFEST_MALFORMED


def test_the_manifest_of_another_session_in_its_place_is_not_taken_for_it(
    unsealed: Session, request_: SealingRequest, other: Session
) -> None:
    """It is signed by the sealer's own key, but it is not what was to be sealed."""
    unsealed.archive.put(manifest_key(unsealed.session_id, 1), other.archive.objects[other.manifest_name])
    with pytest.raises(DamageError) as raised:
        _seal(unsealed, request_)
    assert raised.value.damage.code is DamageCode.MANIFEST_MALFORMED


def test_what_an_attempt_that_was_killed_had_stored_is_made_durable(
    unsealed: Session, request_: SealingRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    _seal(unsealed, request_)
    flushed: list[str] = []
    monkeypatch.setattr(unsealed.archive, "flush", flushed.extend)
    _seal(unsealed, request_)
    assert manifest_key(unsealed.session_id, 1) in flushed
    assert hash_chunks(request_, unsealed.archive, workers=1).chunk_table.key in flushed


def test_garbage_in_the_place_of_the_chunk_table_is_not_signed(unsealed: Session, request_: SealingRequest) -> None:
    table = hash_chunks(request_, unsealed.archive, workers=1).chunk_table.key
    unsealed.archive.objects[table] = b"{}"
    assert _refusal(unsealed, request_) is DamageCode.OBJECT_DIGEST_MISMATCH
