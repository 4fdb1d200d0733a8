"""Moments as callers write them: RFC 3339, and nothing else."""

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter, ValidationError

from lucid_api.http.times import Moment

MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize("text", ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00.000+01:00", "2026-01-31t12:00:00z"])
def test_an_rfc_3339_time_is_a_moment(text: str) -> None:
    assert MOMENT.validate_python(text) == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "0",
        "0.5",
        "1769860800",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-02-30T12:00:00Z",
        "today",
        "",
        "2026-01-31T12Z",
    ],
)
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)
