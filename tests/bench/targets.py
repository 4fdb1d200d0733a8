"""The numbers to reach that one process can show, and whether a run reached them."""

from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.contest import ARCHIVE, EXPORT, Operation, Results
from tests.bench.contestants import BORG, BUCKET, DAGSTER, LIBRARY, RESTIC, ZSTD, ZSTD_AGE
from tests.bench.corpora import MIB

TERMINAL = "terminal text"
VIDEO = "incompressible"
ZEROS = "zeros"

MOST_GROWTH_BYTES = 160 * MIB
MOST_EXTRA_S = 1.0

# The peer's seconds divided by ours must be at least this.
_SPEED: tuple[tuple[str, Operation, str, str, float], ...] = (
    (LIBRARY, ARCHIVE, TERMINAL, RESTIC, 2.5),
    (LIBRARY, ARCHIVE, TERMINAL, BORG, 2.5),
    (LIBRARY, ARCHIVE, TERMINAL, ZSTD, 1 / 1.1),  # "within 10 % of zstd alone"
    (LIBRARY, ARCHIVE, VIDEO, RESTIC, 5.0),
    (LIBRARY, ARCHIVE, VIDEO, BORG, 5.0),
    (LIBRARY, ARCHIVE, VIDEO, ZSTD_AGE, 1.5),
    (LIBRARY, EXPORT, VIDEO, RESTIC, 2.5),
    (BUCKET, ARCHIVE, TERMINAL, LIBRARY, 0.5),
    (BUCKET, ARCHIVE, VIDEO, LIBRARY, 0.5),
)


@dataclass(frozen=True)
class Verdict:
    """One number; `seen` and `reached` are None where a side of the comparison did not run."""

    work: str
    against: str
    reach: str
    seen: str | None
    reached: bool | None


def verdicts(results: Results) -> list[Verdict]:
    return [*_speed(results), *_extra(results), *_memory(results)]


def _speed(results: Results) -> Iterator[Verdict]:
    for name, operation, corpus, peer, factor in _SPEED:
        ours, theirs = results.find(name, operation, corpus), results.find(peer, operation, corpus)
        work, reach = f"{operation} {corpus}, {name}", f"at least {factor:.3g} x as fast"
        if ours is None or theirs is None:
            yield Verdict(work, peer, reach, None, None)
        else:
            ratio = theirs.seconds() / ours.seconds()
            yield Verdict(work, peer, reach, f"{ratio:.2f} x", ratio >= factor)


def _extra(results: Results) -> Iterator[Verdict]:
    """The same work through Dagster, minus the library."""
    for corpus in (TERMINAL, VIDEO):
        through, alone = results.find(DAGSTER, ARCHIVE, corpus), results.find(LIBRARY, ARCHIVE, corpus)
        work, reach = f"{ARCHIVE} {corpus}, {DAGSTER}", f"at most {MOST_EXTRA_S:.0f} s more"
        if through is None or alone is None:
            yield Verdict(work, LIBRARY, reach, None, None)
        else:
            extra = through.seconds() - alone.seconds()
            yield Verdict(work, LIBRARY, reach, f"{extra:+.2f} s", extra <= MOST_EXTRA_S)


def _memory(results: Results) -> Iterator[Verdict]:
    reach = f"peak growth at most {MOST_GROWTH_BYTES // MIB} MiB"
    series = [one for one in results.series if one.operation == ARCHIVE and one.growth_bytes() is not None]
    for one in series:
        growth = one.growth_bytes() or 0
        work = f"memory, {one.work}, {one.contestant}"
        yield Verdict(work, "the imported process", reach, f"{growth / MIB:.0f} MiB", growth <= MOST_GROWTH_BYTES)
    if not series:
        yield Verdict("memory, archive", "the imported process", reach, None, None)
