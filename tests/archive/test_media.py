"""What kind of recording some bytes are."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive import media
from lucid_pipeline.archive.chunking import MIB

DEMO = Path(media.__file__).parents[1] / "cli" / "demo"


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b'{"version": 2, "width": 80, "height": 24}\n[0.1, "o", "$ "]\n', media.ASCIICAST),
        (b'{"width":80,"height":24,"version":2}\n', media.ASCIICAST),
        (b'{"version":3,"term":{"cols":80,"rows":24}}\n', media.ASCIICAST),
        (b' \n{"version" : 3}', media.ASCIICAST),
        (b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41", media.MP4),
        (b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81\x01\x42\x82\x84webm", media.WEBM),
        (b"5.ready,37.$260d01da-779b-4ee9-afc1-c16bae885cc7;", media.GUACAMOLE),
        (b"4.sync,10.1234567890;", media.GUACAMOLE),
        (b"3.nop;", media.GUACAMOLE),
    ],
)
def test_known_recordings_are_told_by_their_first_bytes(head: bytes, kind: str) -> None:
    assert media.sniff(head) == kind


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x00",
        b'{"version": 1, "width": 80, "stdout": []}',
        b'{"version": 22}',
        b'{"name": "not a cast"}\n{"version": 2}',
        b'[{"version": 2}]',
        b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x88matroska",
        b"ftyp\x00\x00\x00\x20",
        b"sync,10.1234567890;",
        b"1.2.3.4,",
        b"\xff\xfe{\x00",
    ],
)
def test_what_is_no_known_recording_is_octets(head: bytes) -> None:
    assert media.sniff(head) == media.OCTETS


@given(st.binary(max_size=200))
def test_any_bytes_have_a_media_type(head: bytes) -> None:
    assert media.sniff(head) in {media.ASCIICAST, media.MP4, media.WEBM, media.GUACAMOLE, media.OCTETS}


@pytest.mark.parametrize(("name", "kind"), [("terminal.cast", media.ASCIICAST), ("desktop.webm", media.WEBM)])
def test_the_demo_recordings_are_recognised(name: str, kind: str) -> None:
    assert media.sniff((DEMO / name).read_bytes()[: media.SNIFF_BYTES]) == kind


def test_terminals_have_small_padded_chunks_and_video_large_unpadded_ones() -> None:
    assert media.storage_policy(media.ASCIICAST) == media.StoragePolicy(1 * MIB, padded=True)
    for video in (media.MP4, media.WEBM):
        assert media.storage_policy(video) == media.StoragePolicy(8 * MIB, padded=False)
    for other in (media.GUACAMOLE, media.OCTETS):
        assert media.storage_policy(other) == media.StoragePolicy(8 * MIB, padded=True)
