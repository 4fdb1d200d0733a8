"""Sizes, durations and times in words for people."""

from datetime import UTC

from lucid_pipeline.archive.manifest import parse_time, timestamp

_KIB = 1024
_MINUTES = len("2026-01-31T12:00")


def size(count: int | None) -> str:
    """So many bytes."""
    if count is None:
        return ""
    amount, units = float(count), ("B", "KiB", "MiB", "GiB", "TiB")
    for unit in units:
        if amount < _KIB or unit == units[-1]:
            return f"{count} B" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIB
    return ""


def duration(milliseconds: int | None) -> str | None:
    """So many milliseconds, as hours, minutes and seconds."""
    if milliseconds is None:
        return None
    minutes, seconds = divmod(round(milliseconds / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def minute(time: str) -> str:
    """An RFC 3339 time in UTC, to the minute; of any other text its beginning."""
    try:
        return timestamp(parse_time(time).astimezone(UTC))[:_MINUTES]
    except (ValueError, OverflowError):
        return time[:_MINUTES]
