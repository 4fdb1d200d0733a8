"""Figures that several assets show in the same form."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dagster import MetadataValue

from lucid_pipeline.settings import Settings

MEGABYTE = 1_000_000
SESSION_LINK = "session"
_MOST_ROWS = 100


@dataclass(slots=True)
class Stopwatch:
    """Seconds of wall time that its `with` block took."""

    seconds: float = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure a block."""
    watch, start = Stopwatch(), time.perf_counter()
    yield watch
    watch.seconds = time.perf_counter() - start


def throughput(count: int, watch: Stopwatch) -> Mapping[str, MetadataValue]:
    """How long so many bytes took, and how many MB that makes a second."""
    return {
        "seconds": MetadataValue.float(round(watch.seconds, 3)),
        "megabytes_per_second": MetadataValue.float(round(count / MEGABYTE / max(watch.seconds, 1e-6), 1)),
    }


def session_link(settings: Settings, session_id: str) -> MetadataValue:
    """A link to the page of a session, for whoever looks at Dagster's UI."""
    return MetadataValue.url(f"{settings.public_api_url}/sessions/{session_id}")


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> MetadataValue:
    """Rows of text as Markdown; of very many only the first, and how many more there are."""
    lines = [columns, ["---"] * len(columns), *rows[:_MOST_ROWS]]
    if len(rows) > _MOST_ROWS:
        lines.append([f"and {len(rows) - _MOST_ROWS} more"])
    return MetadataValue.md("\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
