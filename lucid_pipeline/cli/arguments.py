"""Arguments that several commands take, and how their text is read."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer

from lucid_pipeline.archive.manifest import parse_time
from lucid_pipeline.errors import UsageError

_SHORT_TIMES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S")

SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="A session id, as `lucid list` shows it.")]


def parse_pairs(texts: Iterable[str], option: str) -> dict[str, str]:
    """`K=V` texts as a dictionary.

    Raises:
        UsageError: a text has no `=` or no key, or control characters, or a key stands twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not text.isprintable():
            raise UsageError(f"{option} takes printable text, not {text!r}")
        if not equals or not key:
            raise UsageError(f"{option} takes KEY=VALUE, not {text!r}")
        if key in pairs:
            raise UsageError(f"{option} has {key!r} twice", "each key has one value")
        pairs[key] = value
    return pairs


def parse_moment(text: str, option: str) -> datetime:
    """The moment that an RFC 3339 time names, or a date, or a time without its zone, both of which are in UTC.

    Raises:
        UsageError: it is none of these.
    """
    with suppress(ValueError):
        return parse_time(text)
    for form in _SHORT_TIMES:
        with suppress(ValueError):
            return datetime.strptime(text, form).replace(tzinfo=UTC)
    raise UsageError(f"{option} takes a time such as 2026-01-31 or 2026-01-31T12:00:00+01:00, not {text!r}")
