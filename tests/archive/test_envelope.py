"""DSSE envelopes."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive import canonical, envelope
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.signing import SigningKey

KEY, OTHER = SigningKey(b"\x01" * 32), SigningKey(b"\x02" * 32)
TYPE = "application/vnd.example+json"
PAYLOAD = b'{"what":"is signed"}'
SIGNED = envelope.sign(PAYLOAD, TYPE, KEY)


def refusal(data: bytes, *, kind: str = TYPE, trusted: tuple[SigningKey, ...] = (KEY,)) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        envelope.verify(data, kind, [key.public for key in trusted], "manifest 1")
    assert refused.value.damage.where == "manifest 1"
    return refused.value.damage.code


def changed(**fields: Any) -> bytes:
    return canonical.encode({**canonical.decode(SIGNED), **fields})


@given(st.binary(max_size=300), st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_what_is_signed_verifies_and_comes_back(payload: bytes, kind: str) -> None:
    signed = envelope.verify(envelope.sign(payload, kind, KEY), kind, [OTHER.public, KEY.public], "")
    assert signed == envelope.SignedPayload(payload, KEY.public.id)


def test_an_envelope_is_written_as_dsse_says() -> None:
    """Protocol 1.0.2: PAE(type, body) = "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body."""
    preauth = b"DSSEv1 28 application/vnd.example+json 20 " + PAYLOAD
    assert canonical.decode(SIGNED) == {
        "payloadType": TYPE,
        "payload": base64.b64encode(PAYLOAD).decode(),
        "signatures": [{"keyid": KEY.public.id, "sig": base64.b64encode(KEY.sign(preauth)).decode()}],
    }


def test_the_example_of_the_dsse_specification_has_this_encoding() -> None:
    message = envelope._preauth("http://example.com/HelloWorld", b"hello world")
    assert message == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_lengths_are_counted_in_bytes() -> None:
    assert envelope._preauth("ü", "ä€".encode()) == "DSSEv1 2 ü 5 ä€".encode()


@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    damaged = bytearray(SIGNED)
    damaged[data.draw(st.integers(0, len(SIGNED) - 1))] ^= data.draw(st.integers(1, 255))
    assert refusal(bytes(damaged)) in {
        DamageCode.MANIFEST_MALFORMED,
        DamageCode.UNSUPPORTED_FORMAT,
        DamageCode.UNKNOWN_SIGNER,
        DamageCode.SIGNATURE_INVALID,
    }


def test_another_payload_under_the_signature_is_refused() -> None:
    payload = base64.b64encode(b'{"what":"is forged"}').decode()
    assert refusal(changed(payload=payload)) is DamageCode.SIGNATURE_INVALID


def test_a_signature_for_another_payload_type_does_not_count() -> None:
    other = envelope.sign(PAYLOAD, "application/vnd.other+json", KEY)
    assert refusal(other) is DamageCode.UNSUPPORTED_FORMAT
    relabelled = canonical.encode({**canonical.decode(other), "payloadType": TYPE})
    assert refusal(relabelled) is DamageCode.SIGNATURE_INVALID


def test_an_unknown_signer_is_refused() -> None:
    assert refusal(SIGNED, trusted=(OTHER,)) is DamageCode.UNKNOWN_SIGNER
    assert refusal(SIGNED, trusted=()) is DamageCode.UNKNOWN_SIGNER


def test_a_signature_under_the_name_of_a_trusted_key_is_refused() -> None:
    forged = canonical.decode(envelope.sign(PAYLOAD, TYPE, OTHER))
    forged["signatures"][0]["keyid"] = KEY.public.id
    assert refusal(canonical.encode(forged)) is DamageCode.SIGNATURE_INVALID


def test_one_good_signature_among_others_is_enough() -> None:
    """As DSSE has it: while keys are rotated, an envelope may be signed by both."""
    mine, theirs = canonical.decode(SIGNED), canonical.decode(envelope.sign(PAYLOAD, TYPE, OTHER))
    both = canonical.encode({**mine, "signatures": theirs["signatures"] + mine["signatures"]})
    for key in (KEY, OTHER):
        assert envelope.verify(both, TYPE, [key.public], "").key_id == key.public.id
    bad = {**mine["signatures"][0], "sig": base64.b64encode(bytes(64)).decode()}
    repeated = canonical.encode({**mine, "signatures": [bad, *mine["signatures"]]})
    assert envelope.verify(repeated, TYPE, [KEY.public], "").payload == PAYLOAD


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        PAYLOAD,
        SIGNED + b"\n",
        changed(signatures=[]),
        changed(signatures=canonical.decode(SIGNED)["signatures"] * 17),
        changed(signatures=[{"keyid": KEY.public.id}]),
        changed(signatures=[{"sig": "AA=="}]),
        changed(signatures=None),
        changed(payload=None),
        changed(payload="not base64!"),
        changed(payload={"what": "is signed"}),
        changed(payloadType=7),
        changed(unknown=1),
        SIGNED.replace(b'"payload":', b'"payload":"AA==","payload":', 1),
        b"\xff" * 100,
    ],
)
def test_what_is_no_envelope_is_malformed(data: bytes) -> None:
    assert refusal(data) is DamageCode.MANIFEST_MALFORMED


def test_there_is_one_envelope_for_one_signature() -> None:
    """Base64 has spare bits at the end; an envelope in which they are set has another digest, and is refused."""
    fields = canonical.decode(SIGNED)
    signature = fields["signatures"][0]
    assert signature["sig"].endswith("==")
    spare = {**signature, "sig": signature["sig"][:-3] + chr(ord(signature["sig"][-3]) + 1) + "=="}
    assert base64.b64decode(spare["sig"]) == base64.b64decode(signature["sig"])
    assert refusal(changed(signatures=[spare])) is DamageCode.MANIFEST_MALFORMED
