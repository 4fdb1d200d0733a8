"""Events by the page: all of them, once, in order, in pieces of bounded size."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid_api.playback import events as pages
from lucid_api.playback.casts import Cast, Event, Position
from lucid_api.playback.events import page_of_events
from tests.api.playback.support import archived_cast, cast
from tests.support import Home

FOREVER = 2**53


@pytest.fixture(scope="module", params=[2, 3])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cast:
    """A cast of several chunks, with an event every 10 ms, and every second one that is typed."""
    events = [(n / 100, "io"[n % 2], f"{n}" + "x" * 300) for n in range(10_000)]
    return archived_cast(Home(tmp_path_factory.mktemp("home")), cast(*events, version=request.param))


def all_pages(found: Cast, first_ms: int, last_ms: int, limit: int) -> list[Event]:
    events: list[Event] = []
    begin: Position | None = None
    while True:
        page = page_of_events(found, first_ms, last_ms, limit, begin)
        assert len(page.events) <= limit
        assert page.unreadable == 0
        events += page.events
        if page.next is None:
            return events
        assert begin is None or page.next.offset > begin.offset
        begin = page.next


def test_the_pages_together_are_all_events(found: Cast) -> None:
    events = all_pages(found, 0, FOREVER, 777)
    assert [event.data.rstrip("x") for event in events] == [str(number) for number in range(10_000)]
    assert [event.code for event in events[:2]] == ["i", "o"]
    assert all(abs(event.time_ms - 10 * number) <= 1 for number, event in enumerate(events))


@settings(max_examples=20)
@given(st.integers(0, 101_000), st.integers(0, 101_000), st.integers(1000, 3000))
def test_a_span_of_time_has_its_events_and_no_others(found: Cast, one: int, other: int, limit: int) -> None:
    first, last = sorted((one, other))
    numbers = [int(event.data.rstrip("x")) for event in all_pages(found, first, last, limit)]
    assert all(abs(10 * number - number * 10) <= 1 for number in numbers)
    inside = [number for number in range(10_000) if first + 1 <= number * 10 <= last - 1]
    assert set(inside) <= set(numbers) <= {number for number in range(10_000) if first - 1 <= number * 10 <= last + 1}
    assert numbers == sorted(set(numbers))


def test_a_page_ends_when_it_is_large_enough(found: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_MOST_TEXT", 2000)
    page = page_of_events(found, 0, FOREVER, 1000)
    assert len(page.events) == 7
    assert page.next is not None


def test_a_page_ends_when_it_has_cost_enough(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing that was read goes into it."""
    monkeypatch.setattr(pages, "_MOST_READ", 10_000)
    junk = b"no event at all\n" * 10_000
    found = archived_cast(home, cast((1, "first")) + junk + cast((2, "last")).split(b"\n", 1)[1])
    page = page_of_events(found, 0, FOREVER, 10)
    assert [event.data for event in page.events] == ["first"]
    lines = page.unreadable
    while page.next:
        page = page_of_events(found, 0, FOREVER, 10, page.next)
        lines += page.unreadable
    assert [event.data for event in page.events] == ["last"]
    assert lines == 10_000


def test_nothing_in_a_span_is_one_empty_page(found: Cast) -> None:
    page = page_of_events(found, 10**9, 10**9, 10)
    assert (page.events, page.next) == ([], None)


@given(st.integers(0, 2**62), st.integers(0, 2**62))
def test_no_position_that_somebody_made_up_does_harm(found: Cast, offset: int, elapsed: int) -> None:
    page_of_events(found, 0, FOREVER, 10, Position(offset, elapsed))
