"""Key slots replaced, by someone who writes the keystore and knows every recipient. No forged slot opens anything.

Whatever happens to the slots, the proofs over the archive stay as they are.
"""

from dataclasses import dataclass

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.keys import Dek, Identity, KeySlot
from lucid_pipeline.archive.reader import Keys, SessionReader
from lucid_pipeline.stores.keystore import Keystore
from tests.attacks.support import (
    Session,
    archive_again,
    codes,
    flip,
    inspect,
    intact,
    one_chunk,
    unreadable,
    verify,
)

WRAPPED_BYTES = 1120 + 32 + 16
"""HPKE's single shot: ML-KEM-768 ciphertext and X25519 key, then the DEK and a tag."""


@dataclass(frozen=True)
class _AnyKey:
    """What a DEK looks like to a recipient, with a secret of any length."""

    secret: bytes


def _slot(session: Session) -> KeySlot:
    recipient_id = session.identity.recipient.id
    slot = Keystore(session.keystore).get(session.session_id, session.manifest.dek_commitment, recipient_id)
    assert slot
    return slot


def test_a_session_whose_only_slot_is_gone_cannot_be_read_and_still_verifies(session: Session) -> None:
    session.keystore.objects.clear()
    assert inspect(session) == unreadable(session, DamageCode.KEYSLOT_MISSING)


def test_shredding_a_session_leaves_every_proof_as_it_was(session: Session) -> None:
    Keystore(session.keystore).delete(session.session_id)
    assert session.keystore.objects == {}
    report = verify(session)
    assert (codes(report), report.chunks_checked) == ((), 3)


def test_a_slot_for_another_recipient_is_no_slot(session: Session) -> None:
    stranger = Identity.generate().recipient
    slot = stranger.wrap(session.dek, session.session_id)
    session.keystore.objects.clear()
    session.store_slot(slot)
    assert inspect(session) == unreadable(session, DamageCode.KEYSLOT_MISSING)


def test_a_slot_for_another_recipient_cannot_be_given_this_ones_name(session: Session) -> None:
    wrapped = Identity.generate().recipient.wrap(session.dek, session.session_id).wrapped
    session.store_slot(KeySlot(session.identity.recipient.id, wrapped))
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


def test_the_slot_of_another_session_opens_nothing_here(session: Session, other: Session) -> None:
    session.store_slot(_slot(other))
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


def test_the_slot_file_of_another_session_opens_nothing_here(session: Session, other: Session) -> None:
    session.keystore.objects[session.slot_name] = other.keystore.objects[other.slot_name]
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


def test_a_slot_that_wraps_this_sessions_key_for_another_session_opens_nothing(
    session: Session, other: Session
) -> None:
    session.store_slot(session.identity.recipient.wrap(session.dek, other.session_id))
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


def test_a_slot_that_wraps_another_key_is_refused(session: Session) -> None:
    """Anyone who knows the recipient can make it; that it opens proves nothing."""
    session.store_slot(session.identity.recipient.wrap(Dek.generate(), session.session_id))
    assert inspect(session) == unreadable(session, DamageCode.COMMITMENT_MISMATCH)


def test_a_slot_that_wraps_the_key_of_another_session_is_refused(session: Session, other: Session) -> None:
    session.store_slot(session.identity.recipient.wrap(other.dek, session.session_id))
    assert inspect(session) == unreadable(session, DamageCode.COMMITMENT_MISMATCH)


def test_a_slot_that_wraps_the_key_of_an_earlier_attempt_is_refused(session: Session) -> None:
    attempt = session.copy()
    for store in (attempt.archive, attempt.keystore):
        store.objects.clear()
    archive_again(attempt)
    session.store_slot(session.identity.recipient.wrap(attempt.dek, session.session_id))
    assert inspect(session) == unreadable(session, DamageCode.COMMITMENT_MISMATCH)


@pytest.mark.parametrize("length", [0, 1, 16, 31, 33, 64, 1000])
def test_a_slot_that_wraps_a_key_of_another_length_is_refused(session: Session, length: int) -> None:
    wrapped = session.identity.recipient.wrap(_AnyKey(bytes(length)), session.session_id)  # type: ignore[arg-type]
    session.store_slot(wrapped)
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


@pytest.mark.parametrize("length", [0, 1, 16, 1087, 1088, 1089, 1119, 1120, 1121, 1136, WRAPPED_BYTES - 1])
def test_a_slot_that_was_cut_does_not_open(session: Session, length: int) -> None:
    session.store_slot(KeySlot(session.identity.recipient.id, _slot(session).wrapped[:length]))
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


@pytest.mark.parametrize("extra", [b"\x00", bytes(32), bytes(9_000)], ids=len)
def test_a_slot_that_was_extended_does_not_open(session: Session, extra: bytes) -> None:
    session.store_slot(KeySlot(session.identity.recipient.id, _slot(session).wrapped + extra))
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


@pytest.mark.parametrize(
    "part", [slice(0, WRAPPED_BYTES), slice(0, 1088), slice(1088, 1120), slice(1120, WRAPPED_BYTES)]
)
def test_a_slot_of_zeros_does_not_open(session: Session, part: slice) -> None:
    """Among them the X25519 key whose shared secret is zero."""
    wrapped = bytearray(_slot(session).wrapped)
    wrapped[part] = bytes(len(wrapped[part]))
    session.store_slot(KeySlot(session.identity.recipient.id, bytes(wrapped)))
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


@settings(max_examples=60, deadline=None)
@example(1119 * 8 + 7)
@given(st.integers(0, WRAPPED_BYTES * 8 - 1))
def test_a_flipped_bit_of_a_slot_is_seen(bit: int) -> None:
    """Even the highest bit of the X25519 key, which RFC 7748 has everyone ignore."""
    small = one_chunk()
    assert len(_slot(small).wrapped) == WRAPPED_BYTES
    small.store_slot(KeySlot(small.identity.recipient.id, flip(_slot(small).wrapped, bit)))
    assert inspect(small) == unreadable(small, DamageCode.DECRYPT_FAILED)


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"garbage", b"{}", b"[]", b"null", bytes(100_000), b'{"wrapped":"AAAA"}'], ids=len
)
def test_a_slot_file_of_garbage_opens_nothing(session: Session, data: bytes) -> None:
    session.keystore.objects[session.slot_name] = data
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


def test_a_slot_file_too_large_to_be_one_is_not_read_whole(session: Session) -> None:
    session.keystore.objects[session.slot_name] += b" " * 10_000_000
    session.keystore.served = 0
    assert codes(verify(session, deep=True)) == (DamageCode.DECRYPT_FAILED,)
    assert session.keystore.served < 100_000


def test_a_slot_file_says_for_which_session_it_is(session: Session, other: Session) -> None:
    """Its contents open, but the file says something else: it is not what was stored."""
    data = session.keystore.objects[session.slot_name]
    session.keystore.objects[session.slot_name] = data.replace(
        str(session.session_id).encode(), str(other.session_id).encode()
    )
    assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


# What is whole is still served.


def _stray(session: Session, name: str) -> str:
    return f"keyslots/{session.session_id}/{name}"


def _names_of_strays(session: Session) -> list[str]:
    commitment = session.manifest.dek_commitment.hex()[:32]
    return [
        f"{'0' * 32}.{'0' * 16}.json",
        "README",
        f"{commitment}.{'f' * 16}.json",
        f"{commitment}.{'0' * 16}.json.bak",
    ]


@pytest.mark.parametrize("which", range(4))
def test_a_garbage_slot_of_someone_else_does_not_lock_anyone_out(session: Session, which: int) -> None:
    session.keystore.put(_stray(session, _names_of_strays(session)[which]), b"garbage")
    assert inspect(session).ranges == intact(session).ranges
    assert inspect(session).copied is None


@pytest.mark.parametrize("name", ["0", "z"])
def test_a_second_slot_under_another_name_does_not_push_the_good_one_aside(session: Session, name: str) -> None:
    forged = session.identity.recipient.wrap(Dek.generate(), session.session_id)
    fresh = session.copy()
    fresh.store_slot(forged)
    commitment = session.manifest.dek_commitment.hex()[:32]
    session.keystore.put(_stray(session, f"{commitment}.{name * 16}.json"), fresh.keystore.objects[fresh.slot_name])
    assert inspect(session).ranges == intact(session).ranges


@pytest.mark.parametrize("good", [0, 1])
def test_one_bad_slot_does_not_keep_the_other_identity_out(session: Session, good: int) -> None:
    second = Identity.generate()
    session.store_slot(second.recipient.wrap(session.dek, session.session_id))
    identities = [session.identity, second]
    bad = identities[1 - good].recipient
    session.store_slot(bad.wrap(Dek.generate(), session.session_id))
    keys = Keys(identities, Keystore(session.keystore))
    reader = SessionReader.open(session.manifest, session.archive, keys)
    assert b"".join(reader.read()) == session.recording


# The keystore and the archive together.


def test_who_writes_both_stores_cannot_put_a_recording_of_their_own_in_place(session: Session, other: Session) -> None:
    """Everything is re-encrypted under a key of the attacker's; what is missing is a signature."""
    mine = other.copy()
    forged = session.copy()
    forged.archive.objects.update(
        {name: mine.chunks[index] for index, name in enumerate(chunk.key for chunk in session.table.objects)}
    )
    forged.store_slot(session.identity.recipient.wrap(mine.dek, session.session_id))
    assert codes(verify(forged)) == (DamageCode.OBJECT_DIGEST_MISMATCH,) * 3
    assert codes(verify(forged, deep=True)) == (
        DamageCode.COMMITMENT_MISMATCH,
        *(DamageCode.OBJECT_DIGEST_MISMATCH,) * 3,
    )
    assert inspect(forged).ranges == (DamageCode.COMMITMENT_MISMATCH,) * 3


def test_slots_of_another_attempt_are_not_even_tried(session: Session) -> None:
    attempt = session.copy()
    attempt.archive.objects.clear()
    archive_again(attempt)
    assert len(attempt.keystore.objects) == 2
    attempt.archive = session.archive
    assert inspect(attempt) == intact(attempt)
    attempt.keystore.asked.clear()
    attempt.keys.unlock(session.manifest)
    assert attempt.keystore.asked == [session.slot_name]
