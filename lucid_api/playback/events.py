"""The events of a terminal cast, a page at a time. Input is among them, so passwords that were typed can be too."""

from collections.abc import Sequence
from dataclasses import dataclass

from lucid_api.playback.casts import Cast, Event, Position
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import Damage

_MOST_TEXT = MIB
_MOST_READ = 32 * MIB


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events, where to go on if there may be more, and what of the recording between them could not be read.

    That is how many lines were no events, and what is wrong with chunks that are damaged.
    """

    events: Sequence[Event]
    next: Position | None
    unreadable: int
    damages: Sequence[Damage]


def page_of_events(cast: Cast, first_ms: int, last_ms: int, limit: int, begin: Position | None = None) -> EventPage:
    """The events of a span of time, in the order of the recording.

    A page can have fewer than `limit` events, even none, and still not be the last: it ends with the event that brings
    it above 1 MiB of text, and when 32 MiB of the recording have been read for it.

    Args:
        cast: the recording.
        first_ms: begin of the span, included.
        last_ms: end of the span, included.
        limit: the most events.
        begin: where the page before ended.
    """
    start, stop = cast.range_of_times(first_ms, last_ms)
    if begin is None:
        begin = cast.position_at(start)
    found = cast.events(begin, min(stop, begin.offset + _MOST_READ), count_from=begin.offset)
    events: list[Event] = []
    length = 0
    for event in found:
        if first_ms <= event.time_ms <= last_ms:
            events.append(event)
            length += len(event.data)
            if len(events) >= limit or length >= _MOST_TEXT:
                break
    more = found.position.offset < stop
    return EventPage(events, found.position if more else None, found.unreadable, found.damages)
