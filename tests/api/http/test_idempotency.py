"""What is sent twice under one `Idempotency-Key` is done once."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, Response

from lucid_api.http import idempotency
from lucid_api.http.idempotency import IdempotentRequests, KeyInUse, KeyReused
from lucid_api.services import opened_services
from lucid_api.state import StateDatabase
from lucid_pipeline.errors import TransientError, UsageError
from tests.api.conftest import SealedHome
from tests.api.support import copy_of, settings_of


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateDatabase]:
    with closing(StateDatabase(tmp_path)) as state:
        yield state


class Work:
    """Something that is done for a request; counts how often."""

    def __init__(self, requests: IdempotentRequests) -> None:
        self.requests = requests
        self.done = 0

    def ask(self, subject: str, key: str | None, *asked: str) -> Response:
        with self.requests.once(subject, key, *asked) as attempt:
            if attempt.answered:
                return attempt.answered
            self.done += 1
            return attempt.answer(JSONResponse({"done": self.done}, 202, {"Location": f"/runs/{self.done}"}))


@pytest.fixture
def work(state: StateDatabase) -> Work:
    return Work(IdempotentRequests(state))


def test_the_same_request_again_gets_the_same_answer_and_is_not_done_again(work: Work) -> None:
    first, again = (work.ask("key:a", "k", "start", "body") for _ in range(2))
    assert work.done == 1
    assert first is not again
    assert (again.status_code, again.headers, again.body) == (202, first.headers, first.body)
    assert json.loads(bytes(again.body)) == {"done": 1}


def test_it_is_remembered_by_the_next_process(work: Work, state: StateDatabase) -> None:
    first = work.ask("key:a", "k", "start")
    assert Work(IdempotentRequests(state)).ask("key:a", "k", "start").body == first.body


def test_keys_are_of_one_caller(work: Work) -> None:
    assert work.ask("key:a", "k", "start").body != work.ask("key:b", "k", "start").body


def test_without_a_key_everything_is_done(work: Work) -> None:
    assert work.ask("key:a", None, "start").body != work.ask("key:a", None, "start").body


@pytest.mark.parametrize("other", [("stop", "body"), ("start", "Body"), ("startb", "ody"), ("start",)])
def test_a_key_is_of_one_request(work: Work, other: tuple[str, ...]) -> None:
    work.ask("key:a", "k", "start", "body")
    with pytest.raises(KeyReused):
        work.ask("key:a", "k", *other)


def test_what_is_being_done_is_not_done_at_the_same_time(work: Work) -> None:
    with work.requests.once("key:a", "k", "start"):
        with pytest.raises(KeyInUse) as refused:
            work.ask("key:a", "k", "start")
        work.ask("key:a", "another", "start")
    assert refused.value.headers == {"Retry-After": "1"}
    work.ask("key:a", "k", "start")


def test_of_many_at_once_one_is_done(work: Work) -> None:
    together, refused = threading.Barrier(8), []

    def ask() -> None:
        together.wait()
        try:
            work.ask("key:a", "k", "start")
        except KeyInUse as error:
            refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert work.done == 1


def test_what_failed_may_be_tried_again(work: Work) -> None:
    with pytest.raises(RuntimeError), work.requests.once("key:a", "k", "start"):
        raise RuntimeError
    assert work.ask("key:a", "k", "start").status_code == 202


def test_whoever_died_over_it_blocks_nobody(work: Work, state: StateDatabase) -> None:
    with work.requests.once("key:a", "k", "start"):
        assert Work(IdempotentRequests(state)).ask("key:a", "k", "start").status_code == 202


def test_after_a_day_a_key_is_free_again(work: Work, state: StateDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    work.ask("key:a", "k", "start")
    monkeypatch.setattr(idempotency, "KEPT_FOR", timedelta(0))
    work.ask("key:b", "k", "start")
    with state.reading() as connection:
        assert [row["subject"] for row in connection.execute("SELECT * FROM idempotent_requests")] == ["key:b"]
    assert work.ask("key:a", "k", "another").status_code == 202


def test_of_each_caller_the_newest_are_kept(work: Work, state: StateDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MOST_OF_A_SUBJECT", 3)
    work.ask("key:b", "other", "start")
    for number in range(5):
        work.ask("key:a", str(number), "start")
    with state.reading() as connection:
        kept = {tuple(row) for row in connection.execute("SELECT subject, key FROM idempotent_requests")}
    assert kept == {("key:b", "other"), ("key:a", "2"), ("key:a", "3"), ("key:a", "4")}


def test_what_is_done_is_answered_even_if_it_cannot_be_remembered(
    work: Work, state: StateDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise TransientError("the disk is full")

    monkeypatch.setattr(state, "writing", full)
    assert work.ask("key:a", "k", "start").status_code == 202


def test_one_process_serves_a_home(sealed_home: SealedHome, tmp_path: Path) -> None:
    settings = settings_of(copy_of(sealed_home.folder, tmp_path))
    with (
        opened_services(settings),
        pytest.raises(UsageError, match="another session API serves"),
        opened_services(settings),
    ):
        pass
    with opened_services(settings):
        pass
