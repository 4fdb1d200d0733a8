"""DEKs, recipients, identities, and the key slots between them."""

import hmac
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.keys import Dek, Identity, KeySlot, Recipient, key_id

SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
OTHER_SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c")
IDENTITY = Identity(bytes(range(96)))
DEK = Dek(bytes(range(32)))
COMMITMENT = DEK.commitment(SESSION)
SLOT = IDENTITY.recipient.wrap(DEK, SESSION)


def refusal(
    slot: KeySlot, *, identity: Identity = IDENTITY, session: UUID = SESSION, commitment: bytes = COMMITMENT
) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        identity.unwrap(slot, session, commitment)
    return refused.value.damage.code


def test_a_slot_gives_the_dek_to_its_identity() -> None:
    assert IDENTITY.unwrap(SLOT, SESSION, COMMITMENT).secret == DEK.secret


def test_a_slot_is_an_encapsulated_key_and_a_sealed_dek() -> None:
    assert len(SLOT.wrapped) == (1088 + 32) + (32 + 16)
    assert SLOT.recipient_id == IDENTITY.recipient.id


def test_no_two_slots_are_the_same() -> None:
    assert len({IDENTITY.recipient.wrap(DEK, SESSION).wrapped for _ in range(20)}) == 20


def test_another_identity_cannot_open_a_slot() -> None:
    assert refusal(SLOT, identity=Identity.generate()) is DamageCode.DECRYPT_FAILED


def test_a_slot_of_another_session_does_not_open() -> None:
    assert refusal(SLOT, session=OTHER_SESSION, commitment=DEK.commitment(OTHER_SESSION)) is DamageCode.DECRYPT_FAILED


def test_a_slot_that_wraps_another_dek_is_refused() -> None:
    """Whoever knows the recipient can make a slot that opens; the signed commitment tells."""
    assert refusal(IDENTITY.recipient.wrap(Dek.generate(), SESSION)) is DamageCode.COMMITMENT_MISMATCH


@pytest.mark.parametrize("length", [0, 1, 1119, 1120, 1136, 1167, 1169, 5000])
def test_a_slot_of_another_length_does_not_open(length: int) -> None:
    wrapped = (SLOT.wrapped + bytes(5000))[:length]
    assert refusal(KeySlot(SLOT.recipient_id, wrapped)) is DamageCode.DECRYPT_FAILED


@settings(max_examples=200)
@given(st.integers(0, 1168 * 8 - 1))
def test_a_flipped_bit_in_a_slot_is_found(bit: int) -> None:
    wrapped = bytearray(SLOT.wrapped)
    wrapped[bit // 8] ^= 1 << bit % 8
    assert refusal(KeySlot(SLOT.recipient_id, bytes(wrapped))) is DamageCode.DECRYPT_FAILED


def test_a_slot_for_a_wrong_dek_length_is_refused() -> None:
    slot = KeySlot(SLOT.recipient_id, SLOT.wrapped[:-16])
    assert refusal(slot) is DamageCode.DECRYPT_FAILED


@given(secret=st.binary(min_size=32, max_size=32), session=st.uuids())
def test_a_commitment_is_hkdf_expand_of_the_dek(secret: bytes, session: UUID) -> None:
    """RFC 5869, 2.3: the first block is HMAC(key, info ‖ 01)."""
    expected = hmac.digest(secret, b"lucid/dek-commit@v1" + session.bytes + b"\x01", "sha512")[:32]
    assert Dek(secret).commitment(session) == expected


def test_commitments_differ_by_dek_and_by_session() -> None:
    assert len({COMMITMENT, DEK.commitment(OTHER_SESSION), Dek(bytes(32)).commitment(SESSION)}) == 3


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_dek_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Dek(bytes(length))


def test_generated_keys_differ() -> None:
    assert len({Dek.generate().secret for _ in range(50)}) == 50
    assert len({Identity.generate().raw for _ in range(20)}) == 20


def test_an_identity_is_its_seed_and_scalar() -> None:
    """The same raw bytes always make the same recipient: this is what a keyring file keeps."""
    identity = Identity.generate()
    again = Identity(identity.raw)
    assert len(identity.raw) == 64 + 32
    assert again.recipient.raw == identity.recipient.raw
    assert again.unwrap(identity.recipient.wrap(DEK, SESSION), SESSION, COMMITMENT).secret == DEK.secret


def test_a_recipient_is_its_raw_bytes() -> None:
    recipient = Recipient(IDENTITY.recipient.raw)
    assert len(recipient.raw) == 1184 + 32
    assert recipient.id == IDENTITY.recipient.id == key_id(recipient.raw)
    assert IDENTITY.unwrap(recipient.wrap(DEK, SESSION), SESSION, COMMITMENT).secret == DEK.secret


def test_a_key_id_is_64_bits_of_sha256() -> None:
    assert key_id(b"") == "e3b0c44298fc1c14"


@pytest.mark.parametrize("length", [0, 95, 97, 1216])
def test_an_identity_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="96 bytes"):
        Identity(bytes(length))


@pytest.mark.parametrize("length", [0, 32, 1184, 1215, 1217])
def test_a_recipient_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="1216 bytes"):
        Recipient(bytes(length))


def test_a_recipient_that_is_no_mlkem_key_is_refused() -> None:
    """FIPS 203, 7.2: the coefficients of an encapsulation key are below the modulus."""
    with pytest.raises(ValueError, match="ML-KEM"):
        Recipient(b"\xff" * 1216)


def test_secrets_do_not_show() -> None:
    shown = f"{DEK!r} {DEK} {IDENTITY!r} {IDENTITY}"
    assert DEK.secret.hex() not in shown
    assert repr(DEK.secret) not in shown
    assert IDENTITY.raw.hex() not in shown
    assert IDENTITY.recipient.id in shown


def test_a_recipient_for_whom_nothing_could_be_encrypted_is_no_recipient() -> None:
    """With a point of low order both sides would share zeros, whatever the private key."""
    with pytest.raises(ValueError, match=r"."):
        Recipient(IDENTITY.recipient.raw[:-32] + bytes(32))
