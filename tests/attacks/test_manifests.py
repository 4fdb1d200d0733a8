"""Envelopes and manifests: forged signatures, manifests from the future or from elsewhere, old ones served as new."""

import base64
import time
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive import canonical, envelope
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.manifest import PAYLOAD_TYPE, Tree
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.archive.verify import verify_session
from lucid_pipeline.errors import SessionNotFound
from tests.attacks.support import (
    Outcome,
    Session,
    codes,
    flip,
    inspect,
    intact,
    one_chunk,
    refused,
    unreadable,
    verify,
)

ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def _envelope(session: Session) -> dict[str, Any]:
    return canonical.decode(session.archive.objects[session.manifest_name])


def _store(session: Session, fields: dict[str, Any]) -> None:
    session.archive.objects[session.manifest_name] = canonical.encode(fields)


def _signature(session: Session) -> bytes:
    return base64.b64decode(_envelope(session)["signatures"][0]["sig"])


def _entry(keyid: str, signature: bytes) -> dict[str, str]:
    return {"keyid": keyid, "sig": base64.b64encode(signature).decode()}


def _sign_with(session: Session, *signatures: dict[str, str]) -> None:
    _store(session, {**_envelope(session), "signatures": list(signatures)})


# Signatures.


def test_a_manifest_signed_by_an_unknown_key_is_refused(session: Session) -> None:
    session.sign_payload(session.manifest.encode(), key=SigningKey.generate())
    assert inspect(session) == refused(session, DamageCode.UNKNOWN_SIGNER)


def test_nothing_is_trusted_where_no_key_is(session: Session) -> None:
    report = verify_session(session.session_id, session.archive, [], workers=1)
    assert codes(report) == (DamageCode.UNKNOWN_SIGNER,)
    assert report.signed is None


def test_an_unknown_key_cannot_borrow_a_trusted_key_id(session: Session) -> None:
    stranger = SigningKey.generate()
    message = b"DSSEv1 %d %b %d %b" % (
        len(PAYLOAD_TYPE),
        PAYLOAD_TYPE.encode(),
        len(session.manifest.encode()),
        session.manifest.encode(),
    )
    _sign_with(session, _entry(session.signing_key.public.id, stranger.sign(message)))
    assert inspect(session) == refused(session, DamageCode.SIGNATURE_INVALID)


def test_a_good_signature_under_an_unknown_key_id_does_not_count(session: Session) -> None:
    _sign_with(session, _entry("0" * 16, _signature(session)))
    assert inspect(session) == refused(session, DamageCode.UNKNOWN_SIGNER)


@pytest.mark.parametrize("keyid", ["", " ", "../../keys", "\x00", "A" * 100_000])
def test_a_key_id_is_never_more_than_a_name_that_nobody_knows(session: Session, keyid: str) -> None:
    _sign_with(session, _entry(keyid, _signature(session)))
    assert inspect(session) == refused(session, DamageCode.UNKNOWN_SIGNER)


def test_a_key_id_in_upper_case_is_another_key_id(session: Session) -> None:
    session.signing_key = SigningKey(bytes(32))
    assert session.signing_key.public.id.upper() != session.signing_key.public.id
    session.archive.objects[session.manifest_name] = envelope.sign(b"{}", PAYLOAD_TYPE, session.signing_key)
    _sign_with(session, _entry(session.signing_key.public.id.upper(), _signature(session)))
    assert inspect(session) == refused(session, DamageCode.UNKNOWN_SIGNER)


@pytest.mark.parametrize("byte", range(64))
def test_a_flipped_bit_of_the_signature_is_seen(small: Session, byte: int) -> None:
    _sign_with(small, _entry(small.signing_key.public.id, flip(_signature(small), byte * 8 + byte % 8)))
    assert codes(verify(small)) == (DamageCode.SIGNATURE_INVALID,)


def test_a_signature_has_one_form(session: Session) -> None:
    """S plus the order of the group fits the same equation; RFC 8032 refuses it."""
    signature = _signature(session)
    s = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    _sign_with(session, _entry(session.signing_key.public.id, signature[:32] + s.to_bytes(32, "little")))
    assert inspect(session) == refused(session, DamageCode.SIGNATURE_INVALID)


@pytest.mark.parametrize("length", [0, 1, 32, 63, 65, 128, 100_000])
def test_a_signature_of_another_length_is_invalid(session: Session, length: int) -> None:
    _sign_with(session, _entry(session.signing_key.public.id, (_signature(session) * 2000)[:length]))
    assert inspect(session) == refused(session, DamageCode.SIGNATURE_INVALID)


@settings(max_examples=40, deadline=None)
@given(st.integers(min_value=0))
def test_a_flipped_bit_of_the_payload_is_seen(bit: int) -> None:
    small = one_chunk()
    payload = small.manifest.encode()
    forged = base64.b64encode(flip(payload, bit % (len(payload) * 8))).decode()
    _store(small, {**_envelope(small), "payload": forged})
    assert inspect(small) == refused(small, DamageCode.SIGNATURE_INVALID)


def test_a_signature_of_another_session_does_not_fit(session: Session, other: Session) -> None:
    _sign_with(session, *_envelope(other)["signatures"])
    assert inspect(session) == refused(session, DamageCode.SIGNATURE_INVALID)


def test_an_envelope_without_signatures_is_malformed(session: Session) -> None:
    _sign_with(session)
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


def test_a_stranger_who_signs_as_well_changes_nothing_but_what_the_catalog_knows(session: Session) -> None:
    known = session.known
    good, stranger = _envelope(session)["signatures"][0], SigningKey.generate()
    for signatures in ([good, _entry(stranger.public.id, bytes(64))], [_entry(stranger.public.id, bytes(64)), good]):
        _sign_with(session, *signatures)
        assert inspect(session) == intact(session)
        assert inspect(session, known) == refused(session, DamageCode.OBJECT_DIGEST_MISMATCH)


def test_a_bad_signature_beside_a_good_one_of_the_same_key_changes_nothing(session: Session) -> None:
    good = _envelope(session)["signatures"][0]
    _sign_with(session, _entry(session.signing_key.public.id, bytes(64)), good)
    assert inspect(session) == intact(session)


def test_two_bad_signatures_do_not_make_a_good_one(session: Session) -> None:
    key_id, signature = session.signing_key.public.id, _signature(session)
    halves = [_entry(key_id, signature[:32] + bytes(32)), _entry(key_id, bytes(32) + signature[32:])]
    _sign_with(session, *halves)
    assert inspect(session) == refused(session, DamageCode.SIGNATURE_INVALID)


def test_an_envelope_cannot_make_a_verifier_try_thousands_of_signatures(session: Session) -> None:
    good = _envelope(session)["signatures"][0]
    _sign_with(session, *[_entry(session.signing_key.public.id, bytes(64))] * 5_000, good)
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


# Payload types.


@pytest.mark.parametrize("payload_type", ["application/vnd.lucid.manifest.v2+json", "text/plain", "", "Ä"])
def test_a_payload_of_another_type_is_refused_though_it_is_signed(session: Session, payload_type: str) -> None:
    session.sign_payload(session.manifest.encode(), payload_type)
    assert inspect(session) == refused(session, DamageCode.UNSUPPORTED_FORMAT)


def test_the_payload_type_cannot_be_changed_behind_the_signature(session: Session) -> None:
    _store(session, {**_envelope(session), "payloadType": "text/plain"})
    assert inspect(session) == refused(session, DamageCode.UNSUPPORTED_FORMAT)


def test_bytes_signed_as_another_type_are_no_manifest(session: Session) -> None:
    session.sign_payload(session.manifest.encode(), "text/plain")
    _store(session, {**_envelope(session), "payloadType": PAYLOAD_TYPE})
    assert inspect(session) == refused(session, DamageCode.SIGNATURE_INVALID)


# From the future.


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"schema": "lucid/manifest@v2"}, id="schema"),
        pytest.param({"suite": "AEAD_AEGIS_256"}, id="suite"),
        pytest.param({"suite": "aead_aes_256_gcm"}, id="suite in lower case"),
        pytest.param({"kdf": "HKDF-Expand-SHA3-512"}, id="kdf"),
        pytest.param({"schema": "lucid/manifest@v2", "streams": 7, "new": {}}, id="schema, with all else unknown"),
    ],
)
def test_a_manifest_from_the_future_is_told_from_a_malformed_one(session: Session, fields: dict[str, Any]) -> None:
    session.sign_payload(canonical.encode({**canonical.decode(session.manifest.encode()), **fields}))
    assert inspect(session) == refused(session, DamageCode.UNSUPPORTED_FORMAT)


def test_the_suite_that_is_signed_is_the_suite_of_every_object(session: Session) -> None:
    session.sign(suite="AEAD_CHACHA20_POLY1305")
    mismatch = DamageCode.COMMITMENT_MISMATCH
    assert inspect(session) == Outcome((mismatch,) * 4, (mismatch,) * 4, (mismatch,) * 3, mismatch)


# What a signed manifest says.


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"chunk_count": 4}, id="more chunks than the tree has"),
        pytest.param({"chunk_count": 2}, id="fewer chunks than the tree has"),
        pytest.param({"chunk_count": 0, "tree": Tree(size=0, root=sha256().digest())}, id="no chunks"),
        pytest.param({"chunk_size": 0}, id="chunk size zero"),
        pytest.param({"chunk_size": -MIB}, id="negative chunk size"),
        pytest.param({"chunk_size": 3 * MIB}, id="chunk size that is not allowed"),
        pytest.param({"chunk_size": 32 * MIB}, id="chunk size beyond the largest"),
        pytest.param({"chunk_size": 2**53 - 1}, id="chunk size beyond all memory"),
        pytest.param({"id": 1}, id="another stream"),
    ],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_signed_stream_that_cannot_be_is_malformed(session: Session, changes: dict[str, Any]) -> None:
    session.sign_stream(**changes)
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


@pytest.mark.parametrize("count", [0, 2, 1000])
def test_a_manifest_has_one_stream(session: Session, count: int) -> None:
    session.sign(streams=[session.manifest.recording] * count)
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


@pytest.mark.parametrize("count", [1, 2, 4, 10**9, 2**53, 2**64 - 1])
def test_a_chunk_count_is_checked_against_the_table_before_anything_is_made_of_it(session: Session, count: int) -> None:
    session.sign_stream(chunk_count=count, tree=Tree(size=count, root=session.manifest.recording.tree.root))
    started = time.monotonic()
    table, rows = DamageCode.CHUNK_TABLE_MISMATCH, DamageCode.SEALED_MISMATCH
    assert inspect(session) == Outcome((table,), (table,), (rows,) * 3, rows)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("difference", [-1, 1, 2**60])
def test_stored_bytes_are_the_sum_of_the_table(session: Session, difference: int) -> None:
    session.sign_stream(stored_bytes=session.manifest.recording.stored_bytes + difference)
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


def test_another_root_than_the_tables_is_refused(session: Session) -> None:
    session.sign_stream(tree=Tree(size=3, root=sha256(b"another").digest()))
    assert inspect(session) == refused(session, DamageCode.ROOT_MISMATCH)


@pytest.mark.parametrize("chunk_size", [2 * MIB, 16 * MIB])
def test_a_chunk_size_that_is_not_the_recordings_is_refused(session: Session, chunk_size: int) -> None:
    session.sign_stream(chunk_size=chunk_size)
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)


def test_a_manifest_that_names_other_sealed_metadata_is_refused(session: Session) -> None:
    session.sign(sealed_sha256=sha256(b"another").digest())
    missing = DamageCode.MISSING_OBJECT
    assert inspect(session) == Outcome((missing,), (missing,), (missing,) * 3, missing)


def test_a_manifest_that_names_another_chunk_table_is_refused(session: Session) -> None:
    session.sign_stream(chunk_table_sha256=sha256(b"another").digest())
    assert inspect(session) == refused(session, DamageCode.MISSING_OBJECT)


def test_a_commitment_to_another_key_leaves_no_slot(session: Session) -> None:
    session.sign(dek_commitment=sha256(b"another").digest())
    assert inspect(session) == unreadable(session, DamageCode.KEYSLOT_MISSING)


def test_a_commitment_that_only_begins_like_the_keys_is_refused(session: Session) -> None:
    session.sign(dek_commitment=session.manifest.dek_commitment[:16] + bytes(16))
    assert inspect(session) == unreadable(session, DamageCode.COMMITMENT_MISMATCH)


@pytest.mark.parametrize(
    ("sequence", "previous"),
    [(1, sha256(b"a manifest").digest()), (2, None), (0, None), (-1, None), (2**31, sha256(b"a manifest").digest())],
)
@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_a_place_in_the_sequence_that_cannot_be_is_malformed(
    session: Session, sequence: int, previous: bytes | None
) -> None:
    session.sign(sequence=sequence, previous=previous)
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


@pytest.mark.parametrize(
    "created_at", ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000Z\n"]
)
def test_a_time_is_written_in_one_way(session: Session, created_at: str) -> None:
    session.sign(created_at=created_at)
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


@pytest.mark.parametrize(
    "digits",
    [
        "\N{ARABIC-INDIC DIGIT TWO}026-01-01T00:00:00.000Z",
        "2026-99-99T99:99:99.999Z",
        "0001-01-01T00:00:00.000+14:00",
        "9999-12-31T23:59:59.999-14:00",
    ],
)
def test_a_time_that_cannot_be_is_malformed(session: Session, digits: str) -> None:
    session.sign(created_at=digits)
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


# Manifests of other places.


def test_the_manifest_of_another_session_is_refused_here(session: Session, other: Session) -> None:
    session.archive.objects[session.manifest_name] = other.archive.objects[other.manifest_name]
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


def test_a_whole_other_session_cannot_be_moved_here(session: Session, other: Session) -> None:
    session.archive.objects = {
        key.replace(str(other.session_id), str(session.session_id)): data for key, data in other.archive.objects.items()
    }
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


def test_an_envelope_too_large_to_be_one_is_refused_and_not_read_whole(session: Session) -> None:
    session.archive.objects[session.manifest_name] += b" " * (20 * MIB)
    session.archive.served = 0
    assert codes(verify(session)) == (DamageCode.MANIFEST_MALFORMED,)
    assert session.archive.served <= MIB


def test_a_signed_manifest_too_large_to_be_one_is_refused(session: Session) -> None:
    session.sign(retention={"reason": "x" * MIB})
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


# Old manifests.


@pytest.fixture
def resealed(session: Session) -> Session:
    """A session that has been sealed twice."""
    session.reseal()
    return session


def _name(session: Session, sequence: int) -> str:
    return manifest_key(session.session_id, sequence)


def test_a_session_that_was_sealed_twice_is_intact(resealed: Session) -> None:
    assert resealed.known.sequence == 2
    assert inspect(resealed, resealed.known) == intact(resealed)


def test_an_older_envelope_is_refused_where_a_newer_one_is_known(resealed: Session) -> None:
    known = resealed.known
    resealed.archive.delete(_name(resealed, 2))
    assert inspect(resealed, known) == refused(resealed, DamageCode.MISSING_OBJECT)


def test_only_who_knows_better_can_tell_that_the_newest_envelope_is_gone(resealed: Session) -> None:
    """The limit of what an archive proves by itself."""
    resealed.archive.delete(_name(resealed, 2))
    assert inspect(resealed) == intact(resealed)


def test_an_older_envelope_cannot_take_the_name_of_the_newer(resealed: Session) -> None:
    known = resealed.known
    resealed.archive.objects[_name(resealed, 2)] = resealed.archive.objects[_name(resealed, 1)]
    for knows in (None, known):
        assert inspect(resealed, knows) == refused(resealed, DamageCode.MANIFEST_MALFORMED)


def test_an_older_envelope_cannot_take_the_name_of_one_that_never_was(session: Session) -> None:
    session.archive.put(_name(session, 7), session.archive.objects[_name(session, 1)])
    assert inspect(session) == refused(session, DamageCode.MANIFEST_MALFORMED)


def test_the_newest_envelope_counts_even_where_it_is_garbage(session: Session) -> None:
    known = session.known
    session.archive.put(_name(session, 2), b"{}")
    for knows in (None, known):
        assert inspect(session, knows) == refused(session, DamageCode.MANIFEST_MALFORMED)


def test_another_envelope_that_is_just_as_validly_signed_is_not_the_known_one(session: Session) -> None:
    known = session.known
    session.sign(created_at="2020-01-01T00:00:00.000Z")
    assert inspect(session) == intact(session)
    assert inspect(session, known) == refused(session, DamageCode.OBJECT_DIGEST_MISMATCH)


def test_a_catalog_that_has_not_heard_of_the_newest_envelope_refuses_nothing(session: Session) -> None:
    known = session.known
    session.reseal()
    assert inspect(session, known) == intact(session)


def test_a_known_session_of_which_everything_is_gone_is_missing(session: Session) -> None:
    known = session.known
    session.archive.objects.clear()
    assert codes(verify(session, known=known)) == (DamageCode.MISSING_OBJECT,)


def test_an_unknown_session_of_which_nothing_is_there_is_not_found(session: Session) -> None:
    session.archive.objects.clear()
    with pytest.raises(SessionNotFound):
        verify(session)


@pytest.mark.parametrize(
    "name",
    [
        "manifest.2.dsse.json",
        "manifest.0000.dsse.json",
        "manifest.00009.dsse.json",
        "manifest.2147483648.dsse.json",
        "manifest.9999999999.dsse.json",
        "manifest.000\N{ARABIC-INDIC DIGIT NINE}.dsse.json",
        "manifest.0009.dsse.json.partial",
        "manifest.0009.json",
        "x/manifest.0009.dsse.json",
        f"manifest.{'9' * 200}.dsse.json",
        f"manifest.{'9' * 5_000}.dsse.json",
    ],
    ids=lambda name: name[:40],
)
def test_a_stray_file_that_is_named_much_like_a_manifest_changes_nothing(session: Session, name: str) -> None:
    session.archive.put(f"sessions/{session.session_id}/{name}", b"{}")
    assert inspect(session) == intact(session)


def test_nothing_of_a_manifest_is_believed_before_its_signature(session: Session) -> None:
    forged = session.manifest.model_copy(update={"created_at": "2020-01-01T00:00:00.000Z"}).encode()
    _store(session, {**_envelope(session), "payload": base64.b64encode(forged).decode()})
    report = verify(session)
    assert (codes(report), report.signed) == ((DamageCode.SIGNATURE_INVALID,), None)
