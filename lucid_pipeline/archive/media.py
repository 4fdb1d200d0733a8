"""What kind of recording some bytes are, told from their first few KiB, and what follows from it."""

import re
from dataclasses import dataclass

from lucid_pipeline.archive.chunking import DEFAULT_CHUNK_SIZE, TERMINAL_CHUNK_SIZE

SNIFF_BYTES = 4096

ASCIICAST = "application/x-asciicast"
MP4 = "video/mp4"
WEBM = "video/webm"
GUACAMOLE = "application/x-guacamole"
OCTETS = "application/octet-stream"

_ASCIICAST_HEADER = re.compile(rb'\s*\{[^\n]*"version"\s*:\s*[23]\b')
_GUACAMOLE_INSTRUCTION = re.compile(rb"\d{1,3}\.[a-z-]{1,20}[,;]")
_EBML = b"\x1a\x45\xdf\xa3"


@dataclass(frozen=True, slots=True)
class StoragePolicy:
    """How recordings of one kind are stored unless a setting says otherwise."""

    chunk_size: int
    padded: bool


def sniff(head: bytes) -> str:
    """The media type of a recording that begins with `head` (`SNIFF_BYTES` are enough); unknown bytes are octets."""
    if head[4:8] == b"ftyp":
        return MP4
    if head.startswith(_EBML) and b"webm" in head[:64]:
        return WEBM
    if _ASCIICAST_HEADER.match(head):
        return ASCIICAST
    if _GUACAMOLE_INSTRUCTION.match(head):
        return GUACAMOLE
    return OCTETS


def storage_policy(media_type: str) -> StoragePolicy:
    """Small chunks for terminals, where a player seeks often; padding for all but video.

    The compressed size of a chunk tells something of its contents, so all that may compress is padded.
    """
    if media_type == ASCIICAST:
        return StoragePolicy(TERMINAL_CHUNK_SIZE, padded=True)
    return StoragePolicy(DEFAULT_CHUNK_SIZE, padded=not media_type.startswith("video/"))
