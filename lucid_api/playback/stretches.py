"""The transcript of a whole recording, made a stretch at a time, so that no request prints more than one can wait for.

A stretch is `STRETCH_BYTES` of the recording, or one chunk where that is more. A recording of one stretch, as nearly
all are, is printed from its first event to its last. In a longer one each further stretch begins with an empty screen,
and its terminal prints the chunk before it first: that brings the screen back, unless something stood there for longer.
What is on the screen at the end of a stretch is told with that stretch.
"""

from lucid_api.playback.casts import Cast
from lucid_api.playback.transcript import Transcript, transcribe
from lucid_pipeline.archive.chunking import MIB

STRETCH_BYTES = 4 * MIB


def stretch_count(cast: Cast) -> int:
    """How many stretches a recording has."""
    return -(-len(cast.reader) // _length(cast))


def stretches_of_times(cast: Cast, first_ms: int, last_ms: int) -> range:
    """The numbers of the stretches with events of this span of time."""
    start, stop = cast.range_of_times(first_ms, last_ms)
    return range(start // _length(cast), -(-stop // _length(cast)))


def transcribe_stretch(cast: Cast, number: int) -> Transcript:
    """The transcript of one stretch; of what is damaged it has the findings, and no text."""
    start = number * _length(cast)
    events = cast.events(cast.position_at(max(0, start - 1)), start + _length(cast), count_from=start)
    transcript = transcribe(events, cast.columns, cast.rows, report_from=start)
    transcript.unreadable += events.unreadable
    transcript.damages = events.damages
    return transcript


def _length(cast: Cast) -> int:
    return max(STRETCH_BYTES, cast.reader.manifest.recording.chunk_size)
