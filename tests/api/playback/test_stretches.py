"""A recording of several stretches reads like one that was printed in one go."""

import pytest

from lucid_api.playback import stretches
from lucid_api.playback.casts import Cast
from lucid_api.playback.stretches import stretch_count, stretches_of_times, transcribe_stretch
from lucid_pipeline.archive.chunking import MIB
from tests.api.playback.support import archived_cast, cast, transcript_of
from tests.support import Home

COMMANDS = [
    event
    for n in range(3000)
    for event in [
        (n * 2 + 0.0, f"$ command number {n}\r\n"),
        (n * 2 + 0.5, "".join(f"{n}.{row} " + "output " * 9 + "\r\n" for row in range(12))),
    ]
]


@pytest.fixture(scope="module", params=[2, 3])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cast:
    return archived_cast(Home(tmp_path_factory.mktemp("home")), cast(*COMMANDS, version=request.param))


@pytest.fixture(autouse=True)
def _short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", MIB)


def test_the_stretches_together_are_the_whole_transcript(found: Cast) -> None:
    whole = transcript_of(b"".join(found.reader.read()))
    count = stretch_count(found)
    assert count == len(found.reader.metadata.chunks) == 3
    parts = [transcribe_stretch(found, number) for number in range(count)]
    assert "\n".join(part.text for part in parts) == whole.text
    together = [part[index] for part in parts for index in range(len(part))]
    for number, line in enumerate(together):
        assert abs(line.start_ms - whole[number].start_ms) <= 1
    assert sum(part.unreadable for part in parts) == 0


def test_a_span_of_time_is_in_its_stretches(found: Cast) -> None:
    assert stretches_of_times(found, 0, 2**53) == range(3)
    assert stretches_of_times(found, 0, 1000) == range(1)
    assert stretches_of_times(found, 5_998_000, 2**53) == range(2, 3)
    assert len(stretches_of_times(found, 2**52, 2**53)) == 0


def test_lines_that_are_no_events_are_counted_once(home: Home) -> None:
    junk = b"x" * 1000 + b"\n"
    found = archived_cast(home, cast() + junk * 3000)
    assert sum(transcribe_stretch(found, number).unreadable for number in range(stretch_count(found))) == 3000
