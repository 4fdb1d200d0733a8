"""Conditional requests (RFC 9110, section 13): a caller that has the newest state of something gets no second copy."""

import re
from hashlib import sha256

from fastapi import Request
from starlette.responses import Response

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


def entity_tag(content: bytes) -> str:
    """A strong entity tag of some bytes. It tells their digest, so they must be ones that the caller gets."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether the caller has, by `If-None-Match`, what has this tag."""
    given = ",".join(request.headers.getlist("If-None-Match"))
    return given.strip() == "*" or tag in (found.removeprefix("W/") for found in _TAG.findall(given))


def conditional(request: Request, content: bytes, media_type: str, cache_control: str) -> Response:
    """The response with this content and its entity tag; without the content if the caller has it.

    Args:
        request: what was asked.
        content: the whole of it.
        media_type: what it is.
        cache_control: who may keep it, for how long (RFC 9111).
    """
    tag = entity_tag(content)
    headers = {"ETag": tag, "Cache-Control": cache_control}
    if is_unchanged(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
