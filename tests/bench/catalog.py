"""`python -m tests.bench.catalog`: what a page of sessions costs, in SQLite and in MongoDB, whatever their number.

Asked of the catalogs themselves, in this process: every filter and every order there is, from the middle of what there
is. Exit status 1 if a page costs more the more sessions there are.

FerretDB, which stands in for MongoDB where that is not to be had, looks through all sessions for any question: what it
takes is told for small catalogs alone, and not judged.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from lucid_pipeline.stores.catalog import Catalog, Order, Position, SessionFilter, Sort
from lucid_pipeline.stores.catalog_url import open_catalog
from tests.bench import catalogs
from tests.servers.go_programs import NotToBeHad
from tests.servers.mongodb import mongodb_server
from tests.stores.asked import FILTERS, MIDDLE, NEVER_TOGETHER, NOTHING_SAID, SESSION_ID, name_of

SQLITE, MONGODB, FERRETDB = "SQLite", "MongoDB", "FerretDB"
SIZES = (1_000, 100_000)

_PAGE = 50
_REACH_GROWTH = 2.0
_REACH_S = 0.25


@dataclass(frozen=True)
class Cost:
    """What a question takes in a catalog of so many sessions: of its orders the slowest, median of the rounds."""

    catalog: str
    sessions: int
    question: str
    order: str
    seconds: float


@dataclass(frozen=True)
class Fill:
    """How long it took to put so many sessions into a catalog, one in its place after the other."""

    catalog: str
    sessions: int
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    fills: list[Fill] = []
    costs: list[Cost] = []
    with ExitStack() as stack:
        for name, new_url in _places(stack, options.only):
            most = options.most_ferretdb if name == FERRETDB else max(options.sizes)
            for size in sorted({min(size, most) for size in options.sizes}):
                with closing(open_catalog(new_url())) as catalog:
                    fills.append(_fill(name, catalog, size))
                    costs += _measure(name, catalog, size, options.rounds)
    if options.json:
        json.dump({"fills": [*map(asdict, fills)], "costs": [*map(asdict, costs)]}, sys.stdout, indent=2)
    else:
        _print(fills, costs)
    return int(not all(good for *_, good in _verdicts(costs)))


def _places(stack: ExitStack, only: Sequence[str] | None) -> Iterator[tuple[str, Callable[[], str]]]:
    """The catalogs there are, and how to make the URL of a new one."""
    wanted = only or (SQLITE, MONGODB)
    if SQLITE in wanted:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lucid-bench-catalog-")))
        yield SQLITE, lambda: f"sqlite:///{folder}/{time.monotonic_ns()}.sqlite3"
    if MONGODB not in wanted:
        return
    try:
        server = stack.enter_context(mongodb_server())
    except NotToBeHad as error:
        print(error, file=sys.stderr)
        return
    yield MONGODB if server.is_real else FERRETDB, server.new_url


def _fill(name: str, catalog: Catalog, size: int) -> Fill:
    print(f"{name}: {size:,} sessions ...", file=sys.stderr)
    began = time.perf_counter()
    catalogs.fill(catalog, size)
    return Fill(name, size, time.perf_counter() - began)


def _measure(name: str, catalog: Catalog, size: int, rounds: int) -> Iterator[Cost]:
    for by in Sort:
        order = Order(by)
        yield Cost(name, size, f"all, by {by}", name_of(order), _page_cost(catalog, NOTHING_SAID, order, rounds))
    for wanted in (*FILTERS[1:], *NEVER_TOGETHER):
        found = {name_of(Order(by)): _page_cost(catalog, wanted, Order(by), rounds) for by in Sort}
        slowest = max(found, key=found.__getitem__)
        yield Cost(name, size, _question(wanted), slowest, found[slowest])
    yield Cost(name, size, "statistics", "", _cost(lambda: catalog.statistics(date(2025, 1, 1)), rounds))


def _page_cost(catalog: Catalog, wanted: SessionFilter, order: Order, rounds: int) -> float:
    middle = Position(MIDDLE[order.by], SESSION_ID)
    return _cost(lambda: catalog.page(wanted, order, middle, _PAGE), rounds)


def _cost(call: Callable[[], object], rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return median(times)


def _question(wanted: SessionFilter) -> str:
    """What is asked for, in the words that say something."""
    given = {name: value for name, value in asdict(wanted).items() if value}
    return ", ".join(f"{name} {_shown(value)}" for name, value in given.items())


def _shown(value: object) -> str:
    if isinstance(value, list):
        return "+".join("=".join(part) if isinstance(part, tuple) else str(part) for part in value)
    return str(value)[:20]


def _verdicts(costs: Sequence[Cost]) -> Iterator[tuple[str, str, float, float, bool]]:
    """For each question of a catalog that is judged: how much more the largest costs than the smallest, and if it may.

    One for which next to nothing had to be looked through among few may take until the bound among many.
    """
    for name in (SQLITE, MONGODB):
        sizes = sorted({cost.sessions for cost in costs if cost.catalog == name})
        if len(sizes) < 2:
            continue
        known = {(cost.sessions, cost.question): cost.seconds for cost in costs if cost.catalog == name}
        for question in dict.fromkeys(cost.question for cost in costs):
            before, after = known[sizes[0], question], known[sizes[-1], question]
            good = after <= max(_REACH_S, _REACH_GROWTH * before)
            yield name, question, after / before, after, good


def _print(fills: Sequence[Fill], costs: Sequence[Cost]) -> None:
    console = Console(width=None if sys.stdout.isatty() else 170)
    columns = [(fill.catalog, fill.sessions) for fill in fills]
    table = Table(
        title=f"A page of {_PAGE} from the middle, slowest of six orders: milliseconds",
        caption=f"good: at most {_REACH_S * 1e3:.0f} ms, or {_REACH_GROWTH:.0f} x",
    )
    table.add_column("question", no_wrap=True)
    for name, size in columns:
        table.add_column(f"{name} {size:,}", justify="right", no_wrap=True)
    judged = list(dict.fromkeys(name for name, *_ in _verdicts(costs)))
    for name in judged:
        table.add_column(f"{name} growth", justify="right", no_wrap=True)
    shown = {(cost.catalog, cost.sessions, cost.question): f"{cost.seconds * 1e3:.1f}" for cost in costs}
    growth = {
        (name, question): f"[{'green' if good else 'red'}]{times:.1f} x[/]"
        for name, question, times, _, good in _verdicts(costs)
    }
    for question in dict.fromkeys(cost.question for cost in costs):
        cells = [shown[(*column, question)] for column in columns]
        table.add_row(question, *cells, *(growth[name, question] for name in judged))
    table.add_section()
    table.add_row("sessions put in, a second", *(f"{fill.sessions / fill.seconds:,.0f}" for fill in fills))
    console.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-catalog", description=__doc__)
    parser.add_argument("--only", action="append", choices=(SQLITE, MONGODB), help="measure this catalog alone")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=SIZES,
        metavar="N",
        help="how many sessions; to put in a million takes minutes (default %(default)s)",
    )
    parser.add_argument(
        "--most-ferretdb", type=int, default=100, metavar="N", help="so many at most for FerretDB (default %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="how often each page is asked for")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
