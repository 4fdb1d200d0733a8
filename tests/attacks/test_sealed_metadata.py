"""Sealed metadata that is of another session, or that says something else than the chunks do."""

from hashlib import sha256
from typing import Any

import pytest

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.encryption import ChunkFlags, ChunkHeader, Suite
from lucid_pipeline.archive.sealed import ChunkRow, RecordingMetadata, Terminal
from tests.attacks.support import (
    LARGEST_SEALED_OBJECT,
    SEALED_FLAGS,
    Outcome,
    Session,
    archive_again,
    build_frame,
    check_whole,
    codes,
    inspect,
    intact,
    open_reader,
    refusal,
    unreadable,
    verify,
)


def _visible(session: Session, code: DamageCode) -> Outcome:
    """Damage that needs no key to be seen; nothing can be read, but the chunks themselves are whole."""
    return Outcome((code,), (code,), (code,) * len(session.spans()), code)


# In the archive.


def test_sealed_metadata_that_is_gone_is_missing_and_the_chunks_still_verify(session: Session) -> None:
    session.archive.delete(session.sealed_name)
    assert inspect(session) == _visible(session, DamageCode.MISSING_OBJECT)
    assert verify(session).chunks_checked == 3


@pytest.mark.parametrize("data", [b"", b"\x00", b"LUC1", bytes(1000)], ids=len)
def test_sealed_metadata_replaced_by_garbage_is_refused(session: Session, data: bytes) -> None:
    session.archive.objects[session.sealed_name] = data
    assert inspect(session) == _visible(session, DamageCode.SEALED_MISMATCH)


def test_the_sealed_metadata_of_another_session_is_refused(session: Session, other: Session) -> None:
    session.archive.objects[session.sealed_name] = other.archive.objects[other.sealed_name]
    assert inspect(session) == _visible(session, DamageCode.SEALED_MISMATCH)


def test_sealed_metadata_too_large_to_be_any_is_not_read_whole(session: Session) -> None:
    session.archive.objects[session.sealed_name] += bytes(2 * LARGEST_SEALED_OBJECT)
    session.archive.served = 0
    assert codes(verify(session)) == (DamageCode.SEALED_MISMATCH,)
    assert session.archive.served < LARGEST_SEALED_OBJECT + 1_000_000


# Signed by a sealer gone bad.


def test_a_sealer_cannot_use_the_sealed_metadata_of_another_session(session: Session, other: Session) -> None:
    session.store_sealed(other.archive.objects[other.sealed_name])
    assert inspect(session) == _visible(session, DamageCode.COMMITMENT_MISMATCH)


def test_a_sealer_cannot_use_the_sealed_metadata_of_another_attempt(session: Session) -> None:
    attempt = session.copy()
    for store in (attempt.archive, attempt.keystore):
        store.objects.clear()
    archive_again(attempt)
    session.store_sealed(attempt.archive.objects[attempt.sealed_name])
    assert inspect(session) == unreadable(session, DamageCode.COMMITMENT_MISMATCH)


def test_a_sealer_cannot_pass_a_chunk_off_as_the_sealed_metadata(session: Session) -> None:
    session.store_sealed(session.chunks[0])
    assert inspect(session) == _visible(session, DamageCode.COMMITMENT_MISMATCH)


@pytest.mark.parametrize("length", [0, 39, 40, 95, 96, 111])
def test_a_sealer_cannot_cut_the_sealed_metadata(session: Session, length: int) -> None:
    session.store_sealed(session.archive.objects[session.sealed_name][:length])
    if length < 40:
        assert inspect(session) == _visible(session, DamageCode.UNSUPPORTED_FORMAT)
    else:
        assert inspect(session) == unreadable(session, DamageCode.DECRYPT_FAILED)


# Made by a writer gone bad.


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"stream_id": 1}, id="another stream"),
        pytest.param({"index": 1}, id="another index"),
        pytest.param({"flags": SEALED_FLAGS | ChunkFlags.LAST}, id="last chunk"),
        pytest.param({"flags": ChunkFlags.SEALED_METADATA}, id="not padded"),
        pytest.param({"suite": Suite.CHACHA20_POLY1305}, id="another suite"),
    ],
)
def test_sealed_metadata_is_encrypted_for_its_own_place(session: Session, header: dict[str, Any]) -> None:
    fields = {"suite": session.manifest.aead, "session_id": session.session_id, "index": 0, "flags": SEALED_FLAGS}
    plaintext = build_frame(session.metadata.encode())
    session.store_sealed(session.encrypt(ChunkHeader(**{**fields, **header}), plaintext))
    assert inspect(session) == _visible(session, DamageCode.COMMITMENT_MISMATCH)


def _rows(session: Session, at: int, /, **changes: Any) -> list[ChunkRow]:
    rows = list(session.metadata.chunks)
    rows[at] = rows[at].model_copy(update=changes)
    return rows


def _recording(session: Session, **changes: Any) -> RecordingMetadata:
    return session.metadata.recording.model_copy(update=changes)


@pytest.mark.parametrize(
    ("at", "changes"),
    [
        pytest.param(0, {"offset": 1}, id="a start that is not zero"),
        pytest.param(1, {"offset": MIB + 1}, id="a gap"),
        pytest.param(1, {"offset": MIB - 1}, id="an overlap"),
        pytest.param(1, {"offset": 0}, id="a row that begins at zero again"),
        pytest.param(1, {"length": MIB + 1}, id="a row longer than a chunk"),
        pytest.param(1, {"length": MIB - 1}, id="a row that leaves a gap"),
        pytest.param(1, {"length": 0}, id="an empty row"),
        pytest.param(2, {"length": 299_999}, id="a last row that is too short"),
        pytest.param(2, {"length": 300_001}, id="a last row that is too long"),
        pytest.param(2, {"length": 2**63}, id="a last row beyond all memory"),
    ],
)
def test_rows_that_do_not_cut_the_recording_are_refused(session: Session, at: int, changes: dict[str, int]) -> None:
    session.change_metadata(chunks=_rows(session, at, **changes))
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)


@pytest.mark.parametrize("keep", [slice(0, 0), slice(0, 2), slice(1, 3)], ids=["none", "the first two", "the last two"])
def test_rows_that_are_missing_are_refused(session: Session, keep: slice) -> None:
    session.change_metadata(chunks=session.metadata.chunks[keep])
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)


def test_a_row_for_a_chunk_that_does_not_exist_is_refused(session: Session) -> None:
    length = len(session.recording)
    session.change_metadata(chunks=[*session.metadata.chunks, ChunkRow(offset=length, length=0)])
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)


def test_rows_that_cut_elsewhere_than_the_chunk_size_are_refused(session: Session) -> None:
    """They join up and add up, but chunks have one size: all but the last."""
    rows = [
        ChunkRow(offset=0, length=MIB - 10),
        ChunkRow(offset=MIB - 10, length=MIB),
        ChunkRow(offset=2 * MIB - 10, length=300_010),
    ]
    session.change_metadata(chunks=rows)
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)


@pytest.mark.parametrize("length", [0, 1, 2 * MIB + 299_999, 2 * MIB + 300_001, 2**64 - 1])
def test_a_length_that_is_not_the_sum_of_the_rows_is_refused(session: Session, length: int) -> None:
    session.change_metadata(recording=_recording(session, length=length))
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)


def test_another_plaintext_digest_is_seen_where_the_whole_is_read(session: Session) -> None:
    """Every part that is read is still the session's own."""
    session.change_metadata(recording=_recording(session, sha256=sha256(b"another").digest()))
    mismatch = DamageCode.PLAINTEXT_DIGEST_MISMATCH
    assert inspect(session) == Outcome((), (mismatch,), (None,) * 3, mismatch)
    assert refusal(lambda: check_whole(session)) is mismatch


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a\x00b", "x" * 100_000, "%00", ""])
def test_a_name_is_never_more_than_text(session: Session, name: str) -> None:
    session.change_metadata(recording=_recording(session, name=name))
    assert inspect(session) == intact(session)
    assert open_reader(session).metadata.recording.name == name


def test_damaged_chunks_and_another_digest_are_told_apart(session: Session) -> None:
    """Where a chunk is damaged the whole cannot be compared, and nothing is said of it."""
    session.change_metadata(recording=_recording(session, sha256=sha256(b"another").digest()))
    session.archive.delete(session.chunk_name(1))
    assert codes(verify(session, deep=True)) == (DamageCode.MISSING_OBJECT,)
    assert refusal(lambda: open_reader(session).copy_to(lambda _d, _a: None, 2, lambda _b: None)) is (
        DamageCode.MISSING_OBJECT
    )


def test_a_schema_from_the_future_is_not_supported(session: Session) -> None:
    session.store_metadata(session.metadata.encode().replace(b"lucid/sealed@v1", b"lucid/sealed@v2"))
    assert inspect(session) == unreadable(session, DamageCode.UNSUPPORTED_FORMAT)


@pytest.mark.parametrize(("first", "last"), [(None, 5), (5, None)])
def test_a_row_has_both_times_or_neither(session: Session, first: int | None, last: int | None) -> None:
    session.change_metadata(chunks=_rows(session, 1, first_ms=first, last_ms=last))
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)


@pytest.mark.parametrize(("columns", "rows"), [(0, 24), (80, 0), (-1, 24), (65_536, 24), (80, 2**53 - 1)])
def test_a_terminal_has_a_size_that_can_be(session: Session, columns: int, rows: int) -> None:
    session.change_metadata(
        recording=_recording(session, terminal=Terminal.model_construct(columns=columns, rows=rows))
    )
    assert inspect(session) == unreadable(session, DamageCode.SEALED_MISMATCH)
