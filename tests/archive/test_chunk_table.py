"""The chunk table, and the Merkle tree over it."""

from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive import canonical, merkle
from lucid_pipeline.archive.chunk_table import ChunkObject, ChunkTable
from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB
from lucid_pipeline.archive.codec import frame_capacity
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import encrypted_length
from lucid_pipeline.archive.layout import chunk_key

SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
OTHER = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c")


def entry(index: int, length: int | None = None) -> ChunkObject:
    digest = sha256(b"object %d" % index).digest()
    return ChunkObject(
        index=index,
        key=chunk_key(SESSION, index, digest),
        length=100 + index if length is None else length,
        sha256=digest,
    )


def table(*entries: ChunkObject) -> ChunkTable:
    return ChunkTable(session_id=SESSION, objects=list(entries) or [entry(index) for index in range(5)])


def refusal(broken: ChunkTable, session: UUID = SESSION, chunk_size: int = MIB) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        broken.check(session, chunk_size, "the table")
    assert refused.value.damage.where == "the table"
    return refused.value.damage.code


def test_a_leaf_is_over_version_length_and_digest() -> None:
    digest = sha256(b"object 0").digest()
    expected = sha256(b"\x00" + b"\x01" + (12345).to_bytes(8, "big") + digest).digest()
    assert entry(0, length=12345).leaf == expected


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_a_table_reads_back_with_its_root_and_sum(lengths: list[int]) -> None:
    whole = table(*(entry(index, length) for index, length in enumerate(lengths)))
    again = ChunkTable.decode(whole.encode(), DamageCode.CHUNK_TABLE_MISMATCH, "")
    assert again == whole
    assert again.root() == merkle.root_hash([chunk.leaf for chunk in whole.objects])
    assert again.stored_bytes == sum(lengths)


@given(
    st.lists(
        st.builds(
            ChunkObject,
            index=st.integers(0, 2**64 - 1),
            key=st.text(st.characters(exclude_categories=["Cs"])),
            length=st.integers(2**53 - 2, 2**53 + 2) | st.integers(0, 2**64 - 1),
            sha256=st.binary(min_size=32, max_size=32),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 2**53 - 1),
)
def test_it_is_written_as_any_canonical_document(objects: list[ChunkObject], stream_id: int) -> None:
    whole = ChunkTable(session_id=SESSION, stream_id=stream_id, objects=objects)
    assert whole.encode() == canonical.encode(whole.model_dump(mode="json", by_alias=True))


@pytest.mark.parametrize("chunk_size", CHUNK_SIZES)
def test_an_object_is_never_larger_than_the_largest_chunk_makes_it(chunk_size: int) -> None:
    largest = encrypted_length(frame_capacity(chunk_size))
    table(entry(0, largest), entry(1, 0)).check(SESSION, chunk_size, "")
    assert refusal(table(entry(0, largest + 1)), chunk_size=chunk_size) is DamageCode.CHUNK_TABLE_MISMATCH


def test_a_table_is_written_as_the_format_says() -> None:
    one = entry(0)
    assert canonical.decode(table(one).encode()) == {
        "schema": "lucid/chunk-table@v1",
        "session_id": str(SESSION),
        "stream_id": 0,
        "objects": [{"index": 0, "key": one.key, "length": 100, "sha256": one.sha256.hex()}],
    }


def test_every_leaf_has_an_inclusion_proof_to_the_root() -> None:
    whole = table()
    for index, leaf in enumerate(whole.leaves()):
        merkle.verify_inclusion(leaf, index, 5, merkle.inclusion_proof(whole.leaves(), index), whole.root())


def test_a_change_of_any_length_or_digest_changes_the_root() -> None:
    whole = table()
    roots = {whole.root()}
    for index in range(5):
        for change in ({"length": 7}, {"sha256": bytes(32)}):
            entries = list(whole.objects)
            entries[index] = entries[index].model_copy(update=change)
            roots.add(table(*entries).root())
    assert len(roots) == 11


@pytest.mark.parametrize(
    "entries",
    [
        [entry(1)],
        [entry(0), entry(2)],
        [entry(1), entry(0)],
        [entry(0), entry(0)],
        [entry(0), entry(1), entry(1)],
        [entry(0).model_copy(update={"index": 1}), entry(1)],
        [entry(0), entry(1).model_copy(update={"key": entry(0).key})],
        [entry(0).model_copy(update={"sha256": bytes(32)})],
        [entry(0).model_copy(update={"key": "sessions/../../etc/passwd"})],
        [entry(0).model_copy(update={"key": entry(0).key.replace(str(SESSION), str(OTHER))})],
        [entry(0).model_copy(update={"key": entry(0).key + "0"})],
    ],
)
def test_a_chunk_that_is_missing_moved_or_misnamed_is_refused(entries: list[ChunkObject]) -> None:
    assert refusal(table(*entries)) is DamageCode.CHUNK_TABLE_MISMATCH


def test_a_table_of_another_session_or_stream_is_refused() -> None:
    assert refusal(table(), OTHER) is DamageCode.CHUNK_TABLE_MISMATCH
    assert refusal(table().model_copy(update={"stream_id": 1})) is DamageCode.CHUNK_TABLE_MISMATCH


@pytest.mark.parametrize(
    "change",
    [
        {"objects": []},
        {"objects": None},
        {"objects": [{"index": 0}]},
        {"objects": [{"index": 0, "key": "k", "length": "1", "sha256": "00" * 32}]},
        {"objects": [{"index": 0, "key": 7, "length": 1, "sha256": "00" * 32}]},
        {"objects": [{"index": 0, "key": "k", "length": 1, "sha256": "00" * 32, "unknown": 1}]},
        {"schema": None},
        {"stream_id": "0"},
        {"unknown": 1},
    ],
)
def test_what_is_no_chunk_table_is_refused(change: dict[str, Any]) -> None:
    data = canonical.encode({**canonical.decode(table().encode()), **change})
    with pytest.raises(DamageError) as refused:
        ChunkTable.decode(data, DamageCode.CHUNK_TABLE_MISMATCH, "the table")
    assert refused.value.damage.code is DamageCode.CHUNK_TABLE_MISMATCH


@pytest.mark.parametrize("missing", ["schema", "session_id", "stream_id", "objects"])
def test_a_chunk_table_without_a_field_is_refused(missing: str) -> None:
    fields = canonical.decode(table().encode())
    with pytest.raises(DamageError) as refused:
        ChunkTable.decode(
            canonical.encode({k: v for k, v in fields.items() if k != missing}), DamageCode.CHUNK_TABLE_MISMATCH, ""
        )
    assert refused.value.damage.code is DamageCode.CHUNK_TABLE_MISMATCH


def test_a_chunk_table_from_the_future_is_not_supported() -> None:
    data = canonical.encode({**canonical.decode(table().encode()), "schema": "lucid/chunk-table@v2", "more": True})
    with pytest.raises(DamageError) as refused:
        ChunkTable.decode(data, DamageCode.CHUNK_TABLE_MISMATCH, "")
    assert refused.value.damage.code is DamageCode.UNSUPPORTED_FORMAT
