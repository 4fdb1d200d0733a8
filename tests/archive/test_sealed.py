"""Sealed metadata."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive import canonical, sealed
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import padme_length
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import (
    ChunkFlags,
    ChunkHeader,
    Suite,
    encrypt_object,
    encrypted_length,
    plaintext_length,
)
from lucid_pipeline.archive.keys import Dek
from lucid_pipeline.archive.sealed import ChunkRow, RecordingMetadata, SealedMetadata, SessionMetadata, Terminal
from lucid_pipeline.errors import PermanentError

SESSION = UUID("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b")
DEK = Dek(bytes(range(32)))
RECORDING = RecordingMetadata(
    name="demo.cast", media_type="application/x-asciicast", length=1_500_000, sha256=bytes(32)
)
ROWS = [ChunkRow(offset=0, length=MIB, first_ms=0, last_ms=999), ChunkRow(offset=MIB, length=1_500_000 - MIB)]
METADATA = SealedMetadata(recording=RECORDING, chunks=ROWS)

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
whole = st.builds(
    SealedMetadata,
    recording=st.builds(
        RecordingMetadata,
        name=names,
        media_type=names,
        length=st.integers(0, 2**64 - 1),
        sha256=st.binary(min_size=32, max_size=32),
        user=st.none() | names,
        host=st.none() | names,
        protocol=st.none() | names,
        started_at=st.none() | names,
        ended_at=st.none() | names,
        tags=st.dictionaries(names, names, max_size=3),
        terminal=st.none() | st.builds(Terminal, columns=st.integers(1, 65535), rows=st.integers(1, 65535)),
        duration_ms=st.none() | st.integers(0, 2**64 - 1),
    ),
    chunks=st.lists(
        st.builds(
            lambda offset, length, times: ChunkRow(offset=offset, length=length, first_ms=times[0], last_ms=times[1]),
            *[st.integers(0, 2**64 - 1)] * 2,
            st.just((None, None)) | st.tuples(*[st.integers(0, 2**64 - 1)] * 2),
        ),
        max_size=5,
    ),
)


def unseal(data: bytes, *, session: UUID = SESSION, suite: Suite = Suite.AES_256_GCM, dek: Dek = DEK) -> SealedMetadata:
    return sealed.unseal(memoryview(data), session, suite, dek, "sealed")


def refusal(data: bytes, **how: Any) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        unseal(data, **how)
    assert refused.value.damage.where == "sealed"
    return refused.value.damage.code


def object_of(plaintext: bytes, flags: int = 6) -> bytes:
    """A chunk object around any plaintext, as someone with the DEK can make it."""
    out = memoryview(bytearray(encrypted_length(len(plaintext))))
    header = ChunkHeader(Suite.AES_256_GCM, SESSION, 0, ChunkFlags(flags))
    return bytes(encrypt_object(header, DEK.secret, memoryview(plaintext), out))


def frame_of(raw: bytes) -> bytes:
    frame = bytes(4) + len(raw).to_bytes(4, "big") * 2 + bytes(4) + raw
    return frame + bytes(padme_length(len(frame)) - len(frame))


@pytest.mark.parametrize("suite", Suite)
@given(metadata=whole)
def test_what_is_sealed_reads_back(suite: Suite, metadata: SealedMetadata) -> None:
    assert unseal(sealed.seal(metadata, SESSION, suite, DEK), suite=suite) == metadata


@pytest.mark.parametrize("suite", Suite)
def test_it_is_one_chunk_object_with_the_flag_for_sealed_metadata_and_padding(suite: Suite) -> None:
    data = sealed.seal(METADATA, SESSION, suite, DEK)
    assert ChunkHeader.parse(memoryview(data), "") == ChunkHeader(suite, SESSION, 0, ChunkFlags(4 | 2), 0)
    length = plaintext_length(len(data))
    assert length is not None
    assert padme_length(length) == length


def test_nothing_of_it_can_be_read_without_the_key() -> None:
    recording = RECORDING.model_copy(update={"user": "somebody-special"})
    data = sealed.seal(SealedMetadata(recording=recording, chunks=ROWS), SESSION, Suite.AES_256_GCM, DEK)
    assert b"somebody" not in data
    assert b"demo.cast" not in data


def test_long_metadata_is_compressed() -> None:
    rows = [ChunkRow(offset=n * MIB, length=MIB, first_ms=n, last_ms=n) for n in range(20_000)]
    metadata = SealedMetadata(recording=RECORDING, chunks=rows)
    data = sealed.seal(metadata, SESSION, Suite.AES_256_GCM, DEK)
    assert len(data) < len(metadata.encode()) / 4
    assert unseal(data) == metadata


def test_it_is_written_as_the_format_says() -> None:
    row = {"first_ms": None, "last_ms": None}
    assert canonical.decode(METADATA.encode()) == {
        "schema": "lucid/sealed@v1",
        "recording": {
            "name": "demo.cast",
            "media_type": "application/x-asciicast",
            "length": 1_500_000,
            "sha256": "00" * 32,
            "user": None,
            "host": None,
            "protocol": None,
            "started_at": None,
            "ended_at": None,
            "tags": {},
            "terminal": None,
            "duration_ms": None,
        },
        "chunks": [
            {"offset": 0, "length": MIB, "first_ms": 0, "last_ms": 999},
            {"offset": MIB, "length": 1_500_000 - MIB, **row},
        ],
    }


def test_sealed_metadata_of_another_session_suite_or_key_is_refused() -> None:
    data = sealed.seal(METADATA, SESSION, Suite.AES_256_GCM, DEK)
    assert refusal(data, session=UUID(int=1)) is DamageCode.COMMITMENT_MISMATCH
    assert refusal(data, suite=Suite.CHACHA20_POLY1305) is DamageCode.COMMITMENT_MISMATCH
    assert refusal(data, dek=Dek(bytes(32))) is DamageCode.COMMITMENT_MISMATCH


@pytest.mark.parametrize("flags", [0, 1, 2, 3, 4, 5, 7])
def test_a_chunk_object_with_other_flags_is_no_sealed_metadata(flags: int) -> None:
    assert refusal(object_of(frame_of(METADATA.encode()), flags)) is DamageCode.COMMITMENT_MISMATCH
    assert unseal(object_of(frame_of(METADATA.encode()))) == METADATA


@given(st.data())
def test_any_flipped_bit_is_found(data: st.DataObject) -> None:
    damaged = bytearray(sealed.seal(METADATA, SESSION, Suite.AES_256_GCM, DEK))
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    assert refusal(bytes(damaged)) in {
        DamageCode.UNSUPPORTED_FORMAT,
        DamageCode.COMMITMENT_MISMATCH,
        DamageCode.DECRYPT_FAILED,
    }


@pytest.mark.parametrize("length", [0, 39, 40, 95, 96, 111])
def test_a_cut_object_is_refused(length: int) -> None:
    data = sealed.seal(METADATA, SESSION, Suite.AES_256_GCM, DEK)[:length]
    assert refusal(data) is (DamageCode.UNSUPPORTED_FORMAT if length < 40 else DamageCode.DECRYPT_FAILED)


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"null", METADATA.encode() + b" ", b"\xff\xfe", canonical.encode({"schema": None})],
)
def test_an_authentic_object_that_holds_something_else_is_refused(content: bytes) -> None:
    assert refusal(object_of(frame_of(content))) is DamageCode.SEALED_MISMATCH


def test_sealed_metadata_from_the_future_is_not_supported() -> None:
    content = canonical.encode({**canonical.decode(METADATA.encode()), "schema": "lucid/sealed@v2"})
    assert refusal(object_of(frame_of(content))) is DamageCode.UNSUPPORTED_FORMAT


def test_an_authentic_object_without_a_frame_is_refused() -> None:
    assert refusal(object_of(b"")) is DamageCode.FRAME_MALFORMED
    assert refusal(object_of(METADATA.encode())) in (DamageCode.UNSUPPORTED_FORMAT, DamageCode.FRAME_MALFORMED)


def test_metadata_that_nobody_could_read_back_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "LARGEST_METADATA", len(METADATA.encode()))
    data = sealed.seal(METADATA, SESSION, Suite.AES_256_GCM, DEK)
    assert unseal(data) == METADATA
    monkeypatch.setattr(sealed, "LARGEST_METADATA", len(METADATA.encode()) - 1)
    with pytest.raises(PermanentError, match="fewer tags"):
        sealed.seal(METADATA, SESSION, Suite.AES_256_GCM, DEK)
    assert refusal(data) is DamageCode.FRAME_MALFORMED


def test_rows_that_cut_the_recording_are_accepted() -> None:
    METADATA.check(MIB, 2, "")
    empty = RECORDING.model_copy(update={"length": 0})
    SealedMetadata(recording=empty, chunks=[ChunkRow(offset=0, length=0)]).check(MIB, 1, "")


def test_an_empty_last_row_after_full_ones_is_accepted() -> None:
    """A live recorder learns of the end too late."""
    full = RECORDING.model_copy(update={"length": MIB})
    SealedMetadata(recording=full, chunks=[rows(MIB)[0], ChunkRow(offset=MIB, length=0)]).check(MIB, 2, "")


def rows(*lengths: int) -> list[ChunkRow]:
    return [ChunkRow(offset=sum(lengths[:index]), length=length) for index, length in enumerate(lengths)]


def check_refusal(cut: list[ChunkRow], chunk_count: int) -> DamageCode:
    with pytest.raises(DamageError) as refused:
        SealedMetadata(recording=RECORDING, chunks=cut).check(MIB, chunk_count, "sealed")
    return refused.value.damage.code


@pytest.mark.parametrize(
    ("cut", "chunk_count"),
    [
        ([], 0),
        (rows(MIB), 1),
        (rows(MIB, 1_500_000 - MIB), 1),
        (rows(MIB, 1_500_000 - MIB), 3),
        (rows(MIB, 1_500_000 - MIB - 1), 2),
        (rows(MIB, 1_500_000 - MIB + 1), 2),
        (rows(1_500_000), 1),
        (rows(MIB + 1, 1_500_000 - MIB - 1), 2),
        ([ROWS[1], ROWS[0]], 2),
        ([ROWS[0], ROWS[0]], 2),
        ([ROWS[0], ROWS[1].model_copy(update={"offset": MIB - 1})], 2),
        ([ROWS[0].model_copy(update={"offset": 1}), ROWS[1]], 2),
    ],
)
def test_rows_that_do_not_cut_the_recording_are_refused(cut: list[ChunkRow], chunk_count: int) -> None:
    assert check_refusal(cut, chunk_count) is DamageCode.SEALED_MISMATCH


@pytest.mark.parametrize(
    "cut",
    [rows(1_500_000 - MIB, MIB), rows(500_000, 500_000, 500_000), rows(0, MIB, 1_500_000 - MIB), rows(MIB, 0, 451_424)],
)
def test_a_short_chunk_before_the_last_is_refused(cut: list[ChunkRow]) -> None:
    assert check_refusal(cut, len(cut)) is DamageCode.SEALED_MISMATCH


def test_text_that_no_document_can_hold_is_refused_at_once() -> None:
    """What a command line passes on as a lone surrogate: bytes that are no UTF-8."""
    with pytest.raises(ValueError, match="user"):
        SessionMetadata(user="\udcff")
