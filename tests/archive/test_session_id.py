"""Session ids: made by Lucid, and never by anyone's text."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucid_pipeline.archive.session_id import made_at, new_session_id, parse_session_id
from lucid_pipeline.errors import UsageError


def test_an_id_that_was_made_is_read_back() -> None:
    session_id = new_session_id()
    assert session_id.version == 7
    assert parse_session_id(str(session_id)) == session_id


def test_an_id_says_when_it_was_made() -> None:
    before = datetime.now(UTC)
    made = made_at(new_session_id())
    assert abs(made - before) < timedelta(seconds=5)
    # RFC 9562, appendix A.6.
    assert made_at(UUID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f")) == datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)


def test_an_id_that_was_made_up_can_say_what_is_no_time() -> None:
    with pytest.raises(OverflowError):
        made_at(parse_session_id("ffffffff-ffff-7fff-bfff-ffffffffffff"))


def test_later_ids_sort_behind_earlier_ones() -> None:
    ids = [str(new_session_id()) for _ in range(1000)]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "../../etc/passwd",
        "%00",
        "\x00",
        "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b/..",
        "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b\n",
        " 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "0190A1B2-C3D4-7E5F-8A9B-0C1D2E3F4A5B",
        "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        "{0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}",
        "urn:uuid:0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "0190a1b2-c3d4-4e5f-8a9b-0c1d2e3f4a5b",
        "0190a1b2-c3d4-7e5f-0a9b-0c1d2e3f4a5b",
        "00000000-0000-0000-0000-000000000000",
        "\u0660190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "x" * 10_000,
    ],
)
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no session id") as refused:
        parse_session_id(text)
    assert len(refused.value.message) < 500
    assert "\n" not in refused.value.message
    assert "\x00" not in refused.value.message


@given(st.text(max_size=50) | st.uuids().map(str))
def test_text_becomes_an_id_only_if_it_is_how_that_id_is_written(text: str) -> None:
    try:
        assert str(parse_session_id(text)) == text
    except UsageError:
        assert len(text) != 36 or text[14] != "7" or text[19] not in "89ab" or not text.isascii()
