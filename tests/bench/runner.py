"""What both Lucid runners share: `prepare`, `archive FILE` and `export SESSION TARGET` as their arguments.

A runner is executed in a process of its own, with `LUCID_HOME` and `LUCID_ARCHIVE_URL` in its environment. Its
last line of output is the `InnerUsage` of the work, as JSON.
"""

import sys
from pathlib import Path
from typing import Protocol

from tests.bench.measure import run_inner


class Work(Protocol):
    """Lucid as one runner uses it; whoever implements it imports all it needs before the clock starts."""

    def prepare(self) -> None: ...

    def warm_up(self) -> None:
        """Whatever has to be imported or loaded before the clock starts."""

    def archive(self, recording: Path) -> str:
        """Archive `recording`; return the session id."""

    def export(self, session_id: str, target: Path) -> None: ...


def main(work: Work) -> None:
    match sys.argv[1:]:
        case ["prepare"]:
            usage = run_inner(work.prepare)
        case ["archive", recording]:
            work.warm_up()
            usage = run_inner(lambda: work.archive(Path(recording)))
        case ["export", session_id, target]:
            usage = run_inner(lambda: work.export(session_id, Path(target)))
        case _:
            raise SystemExit(__doc__)
    print(usage.to_json())
