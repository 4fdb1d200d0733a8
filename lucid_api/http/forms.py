"""Forms that a page sends without a script."""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from fastapi import Request

MEDIA_TYPE = "application/x-www-form-urlencoded"
_MOST_FIELDS = 20
_LARGEST = 64 * 1024


def media_type_of(request: Request) -> str:
    """What the body of a request is said to be, in small letters and without parameters; empty if nothing is said."""
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def form_fields(request: Request) -> Mapping[str, str]:
    """The fields of a form, each of its last value; none where something else was sent, too many, or more than 64 KiB.

    What has no length, which forms have, is not read: curl says of whatever it sends that it is a form.
    """
    if media_type_of(request) != MEDIA_TYPE or not 0 < int(request.headers.get("Content-Length", 0)) <= _LARGEST:
        return {}
    body = await request.body()
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}
