"""`/sessions/{id}/content`: the bytes that were recorded, or a part of them, to whoever may play them."""

import base64
from hashlib import sha256
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lucid_api.access.scopes import Scope
from lucid_api.playback.content import disposition, safe_media_type
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.reader import load_chunk_table, load_manifest
from tests.api.access.support import recorded
from tests.api.playback.conftest import Shapes
from tests.api.proofs.support import NEVER, flip, object_path, unsealed
from tests.api.support import Api, assert_problem, copy_of, running_api

PLAY = Scope.CONTENT_PLAY
EVERY = ["empty", "a byte", "small", "a chunk", "a chunk and a byte", "several", "large chunks", "demo"]


def path_of(shapes: Shapes, name: str) -> str:
    return f"/sessions/{shapes.ids[name]}/content"


def play(api: Api, shapes: Shapes, name: str, byte_range: str | None = None, **headers: str) -> Any:
    return api.get(path_of(shapes, name), PLAY, headers={**({"Range": byte_range} if byte_range else {}), **headers})


def chunk_files(api: Api, session_id: str) -> list[Any]:
    services = api.services
    manifest = load_manifest(UUID(session_id), services.archive, services.trusted).manifest
    return [object_path(api, chunk.key) for chunk in load_chunk_table(manifest, services.archive).objects]


def test_it_is_guarded(player: Api, shapes: Shapes) -> None:
    player.assert_guarded("GET", path_of(shapes, "small"), PLAY)


def test_head_is_guarded(player: Api, shapes: Shapes) -> None:
    path = f"/api/v1{path_of(shapes, 'small')}"
    assert player.client.head(path).status_code == 401
    assert player.client.head(path, headers=player.headers(Scope.SESSIONS_READ, Scope.ADMIN)).status_code == 403


@pytest.mark.parametrize("name", [*EVERY, "long cast", "an empty chunk behind full ones"])
def test_what_went_in_comes_out(player: Api, shapes: Shapes, name: str) -> None:
    answer = play(player, shapes, name)
    assert answer.status_code == 200
    assert answer.content == shapes.recordings[name]
    assert int(answer.headers["Content-Length"]) == len(shapes.recordings[name])
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    digest = base64.b64encode(sha256(shapes.recordings[name]).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_it_has_the_media_type_of_the_recording(player: Api, shapes: Shapes) -> None:
    assert play(player, shapes, "demo").headers["Content-Type"] == "application/x-asciicast"
    assert play(player, shapes, "small").headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("media_type", ["text/html", "image/svg+xml", "application/xhtml+xml", "", "video/mp4;x=y"])
def test_what_a_browser_could_run_is_octets_to_it(media_type: str) -> None:
    assert safe_media_type(media_type) == "application/octet-stream"
    assert safe_media_type("video/webm") == "video/webm"


def expected(data: bytes, ranges: list[tuple[int | None, int | None]]) -> tuple[int, bytes]:
    """The status and the bytes that a request for these ranges is answered with: first and last byte, both included."""
    there = []
    for first, last in ranges:
        if first is None:
            part = data[max(0, len(data) - (last or 0)) :] if last else b""
        elif last is not None and last < first:
            part = b""
        else:
            part = data[first : None if last is None else last + 1]
        if part:
            there.append(part)
    if not there:
        return 416, b""
    return (206, there[0]) if len(there) == 1 else (200, data)


numbers = st.one_of(
    st.integers(0, 6 * MIB), st.sampled_from([0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 5 * MIB - 1, 5 * MIB, 10**30])
)
ranges = st.tuples(st.none() | numbers, st.none() | numbers).filter(lambda found: found != (None, None))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(EVERY), wanted=st.lists(ranges, min_size=1, max_size=2))
@example(name="several", wanted=[(MIB - 1, MIB)])
@example(name="empty", wanted=[(0, None)])
@example(name="a chunk", wanted=[(None, 1)])
@example(name="a chunk and a byte", wanted=[(MIB, MIB)])
def test_any_range_of_any_layout_of_chunks_is_the_slice_of_the_original(
    player: Api, shapes: Shapes, name: str, wanted: list[tuple[int | None, int | None]]
) -> None:
    data = shapes.recordings[name]
    texts = ("-".join("" if number is None else str(number) for number in pair) for pair in wanted)
    answer = play(player, shapes, name, f"bytes={', '.join(texts)}")
    status, content = expected(data, wanted)
    assert answer.status_code == status
    if status == 416:
        assert_problem(answer, 416, "range-not-satisfiable")
        assert answer.headers["Content-Range"] == f"bytes */{len(data)}"
        return
    assert answer.content == content
    if status == 206:
        assert answer.headers["Content-Range"].endswith(f"/{len(data)}")
        first, last = map(int, answer.headers["Content-Range"].removeprefix("bytes ").split("/")[0].split("-"))
        assert data[first : last + 1] == content


def test_head_says_what_get_would_bring(player: Api, shapes: Shapes) -> None:
    head = player.ask("HEAD", path_of(shapes, "several"), PLAY, headers={"Range": "bytes=0-9"})
    whole = play(player, shapes, "several")
    assert (head.status_code, head.content) == (200, b""), "ranges are for GET (RFC 9110, 14.2)"
    for name in ("Content-Length", "Content-Type", "ETag", "Repr-Digest", "Accept-Ranges", "Content-Disposition"):
        assert head.headers[name] == whole.headers[name]


def test_the_entity_tag_gives_nothing_away_and_tells_sessions_apart(player: Api, shapes: Shapes) -> None:
    tags = {play(player, shapes, name, "bytes=0-0").headers["ETag"] for name in EVERY if name != "empty"}
    assert len(tags) == len(EVERY) - 1
    digests = {sha256(data).hexdigest()[:8] for data in shapes.recordings.values()}
    assert not any(digest in tag for digest in digests for tag in tags)


def test_whoever_has_it_is_told_so(player: Api, shapes: Shapes) -> None:
    tag = play(player, shapes, "small").headers["ETag"]
    same = play(player, shapes, "small", **{"If-None-Match": tag})
    assert (same.status_code, same.content) == (304, b"")
    assert_problem(play(player, shapes, "small", **{"If-Match": '"other"'}), 412, "precondition-failed")


def test_a_download_goes_on_only_if_it_is_still_the_same(player: Api, shapes: Shapes) -> None:
    data, tag = shapes.recordings["several"], play(player, shapes, "several").headers["ETag"]
    rest = play(player, shapes, "several", "bytes=2000000-", **{"If-Range": tag})
    assert (rest.status_code, rest.content) == (206, data[2_000_000:])
    anew = play(player, shapes, "several", "bytes=2000000-", **{"If-Range": '"another"'})
    assert (anew.status_code, anew.content) == (200, data)


def test_it_is_called_what_the_recording_was_called(player: Api, shapes: Shapes) -> None:
    shown = play(player, shapes, "small").headers["Content-Disposition"]
    saved = player.get(f"{path_of(shapes, 'small')}?download=true", PLAY).headers["Content-Disposition"]
    assert shown.startswith("inline; filename=")
    assert saved.startswith("attachment; filename=")


@pytest.mark.parametrize(
    ("name", "plain", "whole"),
    [
        ("demo.cast", "demo.cast", "demo.cast"),
        ("../../etc/passwd", "_.._etc_passwd", ".._.._etc_passwd"),
        ("größe 1.mp4", "gr_e_1.mp4", "größe 1.mp4"),
        ('a"; filename=b\r\nX: y', "a__filename_b_X__y", "a_; filename=b_X_ y"),
        ("漢字", "_", "漢字"),
        ("...", "recording", "..."),
        ("", "recording", ""),
        ("x" * 300, "x" * 150, "x" * 150),
    ],
)
def test_a_name_is_told_so_that_it_does_no_harm(name: str, plain: str, whole: str) -> None:
    header = disposition("inline", name)
    assert header.isascii()
    assert "\r" not in header
    kind, first, second = header.split("; ")
    assert (kind, first) == ("inline", f'filename="{plain}"')
    assert unquote(second.removeprefix("filename*=UTF-8''")) == whole


@given(st.text(max_size=200))
def test_any_name_makes_a_header(name: str) -> None:
    assert disposition("attachment", name).isprintable()


def test_a_session_that_there_is_not(player: Api) -> None:
    assert_problem(player.get(f"/sessions/{NEVER}/content", PLAY), 404, "not-found")
    assert_problem(player.get("/sessions/../content", PLAY), 404, "not-found")
    assert_problem(player.get("/sessions/x/content", PLAY), 422, "invalid")


def test_a_session_that_is_not_sealed_yet(own_player: Api) -> None:
    assert_problem(own_player.get(f"/sessions/{unsealed(own_player)}/content", PLAY), 404, "not-sealed")


def test_a_service_without_an_identity_plays_nothing(shapes: Shapes, tmp_path: Any) -> None:
    home = copy_of(shapes.lucid.home, tmp_path)
    (home / "keys" / "identity.txt").unlink()
    with running_api(home) as api:
        for what in ("content", "transcript", "events", "matches?q=x"):
            answer = api.get(f"/sessions/{shapes.ids['demo']}/{what}", PLAY)
            assert_problem(answer, 409, "no-identity")


def test_a_session_that_was_shredded_is_told_as_such(own_player: Api, shapes: Shapes) -> None:
    session_id = shapes.ids["demo"]
    own_player.services.home.keystore().delete(UUID(session_id))
    for what in ("content", "transcript", "events", "matches?q=x"):
        document = assert_problem(own_player.get(f"/sessions/{session_id}/{what}", PLAY), 409, "no-key-slot")
        assert document["damage"]["code"] == "keyslot_missing"


def test_damage_at_the_start_is_a_problem_with_its_code_and_no_other_session_is_touched(
    own_player: Api, shapes: Shapes
) -> None:
    flip(chunk_files(own_player, shapes.ids["several"])[0])
    document = assert_problem(play(own_player, shapes, "several"), 500, "damaged")
    assert document["damage"]["code"] == "object_digest_mismatch"
    assert play(own_player, shapes, "large chunks").content == shapes.recordings["large chunks"]
    behind = play(own_player, shapes, "several", f"bytes={MIB}-")
    assert behind.content == shapes.recordings["several"][MIB:]
    failures = [
        event for event in recorded(own_player.services.settings.home, "content.played") if event["outcome"] == "failed"
    ]
    assert [event["details"] for event in failures] == [{"damage": "object_digest_mismatch"}]


def test_a_damaged_chunk_never_sends_a_wrong_byte(own_player: Api, shapes: Shapes) -> None:
    data = shapes.recordings["several"]
    flip(chunk_files(own_player, shapes.ids["several"])[2], at=5000)
    for start in (0, 1000, 2 * MIB - 1):
        answer = play(own_player, shapes, "several", f"bytes={start}-")
        assert answer.content == data[start : 2 * MIB]
        assert int(answer.headers["Content-Length"]) == len(data) - start, "so that it is seen to be broken off"
    assert_problem(play(own_player, shapes, "several", f"bytes={2 * MIB}-"), 500, "damaged")


def test_it_is_on_record_before_a_byte_leaves_and_once_for_a_player(own_player: Api, shapes: Shapes) -> None:
    home, session_id = own_player.services.settings.home, shapes.ids["several"]
    key = own_player.headers(PLAY)
    for start in range(0, 3 * MIB, MIB // 8):
        path = f"/api/v1{path_of(shapes, 'several')}"
        own_player.client.get(path, headers={**key, "Range": f"bytes={start}-{start + 99}"})
    own_player.client.head(path, headers=key)
    (event,) = recorded(home, "content.played")
    assert (event["session_id"], event["outcome"]) == (session_id, "allowed")
    assert event["subject"].startswith("key:")
    play(own_player, shapes, "several", "bytes=0-0")
    assert len(recorded(home, "content.played")) == 2, "another caller"
    own_player.client.get(f"{path}?download=true", headers=key)
    assert len(recorded(home, "content.downloaded")) == 1


def test_what_cannot_be_recorded_is_not_played(own_player: Api, shapes: Shapes) -> None:
    own_player.services.audit.close()
    (own_player.services.settings.home / "audit").rename(own_player.services.settings.home / "elsewhere")
    (own_player.services.settings.home / "audit").write_text("in the way")
    for what in ("content", "transcript", "events", "matches?q=x"):
        answer = own_player.get(f"/sessions/{shapes.ids['demo']}/{what}", PLAY)
        assert_problem(answer, 503, "unavailable")


def test_as_many_are_played_at_once_as_may_be(shapes: Shapes, tmp_path: Any) -> None:
    with running_api(copy_of(shapes.lucid.home, tmp_path), api_playbacks=1) as api:
        playing = api.services.playing
        assert playing is not None
        record = api.services.catalog.get(UUID(shapes.ids["several"]))
        reader = playing.sessions.session(record).reader
        other = playing.playbacks.playback(reader, 0, 10, "somebody")
        refused = play(api, shapes, "small")
        assert_problem(refused, 503, "too-many-playbacks")
        assert int(refused.headers["Retry-After"]) > 0
        assert api.ask("HEAD", path_of(shapes, "small"), PLAY).status_code == 200
        other.close()
        for _ in range(3):
            assert play(api, shapes, "small").content == shapes.recordings["small"]
            assert play(api, shapes, "small", "bytes=99999999-").status_code == 416
