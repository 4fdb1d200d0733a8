"""Parts of something (RFC 9110, section 14): one range of bytes at a time, as players and broken-off downloads ask.

A request for several ranges at once is answered with the whole, which section 14.2 leaves to the server.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from fastapi import Request

from lucid_api.http.conditional import is_unchanged
from lucid_api.problems import Problem

_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_BEYOND = 10**19
"""More bytes than there are: longer numbers are not worth parsing."""


class RangeNotSatisfiable(Problem):
    """The range that was asked for is none of what is there; `length` says how long that is."""

    status, kind, title = HTTPStatus(416), "range-not-satisfiable", "There is no such range"


@dataclass(frozen=True, slots=True)
class Representation:
    """What can be had in whole or in parts: its length in bytes, its strong entity tag, and headers of any answer."""

    length: int
    tag: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to answer: a status, headers, and the bytes from `start` up to, not including, `stop`.

    Where those are none, as for HEAD, the answer has no content; `Content-Length` is in the headers for any.
    """

    status: int
    headers: dict[str, str]
    start: int = 0
    stop: int = 0


def select(request: Request, whole: Representation) -> Selection:
    """What a request for something is answered, by its conditions first and then by its range.

    Raises:
        RangeNotSatisfiable: the range is malformed, or begins behind the end.
        PreconditionFailed: the caller has another state of it.
    """
    headers = {**whole.headers, "ETag": whole.tag, "Accept-Ranges": "bytes"}
    if is_unchanged(request, whole.tag):
        return Selection(HTTPStatus.NOT_MODIFIED, headers)
    if request.method == "HEAD":
        return Selection(HTTPStatus.OK, {**headers, "Content-Length": str(whole.length)})
    part = _wanted(request, whole)
    if part is None:
        return Selection(HTTPStatus.OK, {**headers, "Content-Length": str(whole.length)}, 0, whole.length)
    start, stop = part
    headers |= {"Content-Range": f"bytes {start}-{stop - 1}/{whole.length}", "Content-Length": str(stop - start)}
    return Selection(HTTPStatus.PARTIAL_CONTENT, headers, start, stop)


def _wanted(request: Request, whole: Representation) -> tuple[int, int] | None:
    """Start and stop of the range that is asked for; None for the whole."""
    given = ",".join(request.headers.getlist("Range"))
    unit, _, ranges = given.partition("=")
    if unit.strip().lower() != "bytes" or request.headers.get("If-Range", whole.tag) != whole.tag:
        return None
    found = [_RANGE.fullmatch(text.strip()) for text in ranges.split(",") if text.strip()]
    parts = [_part(match, whole.length) for match in found]
    there = [part for part in parts if part is not None]
    if not there:
        raise RangeNotSatisfiable(
            f"there are {whole.length} bytes, and the range is malformed or behind their end",
            headers={"Content-Range": f"bytes */{whole.length}"},
            length=whole.length,
        )
    return there[0] if len(there) == 1 else None


def _part(match: re.Match[str] | None, length: int) -> tuple[int, int] | None:
    """Start and stop of one range, as far as it is there."""
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, length - _number(last)), length
    else:
        start, stop = _number(first), min(length, _number(last) + 1) if last else length
    return (start, stop) if start < stop else None


def _number(digits: str) -> int:
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) < len(str(_BEYOND)) else _BEYOND
