"""DSSE envelopes: a payload, its type, and signatures over both (secure-systems-lab/dsse, protocol 1.0.2)."""

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import Field

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Base64, Document
from lucid_pipeline.archive.signing import PublicKey, SigningKey

LARGEST_ENVELOPE = 1024 * 1024


class _Signature(Document):
    keyid: str
    sig: Base64


class _Envelope(Document):
    payload_type: str = Field(alias="payloadType")
    payload: Base64
    signatures: list[_Signature] = Field(min_length=1, max_length=16)


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """A payload whose signature has been verified, and the id of the key that verified it."""

    payload: bytes
    key_id: str


def sign(payload: bytes, payload_type: str, key: SigningKey) -> bytes:
    """The envelope, as canonical JSON, with one signature."""
    signature = _Signature(keyid=key.public.id, sig=key.sign(_preauth(payload_type, payload)))
    return _Envelope(payloadType=payload_type, payload=payload, signatures=[signature]).encode()


def verify(data: bytes, payload_type: str, trusted: Iterable[PublicKey], where: str) -> SignedPayload:
    """Verify an envelope against trusted keys; nothing inside the payload is looked at before.

    Raises:
        DamageError: `manifest_malformed` for what is no envelope, `unsupported_format` for another payload type,
            `unknown_signer` if no trusted key is named, `signature_invalid` if a named key did not sign this.
    """
    envelope = _Envelope.decode(data, DamageCode.MANIFEST_MALFORMED, where)
    if envelope.payload_type != payload_type:
        raise DamageError(DamageCode.UNSUPPORTED_FORMAT, where, f"payload type is not {payload_type}")
    keys = {key.id: key for key in trusted}
    named = [(keys[entry.keyid], entry.sig) for entry in envelope.signatures if entry.keyid in keys]
    if not named:
        raise DamageError(DamageCode.UNKNOWN_SIGNER, where, "no signature is by a trusted key")
    message = _preauth(payload_type, envelope.payload)
    for key, signature in named:
        if key.verifies(signature, message):
            return SignedPayload(envelope.payload, key.id)
    raise DamageError(DamageCode.SIGNATURE_INVALID, where, f"key {named[0][0].id} did not sign these bytes")


def _preauth(payload_type: str, payload: bytes) -> bytes:
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
