"""What a free text finds: which words a session has, and how a text is cut into words. The same for every catalog."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from unicodedata import normalize
from uuid import UUID

from lucid_pipeline.stores.catalog import SessionRecord

_WORD = re.compile(r"[^\W_]+")
_DIGIT = "[0-9a-f]"
_ID_FORM = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"
_SHORTEST_ID = 8


@lru_cache(4096)  # users, hosts and tags come again and again
def words(text: str) -> Sequence[str]:
    """The words of a text, each once: runs of letters and digits, compatible forms and case made equal."""
    return tuple(dict.fromkeys(_WORD.findall(normalize("NFKC", text).casefold())))


def words_of(record: SessionRecord) -> set[str]:
    """The words by which a session is found."""
    return {word for text in _texts(record) if text for word in words(text)}


def beginning_of_ids(text: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begin with a text; None where it is shorter than 8 characters, or begins none."""
    beginning = text.strip().lower()
    if not _SHORTEST_ID <= len(beginning) <= len(_ID_FORM):
        return None
    form, rest = _ID_FORM[: len(beginning)], _ID_FORM[len(beginning) :]
    if not re.fullmatch(form.replace("x", _DIGIT), beginning):
        return None
    return UUID(beginning + rest.replace("x", "0")), UUID(beginning + rest.replace("x", "f"))


def _texts(record: SessionRecord) -> Iterator[str | None]:
    metadata = record.metadata
    yield from (record.name, metadata.user, metadata.host, metadata.protocol)
    for name, value in metadata.tags.items():
        yield from (name, value)
