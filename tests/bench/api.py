"""`python -m tests.bench.api`: what callers of a session API wait for, over HTTP, of a process of its own.

Lists and single sessions in catalogs of several sizes, and whole recordings beside `lucid export`. Exit status 1 if a
page takes longer the more sessions there are, a download is slower than half an export, or takes too much memory.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from tests.bench import api_content, api_sessions
from tests.bench.corpora import MIB

_CONTENT, _SESSIONS = "content", "sessions"


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    parts = options.only or (_CONTENT, _SESSIONS)
    with tempfile.TemporaryDirectory(prefix="lucid-bench-api-", dir=options.dir) as folder:
        size = options.mib * MIB
        contents = list(api_content.measure(Path(folder), size, options.rounds)) if _CONTENT in parts else []
        waits = list(api_sessions.measure(Path(folder), options.sessions)) if _SESSIONS in parts else []
    if options.json:
        json.dump({_CONTENT: [*map(asdict, contents)], _SESSIONS: [*map(asdict, waits)]}, sys.stdout, indent=2)
    else:
        console = Console(width=None if sys.stdout.isatty() else 160)
        for table in [api_content.table_of(contents)] * bool(contents) + [api_sessions.table_of(waits)] * bool(waits):
            console.print(table)
    kept = [good for *_, good in api_sessions.verdicts(waits)] if waits else []
    return int(any(result.has_failed for result in contents) or not all(kept))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench-api", description=__doc__)
    parser.add_argument("--only", action="append", choices=(_CONTENT, _SESSIONS), help="measure this part alone")
    parser.add_argument("--mib", type=int, default=1024, help="size of each recording (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each download is measured")
    parser.add_argument(
        "--sessions",
        type=int,
        nargs="+",
        default=api_sessions.SIZES,
        metavar="N",
        help="sizes of the catalogs; to fill the largest takes minutes (default %(default)s)",
    )
    parser.add_argument("--dir", type=Path, help="where to work; by default, in the folder for temporary files")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


if __name__ == "__main__":
    sys.exit(main())
