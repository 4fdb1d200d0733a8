"""Ranges, by the rules of RFC 9110, section 14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_api.http.conditional import PreconditionFailed
from lucid_api.http.ranges import RangeNotSatisfiable, Representation, Selection, select
from tests.api.http.requests import request_with

TEN = bytes(range(10))


def asked(content: bytes = TEN, method: str = "GET", **headers: str) -> Selection:
    whole = Representation(len(content), '"tag"', {"Cache-Control": "no-store"})
    return select(request_with(method, **headers), whole)


@pytest.mark.parametrize(
    ("given", "content_range", "part"),
    [
        ("bytes=0-0", "bytes 0-0/10", TEN[:1]),
        ("bytes=0-4", "bytes 0-4/10", TEN[:5]),
        ("bytes=3-", "bytes 3-9/10", TEN[3:]),
        ("bytes=9-9", "bytes 9-9/10", TEN[9:]),
        ("bytes=5-99", "bytes 5-9/10", TEN[5:]),
        (f"bytes=5-{'9' * 5000}", "bytes 5-9/10", TEN[5:]),
        (f"bytes={'0' * 30}5-6", "bytes 5-6/10", TEN[5:7]),
        ("bytes=-3", "bytes 7-9/10", TEN[7:]),
        ("bytes=-99", "bytes 0-9/10", TEN),
        ("Bytes=0-1", "bytes 0-1/10", TEN[:2]),
        ("bytes= 0-1 ", "bytes 0-1/10", TEN[:2]),
        ("bytes=, 0-1,", "bytes 0-1/10", TEN[:2]),
        ("bytes=0-1,20-", "bytes 0-1/10", TEN[:2]),
    ],
)
def test_a_range_is_answered_with_that_part(given: str, content_range: str, part: bytes) -> None:
    answer = asked(Range=given)
    assert answer.status == 206
    assert answer.headers["Content-Range"] == content_range
    assert answer.headers["Content-Length"] == str(len(part))
    assert TEN[answer.start : answer.stop] == part


@pytest.mark.parametrize("given", ["", "bytes 0-1", "items=0-1", "bytes=0-1,3-4", "bytes=0-5,2-7", "=", "0-1"])
def test_what_is_no_single_range_of_bytes_is_answered_with_the_whole(given: str) -> None:
    answer = asked(Range=given)
    assert (answer.status, answer.start, answer.stop) == (200, 0, 10)
    assert "Content-Range" not in answer.headers
    assert answer.headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    "given",
    [
        "bytes=10-",
        "bytes=10-12",
        f"bytes={'9' * 5000}-",
        "bytes=-0",
        "bytes=5-2",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=1-2-3",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=²-³",
        "bytes=20-21,30-",
    ],
)
def test_a_range_that_is_not_there_or_none_at_all_is_refused(given: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as refused:
        asked(Range=given)
    assert refused.value.headers["Content-Range"] == "bytes */10"
    assert refused.value.members == {"length": 10}


@pytest.mark.parametrize("given", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_of_nothing_there_is_no_range(given: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        asked(b"", Range=given)
    assert asked(b"").headers["Content-Length"] == "0"


def test_a_broken_off_download_goes_on_only_if_it_is_the_same_thing() -> None:
    assert asked(Range="bytes=5-", If_Range='"tag"').status == 206
    for other in ('"other"', 'W/"tag"', "Wed, 21 Oct 2015 07:28:00 GMT"):
        assert asked(Range="bytes=5-", If_Range=other).status == 200
        assert asked(Range="bytes=99-", If_Range=other).status == 200


def test_conditions_come_before_the_range() -> None:
    unchanged = asked(Range="bytes=99-", If_None_Match='"tag"')
    assert (unchanged.status, unchanged.start, unchanged.stop) == (304, 0, 0)
    assert unchanged.headers["ETag"] == '"tag"'
    with pytest.raises(PreconditionFailed):
        asked(Range="bytes=0-", If_Match='"other"')


def test_head_tells_of_the_whole_and_has_no_content() -> None:
    answer = asked(method="HEAD", Range="bytes=0-1")
    assert (answer.status, answer.start, answer.stop) == (200, 0, 0)
    assert answer.headers["Content-Length"] == "10"


def test_every_answer_has_the_headers_of_the_whole() -> None:
    for answer in (asked(), asked(method="HEAD"), asked(Range="bytes=0-1"), asked(If_None_Match="*")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["ETag"] == '"tag"'
        assert answer.headers["Accept-Ranges"] == "bytes"


@given(st.binary(min_size=1, max_size=50), st.integers(0, 60), st.integers(0, 60))
def test_any_range_is_the_slice_or_refused(content: bytes, first: int, last: int) -> None:
    expected = content[first : last + 1]
    try:
        answer = asked(content, Range=f"bytes={first}-{last}")
    except RangeNotSatisfiable:
        assert not expected
    else:
        assert content[answer.start : answer.stop] == expected


@given(st.text(st.characters(max_codepoint=255), max_size=20))
def test_no_range_is_a_failure(text: str) -> None:
    try:
        answer = asked(Range=f"bytes={text}")
    except RangeNotSatisfiable:
        return
    assert 0 <= answer.start < answer.stop <= 10
