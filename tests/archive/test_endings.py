"""What was abandoned half-way has its end, or is told to lack it; a doubt counts as lacking."""

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive import media
from lucid_pipeline.archive.endings import has_end
from lucid_pipeline.archive.recording import open_recording

HEADER = b'{"version": 2, "width": 80, "height": 24}\n'
EVENTS = b'[0.5, "o", "a"]\n[1.25, "o", "b\\r\\n"]\n'
DEMO = Path(__file__).parents[2] / "lucid_pipeline/cli/demo"


def box(kind: bytes, data: bytes, *, large: bool = False) -> bytes:
    if large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(data)) + data
    return struct.pack(">I4s", 8 + len(data), kind) + data


FTYP, MOOV, MDAT, MOOF = (
    box(b"ftyp", b"isom"),
    box(b"moov", bytes(90)),
    box(b"mdat", bytes(500)),
    box(b"moof", bytes(40)),
)
EBML = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm"
SEGMENT = EBML + b"\x18\x53\x80\x67\x40\x64" + bytes(100)

WITH_END = [
    (HEADER + EVENTS, media.ASCIICAST),
    (HEADER + EVENTS.rstrip(), media.ASCIICAST),
    (HEADER + EVENTS.replace(b"\n", b"\r\n"), media.ASCIICAST),
    (HEADER + b'[0.5, "o", "' + b"x" * 100_000 + b'"]\n', media.ASCIICAST),
    (FTYP + MOOV + MDAT, media.MP4),
    (FTYP + box(b"mdat", bytes(500), large=True) + MOOV, media.MP4),
    (FTYP + MOOV + (MOOF + MDAT) * 3, media.MP4),
    (SEGMENT, media.WEBM),
    (b"4.size,1.0;10.disconnect;", media.GUACAMOLE),
    (b"4.size,1.0;10.disconnect;\n", media.GUACAMOLE),
]
WITHOUT_END = [
    (HEADER, media.ASCIICAST),
    (HEADER.rstrip(), media.ASCIICAST),
    (HEADER + EVENTS + b'{"not": "an event"}\n', media.ASCIICAST),
    (HEADER + EVENTS + b"[1.5]\n", media.ASCIICAST),
    (HEADER + EVENTS + b'[NaN, "o", ""]\n', media.ASCIICAST),
    (HEADER + EVENTS + bytes(4096), media.ASCIICAST),
    (HEADER + EVENTS + b"[" * 60_000, media.ASCIICAST),
    (HEADER + b'[0.5, "o", "' + b"x" * 100_000, media.ASCIICAST),
    (FTYP + MDAT, media.MP4),
    (FTYP + MOOV + MOOF, media.MP4),
    (FTYP + MOOV + struct.pack(">I4s", 0, b"mdat") + bytes(100), media.MP4),
    (FTYP + MOOV + bytes(100), media.MP4),
    (EBML + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + bytes(100), media.WEBM),
    (EBML + b"\x18\x53\x80\x67\xff" + bytes(100), media.WEBM),
    (EBML + b"\xec\x80" + bytes(100), media.WEBM),
    (EBML, media.WEBM),
    (b"4.size,1.0;10.disconn", media.GUACAMOLE),
    (b"4.size,1.0;", media.GUACAMOLE),
    (b"anything", media.OCTETS),
    (b"", media.OCTETS),
]


def judged(path: Path, data: bytes, media_type: str) -> bool:
    path.write_bytes(data)
    with open_recording(path) as recording:
        return has_end(recording, media_type)


@pytest.mark.parametrize(("data", "media_type"), WITH_END, ids=[str(n) for n in range(len(WITH_END))])
def test_an_end_is_recognised_and_missed_where_anything_is_cut_off(
    data: bytes, media_type: str, tmp_path: Path
) -> None:
    path = tmp_path / "recording"
    assert media.sniff(data) == media_type
    assert judged(path, data, media_type)
    for cut in (3, 7, 11):
        assert not judged(path, data.rstrip()[:-cut], media_type)


@pytest.mark.parametrize(("data", "media_type"), WITHOUT_END, ids=[str(n) for n in range(len(WITHOUT_END))])
def test_what_does_not_show_an_end_has_none(data: bytes, media_type: str, tmp_path: Path) -> None:
    assert not judged(tmp_path / "recording", data, media_type)


@pytest.mark.parametrize("name", ["terminal.cast", "desktop.webm"])
def test_finished_recordings_of_real_recorders_have_their_end(name: str, tmp_path: Path) -> None:
    data = (DEMO / name).read_bytes()
    assert judged(tmp_path / name, data, media.sniff(data))
    assert not judged(tmp_path / name, data[: len(data) // 2], media.sniff(data))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.binary(max_size=300),
    head=st.sampled_from([b"", HEADER, FTYP, FTYP + MOOV, EBML, SEGMENT]),
    media_type=st.sampled_from([media.ASCIICAST, media.MP4, media.WEBM, media.GUACAMOLE]),
)
def test_no_bytes_are_too_strange_to_be_judged(data: bytes, head: bytes, media_type: str, tmp_path: Path) -> None:
    assert judged(tmp_path / "recording", head + data, media_type) in (True, False)
