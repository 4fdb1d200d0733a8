"""Tags as callers write them: `name=value`."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

Tag = Annotated[str, Field(pattern="^[^=]+=")]


def pair_of(tag: str) -> tuple[str, str]:
    """The name of a tag, and its value, in which there may be further equal signs."""
    name, _, value = tag.partition("=")
    return name, value


def pairs_of(tags: Sequence[str]) -> dict[str, str]:
    """The values of tags by their names.

    Raises:
        ValueError: a name is there twice.
    """
    named = dict(map(pair_of, tags))
    if len(named) < len(tags):
        raise ValueError("a name is there twice")
    return named
