"""`GET /sessions`: what is found, in which order, page by page."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.http.cursors import cursor_of, place_of
from lucid_pipeline.stores import mongo_listing, sqlite_listing
from lucid_pipeline.stores.catalog import Status
from tests.api.conftest import SealedHome
from tests.api.support import PREFIX, Api, assert_problem, copy_of, running_api
from tests.bench import catalogs

READ = Scope.SESSIONS_READ
CROWD = 400
SESSION_ID = "01a207bc-8e81-7370-a993-4daf2ca01f8c"

Session = dict[str, Any]


@pytest.fixture(scope="module")
def crowd(sealed_home: SealedHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API over a home with some hundred sessions, of which a few are really there."""
    with running_api(copy_of(sealed_home.folder, tmp_path_factory.mktemp("crowd"))) as api:
        catalogs.fill(api.services.catalog, CROWD)
        rare = [record for record in catalogs.sessions(10 * CROWD) if record.status is not Status.SEALED]
        api.services.catalog.restore(*rare)
        yield api


def page(api: Api, query: str = "") -> dict[str, Any]:
    response = api.get(f"/sessions?{query}", READ)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def listed(api: Api, query: str = "") -> list[Session]:
    found: list[Session] = page(api, f"limit=500&{query}")["sessions"]
    return found


def all_pages(api: Api, query: str) -> list[list[Session]]:
    """The pages that `Link` leads to."""
    pages, url, caller = [], f"{PREFIX}/sessions?{query}", api.headers(READ)
    while url:
        response = api.client.get(url, headers=caller)
        assert response.status_code == 200, response.text
        document = response.json()
        pages.append(document["sessions"])
        assert ("Link" in response.headers) is (document["next_cursor"] is not None)
        assert (document["next_cursor"] or "") in response.headers.get("Link", "")
        url = response.links.get("next", {}).get("url")
    return pages


def ids(sessions: list[Session]) -> list[str]:
    return [session["session_id"] for session in sessions]


def test_only_those_who_may_read_sessions_may_list_them(api: Api) -> None:
    api.assert_guarded("GET", "/sessions", READ)


def test_a_session_is_listed_with_all_that_is_known_of_it(api: Api, sealed_home: SealedHome) -> None:
    [session] = [one for one in listed(api) if one["name"] == "a-cast.cast"]
    assert session == api.get(f"/sessions/{sealed_home.ids['a-cast.cast']}", READ).json()


FILTERS: list[tuple[str, Callable[[Session], bool]]] = [
    ("q=web%20ALI", lambda one: (one["host"], one["user"]) == ("web-1", "alice")),
    ("q=user00", lambda one: one["user"].startswith("user00")),
    ("q=staging", lambda one: one["tags"].get("env") == "staging"),
    ("q=%20-%20", lambda one: True),
    ("user=alice", lambda one: one["user"] == "alice"),
    ("user=Alice", lambda one: False),
    ("user=", lambda one: True),
    ("host=web-1&user=alice", lambda one: one["host"] == "web-1"),
    ("protocol=rdp", lambda one: one["protocol"] == "rdp"),
    ("state=sealed", lambda one: one["state"] == "sealed"),
    ("state=failed", lambda one: one["state"] in ("failed", "quarantined")),
    ("state=quarantined", lambda one: one["state"] == "quarantined"),
    ("state=waiting", lambda one: one["state"] in ("registered", "recorded", "chunked", "encrypted", "hashed")),
    ("state=damaged", lambda one: one["damages"] != []),
    ("media_type=video/mp4", lambda one: one["media_type"] == "video/mp4"),
    ("tag=env%3Dtest", lambda one: one["tags"].get("env") == "test"),
    ("tag=env%3Dprod&tag=team%3Daudit", lambda one: {"env": "prod", "team": "audit"}.items() <= one["tags"].items()),
    ("tag=env%3Dprod&tag=env%3Dtest", lambda one: False),
    ("tag=ticket%3DOPS%3D7", lambda one: one["user"] == "alice"),
    ("verified=never", lambda one: one["seal"] is not None and one["verified_at"] is None),
    ("verified=intact", lambda one: one["verified"] == "intact"),
    ("verified=damaged", lambda one: one["verified"] == "damaged"),
    ("started_after=2026-01-01T00:00:00Z", lambda one: one["started_at"] >= "2026-01-01"),
    ("started_before=2024-06-01T02:00:00%2B02:00", lambda one: one["started_at"] < "2024-06-01"),
    (
        "started_after=2026-01-31T12:00:00Z&started_before=2026-01-31T12:00:00.000001Z",
        lambda one: one["started_at"] == "2026-01-31T12:00:00Z",
    ),
]


FOR_NOBODY = ("user=Alice", "tag=env%3Dprod&tag=env%3Dtest")


@pytest.mark.parametrize(("query", "fits"), FILTERS, ids=[query for query, _ in FILTERS])
def test_a_filter_finds_what_fits_and_nothing_else(crowd: Api, query: str, fits: Callable[[Session], bool]) -> None:
    expected = {one["session_id"] for one in listed(crowd) if fits(one)}
    assert set(ids(listed(crowd, query))) == expected
    assert bool(expected) is (query not in FOR_NOBODY)


def test_a_session_is_found_by_the_beginning_of_its_id(crowd: Api, sealed_home: SealedHome) -> None:
    wanted = sealed_home.ids["a-cast.cast"]
    assert wanted in ids(listed(crowd, f"q={wanted[:8]}"))
    assert ids(listed(crowd, f"q={wanted.upper()}")) == [wanted]


ORDERS: dict[str, Callable[[Session], Any]] = {
    "started": lambda one: one["started_at"].replace("Z", "").ljust(23, "0"),
    "registered": lambda one: one["session_id"],
    "sealed": lambda one: one["seal"]["sealed_at"] if one["seal"] else "",
    "length": lambda one: -1 if one["length"] is None else one["length"],
    "duration": lambda one: -1 if one["duration_ms"] is None else one["duration_ms"],
    "user": lambda one: one["user"] or "",
}


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("by", ORDERS)
def test_pages_follow_each_other_in_the_order_that_was_asked_for(crowd: Api, by: str, descending: bool) -> None:
    sort = f"{'-' if descending else ''}{by}"
    pages = all_pages(crowd, f"sort={sort}&limit=70")
    assert [len(found) for found in pages[:-1]] == [70] * (len(pages) - 1)
    found = [one for sessions in pages for one in sessions]
    assert len(set(ids(found))) == len(found) > CROWD
    assert found == sorted(found, key=lambda one: (ORDERS[by](one), one["session_id"]), reverse=descending)


def test_the_newest_come_first_and_fifty_of_them(crowd: Api) -> None:
    found = page(crowd)["sessions"]
    assert len(found) == 50
    assert found == page(crowd, "sort=-started&limit=50")["sessions"]


def test_a_list_that_ends_with_its_page_has_no_next_one(crowd: Api) -> None:
    count = len(listed(crowd, "user=alice"))
    assert page(crowd, f"user=alice&limit={count}")["next_cursor"] is None
    assert page(crowd, f"user=alice&limit={count - 1}")["next_cursor"]


def test_a_page_with_nothing_on_it_can_lead_on(crowd: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, most in (("_FEW", 0), ("_MOST_READ", 100), ("_MOST_WALKED", 100)):
        monkeypatch.setattr(sqlite_listing, name, most)
        monkeypatch.setattr(mongo_listing, name, most, raising=False)
    pages = all_pages(crowd, "q=alice&sort=registered")
    assert [] in pages
    assert {one["user"] for sessions in pages for one in sessions} == {"alice"}


@pytest.mark.parametrize(
    "other",
    ["user=user001", "sort=length", "q=cast", "state=failed", "tag=env%3Dprod", "started_after=2025-01-01T00:00:00Z"],
)
def test_a_cursor_is_good_for_the_list_that_it_came_with(crowd: Api, other: str) -> None:
    cursor = page(crowd, "limit=10")["next_cursor"]
    assert page(crowd, f"cursor={cursor}&limit=20")["sessions"]
    refused = crowd.get(f"/sessions?cursor={cursor}&{other}", READ)
    assert_problem(refused, 400, "other-cursor")


@pytest.mark.parametrize(
    "place",
    [
        (),
        ("x",),
        ("x", 1, SESSION_ID),
        ("<mark>", "1", "no id"),
        ("<mark>", "one", SESSION_ID),
        ("<mark>", "", SESSION_ID),
        ("<mark>", str(2**63), SESSION_ID),
        ("<mark>", "9" * 1000, SESSION_ID),
    ],
)
def test_a_cursor_that_no_page_ended_with_leads_nowhere(crowd: Api, place: tuple[str | int, ...]) -> None:
    mark, *_ = place_of(page(crowd, "limit=1")["next_cursor"], str, str, str)
    forged = cursor_of(*(mark if part == "<mark>" else part for part in place))
    assert_problem(crowd.get(f"/sessions?cursor={forged}", READ), 404, "not-found")


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=many", "limit"),
        ("state=lost", "state"),
        ("verified=yes", "verified"),
        ("sort=name", "sort"),
        ("sort=--length", "sort"),
        ("tag=env", "tag"),
        ("tag=%3Dprod", "tag"),
        (f"q={'x' * 201}", "q"),
        (f"user={'x' * 1025}", "user"),
        ("started_after=yesterday", "started_after"),
        ("started_after=2026-01-31", "started_after"),
        ("started_before=2026-01-31T12:00:00", "started_before"),
        ("started_before=1769860800", "started_before"),
        ("cursor=%20", "cursor"),
        ("users=ada", "users"),
        ("user=ada&user=bob", "user"),
        ("since=2026-01-31T12:00:00Z", "since"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_its_name(crowd: Api, query: str, name: str) -> None:
    refused = assert_problem(crowd.get(f"/sessions?{query}", READ), 422, "invalid")
    assert {error["name"].partition(".")[0] for error in refused["errors"]} == {name}


@pytest.mark.parametrize(
    "text", ["' OR 1=1 UNION --", "%", "_", "*", '"', "\0", "\\", "会议", "\ufffd", "a" * 200, "(", '["env"]["prod"]x']
)
@pytest.mark.parametrize("name", ["q", "user", "host", "media_type"])
def test_any_text_is_compared_and_nothing_more(crowd: Api, name: str, text: str) -> None:
    says_nothing = name == "q" and not any(char.isalnum() for char in text)
    assert bool(listed(crowd, f"{name}={quote(text)}")) is says_nothing
