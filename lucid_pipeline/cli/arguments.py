"""Arguments that several commands take, and how their text is read."""

from collections.abc import Iterable
from typing import Annotated

import typer

from lucid_pipeline.errors import UsageError

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
