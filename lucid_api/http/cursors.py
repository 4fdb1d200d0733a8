"""Cursors: where the next page begins, as text that callers send back and make nothing of."""

import base64
import json
from typing import Annotated, Any

from fastapi import Query

from lucid_api.problems import NotFound

_LONGEST = 2000
_NUMBERS_END = 2**63  # those of a database

Cursor = Annotated[
    str | None,
    Query(
        pattern="^[A-Za-z0-9_-]+$",
        max_length=_LONGEST,
        description="Where the page begins, from the `Link` of the page before.",
    ),
]
"""The parameter of a list; a text that no page ended with is `NotFound`."""


def cursor_of(*place: str | int) -> str:
    """The cursor of a place in an order."""
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(cursor: str, *types: type) -> list[Any]:
    """The place of a cursor, whose parts have these types: text, or whole numbers of 64 bits.

    Raises:
        NotFound: it is none that a page of this kind ended with.
    """
    try:
        place = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except (ValueError, RecursionError):
        place = None
    if not (isinstance(place, list) and [type(part) for part in place] == list(types) and all(map(_is_kept, place))):
        raise NotFound("there is no such page; take the cursor from the one before, as it is")
    return place


def _is_kept(part: str | int) -> bool:
    """Whether a database can hold it."""
    if isinstance(part, int):
        return abs(part) < _NUMBERS_END
    return part.isascii() or not any("\ud800" <= char <= "\udfff" for char in part)
