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


LOW_ORDER = [  # C2SP CCTV, ed25519: eight points, and six more encodings of them
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
]


@pytest.mark.parametrize("encoded", LOW_ORDER)
def test_a_key_for_which_anyone_can_sign_is_refused(encoded: str) -> None:
    with pytest.raises(ValueError, match="low order"):
        PublicKey(bytes.fromhex(encoded))


def test_the_points_of_low_order_are_those_of_the_curve() -> None:
    """Doubled once, a point of order 8 has y = 0: there d y⁴ + 2 y² = 1, on -x² + y² = 1 + d x² y²."""
    p = 2**255 - 19
    d = -121665 * pow(121666, -1, p)
    ys = {(int.from_bytes(bytes.fromhex(encoded), "little") & (2**255 - 1)) % p for encoded in LOW_ORDER}
    assert ys - {0, 1, p - 1} == {y for y in ys if (d * y**4 + 2 * y**2 - 1) % p == 0}
    assert len(ys) == 5


def test_generated_keys_differ() -> None:
    assert len({SigningKey.generate().raw for _ in range(50)}) == 50


def test_the_private_half_does_not_show() -> None:
    shown = f"{KEY!r} {KEY}"
    assert shown == f"SigningKey({KEY.public.id}) SigningKey({KEY.public.id})"
