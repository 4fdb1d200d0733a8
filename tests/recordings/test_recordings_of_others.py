"""Recordings that others have made. They are not part of the project: `LUCID_RECORDINGS_DIR` names their folder."""

import json
import os
from pathlib import Path

import pytest

from lucid_pipeline.archive import media
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.sealed import Terminal
from tests.support import Home

FOLDER = Path(os.environ.get("LUCID_RECORDINGS_DIR", ""))
NAMES = ["welcome.cast", "long-v2.cast", "markers.cast", "sample.mp4"]

pytestmark = pytest.mark.skipif("LUCID_RECORDINGS_DIR" not in os.environ, reason="LUCID_RECORDINGS_DIR names no folder")


@pytest.mark.parametrize("name", NAMES)
def test_it_verifies_and_comes_out_as_it_went_in(home: Home, name: str) -> None:
    session_id = home.archive(FOLDER / name).manifest.session_id
    assert home.verify(session_id).intact
    assert home.export(session_id) == (FOLDER / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "milliseconds", "terminal"),
    [
        ("welcome.cast", 119_208, Terminal(columns=80, rows=20)),
        ("long-v2.cast", 16_792, Terminal(columns=133, rows=36)),
        ("markers.cast", 2_000, Terminal(columns=80, rows=24)),
    ],
)
def test_a_cast_lasts_as_long_as_its_events_whatever_its_header_says(
    home: Home, name: str, milliseconds: int, terminal: Terminal
) -> None:
    recording = home.reader(home.archive(FOLDER / name).manifest.session_id).metadata.recording
    assert (recording.media_type, recording.terminal) == (media.ASCIICAST, terminal)
    assert recording.duration_ms == milliseconds


def test_a_video_is_known_for_one_and_has_no_times(home: Home) -> None:
    reader = home.reader(home.archive(FOLDER / "sample.mp4").manifest.session_id)
    assert reader.metadata.recording.media_type == "video/mp4"
    assert {(row.first_ms, row.last_ms) for row in reader.metadata.chunks} == {(None, None)}


@pytest.mark.parametrize("second", [0, 3, 8, 16])
def test_a_second_of_a_long_cast_holds_all_events_of_that_second(home: Home, second: int) -> None:
    path = FOLDER / "long-v2.cast"
    reader = home.reader(home.archive(path, chunk_size=MIB).manifest.session_id)
    found = b"".join(reader.read_times(second * 1000, second * 1000 + 999))
    events = [line for line in path.read_bytes().splitlines()[1:] if second <= json.loads(line)[0] < second + 0.9995]
    assert events
    assert set(events) <= set(found.splitlines())
    assert len(found) < path.stat().st_size
