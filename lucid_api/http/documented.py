"""What the OpenAPI document says of headers: each is described once, and operations name those that they send."""

from collections.abc import Iterable, Mapping
from typing import Any

from lucid_api.http.request_ids import HEADER as REQUEST_ID

_STRING = {"type": "string"}

HEADERS: Mapping[str, Mapping[str, Any]] = {
    REQUEST_ID: {
        "description": "Under which the service's log, and its audit record, have this request.",
        "schema": {"type": "string", "format": "uuid"},
        "example": "01a20f5e-6d0f-7c43-b9a1-64f20dd3a7d5",
    },
    "ETag": {
        "description": "Strong entity tag; send it back as `If-None-Match` to be told whether anything has changed.",
        "schema": _STRING,
        "example": '"0e4c2a1fd1e6e4c9a4a79fd3a6c2f6b1"',
    },
    "Cache-Control": {"description": "Who may keep the answer, for how long.", "schema": _STRING},
    "Repr-Digest": {
        "description": "SHA-256 of the whole, in base64, also where a part is sent (RFC 9530).",
        "schema": _STRING,
        "example": "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
    },
    "Content-Location": {
        "description": "Where this very state can be had for good (RFC 9110).",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Accept-Ranges": {"description": "Parts can be had, by `Range`.", "schema": {"const": "bytes"}},
    "Content-Range": {
        "description": "Which bytes these are, and of how many (RFC 9110).",
        "schema": _STRING,
        "example": "bytes 0-1023/146515",
    },
    "Content-Length": {"description": "In bytes.", "schema": {"type": "integer", "minimum": 0}},
    "Content-Disposition": {"description": "What to call it as a file.", "schema": _STRING},
    "Link": {
        "description": 'The next page, as `<URL>; rel="next"` (RFC 8288); none on the last one.',
        "schema": _STRING,
    },
    "Location": {
        "description": "Where the state of what was asked for can be had.",
        "schema": {"type": "string", "format": "uri-reference"},
    },
    "Retry-After": {"description": "In how many seconds to ask again.", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit": {
        "description": "How much this caller may still ask, and in how many seconds that is full again.",
        "schema": _STRING,
        "example": '"default";r=2999;t=1',
    },
    "RateLimit-Policy": {
        "description": "How much a caller may ask, in how many seconds.",
        "schema": _STRING,
        "example": '"default";q=3000;w=60',
    },
    "WWW-Authenticate": {"description": "How to say who asks (RFC 6750).", "schema": _STRING},
}


def headers(*names: str) -> dict[str, Any]:
    """The `headers` of a response."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def not_modified(*names: str) -> dict[int | str, dict[str, Any]]:
    """The response to a caller that has the newest state, with the headers that it has beside `ETag`."""
    return {304: {"description": "The caller has it already.", "headers": headers("ETag", *names)}}


def content(media_types: str | Iterable[str], description: str, *names: str) -> dict[str, Any]:
    """A response of bytes with one of these media types, and the names of its headers."""
    every = [media_types] if isinstance(media_types, str) else sorted(media_types)
    schema = {"type": "string", "format": "binary"}
    by_type = {media_type: {"schema": schema} for media_type in every}
    return {"description": description, "content": by_type, "headers": headers(*names)}
