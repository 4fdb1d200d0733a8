"""Reading a session back by time, by whoever may, and as live recorders leave it."""

import json
from functools import cache
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.codec import Codec
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.encryption import Suite
from lucid_pipeline.archive.keys import Identity
from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.reader import Keys, SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.writer import Encryption
from lucid_pipeline.errors import SessionNotFound
from tests.support import Home, archive_by_hand, export, mixture

# By time

HEADER = b'{"version": 2, "width": 80, "height": 24}\n'
EVENTS = [(n * 50 + (100_000 if n > 600 else 0), 2000 + 1700 * (n % 7)) for n in range(900)]
"""Time in ms and length of the text of each event: some 6 MiB, with a pause of 100 s in it."""


@cache
def lines() -> list[bytes]:
    return [json.dumps([ms / 1000, "o", "x" * length]).encode() + b"\n" for ms, length in EVENTS]


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> SessionReader:
    home = Home(tmp_path_factory.mktemp("cast"))
    return home.reader(home.archive(HEADER + b"".join(lines()), chunk_size=None).manifest.session_id)


@cache
def begins() -> list[int]:
    """Where each event's line begins."""
    found, at = [], len(HEADER)
    for line in lines():
        found.append(at)
        at += len(line)
    return found


@given(first=st.integers(-10, 150_000), length=st.integers(0, 60_000) | st.integers(0, 100))
def test_a_span_of_time_has_all_events_that_begin_in_it(cast: SessionReader, first: int, length: int) -> None:
    last = first + length
    start, stop = cast.range_of_times(first, last)
    inside = [begin for begin, (ms, _) in zip(begins(), EVENTS, strict=True) if first <= ms <= last]
    assert all(start <= begin < stop for begin in inside)
    whole = HEADER + b"".join(lines())
    end_of_line = whole.index(b"\n", stop - 1) + 1 if stop else 0
    assert b"".join(cast.read_times(first, last)) == whole[start:end_of_line]


@given(first=st.integers(0, 150_000), length=st.integers(0, 60_000))
def test_a_span_of_time_reads_no_chunk_that_is_over_or_not_yet_begun(
    cast: SessionReader, first: int, length: int
) -> None:
    start, stop = cast.range_of_times(first, first + length)
    for row in cast.metadata.chunks:
        if row.offset >= start and row.offset + row.length <= stop:
            assert row.last_ms is not None
            assert row.first_ms is not None
            assert row.last_ms >= first
            assert row.first_ms <= first + length


def test_an_event_of_the_span_is_there_to_the_end_of_its_line(cast: SessionReader) -> None:
    crossing = next(n for n, begin in enumerate(begins()) if begin < MIB <= begin + len(lines()[n]) - 1)
    ms = EVENTS[crossing][0]
    assert lines()[crossing] in b"".join(cast.read_times(ms, ms))


@pytest.mark.parametrize("end", [b"", b"\n", b'\n[3, "o", "after it"]\n'])
def test_an_event_may_be_longer_than_a_chunk_and_the_last_need_not_end(end: bytes, home: Home) -> None:
    event = b'[2, "o", "' + b"x" * 2 * MIB + b'"]'
    data = HEADER + b'[1, "o", ""]\n' + event + end
    reader = home.reader(home.archive(data).manifest.session_id)
    assert b"".join(reader.read_times(2000, 2000)) == HEADER + b'[1, "o", ""]\n' + event + end[:1]


@pytest.mark.parametrize(("first", "last"), [(-5, -1), (200_000, 300_000), (31_000, 129_000), (5000, 4000)])
def test_a_span_in_which_nothing_happens_is_empty(cast: SessionReader, first: int, last: int) -> None:
    start, stop = cast.range_of_times(first, last)
    inside = [ms for ms, _ in EVENTS if first <= ms <= last]
    assert not inside
    assert stop - start <= MIB
    if last < 0 or first > EVENTS[-1][0]:
        assert (start, stop) == (0, 0)


def test_the_whole_time_is_the_whole_recording(cast: SessionReader) -> None:
    assert cast.range_of_times(0, EVENTS[-1][0]) == (0, len(cast))
    assert cast.metadata.recording.duration_ms == EVENTS[-1][0]


def test_a_recording_without_times_cannot_be_read_by_time(home: Home) -> None:
    reader = home.reader(home.archive(b"no cast at all").manifest.session_id)
    with pytest.raises(ValueError, match="no time index"):
        reader.range_of_times(0, 1)


# By whom


def test_every_recipient_reads_with_an_identity_of_their_own(home: Home) -> None:
    other, stranger = Identity.generate(), Identity.generate()
    data = mixture(100_000)
    manifest = archive_recording(
        home.landing_file(data),
        SessionMetadata(),
        new_session_id(),
        Encryption([home.identity.recipient, other.recipient], Suite.CHACHA20_POLY1305, Codec.ZSTD, 1),
        home.signing_key,
        home.store,
        home.keystore,
    ).manifest
    for identities in ([home.identity], [other], [stranger, other], [other, home.identity]):
        reader = SessionReader.open(manifest, home.store, Keys(identities, home.keystore))
        assert export(reader) == data


def test_metadata_comes_back_as_it_was_given(home: Home) -> None:
    said = SessionMetadata(
        user="alice",
        host="db-1.example.org",
        protocol="ssh",
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T01:00:00Z",
        tags={"ticket": "OPS-7", "größe": "\U0001f600"},
    )
    path = home.landing_file(b"what happened")
    recording = home.reader(home.archive(path, metadata=said).manifest.session_id).metadata.recording
    assert (
        SessionMetadata.model_validate({name: getattr(recording, name) for name in SessionMetadata.model_fields})
        == said
    )
    assert (recording.name, recording.length, recording.sha256) == (path.name, 13, sha256(b"what happened").digest())


def test_an_unknown_session_is_not_found(home: Home) -> None:
    with pytest.raises(SessionNotFound):
        load_manifest(new_session_id(), home.store, home.trusted)


# As live recorders leave it


@pytest.mark.parametrize("full_chunks", [1, 2])
def test_an_empty_last_chunk_after_full_ones_is_accepted(full_chunks: int, home: Home) -> None:
    data = mixture(full_chunks * MIB)
    parts = [data[at * MIB : (at + 1) * MIB] for at in range(full_chunks)]
    session_id = archive_by_hand(home, [*parts, b""], padded=[True] * (full_chunks + 1)).manifest.session_id
    for deep in (False, True):
        report = home.verify(session_id, deep=deep)
        assert report.intact, report.damages
        assert report.chunks_checked == full_chunks + 1
    assert home.export(session_id) == data
    assert b"".join(home.reader(session_id).read()) == data
    assert b"".join(home.reader(session_id).read(len(data) - 10, len(data) + 10)) == data[-10:]


def test_whether_a_chunk_is_padded_is_its_writers_choice(home: Home) -> None:
    data = mixture(2 * MIB + 100)
    parts = [data[:MIB], data[MIB : 2 * MIB], data[2 * MIB :]]
    session_id = archive_by_hand(home, parts, padded=[True, False, True]).manifest.session_id
    assert home.verify(session_id, deep=True).intact
    assert home.export(session_id) == data


@cache
def _several_chunks() -> bytes:
    return mixture(5 * MIB + 12_345, seed=9)


@pytest.fixture(scope="module")
def several_chunks(tmp_path_factory: pytest.TempPathFactory) -> SessionReader:
    home = Home(tmp_path_factory.mktemp("several"))
    return home.reader(home.archive(_several_chunks()).manifest.session_id)


@given(
    start=st.integers(-5, 5 * MIB + 20_000),
    length=st.integers(0, 5 * MIB),
    workers=st.integers(1, 4),
)
def test_any_range_is_read_by_any_number_of_workers(
    several_chunks: SessionReader, start: int, length: int, workers: int
) -> None:
    expected = _several_chunks()[max(0, start) : max(0, start + length)]
    assert b"".join(several_chunks.read(start, start + length, workers=workers)) == expected


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_the_whole_is_read_by_any_number_of_workers(several_chunks: SessionReader, workers: int) -> None:
    assert b"".join(several_chunks.read_whole(workers)) == _several_chunks()


@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_not_what_was_archived_is_never_read_to_its_end(home: Home, workers: int) -> None:
    """All chunks are whole, and together they are not the recording: the last one is not handed out."""
    parts = [mixture(MIB, seed=1), mixture(MIB, seed=2), b"the end"]
    signed = archive_by_hand(home, parts, padded=[False] * 3, digest_of=b"something else")
    read: list[bytes] = []
    with pytest.raises(DamageError) as raised:
        read.extend(home.reader(signed.manifest.session_id).read_whole(workers))
    assert raised.value.damage.code is DamageCode.PLAINTEXT_DIGEST_MISMATCH
    assert read == parts[:2]


def test_workers_that_read_ahead_stop_where_a_chunk_is_damaged(home: Home) -> None:
    data = mixture(4 * MIB, seed=3)
    session_id = home.archive(data).manifest.session_id
    reader = home.reader(session_id)
    home.object_path(reader.table.objects[2].key).write_bytes(b"broken")
    for read_all in (reader.read, reader.read_whole):
        read: list[bytes] = []
        with pytest.raises(DamageError) as raised:
            read.extend(read_all(workers=3))
        assert raised.value.damage.code is DamageCode.OBJECT_DIGEST_MISMATCH
        assert b"".join(read) == data[: 2 * MIB]
    assert b"".join(reader.read(3 * MIB, workers=3)) == data[3 * MIB :]
