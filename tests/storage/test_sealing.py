"""The storage side signs what it has read and hashed itself, and nothing that it was only told."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lucid_pipeline.archive import envelope
from lucid_pipeline.archive.canonical import decode, encode
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.manifest import Manifest, Stream, Tree
from lucid_pipeline.archive.sealing import SealingRequest
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, LINEAGE, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.catalog import Catalog, Stage, State
from tests.lineage.support import CAST, Stages
from tests.support import mixture


@pytest.fixture
def encrypted(stages: Stages) -> UUID:
    """A session of three chunks that waits for the storage side."""
    session_id = stages.land(CAST * 90)
    stages.archive(session_id, upto=ENCRYPTED_CHUNKS)
    return session_id


def request_for(stages: Stages, session_id: UUID) -> SealingRequest:
    data = stages.catalog.handed_over(session_id, Stage.ENCRYPTED_CHUNKS)
    assert data
    return SealingRequest.model_validate_json(data)


def refusal(stages: Stages, session_id: UUID, stage: str) -> str:
    """Why a stage refuses a session; nothing is signed, and the catalog has the same reason."""
    before = stages.manifests()
    refused = stages.call(stage, session_id)
    assert refused
    assert not refused.allow_retries
    failure = stages.record(session_id).failure
    assert failure
    assert (failure.stage, failure.permanent) == (stage, True)
    assert refused.description == failure.reason
    assert stages.manifests() == before
    assert stages.record(session_id).seal is None
    return failure.reason.split(" in ")[0]


def test_a_session_that_nobody_touched_is_sealed(stages: Stages, encrypted: UUID) -> None:
    """The means of the other tests add no damage of their own."""
    assert stages.call(MERKLE_TREE, encrypted) is None
    assert stages.call(MANIFEST, encrypted) is None
    assert stages.verify(encrypted).intact


def test_hashing_again_writes_nothing_new(stages: Stages, encrypted: UUID) -> None:
    assert stages.call(MERKLE_TREE, encrypted) is None
    objects = stages.objects()
    assert stages.call(MERKLE_TREE, encrypted) is None
    assert stages.objects() == objects


# What lies in the archive is not what the encrypting side stored.


def alter(at: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


CHANGES = [
    pytest.param(alter(0), id="magic"),
    pytest.param(alter(45), id="salt"),
    pytest.param(alter(-1), id="last byte"),
    pytest.param(lambda data: data[:-1], id="one byte short"),
    pytest.param(lambda data: data + b"\0", id="one byte more"),
    pytest.param(lambda _: b"", id="empty"),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("which", ["chunks/00000001.*", "sealed.*"])
def test_an_object_that_was_altered_is_not_signed(
    which: str, change: Callable[[bytes], bytes], stages: Stages, encrypted: UUID
) -> None:
    [path] = stages.object_path(f"sessions/{encrypted}").glob(which)
    path.write_bytes(change(path.read_bytes()))
    assert refusal(stages, encrypted, MERKLE_TREE) == DamageCode.OBJECT_DIGEST_MISMATCH


@pytest.mark.parametrize("which", ["chunks/00000000.*", "chunks/00000002.*", "sealed.*"])
def test_an_object_that_is_gone_is_not_signed(which: str, stages: Stages, encrypted: UUID) -> None:
    [path] = stages.object_path(f"sessions/{encrypted}").glob(which)
    path.unlink()
    assert refusal(stages, encrypted, MERKLE_TREE) == DamageCode.MISSING_OBJECT


def test_chunks_that_changed_places_are_not_signed(stages: Stages, encrypted: UUID) -> None:
    first, second, _ = sorted(stages.object_path(f"sessions/{encrypted}/chunks").iterdir())
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    assert refusal(stages, encrypted, MERKLE_TREE) == DamageCode.OBJECT_DIGEST_MISMATCH


def test_a_chunk_of_an_earlier_attempt_is_not_signed_as_one_of_the_last(stages: Stages, encrypted: UUID) -> None:
    earlier = request_for(stages, encrypted)
    assert stages.call(ENCRYPTED_CHUNKS, encrypted) is None
    later = request_for(stages, encrypted)
    data = stages.object_path(earlier.objects[1].key).read_bytes()
    stages.object_path(later.objects[1].key).write_bytes(data)
    assert refusal(stages, encrypted, MERKLE_TREE) == DamageCode.OBJECT_DIGEST_MISMATCH


# What was handed over is not what the encrypting side says, or it lies.


def forge(stages: Stages, session_id: UUID, **changes: Any) -> None:
    request = request_for(stages, session_id).model_copy(update=changes)
    stages.catalog.hand_over(session_id, Stage.ENCRYPTED_CHUNKS, request.encode(), State.ENCRYPTED)


def test_a_digest_that_was_made_up_is_not_signed(stages: Stages, encrypted: UUID) -> None:
    objects = request_for(stages, encrypted).objects
    forge(stages, encrypted, objects=[*objects[:2], objects[2].model_copy(update={"sha256": bytes(32)})])
    assert refusal(stages, encrypted, MERKLE_TREE) in (
        DamageCode.OBJECT_DIGEST_MISMATCH,
        DamageCode.CHUNK_TABLE_MISMATCH,
    )


def test_a_part_of_the_chunks_is_not_signed_as_the_whole(stages: Stages, encrypted: UUID) -> None:
    forge(stages, encrypted, objects=request_for(stages, encrypted).objects[:2])
    assert refusal(stages, encrypted, MERKLE_TREE) == DamageCode.COMMITMENT_MISMATCH


def test_what_was_handed_over_for_another_session_is_not_signed(stages: Stages, encrypted: UUID) -> None:
    other = stages.land(mixture(1000, seed=1))
    stages.archive(other, upto=ENCRYPTED_CHUNKS)
    foreign = request_for(stages, other).encode()
    stages.catalog.hand_over(encrypted, Stage.ENCRYPTED_CHUNKS, foreign, State.ENCRYPTED)
    assert refusal(stages, encrypted, MERKLE_TREE) == DamageCode.COMMITMENT_MISMATCH


@pytest.mark.parametrize("document", [b"", b"not JSON", b"{}", b'{"session_id": "x"}', b"[" * 10_000])
@pytest.mark.parametrize(("stage", "handed"), [(MERKLE_TREE, Stage.ENCRYPTED_CHUNKS), (MANIFEST, Stage.MERKLE_TREE)])
def test_a_document_that_is_none_is_refused_with_a_reason(
    stage: str, handed: Stage, document: bytes, stages: Stages, encrypted: UUID
) -> None:
    stages.catalog.hand_over(encrypted, handed, document, State.HASHED)
    assert "fault in Lucid" not in refusal(stages, encrypted, stage)


# What the storage side noted down itself was changed before it was signed.


@pytest.fixture
def hashed(stages: Stages, encrypted: UUID) -> UUID:
    """A session that waits for its manifest."""
    assert stages.call(MERKLE_TREE, encrypted) is None
    return encrypted


def note_of(stages: Stages, session_id: UUID) -> dict[str, Any]:
    data = stages.catalog.handed_over(session_id, Stage.MERKLE_TREE)
    assert data
    return decode(data)


def note(stages: Stages, session_id: UUID, data: bytes) -> None:
    stages.catalog.hand_over(session_id, Stage.MERKLE_TREE, data, State.HASHED)


def forged(document: Any) -> Any:
    """A JSON document with other digests."""
    if isinstance(document, dict):
        return {key: forged(value) for key, value in document.items()}
    if isinstance(document, list):
        return [forged(value) for value in document]
    return "0" * 64 if isinstance(document, str) and len(document) == 64 else document


def test_digests_that_somebody_changed_in_the_catalog_are_not_signed(stages: Stages, hashed: UUID) -> None:
    document = note_of(stages, hashed)
    payload = decode(b64decode(document["payload"]))
    assert forged(payload) != payload
    document["payload"] = b64encode(encode(forged(payload))).decode()
    note(stages, hashed, encode(document))
    assert refusal(stages, hashed, MANIFEST) == DamageCode.SIGNATURE_INVALID


def test_digests_that_somebody_else_noted_are_not_signed(stages: Stages, hashed: UUID) -> None:
    """Not even where a chunk table lies in the archive that fits them."""
    document = note_of(stages, hashed)
    payload = forged(decode(b64decode(document["payload"])))
    note(stages, hashed, envelope.sign(encode(payload), document["payloadType"], SigningKey.generate()))
    assert refusal(stages, hashed, MANIFEST) == DamageCode.UNKNOWN_SIGNER


def test_a_note_of_another_session_is_not_signed(stages: Stages, hashed: UUID) -> None:
    other = stages.land(mixture(1000, seed=1))
    stages.archive(other, upto=MERKLE_TREE)
    note(stages, hashed, encode(note_of(stages, other)))
    assert refusal(stages, hashed, MANIFEST) == DamageCode.COMMITMENT_MISMATCH


def test_a_manifest_is_no_note(stages: Stages, hashed: UUID) -> None:
    """What is signed for one purpose counts for no other."""
    other = stages.land(mixture(1000, seed=1))
    stages.archive(other)
    note(stages, hashed, stages.object_path(manifest_key(other, 1)).read_bytes())
    assert refusal(stages, hashed, MANIFEST) == DamageCode.UNSUPPORTED_FORMAT


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.unlink(), DamageCode.MISSING_OBJECT),
        (lambda path: path.write_bytes(b"{}"), DamageCode.OBJECT_DIGEST_MISMATCH),
    ],
    ids=["gone", "replaced"],
)
def test_without_its_chunk_table_nothing_is_signed(
    spoil: Callable[[Path], object], code: DamageCode, stages: Stages, hashed: UUID
) -> None:
    [table] = stages.object_path(f"sessions/{hashed}").glob("chunk-table.*")
    spoil(table)
    assert refusal(stages, hashed, MANIFEST) == code
    table.unlink(missing_ok=True)
    assert stages.call(MERKLE_TREE, hashed) is None
    assert stages.call(MANIFEST, hashed) is None
    assert stages.verify(hashed).intact


# A manifest is there already.


class ForgetfulCatalog:
    """A catalog whose process dies, as it were, before it can note that a session is sealed."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def __getattr__(self, name: str) -> Any:
        return getattr(self._catalog, name)

    def record_seal(self, *_: object) -> None:
        raise TransientError("killed")


@pytest.mark.parametrize("again", [RECORDING, CHUNKS, ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST])
def test_the_manifest_of_an_attempt_that_was_cut_off_is_adopted(again: str, stages: Stages, hashed: UUID) -> None:
    assert stages.call(MANIFEST, hashed, catalog=ForgetfulCatalog(stages.catalog))
    [name] = stages.manifests()
    data = stages.objects()[name]
    assert stages.record(hashed).seal is None

    for stage in LINEAGE[LINEAGE.index(again) :]:
        assert stages.call(stage, hashed) is None

    assert stages.manifests() == [name]
    assert stages.objects()[name] == data
    seal = stages.record(hashed).seal
    assert seal
    assert seal.envelope_sha256 == sha256(data).digest()
    assert stages.verify(hashed).intact
    assert stages.export(hashed) == stages.path(hashed).read_bytes()


def signed_by_another(stages: Stages, session_id: UUID) -> bytes:
    return manifest_like(stages, session_id).sign(SigningKey.generate())


def of_another_session(stages: Stages, session_id: UUID) -> bytes:
    other = stages.land(b"another recording")
    stages.archive(other)
    return stages.object_path(manifest_key(other, 1)).read_bytes()


def of_another_sequence(stages: Stages, session_id: UUID) -> bytes:
    later = manifest_like(stages, session_id).model_copy(update={"sequence": 2, "previous": bytes(32)})
    return later.sign(stages.home.signing_key())


def with_a_changed_signature(stages: Stages, session_id: UUID) -> bytes:
    document = decode(manifest_like(stages, session_id).sign(stages.home.signing_key()))
    document["signatures"][0]["sig"] = b64encode(bytes(64)).decode()
    return encode(document)


def without_a_chunk_table(stages: Stages, session_id: UUID) -> bytes:
    """As the sealer itself would have signed it, of an attempt of which nothing is left."""
    return manifest_like(stages, session_id).sign(stages.home.signing_key())


def garbage(stages: Stages, session_id: UUID) -> bytes:
    return b"\x00" * 100


def manifest_like(stages: Stages, session_id: UUID) -> Manifest:
    """A manifest as any session may have it."""
    return Manifest(
        session_id=session_id,
        sequence=1,
        previous=None,
        created_at="2026-01-01T00:00:00.000Z",
        suite=stages.home.encryption().suite.aead,
        dek_commitment=bytes(32),
        streams=[
            Stream(
                media_type="video/mp4",
                chunk_size=MIB,
                chunk_count=1,
                stored_bytes=1000,
                tree=Tree(size=1, root=bytes(32)),
                chunk_table_sha256=bytes(32),
            )
        ],
        sealed_sha256=bytes(32),
    )


FOREIGN = [
    (garbage, DamageCode.MANIFEST_MALFORMED),
    (signed_by_another, DamageCode.UNKNOWN_SIGNER),
    (with_a_changed_signature, DamageCode.SIGNATURE_INVALID),
    (of_another_session, DamageCode.MANIFEST_MALFORMED),
    (of_another_sequence, DamageCode.MANIFEST_MALFORMED),
    (without_a_chunk_table, DamageCode.MISSING_OBJECT),
]


@pytest.mark.parametrize(("foreign", "code"), FOREIGN, ids=[foreign.__name__ for foreign, _ in FOREIGN])
def test_a_manifest_that_is_not_ours_is_neither_adopted_nor_overwritten(
    foreign: Callable[[Stages, UUID], bytes], code: DamageCode, stages: Stages, hashed: UUID
) -> None:
    data = foreign(stages, hashed)
    stages.plant(manifest_key(hashed, 1), data)
    assert refusal(stages, hashed, MANIFEST) == code
    assert stages.objects()[manifest_key(hashed, 1)] == data
    assert stages.record(hashed).state is State.HASHED
