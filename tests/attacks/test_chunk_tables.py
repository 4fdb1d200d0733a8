"""Chunk tables replaced in the archive, or forged and signed by a sealer gone bad."""

from collections.abc import Callable
from hashlib import sha256

import pytest

from lucid_pipeline.archive import reader
from lucid_pipeline.archive.chunk_table import ChunkObject
from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.layout import chunk_key
from tests.attacks.support import Outcome, Session, chunk_entry, codes, damaged, inspect, intact, refused, verify

Change = Callable[[bytes], bytes]

REPLACED: dict[str, Change] = {
    "empty": lambda _data: b"",
    "garbage": lambda _data: b"\x00" * 100,
    "cut": lambda data: data[:-1],
    "extended": lambda data: data + b" ",
    "another digit": lambda data: data.replace(b'"index":1', b'"index":2'),
    "the same but for a space": lambda data: data.replace(b":", b": ", 1),
}


@pytest.mark.parametrize("change", REPLACED.values(), ids=REPLACED)
def test_a_table_that_is_not_the_signed_one_is_refused(session: Session, change: Change) -> None:
    session.archive.objects[session.table_name] = change(session.archive.objects[session.table_name])
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


def test_the_table_of_another_session_is_refused(session: Session, other: Session) -> None:
    session.archive.objects[session.table_name] = other.archive.objects[other.table_name]
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


def test_a_table_too_large_to_be_one_is_not_read_whole(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "LARGEST_TABLE", 10_000)
    session.archive.objects[session.table_name] += b" " * 1_000_000
    session.archive.served = 0
    assert codes(verify(session)) == (DamageCode.CHUNK_TABLE_MISMATCH,)
    assert session.archive.served < 20_000


# Signed tables.


def _entries(session: Session, at: int, /, **changes: object) -> list[ChunkObject]:
    entries = list(session.table.objects)
    entries[at] = entries[at].model_copy(update=changes)
    return entries


FOREIGN_KEYS = {
    "absolute": "/etc/passwd",
    "above the archive": "../../../../etc/passwd",
    "above the session": "sessions/{session}/../{other}/chunks/{name}",
    "a dot segment": "sessions/{session}/./chunks/{name}",
    "an empty segment": "sessions/{session}//chunks/{name}",
    "another session": "sessions/{other}/chunks/{name}",
    "the keystore": "keyslots/{session}/x.json",
    "percent-encoded": "sessions/{session}/chunks/%2e%2e/{name}",
    "a URL": "file:///etc/passwd",
    "with a NUL": "sessions/{session}/chunks/{name}\x00",
    "with a line break": "sessions/{session}/chunks/{name}\n",
    "empty": "",
    "very long": "a" * 100_000,
    "not ASCII": "sessions/{session}/chunks/ü",
    "a Windows path": "..\\..\\windows\\win.ini",
    "its own place under another index": "sessions/{session}/chunks/00000002.{digest}",
    "its own place in upper case": "sessions/{session}/CHUNKS/{name}",
    "the index with fewer digits": "sessions/{session}/chunks/1.{digest}",
    "the manifest": "sessions/{session}/manifest.0001.dsse.json",
}


@pytest.mark.parametrize("pattern", FOREIGN_KEYS.values(), ids=FOREIGN_KEYS)
def test_a_key_that_is_not_the_chunks_own_is_never_followed(session: Session, other: Session, pattern: str) -> None:
    right = session.table.objects[1]
    name = right.key.rsplit("/", 1)[1]
    key = pattern.format(session=session.session_id, other=other.session_id, name=name, digest=name.split(".")[1])
    session.archive.objects.setdefault(key, session.archive.objects[right.key])
    listed = _entries(session, 1, key=key)
    session.list_chunks(listed)
    expected = refused(session, DamageCode.CHUNK_TABLE_MISMATCH)
    session.archive.asked.clear()
    assert inspect(session) == expected
    assert set(session.archive.asked) <= {session.manifest_name, session.table_name, session.sealed_name}


@pytest.mark.parametrize("index", [0, 2, 3, 2**53, 2**64 - 1])
def test_an_entry_out_of_its_place_is_refused(session: Session, index: int) -> None:
    session.list_chunks(_entries(session, 1, index=index))
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


def test_entries_that_are_swapped_with_their_indexes_are_refused(session: Session) -> None:
    first, second, third = session.table.objects
    session.list_chunks([second, first, third])
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


def test_an_entry_that_stands_twice_is_refused(session: Session) -> None:
    first, second, third = session.table.objects
    session.list_chunks([first, second, second, third])
    assert inspect(session).public == (DamageCode.CHUNK_TABLE_MISMATCH,)


def test_a_table_without_entries_is_refused(session: Session) -> None:
    count = session.manifest.recording.chunk_count
    session.store_table(session.table.model_copy(update={"objects": []}).encode(), chunk_count=count)
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


def test_a_table_that_says_it_is_of_another_session_is_refused(session: Session, other: Session) -> None:
    session.list_chunks(session.table.objects, session_id=other.session_id)
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


@pytest.mark.parametrize("stream_id", [1, -1, 2**32])
def test_a_table_of_another_stream_is_refused(session: Session, stream_id: int) -> None:
    session.list_chunks(session.table.objects, stream_id=stream_id)
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


@pytest.mark.parametrize("length", [0, 1, 41_103, 41_105, 1_082_512])
def test_a_length_that_is_not_the_objects_costs_that_chunk(session: Session, length: int) -> None:
    session.list_chunks(_entries(session, 1, length=length))
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)


def test_a_digest_that_only_begins_like_the_objects_costs_that_chunk(session: Session) -> None:
    """The name holds 32 digits of the digest; all 64 count."""
    right = session.table.objects[1].sha256
    session.list_chunks(_entries(session, 1, sha256=right[:16] + bytes(16)))
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)


def test_an_object_that_nobody_stored_is_missing(session: Session) -> None:
    digest = sha256(b"never stored").digest()
    session.list_chunks(_entries(session, 1, sha256=digest, key=chunk_key(session.session_id, 1, digest)))
    assert inspect(session) == damaged(session, DamageCode.MISSING_OBJECT, 1)


@pytest.mark.parametrize("data", [b"", b"\x00", b"LUC1", bytes(40), bytes(200), b"LUC1" + bytes(200)], ids=len)
def test_an_object_that_is_no_chunk_object_costs_that_chunk(session: Session, data: bytes) -> None:
    session.store_chunk(1, data)
    assert inspect(session) == damaged(session, DamageCode.UNSUPPORTED_FORMAT, 1)


@pytest.mark.parametrize("length", [1_082_513, 2**40, 2**63])
def test_a_length_beyond_any_chunk_object_is_refused(session: Session, length: int) -> None:
    """Else a sealer could have every verifier read objects of any size into memory."""
    session.list_chunks(_entries(session, 1, length=length))
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)


def test_an_object_larger_than_any_chunk_is_not_even_asked_for(session: Session) -> None:
    large = session.encrypt(session.header(1), bytes(3 * session.manifest.recording.chunk_size))
    session.store_chunk(1, large)
    name = chunk_entry(session.session_id, 1, large).key
    session.archive.asked.clear()
    assert inspect(session) == refused(session, DamageCode.CHUNK_TABLE_MISMATCH)
    assert name not in session.archive.asked


def test_a_table_of_many_chunks_that_are_not_there_says_so_for_each(session: Session) -> None:
    digest = sha256(b"never stored").digest()
    many = [
        ChunkObject(index=index, key=chunk_key(session.session_id, index, digest), length=100, sha256=digest)
        for index in range(2_000)
    ]
    session.list_chunks(many)
    rows, missing = DamageCode.SEALED_MISMATCH, (DamageCode.MISSING_OBJECT,) * 2_000
    assert inspect(session) == Outcome(missing, (rows, *missing), (rows,) * 3, rows)


def test_listing_what_is_there_as_it_is_changes_nothing(session: Session) -> None:
    session.list_chunks([chunk_entry(session.session_id, index, data) for index, data in enumerate(session.chunks)])
    assert inspect(session) == intact(session)


def test_a_schema_from_the_future_is_not_supported(session: Session) -> None:
    session.store_table(session.table.encode().replace(b"lucid/chunk-table@v1", b"lucid/chunk-table@v2"))
    assert inspect(session) == refused(session, DamageCode.UNSUPPORTED_FORMAT)
