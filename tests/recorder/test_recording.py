"""The asset `recording`: what it finds out, and what it refuses."""

import os
from pathlib import Path

import pytest

from lucid_pipeline.archive.recording import FileIdentity
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, MANIFEST, MERKLE_TREE, RECORDING
from lucid_pipeline.stores.catalog import Stage, State
from tests.lineage.support import CAST, Stages

RECORDINGS = [
    (CAST, "application/x-asciicast"),
    (b'{"version": 3, "term": {"cols": 80, "rows": 24}}\n', "application/x-asciicast"),
    (b"\x00\x00\x00\x20ftypisom" + bytes(100), "video/mp4"),
    (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm" + bytes(100), "video/webm"),
    (b"4.size,1.0,4.1024,3.768;", "application/x-guacamole"),
    (b"", "application/octet-stream"),
]


@pytest.mark.parametrize(("data", "media_type"), RECORDINGS, ids=[media_type for _, media_type in RECORDINGS])
def test_it_tells_the_kind_and_copies_nothing(data: bytes, media_type: str, stages: Stages) -> None:
    session_id = stages.land(data)
    status = stages.path(session_id).stat()
    assert stages.call(RECORDING, session_id) is None

    record = stages.record(session_id)
    assert (record.state, record.length) == (State.RECORDED, len(data))
    handed = stages.catalog.handed_over(session_id, Stage.RECORDING)
    assert handed
    assert FileIdentity.model_validate_json(handed) == FileIdentity.of(status)
    assert stages.objects() == stages.slots() == {}
    stages.archive(session_id)
    seal = stages.record(session_id).seal
    assert seal
    assert seal.media_type == media_type


def test_finding_it_again_forgets_nothing_that_a_later_stage_found_out(stages: Stages) -> None:
    """Only what reads the whole cast knows how long it lasts."""
    session_id = stages.land(CAST)
    stages.archive(session_id, upto=CHUNKS)
    assert stages.call(RECORDING, session_id) is None
    for stage in (ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST):
        assert stages.call(stage, session_id) is None
    record = stages.record(session_id)
    assert (record.length, record.duration_ms) == (len(CAST), 99_900)


def test_finding_another_one_in_its_place_forgets_the_old_ones_figures(stages: Stages) -> None:
    session_id = stages.land(CAST)
    stages.archive(session_id, upto=CHUNKS)
    stages.path(session_id).write_bytes(b"no cast")
    assert stages.call(RECORDING, session_id) is None
    record = stages.record(session_id)
    assert (record.length, record.duration_ms) == (7, None)


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_fifo(path: Path) -> None:
    """Opening one waits for whoever writes to it, for ever."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("become", [a_folder, a_fifo, Path.unlink], ids=["folder", "fifo", "gone"])
def test_what_is_no_file_any_more_is_refused_at_once(become: object, stages: Stages) -> None:
    session_id = stages.land(CAST)
    become(stages.path(session_id))
    refused = stages.call(RECORDING, session_id)
    assert refused
    assert not refused.allow_retries
    assert stages.record(session_id).state is State.REGISTERED


def test_a_recording_that_was_removed_cannot_be_archived_again(stages: Stages) -> None:
    session_id = stages.land(CAST)
    stages.catalog.release_source(session_id)
    refused = stages.call(RECORDING, session_id)
    assert refused
    assert "has no recording any more" in str(refused.description)
    assert not refused.allow_retries
