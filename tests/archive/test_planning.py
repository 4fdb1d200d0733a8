"""What is found out about a recording before anything is encrypted."""

import json
import os
from pathlib import Path

import pytest

from lucid_pipeline.archive import media, planning
from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB
from lucid_pipeline.archive.planning import ChunkedRecording, plan_recording
from lucid_pipeline.archive.recording import open_recording
from lucid_pipeline.archive.sealed import SessionMetadata, Terminal
from lucid_pipeline.errors import PermanentError, TransientError

CAST = b'{"version": 2, "width": 132, "height": 43, "timestamp": 1767225600}\n[0.5, "o", "a"]\n[7.25, "o", "b"]\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "recording"


def plan(path: Path, data: bytes, chunk_size: int | None = None) -> ChunkedRecording:
    path.write_bytes(data)
    with open_recording(path) as recording:
        return plan_recording(recording, chunk_size)


def test_a_cast_is_planned_with_its_terminal_times_and_start(path: Path) -> None:
    planned = plan(path, CAST)
    assert (planned.media_type, planned.chunk_size) == (media.ASCIICAST, MIB)
    assert planned.terminal == Terminal(columns=132, rows=43)
    assert planned.duration_ms == 7250
    assert planned.recorded_at == "2026-01-01T00:00:00.000Z"
    assert [(row.offset, row.length, row.first_ms, row.last_ms) for row in planned.rows] == [(0, len(CAST), 500, 7250)]


def test_other_recordings_have_no_times(path: Path) -> None:
    planned = plan(path, bytes(9 * MIB))
    assert (planned.media_type, planned.chunk_size) == (media.OCTETS, 8 * MIB)
    assert (planned.terminal, planned.duration_ms, planned.recorded_at) == (None, None, None)
    assert [(row.offset, row.length) for row in planned.rows] == [(0, 8 * MIB), (8 * MIB, MIB)]
    assert {(row.first_ms, row.last_ms) for row in planned.rows} == {(None, None)}


def test_an_empty_recording_has_one_empty_row(path: Path) -> None:
    planned = plan(path, b"")
    assert [(row.offset, row.length) for row in planned.rows] == [(0, 0)]


@pytest.mark.parametrize("chunk_size", CHUNK_SIZES)
def test_a_chunk_size_that_is_asked_for_is_used(path: Path, chunk_size: int) -> None:
    planned = plan(path, CAST, chunk_size)
    assert planned.chunk_size == planned.plan.chunk_size == chunk_size


def test_the_duration_is_that_of_the_last_chunk_with_an_event(path: Path) -> None:
    planned = plan(path, CAST + b'[8, "o", "' + b"x" * 3 * MIB + b'"]\n', MIB)
    assert planned.duration_ms == 8000
    assert [row.last_ms for row in planned.rows] == [8000, None, None, None]


@pytest.mark.parametrize(
    ("header", "terminal", "recorded_at"),
    [
        ({"width": 80}, None, None),
        ({"width": 80, "height": 24, "timestamp": 2**39}, Terminal(columns=80, rows=24), None),
        ({"width": 80, "height": 24, "timestamp": 2**40}, Terminal(columns=80, rows=24), None),
        ({"timestamp": 0.5}, None, None),
        ({"width": "80", "height": [], "timestamp": {}}, None, None),
    ],
)
def test_a_header_that_makes_no_sense_is_left_out(
    path: Path, header: dict[str, object], terminal: Terminal | None, recorded_at: str | None
) -> None:
    planned = plan(path, json.dumps({"version": 2, **header}).encode() + b'\n[1, "o", ""]\n')
    assert (planned.terminal, planned.recorded_at, planned.duration_ms) == (terminal, recorded_at, 1000)


def test_a_plan_passes_between_stages_as_a_document(path: Path) -> None:
    planned = plan(path, CAST)
    assert ChunkedRecording.model_validate_json(planned.model_dump_json(by_alias=True)) == planned


def test_what_the_caller_says_outweighs_the_file(path: Path) -> None:
    planned = plan(path, CAST)
    said = SessionMetadata(user="alice", started_at="2020-01-01T00:00:00Z", tags={"ticket": "7"})
    described = planned.describe(said, "demo.cast", bytes(32)).recording
    assert (described.user, described.started_at, described.tags) == ("alice", "2020-01-01T00:00:00Z", {"ticket": "7"})
    assert planned.describe(SessionMetadata(), "x", bytes(32)).recording.started_at == "2026-01-01T00:00:00.000Z"


def test_a_file_name_that_is_no_text_is_described_as_text(path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.cast")
    described = plan(path, CAST).describe(SessionMetadata(), name, bytes(32))
    assert described.recording.name == "caf\ufffd.cast"
    assert described.encode()


def test_a_recording_that_changes_meanwhile_is_refused(path: Path) -> None:
    path.write_bytes(CAST)
    with open_recording(path) as recording:
        path.write_bytes(CAST + b'[9, "o", ""]\n')
        with pytest.raises(TransientError, match="changed"):
            plan_recording(recording, None)


def test_a_recording_of_more_chunks_than_can_be_listed_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MOST_CHUNKS", 2)
    assert len(plan(path, bytes(2 * MIB), MIB).rows) == 2
    with pytest.raises(PermanentError, match="more than 2 chunks"):
        plan(path, bytes(2 * MIB + 1), MIB)
