"""Tags as callers write them: `name=value`."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

Tag = Annotated[str, Field(pattern="^[^=]+=")]


def pairs_of(tags: Sequence[str]) -> dict[str, str]:
    """The values of tags by their names.

    Raises:
        ValueError: a name is there twice.
    """
    pairs = [tag.partition("=")[::2] for tag in tags]
    named = dict(pairs)
    if len(named) < len(pairs):
        raise ValueError("a name is there twice")
    return named
