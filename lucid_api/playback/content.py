"""The headers under which a recording is sent: a media type that no browser runs anything of, and a file name."""

import re
from urllib.parse import quote

from lucid_pipeline.archive.media import ASCIICAST, GUACAMOLE, MP4, OCTETS, WEBM

SAFE_TYPES = frozenset((ASCIICAST, MP4, WEBM, GUACAMOLE, OCTETS))
"""The media types that recordings are sent under."""

_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 150


def safe_media_type(media_type: str) -> str:
    """The media type, if it is one that no browser runs anything of."""
    return media_type if media_type in SAFE_TYPES else OCTETS


def disposition(kind: str, name: str) -> str:
    """A `Content-Disposition` (RFC 6266) with a file name: in ASCII for old callers, and as it is (RFC 8187)."""
    name = re.sub(r'[\x00-\x1f\x7f/\\:*?"<>|]+', "_", name)[-_LONGEST_NAME:].encode("utf-8", "replace").decode()
    plain = _NOT_PLAIN.sub("_", name).lstrip(".") or "recording"
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
