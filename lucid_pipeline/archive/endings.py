"""Whether a recording that its writer never finished has its end, as far as its format tells that cheaply."""

import json
import math

from lucid_pipeline.archive import media
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.recording import RecordingFile

_TAILS = (64 * 1024, MIB, 16 * MIB)
_MOST_BOXES = 100_000
_SEGMENT = b"\x18\x53\x80\x67"
_LAST_INSTRUCTION = b"10.disconnect;"


def has_end(recording: RecordingFile, media_type: str) -> bool:
    """Whether nothing is missing at the end; false where the format does not tell.

    Raises:
        TransientError: the recording cannot be read.
    """
    match media_type:
        case media.ASCIICAST:
            return _ends_with_event(recording)
        case media.MP4:
            return _has_whole_boxes(recording)
        case media.WEBM:
            return _has_whole_segment(recording)
        case media.GUACAMOLE:
            return _tail(recording, 64).rstrip().endswith(_LAST_INSTRUCTION)
    return False


def _ends_with_event(recording: RecordingFile) -> bool:
    """An event is a line of its own, so half of one is no JSON."""
    for length in _TAILS:
        _, newline, line = _tail(recording, length).rstrip(b"\r\n").rpartition(b"\n")
        if newline:
            return _is_event(line)
        if length >= len(recording):
            break
    return False


def _is_event(line: bytes) -> bool:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return False
    if not isinstance(event, list) or len(event) != 3:
        return False
    time, code, _data = event
    return isinstance(time, int | float) and math.isfinite(time) and isinstance(code, str)


def _has_whole_boxes(recording: RecordingFile) -> bool:
    """The boxes of ISO/IEC 14496-12 fill the file, one is the index, and no fragment is without its data."""
    offset, has_index = 0, False
    for _ in range(_MOST_BOXES):
        header = recording.read(offset, 16)
        size, kind = int.from_bytes(header[:4]), header[4:8]
        if size == 1:
            size = int.from_bytes(header[8:])
        if size < 8 or offset + size > len(recording):
            return False
        has_index = has_index or kind == b"moov"
        offset += size
        if offset == len(recording):
            return has_index and kind != b"moof"
    return False


def _has_whole_segment(recording: RecordingFile) -> bool:
    """The segment (RFC 8794, RFC 9559) says how long it is, and is; while it is written that is not known."""
    head = recording.read(0, media.SNIFF_BYTES)
    header_length, start = _element_length(head, 4)
    if header_length is None:
        return False
    segment = start + header_length
    if head[segment : segment + 4] != _SEGMENT:
        return False
    length, start = _element_length(head, segment + 4)
    return length is not None and start + length <= len(recording)


def _element_length(data: bytes, at: int) -> tuple[int | None, int]:
    """The length of an element, whose length field lies there, None if it is not known; and where its data begins."""
    first = data[at] if at < len(data) else 0
    width = 9 - first.bit_length()
    field = data[at : at + width]
    if width > 8 or len(field) < width:
        return None, at
    value = int.from_bytes(field) - (1 << 7 * width)
    return (None if value == (1 << 7 * width) - 1 else value), at + width


def _tail(recording: RecordingFile, length: int) -> bytes:
    return recording.read(max(0, len(recording) - length), length)
