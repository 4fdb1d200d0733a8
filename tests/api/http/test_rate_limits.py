"""How much one caller may ask: a bucket that fills again, and says how much is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_api.access.scopes import Scope
from lucid_api.http import rate_limits
from lucid_api.http.rate_limits import RateLimit
from tests.api.access.conftest import bare_home as bare_home
from tests.api.access.support import bearer, new_key, recorded
from tests.api.support import Api, assert_problem, running_api


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_all_at_once_then_one_after_the_other() -> None:
    clock = Clock()
    limit = RateLimit(3, 60, clock)
    assert [limit.take("a").left for _ in range(3)] == [2, 1, 0]
    refused = limit.take("a")
    assert (refused.left, refused.wait, refused.full_in) == (0, 20, 60)
    clock.now += 19
    assert limit.take("a").wait == pytest.approx(1)
    clock.now += 1
    assert limit.take("a").wait == 0
    assert limit.take("a").wait == pytest.approx(20)
    clock.now += 10_000
    assert limit.take("a").left == 2, "it gets no fuller than full"


def test_each_name_has_its_own() -> None:
    limit = RateLimit(1, 60, Clock())
    assert [limit.take(name).wait for name in "aba"] == [0, 0, 60]


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 5))
def test_no_window_lets_through_more_than_twice_its_limit(pauses: list[float], most: int) -> None:
    """A full bucket, and what comes back meanwhile."""
    clock = Clock()
    limit = RateLimit(most, 60, clock)
    let_through = []
    for pause in pauses:
        clock.now += pause
        if not limit.take("a").wait:
            let_through.append(clock.now)
    for begin in let_through:
        assert sum(begin <= moment < begin + 60 for moment in let_through) <= 2 * most


def test_names_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "_MOST_BUCKETS", 2)
    limit = RateLimit(1, 60, Clock())
    for name in "abca":
        assert limit.take(name).wait == 0, "the one that was not asked for longest has been forgotten"
    assert limit.take("c").wait == 60


@pytest.fixture
def strict_api(bare_home: Path) -> Iterator[Api]:
    """The API, which lets each caller ask 60 times a minute."""
    with running_api(bare_home, api_requests_per_minute=60) as api:
        yield api


def test_who_asks_too_often_has_to_wait_and_others_do_not(strict_api: Api, bare_home: Path) -> None:
    (_, busy), (_, other) = new_key(strict_api, Scope.SESSIONS_READ), new_key(strict_api, Scope.SESSIONS_READ)
    answers = [strict_api.client.get("/api/v1/me", headers=bearer(busy)) for _ in range(70)]
    assert answers[0].headers["RateLimit-Policy"] == '"default";q=60;w=60'
    assert answers[0].headers["RateLimit"] == '"default";r=59;t=1'
    assert [answer.status_code for answer in answers[:60]] == [200] * 60
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert_problem(refused[0], 429, "too-many-requests")
    assert refused[0].headers["Retry-After"] == "1"
    assert refused[0].headers["RateLimit"].startswith('"default";r=0;t=')
    assert strict_api.client.get("/api/v1/me", headers=bearer(other)).status_code == 200
    assert not recorded(bare_home, "sign_in.failed")


def test_what_is_refused_counts_as_well(strict_api: Api) -> None:
    headers = strict_api.headers()
    for _ in range(60):
        assert strict_api.client.get("/api/v1/api-keys", headers=headers).status_code in (403, 429)
    assert strict_api.client.get("/api/v1/api-keys", headers=headers).status_code == 429


def test_nobody_in_particular_is_not_counted(strict_api: Api) -> None:
    """Behind a Tor hidden service all have one address: whoever wears that out would keep everybody from signing in."""
    statuses = {strict_api.client.get("/sign-in").status_code for _ in range(100)}
    assert statuses == {200}


def test_every_operation_says_that_there_is_a_limit(strict_api: Api) -> None:
    document = strict_api.client.get("/api/v1/openapi.json").json()
    for path in document["paths"].values():
        for operation in path.values():
            assert ("429" in operation["responses"]) == ("security" in operation)
