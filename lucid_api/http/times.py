"""Moments as callers write them."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator

from lucid_pipeline.archive.manifest import parse_time


def _parsed(value: object) -> object:
    # Of itself Pydantic takes numbers, days, and times without a zone for moments as well.
    return parse_time(value) if isinstance(value, str) else value


Moment = Annotated[datetime, BeforeValidator(_parsed)]
"""An RFC 3339 time, which knows its zone."""
