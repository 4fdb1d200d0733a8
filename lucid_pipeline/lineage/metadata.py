"""Figures that several assets show in the same form."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from dagster import MetadataValue

_MEGABYTE = 1_000_000


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
        "megabytes_per_second": MetadataValue.float(round(count / _MEGABYTE / max(watch.seconds, 1e-6), 1)),
    }
