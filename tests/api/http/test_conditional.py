"""Conditional requests, by the rules of RFC 9110, sections 8.8.3 and 13."""

from hashlib import sha256

import pytest

from lucid_api.http.conditional import PreconditionFailed, conditional, entity_tag, is_unchanged, repr_digest
from tests.api.http.requests import request_with

TAG = '"tag"'


@pytest.mark.parametrize("given", ['"tag"', 'W/"tag"', '"other", "tag"', '"other",W/"tag"', "*", " * "])
def test_who_has_it_gets_no_second_copy(given: str) -> None:
    assert is_unchanged(request_with(If_None_Match=given), TAG)


@pytest.mark.parametrize("given", ['"other"', '"ta', "tag", '"TAG"', "", '"a*"'])
def test_who_has_another_state_gets_this_one(given: str) -> None:
    assert not is_unchanged(request_with(If_None_Match=given), TAG)
    assert not is_unchanged(request_with(), TAG)


@pytest.mark.parametrize("given", ['"tag"', '"other", "tag"', "*"])
def test_who_wants_this_state_gets_it(given: str) -> None:
    assert not is_unchanged(request_with(If_Match=given), TAG)


@pytest.mark.parametrize("given", ['"other"', 'W/"tag"', "tag", ""])
def test_who_wants_another_state_gets_none(given: str) -> None:
    with pytest.raises(PreconditionFailed):
        is_unchanged(request_with(If_Match=given, If_None_Match="*"), TAG)


def test_an_answer_without_content_has_the_headers_of_the_whole() -> None:
    whole = conditional(request_with(), b"content", "text/plain", "no-cache")
    assert whole.headers["ETag"] == entity_tag(b"content")
    unchanged = conditional(request_with(If_None_Match=whole.headers["ETag"]), b"content", "text/plain", "no-cache")
    assert (unchanged.status_code, unchanged.body) == (304, b"")
    assert unchanged.headers["ETag"] == whole.headers["ETag"]
    assert unchanged.headers["Cache-Control"] == "no-cache"


def test_the_digest_of_a_representation_is_written_as_rfc_9530_says() -> None:
    digest = sha256(b'{"hello": "world"}\n').digest()
    assert repr_digest(digest) == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
