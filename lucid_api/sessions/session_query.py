"""What a caller asks of the list of sessions: which, in which order, from where on."""

import json
from enum import StrEnum
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from lucid_api.http.cursors import Cursor, cursor_of, place_of
from lucid_api.http.times import Moment
from lucid_api.problems import BadRequest, NotFound
from lucid_api.sessions.tags import Tag, pair_of
from lucid_pipeline.stores.catalog import ListedState, Order, Position, Proof, SessionFilter, Sort

LONGEST_PAGE = 500

_NUMBERS_END = 2**63
_LONGEST_QUESTION = 200
_LONGEST_TEXT = 1024
_MOST_TAGS = 10
_OF_A_PAGE = {"cursor", "limit"}
_TEXTS = (Sort.REGISTERED, Sort.USER)
"""Orders in which the value of a position is text."""


class OtherCursor(BadRequest):
    """The cursor is of a list with other filters, or in another order."""

    kind, title = "other-cursor", "A cursor of another list"


class SessionSort(StrEnum):
    """By what sessions are sorted; with a minus the greatest comes first. What is not known is less than anything."""

    STARTED = "started"
    STARTED_LAST = "-started"
    REGISTERED = "registered"
    REGISTERED_LAST = "-registered"
    SEALED = "sealed"
    SEALED_LAST = "-sealed"
    LENGTH = "length"
    LENGTH_GREATEST = "-length"
    DURATION = "duration"
    DURATION_GREATEST = "-duration"
    USER = "user"
    USER_LAST = "-user"

    @property
    def order(self) -> Order:
        """The order that it names."""
        return Order(Sort(self.value.removeprefix("-")), self.value.startswith("-"))


_Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]


class SessionQuery(BaseModel):
    """The query of a list of sessions. All conditions must hold; one that is empty always does."""

    q: str | None = Field(
        None,
        max_length=_LONGEST_QUESTION,
        description="Words, all of which begin a word of the session's name, user, host or protocol, or of a tag's "
        "name or value, whatever their case. Or the beginning of its id, from 8 characters on.",
        examples=["gate ada"],
    )
    user: _Text | None = Field(None, description="Who was recorded.", examples=["ada"])
    host: _Text | None = Field(None, description="Where.", examples=["gate-1"])
    protocol: _Text | None = Field(None, description="How they were connected.", examples=["ssh"])
    state: ListedState | None = Field(
        None,
        description="What they are shown as. `waiting` are all that come further by themselves and have not failed; "
        "`failed` includes those in quarantine.",
        examples=["sealed"],
    )
    media_type: _Text | None = Field(
        None, description="What was recorded; known of sealed sessions.", examples=["application/x-asciicast"]
    )
    tag: list[Tag] = Field(
        default_factory=list,
        max_length=_MOST_TAGS,
        description="A tag, as `name=value`; of several all must be there.",
    )
    verified: Proof | None = Field(
        None,
        description="Of sealed sessions: what was found when they were last verified since they were sealed; `never` "
        "if they were not.",
        examples=["intact"],
    )
    started_after: Moment | None = Field(
        None,
        description="Began at that moment or later (RFC 3339, with its zone; in a URL, `+` is written `%2B`). Of a "
        "session whose beginning is not known counts when it was registered.",
        examples=["2026-01-31T12:00:00Z"],
    )
    started_before: Moment | None = Field(
        None, description="Began before that moment.", examples=["2026-02-01T00:00:00Z"]
    )
    sort: SessionSort = Field(SessionSort.STARTED_LAST, description=SessionSort.__doc__)
    cursor: Cursor = None
    limit: int = Field(50, ge=1, le=LONGEST_PAGE, description="Sessions of one page.")

    @property
    def wanted(self) -> SessionFilter:
        """Which sessions are asked for."""
        return SessionFilter(
            text=self.q,
            user=self.user,
            host=self.host,
            protocol=self.protocol,
            media_type=self.media_type,
            statuses=self.state.statuses if self.state else (),
            proof=self.verified,
            since=self.started_after,
            until=self.started_before,
            tags=[pair_of(tag) for tag in self.tag],
        )

    def cursor_of(self, place: Position) -> str:
        """The cursor of a place in this list, and in no other one."""
        return cursor_of(self._mark, str(place.value), str(place.session_id))

    @property
    def place(self) -> Position | None:
        """Where the page that is asked for begins.

        Raises:
            NotFound: the cursor is none.
            OtherCursor: it is one of another list.
        """
        if self.cursor is None:
            return None
        mark, value, session_id = place_of(self.cursor, str, str, str)
        if mark != self._mark:
            raise OtherCursor("ask for the next page with the filters and the order of the page before")
        try:
            return Position(value if self.sort.order.by in _TEXTS else _number(value), UUID(session_id))
        except ValueError:
            raise NotFound("there is no such page; take the cursor from the one before, as it is") from None

    @property
    def _mark(self) -> str:
        """What tells this list from others."""
        asked = self.model_dump(mode="json", exclude=_OF_A_PAGE, exclude_defaults=True)
        return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]


def _number(text: str) -> int:
    number = int(text)
    if abs(number) >= _NUMBERS_END:
        raise ValueError("no database has it")
    return number
