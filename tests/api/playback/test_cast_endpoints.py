"""`/sessions/{id}/transcript`, `/events` and `/matches`: what terminal casts say, by the page."""

import re
from contextlib import ExitStack
from typing import Any
from uuid import UUID

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.http.cursors import cursor_of
from lucid_api.playback import stretches, transcripts
from lucid_pipeline.archive.chunking import MIB
from tests.api.access.support import recorded
from tests.api.playback.conftest import Shapes
from tests.api.playback.support import transcript_of
from tests.api.playback.test_content import chunk_files
from tests.api.proofs.support import NEVER, flip, unsealed
from tests.api.support import Api, assert_problem

PLAY = Scope.CONTENT_PLAY
EACH = pytest.mark.parametrize("what", ["transcript", "events", "matches?q=x"])


def ask(api: Api, session_id: str, what: str) -> Any:
    answer = api.get(f"/sessions/{session_id}/{what}", PLAY)
    assert answer.status_code == 200, answer.text
    return answer.json()


def all_pages(api: Api, session_id: str, what: str) -> list[Any]:
    """The documents of all pages, by their links."""
    path, pages = f"/sessions/{session_id}/{what}", []
    while path:
        answer = api.get(path, PLAY)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        pages.append(answer.json())
        link = re.fullmatch('</api/v1(.+)>; rel="next"', answer.headers.get("Link", ""))
        path = link[1] if link else ""
    return pages


@EACH
def test_it_is_guarded(player: Api, shapes: Shapes, what: str) -> None:
    player.assert_guarded("GET", f"/sessions/{shapes.ids['demo']}/{what}", PLAY)


@EACH
def test_a_recording_that_is_no_terminal_cast_has_none(player: Api, shapes: Shapes, what: str) -> None:
    for name in ("small", "empty"):
        assert_problem(player.get(f"/sessions/{shapes.ids[name]}/{what}", PLAY), 404, "not-a-terminal")


@EACH
def test_a_session_that_there_is_not_or_not_yet(own_player: Api, what: str) -> None:
    assert_problem(own_player.get(f"/sessions/{NEVER}/{what}", PLAY), 404, "not-found")
    assert_problem(own_player.get(f"/sessions/{unsealed(own_player)}/{what}", PLAY), 404, "not-sealed")


def test_a_transcript_is_what_a_person_saw(player: Api, shapes: Shapes) -> None:
    document = ask(player, shapes.ids["demo"], "transcript?limit=5000")
    expected = transcript_of(shapes.recordings["demo"])
    lines = [expected[index] for index in range(len(expected))]
    assert document["lines"] == [
        {
            "text": line.text,
            "start_ms": line.start_ms,
            "end_ms": line.end_ms,
            "screen": "alternate" if line.alternate else "main",
        }
        for line in lines
    ]
    assert {"main", "alternate"} == {line["screen"] for line in document["lines"]}
    assert (document["unreadable"], document["damages"], document["cut"]) == (0, [], False)


@pytest.mark.parametrize("limit", [1000, 1999, 5000])
def test_the_pages_of_a_transcript_are_all_of_it(
    own_player: Api, shapes: Shapes, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", MIB)
    pages = all_pages(own_player, shapes.ids["long cast"], f"transcript?limit={limit}")
    lines = [line["text"] for page in pages for line in page["lines"]]
    assert lines == transcript_of(shapes.recordings["long cast"]).text.split("\n")
    assert all(len(page["lines"]) <= limit for page in pages)


def test_a_page_ends_when_it_took_long_enough(own_player: Api, shapes: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", MIB)
    monkeypatch.setattr(transcripts, "_ENOUGH_SECONDS", 0.0)
    pages = all_pages(own_player, shapes.ids["long cast"], "matches?q=nowhere to be found")
    assert len(pages) == 4
    assert not any(page["matches"] for page in pages)


def test_a_span_of_time_has_its_lines_alone(player: Api, shapes: Shapes) -> None:
    document = ask(player, shapes.ids["long cast"], "transcript?from_ms=300000&to_ms=300250")
    assert [line["text"].split(":")[0] for line in document["lines"]] == ["3000", "3001", "3002"]
    assert ask(player, shapes.ids["long cast"], "transcript?from_ms=900000000")["lines"] == []
    assert ask(player, shapes.ids["long cast"], "transcript?from_ms=2000&to_ms=1000")["lines"] == []


def test_matches_are_found_where_they_can_be_seen(player: Api, shapes: Shapes) -> None:
    document = ask(player, shapes.ids["demo"], "matches?q=READINGS.TXT:")
    assert [(match["text"], match["after"], match["time_ms"]) for match in document["matches"]] == [
        ("readings.txt:", " OK", 18_191),
        ("readings.txt:", " FAILED", 25_604),
        ("readings.txt:", " OK", 32_409),
    ]


def test_the_pages_of_matches_are_all_of_them(own_player: Api, shapes: Shapes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "STRETCH_BYTES", MIB)
    pages = all_pages(own_player, shapes.ids["long cast"], "matches?q=99: some&limit=7")
    found = [match["time_ms"] for page in pages for match in page["matches"]]
    assert found == [n * 100 for n in range(6000) if str(n).endswith("99")]


@pytest.mark.parametrize("q", ["", "x" * 201, "a%0Ab", "%00"])
def test_what_cannot_stand_in_a_line_is_refused(player: Api, shapes: Shapes, q: str) -> None:
    assert_problem(player.get(f"/sessions/{shapes.ids['demo']}/matches?q={q}", PLAY), 422, "invalid")
    assert_problem(player.get(f"/sessions/{shapes.ids['demo']}/matches", PLAY), 422, "invalid")


def test_events_come_by_the_page_with_input_and_markers(player: Api, shapes: Shapes) -> None:
    pages = all_pages(player, shapes.ids["demo"], "events?limit=100")
    events = [event for page in pages for event in page["events"]]
    assert [page["version"] for page in pages] == [2] * len(pages)
    assert (pages[0]["columns"], pages[0]["rows"]) == (80, 24)
    assert events[1] == {"time_ms": 20, "code": "m", "data": "Make some evidence"}
    assert len(events) == shapes.recordings["demo"].count(b"\n") - 1
    part = ask(player, shapes.ids["demo"], "events?from_ms=20&to_ms=43")
    assert [event["data"] for event in part["events"]] == ["Make some evidence", "e", "c"]


@EACH
def test_a_cursor_that_no_page_ended_with_does_no_harm(player: Api, shapes: Shapes, what: str) -> None:
    path = f"/sessions/{shapes.ids['demo']}/{what}"
    mark = "&" if "?" in path else "?"
    for place in ((-5, -5), (10**15, 3), (0, 10**15), (3, -1)):
        answer = player.get(f"{path}{mark}cursor={cursor_of(*place)}", PLAY)
        assert answer.status_code == 200, answer.text
    for cursor in ("x", cursor_of("a", 1), cursor_of(1)):
        assert_problem(player.get(f"{path}{mark}cursor={cursor}", PLAY), 404, "not-found")


def test_what_is_whole_of_a_damaged_cast_is_told_and_what_is_not_is_named(own_player: Api, shapes: Shapes) -> None:
    session_id = shapes.ids["long cast"]
    flip(chunk_files(own_player, session_id)[1])
    for what in ("transcript?limit=5000", "events?limit=5000", "matches?q=some output&limit=5000"):
        pages = all_pages(own_player, session_id, what)
        [damage] = [damage for page in pages for damage in page["damages"]]
        assert damage["code"] == "object_digest_mismatch"
        assert "/chunks/00000001." in damage["where"]
    lines = [
        int(line["text"].split(":")[0])
        for page in all_pages(own_player, session_id, "transcript")
        for line in page["lines"]
    ]
    missing = sorted(set(range(6000)) - set(lines))
    assert lines == sorted(lines)
    assert missing == list(range(missing[0], missing[-1] + 1)), "the chunk that is damaged, and nothing else"
    assert 1500 < len(missing) < 2000


def test_of_a_cast_whose_start_is_damaged_nothing_can_be_told(own_player: Api, shapes: Shapes) -> None:
    session_id = shapes.ids["long cast"]
    flip(chunk_files(own_player, session_id)[0])
    for what in ("transcript", "events", "matches?q=x"):
        document = assert_problem(own_player.get(f"/sessions/{session_id}/{what}", PLAY), 500, "damaged")
        assert document["damage"]["code"] == "object_digest_mismatch"


@pytest.mark.parametrize(
    ("what", "action"),
    [("transcript", "transcript.read"), ("events", "transcript.read"), ("matches?q=secret", "content.searched")],
)
def test_it_is_on_record_and_what_was_searched_is_not(own_player: Api, shapes: Shapes, what: str, action: str) -> None:
    home, session_id = own_player.services.settings.home, shapes.ids["demo"]
    ask(own_player, session_id, what)
    [event] = recorded(home, action)
    assert event["session_id"] == session_id
    assert event["details"] == {}


def test_nobody_waits_for_a_transcript_behind_many_or_for_long(
    own_player: Api, shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/sessions/{shapes.ids['demo']}/transcript"
    playing = own_player.services.playing
    assert playing is not None
    with monkeypatch.context() as changed, playing.transcripts._turn:
        changed.setattr(transcripts, "_PATIENCE", 0.05)
        assert_problem(own_player.get(path, PLAY), 503, "too-many-playbacks")
    with ExitStack() as others:
        for _ in range(transcripts._MOST_WAITING):
            others.enter_context(playing.transcripts._queue)
        assert_problem(own_player.get(path, PLAY), 503, "too-many-playbacks")
    assert own_player.get(path, PLAY).status_code == 200


def test_a_transcript_is_made_once_and_not_after_the_session_was_shredded(
    own_player: Api, shapes: Shapes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = transcripts.transcribe_stretch
    monkeypatch.setattr(
        transcripts, "transcribe_stretch", lambda cast, number: made.append(number) or real(cast, number)
    )
    session_id = shapes.ids["demo"]
    for what in ("transcript", "matches?q=x", "transcript?limit=5", "matches?q=y"):
        ask(own_player, session_id, what)
    assert made == [0]
    monkeypatch.setattr("lucid_api.playback.open_sessions.CHECKED_FOR", -1.0)
    own_player.services.home.keystore().delete(UUID(session_id))
    assert_problem(own_player.get(f"/sessions/{session_id}/transcript", PLAY), 409, "no-key-slot")
