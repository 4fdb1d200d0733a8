"""The asset `chunks`: where a recording is cut, and that it is still the recording that was registered."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lucid_pipeline.archive.chunking import CHUNK_SIZES, MIB
from lucid_pipeline.archive.manifest import Completeness
from lucid_pipeline.archive.planning import ChunkedRecording
from lucid_pipeline.archive.reader import load_manifest
from lucid_pipeline.course.stages import CHUNKS, RECORDING
from lucid_pipeline.stores.catalog import Stage, State
from tests.lineage.support import CAST, Stages, open_home
from tests.support import text


def plan(stages: Stages, data: bytes) -> ChunkedRecording:
    session_id = stages.land(data)
    stages.archive(session_id, upto=CHUNKS)
    handed = stages.catalog.handed_over(session_id, Stage.CHUNKS)
    assert handed
    return ChunkedRecording.model_validate_json(handed)


@pytest.mark.parametrize("chunk_size", CHUNK_SIZES)
def test_the_setting_decides_where_it_is_cut(chunk_size: int, tmp_path: Path) -> None:
    with open_home(tmp_path, chunk_size=chunk_size) as (home, catalog):
        chunked = plan(Stages(home, catalog), bytes(2 * MIB + 1))
    assert chunked.chunk_size == chunk_size
    assert len(chunked.rows) == -(-(2 * MIB + 1) // chunk_size)
    assert sum(row.length for row in chunked.rows) == 2 * MIB + 1


def test_by_itself_terminals_have_smaller_chunks(stages: Stages) -> None:
    assert plan(stages, CAST).chunk_size == MIB
    assert plan(stages, text(1000)).chunk_size == 8 * MIB


def test_a_cast_tells_its_times_to_the_catalog(stages: Stages) -> None:
    session_id = stages.land(CAST * 90)
    stages.archive(session_id, upto=CHUNKS)
    record = stages.record(session_id)
    assert (record.length, record.duration_ms) == (len(CAST) * 90, 99_900)
    assert record.metadata.started_at == "2026-01-01T00:00:00.000Z"


def test_a_malformed_cast_is_archived_without_times(stages: Stages) -> None:
    """Its bytes are what counts; a player may still make something of them."""
    chunked = plan(stages, b'{"version": 2, "width": 80, "height": 24}\n' + b"\xff\xfe not events\n[[[" * 100)
    assert chunked.media_type == "application/x-asciicast"
    assert chunked.duration_ms is None


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def touch(path: Path) -> None:
    os.utime(path)


def swap(path: Path) -> None:
    other = path.with_suffix(".other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


@pytest.mark.parametrize("change", [grow, touch, swap])
def test_a_recording_that_changed_since_is_not_cut(change: Callable[[Path], None], stages: Stages) -> None:
    session_id = stages.land(CAST)
    stages.archive(session_id, upto=RECORDING)
    change(stages.path(session_id))
    refused = stages.call(CHUNKS, session_id)
    assert refused
    assert "changed while it was read" in str(refused.description)
    assert refused.allow_retries
    assert stages.record(session_id).state is State.RECORDED
    assert stages.call(RECORDING, session_id) is None
    assert stages.call(CHUNKS, session_id) is None


@pytest.mark.parametrize(
    ("data", "abandoned", "completeness"),
    [
        (CAST, False, "complete"),
        (CAST[:-5], False, "complete"),
        (CAST, True, "recovered"),
        (CAST[:-5], True, "truncated"),
        (b"what has no format", True, "truncated"),
    ],
)
def test_what_was_abandoned_is_sealed_as_what_it_is(
    data: bytes, abandoned: bool, completeness: str, stages: Stages
) -> None:
    session_id = stages.land(data, abandoned=abandoned)
    stages.archive(session_id)
    signed = load_manifest(session_id, stages.home.archive(), stages.home.trusted_keys())
    assert signed.manifest.completeness == Completeness(state=completeness)
    assert stages.export(session_id) == data
