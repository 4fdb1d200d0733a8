"""Places that callers share: nobody takes them all."""

from contextlib import ExitStack
from http import HTTPStatus

import pytest

from lucid_api.http.shares import Shares
from lucid_api.problems import Problem


class Full(Problem):
    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "full", "Full"

    def __init__(self) -> None:
        super().__init__("there is no place")


def test_they_are_bounded_for_each_caller_and_in_all() -> None:
    shares = Shares(64, Full, of_one=8)
    with ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(shares.one_of("a"))
        with pytest.raises(Full):
            shares.take("a")
        for number in range(56):
            stack.enter_context(shares.one_of(f"b{number % 8}"))
        with pytest.raises(Full):
            shares.take("c")
    shares.take("a")


@pytest.mark.parametrize(("most", "of_one"), [(1, 1), (2, 1), (3, 2), (16, 8)])
def test_half_of_them_is_the_share_of_one(most: int, of_one: int) -> None:
    shares = Shares(most, Full)
    for _ in range(of_one):
        shares.take("a")
    with pytest.raises(Full):
        shares.take("a")
    if most > 1:
        shares.take("b")
    shares.give_back("a")
    shares.take("a")


def test_a_place_is_free_again_whatever_became_of_what_it_was_for() -> None:
    shares = Shares(1, Full)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), shares.one_of("a"):
            raise ZeroDivisionError
    with shares.one_of("b"), pytest.raises(Full), shares.one_of("a"):
        pass
