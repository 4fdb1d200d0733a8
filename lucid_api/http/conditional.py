"""Conditional requests (RFC 9110, section 13): a caller that has the newest state of something gets no second copy."""

import base64
import re
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus

from fastapi import Request
from starlette.responses import Response

from lucid_api.problems import Problem

_TAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')


class PreconditionFailed(Problem):
    """What is there is not what `If-Match` names."""

    status, kind, title = HTTPStatus.PRECONDITION_FAILED, "precondition-failed", "It is another state"


def entity_tag(content: bytes) -> str:
    """A strong entity tag of some bytes. It tells their digest, so they must be ones that the caller gets."""
    return f'"{sha256(content).hexdigest()[:32]}"'


def repr_digest(digest: bytes) -> str:
    """The value of `Repr-Digest` (RFC 9530) for something with this SHA-256, of which any part may be sent."""
    return f"sha-256=:{base64.b64encode(digest).decode()}:"


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether the caller has, by `If-None-Match`, what has this tag.

    Raises:
        PreconditionFailed: the caller wants, by `If-Match`, only what has another one.
    """
    if "If-Match" in request.headers and not {"*", tag} & _listed(request, "If-Match"):
        raise PreconditionFailed("what is there has another ETag than what If-Match names")
    return bool({"*", tag} & {found.removeprefix("W/") for found in _listed(request, "If-None-Match")})


def _listed(request: Request, name: str) -> set[str]:
    """The entity tags in a header, or `*`."""
    given = ",".join(request.headers.getlist(name))
    return {"*"} if given.strip() == "*" else set(_TAG.findall(given))


def conditional(
    request: Request, content: bytes, media_type: str, cache_control: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The response with this content and its entity tag; without the content if the caller has it.

    Args:
        request: what was asked.
        content: the whole of it.
        media_type: what it is.
        cache_control: who may keep it, for how long (RFC 9111).
        headers: further ones.

    Raises:
        PreconditionFailed: the caller has another state of it.
    """
    tag = entity_tag(content)
    every = {"ETag": tag, "Cache-Control": cache_control, **(headers or {})}
    if is_unchanged(request, tag):
        return Response(status_code=304, headers=every)
    return Response(content, media_type=media_type, headers=every)
