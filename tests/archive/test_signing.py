"""Ed25519 signing keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.keys import key_id
from lucid_pipeline.archive.signing import PublicKey, SigningKey

KEY = SigningKey(bytes(range(32)))
MESSAGE = b"what is signed"
SIGNATURE = KEY.sign(MESSAGE)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=500))
def test_a_signature_verifies_with_its_public_key(raw: bytes, message: bytes) -> None:
    key = SigningKey(raw)
    assert PublicKey(key.public.raw).verifies(key.sign(message), message)


@given(st.integers(0, 64 * 8 - 1))
def test_a_flipped_bit_in_a_signature_does_not_verify(bit: int) -> None:
    signature = bytearray(SIGNATURE)
    signature[bit // 8] ^= 1 << bit % 8
    assert not KEY.public.verifies(bytes(signature), MESSAGE)


@given(st.binary(max_size=100).filter(lambda message: message != MESSAGE))
def test_another_message_does_not_verify(message: bytes) -> None:
    assert not KEY.public.verifies(SIGNATURE, message)


@given(st.binary(max_size=200).filter(lambda signature: signature != SIGNATURE))
def test_any_other_bytes_are_no_signature(signature: bytes) -> None:
    assert not KEY.public.verifies(signature, MESSAGE)


def test_another_key_does_not_verify() -> None:
    assert not SigningKey.generate().public.verifies(SIGNATURE, MESSAGE)


def test_the_first_vector_of_rfc_8032_is_met() -> None:
    key = SigningKey(bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"))
    assert key.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex() == (
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )


def test_a_key_is_named_by_its_raw_public_bytes() -> None:
    assert KEY.public.id == key_id(KEY.public.raw)


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_keys_of_another_length_are_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32"):
        SigningKey(bytes(length))
    with pytest.raises(ValueError, match="32"):
        PublicKey(bytes(length))


def test_generated_keys_differ() -> None:
    assert len({SigningKey.generate().raw for _ in range(50)}) == 50


def test_the_private_half_does_not_show() -> None:
    shown = f"{KEY!r} {KEY}"
    assert shown == f"SigningKey({KEY.public.id}) SigningKey({KEY.public.id})"
