"""What a caller says the SHA-256 is of what it sends: `Repr-Digest` and `Content-Digest` (RFC 9530).

Both are of the same bytes, where no content coding is understood. Other algorithms are passed over, as section 5 of the
RFC lets a recipient do.
"""

import base64
import re
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, Request

from lucid_api.problems import BadRequest, Problem

_SHA256 = "sha-256"
_LENGTH = 32
_EXAMPLE = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):")
"""A member of a dictionary whose value is a byte sequence (RFC 9651, sections 3.2 and 3.3.5)."""


class DigestMismatch(Problem):
    """What arrived has another digest than what was said to be sent."""

    status, kind, title = HTTPStatus.BAD_REQUEST, "digest-mismatch", "It is not what was sent"


def _said(
    request: Request,
    repr_digest: Annotated[
        str | None,
        Header(
            alias="Repr-Digest",
            description="The SHA-256 of what is sent (RFC 9530): what arrives otherwise is refused.",
            examples=[_EXAMPLE],
        ),
    ] = None,
    content_digest: Annotated[
        str | None,
        Header(alias="Content-Digest", description="The same under its other name.", examples=[_EXAMPLE]),
    ] = None,
) -> bytes | None:
    said = {digest for name in ("Repr-Digest", "Content-Digest") if (digest := _sha256_in(request, name))}
    if len(said) > 1:
        raise DigestMismatch("Repr-Digest and Content-Digest are of the same bytes here, and say two things")
    return next(iter(said), None)


SaidDigest = Annotated[bytes | None, Depends(_said)]
"""The 32 bytes that what is sent hashes to, if the caller says so; a field that is malformed: `BadRequest`."""


def _sha256_in(request: Request, name: str) -> bytes | None:
    members = [part.strip(" \t") for line in request.headers.getlist(name) if line for part in line.split(",")]
    found = [_MEMBER.fullmatch(member) for member in members]
    values = {match[1]: match[2] for match in found if match}
    try:
        digest = base64.b64decode(values[_SHA256], validate=True) if _SHA256 in values else None
    except ValueError:
        digest = b""
    if not all(found) or (digest is not None and len(digest) != _LENGTH):
        raise BadRequest(f"{name} is malformed: it is written like {_EXAMPLE}")
    return digest
