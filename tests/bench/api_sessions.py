"""Lists, sessions and statistics of a session API over catalogs of several sizes: how long callers wait for them."""

import http.client
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from urllib.parse import urlencode

from rich.table import Table

from lucid_pipeline.home import Home
from lucid_pipeline.settings import Settings
from tests.bench import catalogs
from tests.bench.api_service import connect, new_home, served

SIZES = (10, 10_000, 200_000)

_REQUESTS = 100
_REACH_GROWTH = 2.0
_REACH_WORST_S = 0.25
_LIST = "/api/v1/sessions"


@dataclass(frozen=True)
class Wait:
    """How long a question took in a catalog of so many sessions, in seconds; `worst` for one that no index answers."""

    question: str
    sessions: int
    median_s: float
    p95_s: float
    worst: bool = False


def measure(folder: Path, sizes: Sequence[int]) -> Iterator[Wait]:
    """Ask every question of catalogs with so many sessions: of each in turn, so that a busy moment counts for all."""
    with ExitStack() as running:
        connections = {size: running.enter_context(_connected(folder / str(size), size)) for size in sizes}
        asked = {size: list(_questions(connection, size)) for size, connection in connections.items()}
        for connection in connections.values():
            connection.close()  # the service has done so with those that waited for the others; it is opened again
        for questions in zip(*asked.values(), strict=True):
            times: dict[int, list[float]] = {size: [] for size in sizes}
            for _ in range(_REQUESTS + 1):
                for (size, connection), (_, path, _) in zip(connections.items(), questions, strict=True):
                    started = time.perf_counter()
                    _ask(connection, path)
                    times[size].append(time.perf_counter() - started)
            for size, (question, _, worst) in zip(sizes, questions, strict=True):
                counted = times[size][1:]
                yield Wait(question, size, median(counted), quantiles(counted, n=20)[-1], worst)


def verdicts(waits: Sequence[Wait]) -> Iterator[tuple[str, float, str, bool]]:
    """For each question what was seen at the largest size, in words what is to be reached, and whether it was."""
    largest = max(wait.sessions for wait in waits)
    before = {wait.question: wait for wait in waits if wait.sessions < largest}  # the last of these counts
    for wait in waits:
        if wait.sessions == largest and wait.worst:
            yield wait.question, wait.median_s, f"at most {_REACH_WORST_S:.2f} s", wait.median_s <= _REACH_WORST_S
        elif wait.sessions == largest and wait.question in before:
            growth = wait.median_s / before[wait.question].median_s
            yield wait.question, growth, f"at most {_REACH_GROWTH:.0f} x", growth <= _REACH_GROWTH


def table_of(waits: Sequence[Wait]) -> Table:
    """What people read."""
    sizes = sorted({wait.sessions for wait in waits})
    table = Table(
        title="The session API: milliseconds, median (95 of 100 faster than)",
        title_justify="left",
        caption=f"Growth from {sizes[-2]:,} to {sizes[-1]:,} sessions." if len(sizes) > 1 else None,
    )
    table.add_column("question", no_wrap=True)
    for size in sizes:
        table.add_column(f"{size:,} sessions", justify="right", no_wrap=True)
    for name in ("seen", "reach"):
        table.add_column(name, justify="right", no_wrap=True)
    found = {question: rest for question, *rest in verdicts(waits)}
    shown = {(wait.question, wait.sessions): f"{wait.median_s * 1e3:.1f} ({wait.p95_s * 1e3:.1f})" for wait in waits}
    for question in dict.fromkeys(wait.question for wait in waits):
        seen, reach, good = found.get(question, (0.0, "", True))
        unit = "s" if reach.endswith("s") else "x"
        colour = "green" if good else "red"
        cells = [shown.get((question, size), "") for size in sizes]
        table.add_row(question, *cells, f"[{colour}]{seen:.2f} {unit}[/]" if reach else "", reach)
    return table


@contextmanager
def _connected(home: Path, size: int) -> Iterator[http.client.HTTPConnection]:
    """A connection to a service with so many sessions."""
    home.mkdir()
    environment = new_home(home)
    with Home(Settings(home=home / "home")).catalog(create=True) as catalog:
        catalogs.fill(catalog, size)
    with served(home, environment) as (_, port), closing(connect(port)) as connection:
        yield connection


def _questions(connection: http.client.HTTPConnection, size: int) -> Iterator[tuple[str, str, bool]]:
    middle = _cursor(connection, size // 2, {})
    longest = _cursor(connection, size // 2, {"sort": "-length"})
    around = _sessions(connection, {"cursor": middle, "limit": 500})
    session, user, host = around[0], _busiest(around, "user"), _busiest(around, "host")
    ticket, day = session["tags"]["ticket"], session["started_at"][:10]
    plain: list[tuple[str, dict[str, object]]] = [
        ("first page", {}),
        ("first page, of 500", {"limit": 500}),
        ("page in the middle", {"cursor": middle}),
        ("page in the middle, by length", {"cursor": longest, "sort": "-length"}),
        ("20 of a user", {"user": user, "limit": 20}),
        ("20 of a user, by length", {"user": user, "sort": "-length", "limit": 20}),
        ("20 on a host", {"host": host, "limit": 20}),
        ("videos, oldest first", {"media_type": "video/mp4", "sort": "started"}),
        ("sealed", {"state": "sealed"}),
        ("in quarantine", {"state": "quarantined"}),
        ("never verified", {"verified": "never"}),
        ("with a tag", {"tag": "env=test"}),
        ("with a tag that few have", {"tag": f"ticket={ticket}"}),
        ("of a day, by length", {"started_after": f"{day}T00:00:00Z", "sort": "-length"}),
        ("a word that many have", {"q": "prod"}),
        ("a word that few have", {"q": ticket}),
        ("the beginning of an id", {"q": session["session_id"][:13]}),
        ("20 of a user, with a tag, sealed", {"user": user, "tag": "env=prod", "state": "sealed", "limit": 20}),
        ("of nobody", {"user": "nobody"}),
    ]
    for question, query in plain:
        yield question, f"{_LIST}?{urlencode(query)}", False
    yield "videos by duration, which none has", f"{_LIST}?media_type=video/mp4&sort=-duration", True
    yield "columns that never meet", f"{_LIST}?protocol=ssh&media_type=video/mp4&sort=length", True
    yield "words that never meet", f"{_LIST}?q=cast+mp4&sort=length", True
    yield "one session", f"{_LIST}/{session['session_id']}", False
    yield "statistics", "/api/v1/statistics", False
    yield "the page for people", "/", False


def _busiest(sessions: Sequence[dict[str, Any]], column: str) -> str:
    """The user or host with most of these: one of whom a small catalog too fills a page, so that like is compared."""
    [(name, _)] = Counter(session[column] for session in sessions).most_common(1)
    return str(name)


def _cursor(connection: http.client.HTTPConnection, behind: int, query: dict[str, object]) -> str:
    """The cursor of the page that begins behind so many sessions."""
    cursor = ""
    while behind:
        step = min(behind, 500)
        found = _answer(connection, f"{_LIST}?{urlencode({**query, 'limit': step, **_given(cursor)})}")
        cursor, behind = found["next_cursor"], behind - step
    return cursor


def _given(cursor: str) -> dict[str, object]:
    return {"cursor": cursor} if cursor else {}


def _sessions(connection: http.client.HTTPConnection, query: dict[str, object]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = _answer(connection, f"{_LIST}?{urlencode(query)}")["sessions"]
    return found


def _answer(connection: http.client.HTTPConnection, path: str) -> Any:
    return json.loads(_ask(connection, path))


def _ask(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, (path, body)
    return body
