"""What is told of terminal casts. Times are in milliseconds from the start of the recording."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from lucid_api.playback.casts import Cast, Event
from lucid_api.playback.events import EventPage
from lucid_api.playback.matches import Match
from lucid_api.playback.open_sessions import OpenSession
from lucid_api.playback.transcript import Line
from lucid_api.playback.transcripts import Page
from lucid_api.proofs.documents import DamageDocument, SessionId

Time = Annotated[int, Field(ge=0, examples=[25604])]
Unreadable = Annotated[
    int,
    Field(description="Lines of the recording that are no events, and were passed over.", ge=0, examples=[0]),
]
Damages = Annotated[
    list[DamageDocument],
    Field(description="What is damaged of the recording, and so left out. Empty where nothing is."),
]
Cut = Annotated[
    bool, Field(description="Whether there was more text in so little of the recording than is kept of any.")
]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TranscriptLine(_Document):
    """A line of text that stood on the screen. One that the terminal broke into several rows is one."""

    text: str = Field(description="The line, without blanks at its end; never empty.", examples=["$ make test"])
    start_ms: Time = Field(description="When its first character was written.")
    end_ms: Time = Field(description="When it last changed: from then on it could be read as it is here.")
    screen: Literal["main", "alternate"] = Field(
        description="The screen it stood on; `alternate` is that of programs which take the whole of it, as `vim` does."
    )

    @classmethod
    def of(cls, line: Line) -> "TranscriptLine":
        """The document of a line."""
        screen: Literal["main", "alternate"] = "alternate" if line.alternate else "main"
        return cls(text=line.text, start_ms=line.start_ms, end_ms=line.end_ms, screen=screen)


class TranscriptPage(_Document):
    """A page of a transcript. What `unreadable`, `damages` and `cut` tell is told once, on one of the pages."""

    session_id: SessionId
    lines: list[TranscriptLine] = Field(description="Lines in the order in which they began.")
    unreadable: Unreadable
    damages: Damages
    cut: Cut

    @classmethod
    def of(cls, session: OpenSession, page: Page[Line]) -> "TranscriptPage":
        """The document of a page."""
        return cls(
            session_id=session.signed.manifest.session_id,
            lines=[TranscriptLine.of(line) for line in page.items],
            unreadable=page.unreadable,
            damages=[DamageDocument.of(damage) for damage in page.damages],
            cut=page.cut,
        )


class MatchDocument(_Document):
    """A place in the transcript where the text stands."""

    time_ms: Time = Field(description="When it could be read there: go there to see it.")
    before: str = Field(description="What stands before it in its line, at most 80 characters.", examples=["$ "])
    text: str = Field(description="What was found, as it is written there.", examples=["sudo"])
    after: str = Field(description="What stands behind it in its line, at most 80 characters.", examples=[" reboot"])
    position: int = Field(description="Where in its line it begins, in characters from 0.", ge=0, examples=[2])

    @classmethod
    def of(cls, match: Match) -> "MatchDocument":
        """The document of a match."""
        return cls(
            time_ms=match.time_ms, before=match.before, text=match.text, after=match.after, position=match.position
        )


class MatchPage(_Document):
    """A page of matches. What `unreadable`, `damages` and `cut` tell is told once, on one of the pages."""

    session_id: SessionId
    matches: list[MatchDocument] = Field(description="Matches in the order of the transcript.")
    unreadable: Unreadable
    damages: Damages
    cut: Cut

    @classmethod
    def of(cls, session: OpenSession, page: Page[Match]) -> "MatchPage":
        """The document of a page."""
        return cls(
            session_id=session.signed.manifest.session_id,
            matches=[MatchDocument.of(match) for match in page.items],
            unreadable=page.unreadable,
            damages=[DamageDocument.of(damage) for damage in page.damages],
            cut=page.cut,
        )


class EventDocument(_Document):
    """An event of a cast, as asciicast versions 2 and 3 have it."""

    time_ms: Time = Field(description="When it was.")
    code: str = Field(
        description="`o` output, `i` input, `m` marker, `r` new size, `x` exit status; recorders may write others.",
        examples=["o"],
    )
    data: str = Field(
        description="What was printed or typed, the label of a marker, `COLUMNSxROWS` ...", examples=["ls"]
    )

    @classmethod
    def of(cls, event: Event) -> "EventDocument":
        """The document of an event."""
        return cls(time_ms=event.time_ms, code=event.code, data=event.data)


class EventsPage(_Document):
    """A page of the events of a cast."""

    session_id: SessionId
    version: int = Field(description="Version of the asciicast format: 2 or 3.", examples=[2])
    columns: int = Field(description="Width of the terminal at the start, in cells.", ge=1, examples=[80])
    rows: int = Field(description="Height of the terminal at the start, in cells.", ge=1, examples=[24])
    events: list[EventDocument] = Field(description="Events in the order of the recording.")
    unreadable: Unreadable
    damages: Damages

    @classmethod
    def of(cls, session_id: UUID, cast: Cast, page: EventPage) -> "EventsPage":
        """The document of a page."""
        return cls(
            session_id=session_id,
            version=cast.header.version,
            columns=cast.columns,
            rows=cast.rows,
            events=[EventDocument.of(event) for event in page.events],
            unreadable=page.unreadable,
            damages=[DamageDocument.of(damage) for damage in page.damages],
        )
