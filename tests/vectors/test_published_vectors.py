"""Vectors that others have published. They are not part of the project: `LUCID_VECTORS_DIR` names their folder."""

import base64
import hmac
import json
import os
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from lucid_pipeline.archive import canonical
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import (
    HEADER_BYTES,
    SALT_BYTES,
    Suite,
    decrypt_message,
    encrypt_message,
    encrypted_length,
    plaintext_length,
)
from lucid_pipeline.archive.merkle import ProofError, verify_consistency, verify_inclusion
from lucid_pipeline.archive.signing import PublicKey

FOLDER = Path(os.environ.get("LUCID_VECTORS_DIR", ""))

pytestmark = pytest.mark.skipif("LUCID_VECTORS_DIR" not in os.environ, reason="LUCID_VECTORS_DIR names no folder")


def wycheproof(name: str, expected: dict[str, int]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The groups and vectors of a file, once it is sure that it holds as many good and bad ones as it did."""
    file = json.loads((FOLDER / name).read_text())
    vectors = [(group, vector) for group in file["testGroups"] for vector in group["tests"]]
    assert len(vectors) == file["numberOfTests"]
    assert Counter(vector["result"] for _, vector in vectors) == expected
    return iter(vectors)


# Chunked encryption (C2SP)


def decrypted(vector: dict[str, Any]) -> bytes:
    """The message, by the function that decrypts chunk objects."""
    data = zlib.decompress(bytes.fromhex(vector["ct"]))
    out = memoryview(bytearray(plaintext_length(HEADER_BYTES + len(data)) or 0))
    key, context = bytes.fromhex(vector["key"]), bytes.fromhex(vector["ctx"])
    length = decrypt_message(Suite.AES_256_GCM, key, context, memoryview(data), out, f"vector {vector['tcId']}")
    return bytes(out[:length])


def test_chunked_encryption() -> None:
    executed = Counter()
    for _, vector in wycheproof("c2sp_chunked_encryption_aes_256_gcm_test.json", {"valid": 10, "invalid": 25}):
        flags = set(vector["flags"])
        if vector["result"] == "valid":
            message = decrypted(vector)
            assert (len(message), sha512(message).hexdigest()) == (vector["msgLength"], vector["msgSha512"])
            assert encrypted_again(vector, message) == zlib.decompress(bytes.fromhex(vector["ct"]))
        elif "InvalidKeySize" in flags:
            with pytest.raises(ValueError, match="32 bytes"):
                decrypted(vector)
        else:
            with pytest.raises(DamageError) as refused:
                decrypted(vector)
            before_any_segment = "HeaderFailure" in flags and "Truncation" not in flags
            expected = DamageCode.COMMITMENT_MISMATCH if before_any_segment else DamageCode.DECRYPT_FAILED
            assert refused.value.damage.code is expected, vector["comment"]
        executed[vector["result"]] += 1
    assert executed.total() == 35


def encrypted_again(vector: dict[str, Any], message: bytes) -> bytes:
    salt = zlib.decompress(bytes.fromhex(vector["ct"]))[:SALT_BYTES]
    out = memoryview(bytearray(encrypted_length(len(message)) - HEADER_BYTES))
    key, context = bytes.fromhex(vector["key"]), bytes.fromhex(vector["ctx"])
    return bytes(out[: encrypt_message(Suite.AES_256_GCM, key, context, salt, memoryview(message), out)])


# Merkle proofs (RFC 9162)


def proofs(folder: str, count: int) -> Iterator[dict[str, Any]]:
    paths = sorted((FOLDER / "rfc9162" / folder).rglob("*.json"))
    assert len(paths) == count
    return (json.loads(path.read_text()) for path in paths)


def digest(text: str | None) -> bytes:
    return base64.b64decode(text or "", validate=True)


def check_proof(vector: dict[str, Any], verify: Callable[[], None]) -> str:
    if not vector["wantErr"]:
        verify()
        return "good"
    with pytest.raises(ProofError):
        verify()
    return "bad"


def test_inclusion_proofs() -> None:
    executed = Counter(
        check_proof(
            vector,
            lambda vector=vector: verify_inclusion(
                digest(vector["leafHash"]),
                vector["leafIdx"],
                vector["treeSize"],
                [digest(node) for node in vector["proof"] or []],
                digest(vector["root"]),
            ),
        )
        for vector in proofs("inclusion", 98)
    )
    assert executed == {"good": 6, "bad": 92}


def test_consistency_proofs() -> None:
    executed = Counter(
        check_proof(
            vector,
            lambda vector=vector: verify_consistency(
                vector["size1"],
                vector["size2"],
                digest(vector["root1"]),
                digest(vector["root2"]),
                [digest(node) for node in vector["proof"] or []],
            ),
        )
        for vector in proofs("consistency", 98)
    )
    assert executed == {"good": 6, "bad": 92}


# Canonical JSON (RFC 8785)


def test_canonical_json() -> None:
    executed = 0
    for path in sorted((FOLDER / "jcs" / "input").glob("*.json")):
        expected = (FOLDER / "jcs" / "output" / path.name).read_bytes()
        value = json.loads(path.read_bytes())
        assert canonical.encode(value) == expected, path.name
        if isinstance(value, dict):
            assert canonical.decode(expected) == value
        executed += 1
    assert executed == 6


# The primitives on this CPU, through the calls that the library makes


@pytest.mark.parametrize(
    ("name", "cipher", "expected"),
    [
        ("aes_gcm_test.json", AESGCM, {"valid": 229, "invalid": 87}),
        ("chacha20_poly1305_test.json", ChaCha20Poly1305, {"valid": 256, "invalid": 69}),
    ],
)
def test_aead(name: str, cipher: type[AESGCM] | type[ChaCha20Poly1305], expected: dict[str, int]) -> None:
    executed = Counter()
    for group, vector in wycheproof("primitives/" + name, expected):
        assert group["tagSize"] == 128
        if group["ivSize"] == 96:  # nonces of other lengths are never made
            check_aead(cipher, vector)
            executed[group["keySize"]] += 1
    assert executed == ({128: 67, 192: 64, 256: 66} if cipher is AESGCM else {256: 316})


def check_aead(cipher: type[AESGCM] | type[ChaCha20Poly1305], vector: dict[str, Any]) -> None:
    names = ("key", "iv", "aad", "msg", "ct", "tag")
    key, nonce, associated, message, ciphertext, tag = (bytes.fromhex(vector[name]) for name in names)
    aead = cipher(key)
    plaintext = bytearray(len(message))
    if vector["result"] == "valid":
        sealed = bytearray(len(message) + 16)
        assert aead.encrypt_into(nonce, message, associated, sealed) == len(sealed)
        assert sealed == ciphertext + tag, vector["tcId"]
        assert aead.decrypt_into(nonce, ciphertext + tag, associated, plaintext) == len(message)
        assert plaintext == message, vector["tcId"]
    else:
        with pytest.raises(InvalidTag):
            aead.decrypt_into(nonce, ciphertext + tag, associated, plaintext)


def test_hkdf_expand() -> None:
    executed = 0
    for _, vector in wycheproof("primitives/hkdf_sha512_test.json", {"valid": 80, "invalid": 3}):
        key, salt, info = (bytes.fromhex(vector[name]) for name in ("ikm", "salt", "info"))
        extracted = hmac.digest(salt or bytes(64), key, "sha512")  # RFC 5869, 2.2; the library only expands
        if vector["result"] == "valid":
            derived = HKDFExpand(SHA512(), vector["size"], info).derive(extracted)
            assert derived.hex() == vector["okm"], vector["tcId"]
        else:
            with pytest.raises(ValueError, match="larger than"):
                HKDFExpand(SHA512(), vector["size"], info)
        executed += 1
    assert executed == 83


def test_ed25519() -> None:
    executed = Counter()
    for group, vector in wycheproof("primitives/ed25519_test.json", {"valid": 88, "invalid": 63}):
        key = PublicKey(bytes.fromhex(group["publicKey"]["pk"]))
        verified = key.verifies(bytes.fromhex(vector["sig"]), bytes.fromhex(vector["msg"]))
        assert verified is (vector["result"] == "valid"), (vector["tcId"], vector["comment"])
        executed[verified] += 1
    assert executed == {True: 88, False: 63}
