"""Cursors: what was put in comes out; and what somebody else made is refused, whatever it is."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_api.http.cursors import cursor_of, place_of
from lucid_api.problems import NotFound


@given(st.text(max_size=50), st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_place_comes_back_as_it_was(text: str, number: int) -> None:
    cursor = cursor_of(text, number)
    assert place_of(cursor, str, int) == [text, number]
    assert cursor.replace("-", "").replace("_", "").isalnum()


def forged(document: bytes) -> str:
    return base64.urlsafe_b64encode(document).decode().rstrip("=")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"[]",
        b"1",
        b'"a"',
        b"null",
        b'["a"]',
        b'["a",1,2]',
        b'[1,"a"]',
        b'["a",true]',
        b'["a",1.0]',
        b'["a",null]',
        b'["\\ud800",1]',
        b'["a",9223372036854775808]',
        b'["a",1e999]',
        b'["a",' + b"1" * 5000 + b"]",
        b"[" * 1000 + b"]" * 1000,
        b"\xff\xfe",
    ],
)
def test_what_no_page_ended_with_is_refused(document: bytes) -> None:
    with pytest.raises(NotFound):
        place_of(forged(document), str, int)


@given(st.text(max_size=60))
def test_whatever_text_is_refused_or_read(cursor: str) -> None:
    try:
        place = place_of(cursor, str, int)
    except NotFound:
        return
    assert [type(part) for part in place] == [str, int]
