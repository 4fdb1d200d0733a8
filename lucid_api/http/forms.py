"""Forms that a page sends without a script."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20


async def form_fields(request: Request) -> Mapping[str, str]:
    """The fields of a form, each of its last value; none where something else was sent, or too many."""
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        return {}
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}
