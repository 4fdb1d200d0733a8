"""Lucid's own known-answer vectors of format version 1: frozen, read by every later version, never made again."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lucid_pipeline.archive import canonical, merkle
from lucid_pipeline.archive.chunk_table import ChunkObject, ChunkTable
from lucid_pipeline.archive.codec import padme_length, parse_frame
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import (
    HEADER_BYTES,
    MESSAGE_OFFSET,
    ChunkFlags,
    ChunkHeader,
    Suite,
    decrypt_object,
    encrypt_message,
    encrypted_length,
    plaintext_length,
)
from lucid_pipeline.archive.keys import Dek, Identity, KeySlot, Recipient
from lucid_pipeline.archive.manifest import Manifest, open_envelope
from lucid_pipeline.archive.merkle import ProofError
from lucid_pipeline.archive.sealed import SealedMetadata, unseal
from lucid_pipeline.archive.signing import PublicKey, SigningKey
from tests.vectors.luc1_model import assemble, plaintext

Json = dict[str, Any]
FOLDER = Path(__file__).parent / "luc1"
NAMES = ("chunk_objects", "frames", "keys", "manifests", "sealed_metadata", "trees")
CHUNK_OBJECTS, FRAMES, KEYS, MANIFESTS, SEALED, TREES = (
    json.loads((FOLDER / f"{name}.json").read_text("utf-8")) for name in NAMES
)
TABLES = TREES["tables"]


def vectors(of: list[Json]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("vector", of, ids=lambda vector: vector["name"])


def test_there_are_as_many_vectors_as_there_were_and_most_are_negative() -> None:
    files = (CHUNK_OBJECTS, FRAMES, KEYS, MANIFESTS, SEALED, TABLES)
    counts = [(len(file["positive"]), len(file["negative"])) for file in files]
    assert counts == [(20, 180), (11, 50), (3, 21), (5, 58), (4, 60), (1, 21)]
    assert (len(TREES["inclusion"]), len(TREES["wrong_inclusion"])) == (45, 130)
    assert (len(TREES["consistency"]), len(TREES["wrong_consistency"])) == (45, 98)
    assert (len(KEYS["commitments"]), len(KEYS["identities"]), len(FRAMES["padme"])) == (9, 2, 214)
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)


# Chunk objects


def header(fields: Json) -> ChunkHeader:
    return ChunkHeader(
        Suite(fields["suite"]),
        UUID(fields["session_id"]),
        int(fields["index"]),
        ChunkFlags(fields["flags"]),
        fields["stream_id"],
    )


def encrypted(vector: Json) -> bytes:
    """The object of a positive vector, made once more under the salt that it had."""
    expected, data = header(vector["header"]), plaintext(vector["plaintext_length"])
    out = memoryview(bytearray(encrypted_length(len(data)) - HEADER_BYTES))
    key, salt = bytes.fromhex(vector["key"]), bytes.fromhex(vector["salt"])
    encrypt_message(expected.suite, key, expected.pack(), salt, memoryview(data), out)
    return expected.pack() + bytes(out)


def decrypt(data: bytes, expected: ChunkHeader, key: str) -> bytes:
    out = memoryview(bytearray(plaintext_length(len(data)) or 0))
    return bytes(decrypt_object(expected, bytes.fromhex(key), memoryview(data), out, "object"))


OBJECTS = {vector["name"]: encrypted(vector) for vector in CHUNK_OBJECTS["positive"]}
BASES = {vector["name"]: vector for vector in CHUNK_OBJECTS["positive"]}


@vectors(CHUNK_OBJECTS["positive"])
def test_a_chunk_object_is_encrypted_to_the_same_bytes_and_decrypts(vector: Json) -> None:
    data = OBJECTS[vector["name"]]
    assert data[: MESSAGE_OFFSET + 16].hex() == vector["object_begin"]
    assert data[-16:].hex() == vector["object_end"]
    assert (len(data), sha256(data).hexdigest()) == (vector["object_length"], vector["object_sha256"])
    assert vector["object"] in (None, data.hex())
    assert decrypt(data, header(vector["header"]), vector["key"]) == plaintext(vector["plaintext_length"])


@vectors(CHUNK_OBJECTS["negative"])
def test_a_damaged_chunk_object_is_refused(vector: Json) -> None:
    base, data = BASES[vector["base"]], assemble(vector["object"], OBJECTS)
    expected = header({**base["header"], **vector["read_as"]})
    with pytest.raises(DamageError) as refused:
        decrypt(data, expected, vector["read_as"].get("key", base["key"]))
    assert refused.value.damage.code == vector["code"]


# Frames and padding


def parse(vector: Json) -> bytes:
    frame = memoryview(bytes.fromhex(vector["frame"]))
    return bytes(parse_frame(frame, padded=vector["padded"], largest=vector["largest"], where="frame"))


@vectors(FRAMES["positive"])
def test_a_frame_holds_its_raw_bytes(vector: Json) -> None:
    assert parse(vector) == bytes.fromhex(vector["raw"])


@vectors(FRAMES["negative"])
def test_a_malformed_frame_is_refused(vector: Json) -> None:
    with pytest.raises(DamageError) as refused:
        parse(vector)
    assert refused.value.damage.code == vector["code"]


def test_padme_lengths() -> None:
    assert [[length, str(padme_length(int(length)))] for length, _ in FRAMES["padme"]] == FRAMES["padme"]


# Sealed metadata


def opened(vector: Json) -> SealedMetadata:
    dek = Dek(bytes.fromhex(vector["key"]))
    data = memoryview(bytes.fromhex(vector["object"]))
    metadata = unseal(data, UUID(vector["session_id"]), Suite(vector["suite"]), dek, "sealed metadata")
    metadata.check(vector["chunk_size"], vector["chunk_count"], "sealed metadata")
    return metadata


@vectors(SEALED["positive"])
def test_sealed_metadata_opens(vector: Json) -> None:
    assert opened(vector).encode().decode() == vector["document"]
    assert canonical.decode(vector["document"].encode()) == json.loads(vector["document"])


@vectors(SEALED["negative"])
def test_other_sealed_metadata_is_refused(vector: Json) -> None:
    with pytest.raises(DamageError) as refused:
        opened(vector)
    assert refused.value.damage.code == vector["code"]


# Keys


@pytest.mark.parametrize("vector", KEYS["commitments"])
def test_a_dek_has_this_commitment(vector: Json) -> None:
    commitment = Dek(bytes.fromhex(vector["dek"])).commitment(UUID(vector["session_id"]))
    assert commitment.hex() == vector["commitment"]


@pytest.mark.parametrize("vector", KEYS["identities"], ids=lambda vector: vector["id"])
def test_an_identity_has_this_recipient(vector: Json) -> None:
    recipient = Identity(bytes.fromhex(vector["identity"])).recipient
    assert (recipient.raw.hex(), recipient.id) == (vector["recipient"], vector["id"])
    assert Recipient(bytes.fromhex(vector["recipient"])).id == vector["id"]


def unwrap(vector: Json, wrapped: bytes) -> Dek:
    identity = Identity(bytes.fromhex(vector["identity"]))
    slot = KeySlot(identity.recipient.id, wrapped)
    return identity.unwrap(slot, UUID(vector["session_id"]), bytes.fromhex(vector["commitment"]))


SLOTS = {vector["name"]: bytes.fromhex(vector["wrapped"]) for vector in KEYS["positive"]}


@vectors(KEYS["positive"])
def test_a_key_slot_opens(vector: Json) -> None:
    assert unwrap(vector, SLOTS[vector["name"]]).secret.hex() == vector["dek"]


@vectors(KEYS["negative"])
def test_another_key_slot_is_refused(vector: Json) -> None:
    with pytest.raises(DamageError) as refused:
        unwrap(vector, assemble(vector["wrapped"], SLOTS))
    assert refused.value.damage.code == vector["code"]


# Merkle trees and chunk tables

CHUNKS = [
    ChunkObject(
        index=chunk["index"], key=chunk["key"], length=int(chunk["length"]), sha256=bytes.fromhex(chunk["sha256"])
    )
    for chunk in TREES["objects"]
]
LEAVES = [bytes.fromhex(chunk["leaf"]) for chunk in TREES["objects"]]
ROOTS = [bytes.fromhex(root) for root in TREES["roots"]]


def nodes(vector: Json) -> list[bytes]:
    return [bytes.fromhex(node) for node in vector["proof"]]


def test_objects_have_these_leaves_and_trees_these_roots() -> None:
    assert [chunk.leaf for chunk in CHUNKS] == LEAVES
    assert [merkle.root_hash(LEAVES[:size]) for size in range(10)] == ROOTS


def test_inclusion_proofs() -> None:
    for vector in TREES["inclusion"]:
        index, size = vector["index"], vector["size"]
        assert merkle.inclusion_proof(LEAVES[:size], index) == nodes(vector)
        merkle.verify_inclusion(LEAVES[index], index, size, nodes(vector), ROOTS[size])


def test_consistency_proofs() -> None:
    for vector in TREES["consistency"]:
        first, second = vector["first"], vector["second"]
        assert merkle.consistency_proof(LEAVES[:second], first) == nodes(vector)
        merkle.verify_consistency(first, second, ROOTS[first], ROOTS[second], nodes(vector))


def test_wrong_inclusion_proofs_are_refused() -> None:
    for vector in TREES["wrong_inclusion"]:
        leaf, root = bytes.fromhex(vector["leaf"]), bytes.fromhex(vector["root"])
        with pytest.raises(ProofError):
            merkle.verify_inclusion(leaf, vector["index"], vector["size"], nodes(vector), root)


def test_wrong_consistency_proofs_are_refused() -> None:
    for vector in TREES["wrong_consistency"]:
        first, second = vector["first"], vector["second"]
        roots = [ROOTS[first], ROOTS[second]]
        if vector.get("swapped"):
            roots.reverse()
        with pytest.raises(ProofError):
            merkle.verify_consistency(first, second, *roots, nodes(vector))


def read_table(vector: Json) -> ChunkTable:
    table = ChunkTable.decode(vector["table"].encode(), DamageCode.CHUNK_TABLE_MISMATCH, "chunk table")
    table.check(UUID(TABLES["session_id"]), TABLES["chunk_size"], "chunk table")
    return table


@vectors(TABLES["positive"])
def test_a_chunk_table_reads_back(vector: Json) -> None:
    table = read_table(vector)
    assert (table.root().hex(), table.stored_bytes) == (vector["root"], vector["stored_bytes"])
    assert table.encode().decode() == vector["table"]


@vectors(TABLES["negative"])
def test_another_chunk_table_is_refused(vector: Json) -> None:
    with pytest.raises(DamageError) as refused:
        read_table(vector)
    assert refused.value.damage.code == vector["code"]


# Manifests

PUBLIC_KEY = PublicKey(bytes.fromhex(MANIFESTS["public_key"]))


@vectors(MANIFESTS["positive"])
def test_a_manifest_is_signed_to_the_same_bytes_and_opens(vector: Json) -> None:
    data = vector["envelope"].encode()
    opened = open_envelope(data, [PUBLIC_KEY], "manifest")
    assert opened.manifest.encode().decode() == vector["manifest"]
    assert (opened.key_id, opened.envelope_sha256.hex()) == (MANIFESTS["key_id"], vector["envelope_sha256"])
    key = SigningKey(bytes.fromhex(MANIFESTS["signing_key"]))
    manifest = Manifest.decode(vector["manifest"].encode(), DamageCode.MANIFEST_MALFORMED, "manifest")
    assert manifest.sign(key) == data
    assert key.public.raw == PUBLIC_KEY.raw


@vectors(MANIFESTS["negative"])
def test_another_envelope_is_refused(vector: Json) -> None:
    with pytest.raises(DamageError) as refused:
        open_envelope(vector["envelope"].encode(), [PUBLIC_KEY], "manifest")
    assert refused.value.damage.code == vector["code"]
