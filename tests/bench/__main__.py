"""`python -m tests.bench`: archive and export, Lucid beside its peers. Exit status 1 if a contestant failed."""

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.bench.contest import Contest, Corpus, say, size_label
from tests.bench.contestants import all_contestants
from tests.bench.corpora import (
    MIB,
    TERMINAL_SIZE,
    VIDEO_SIZE,
    write_terminal_recording,
    write_video,
)
from tests.bench.targets import TERMINAL, VIDEO, ZEROS

_SMALL_SPARSE, _HUGE_SPARSE = 64 * MIB, 8192 * MIB


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.scale <= 0 or options.rounds < 1:
        parser.error("--scale must be above 0 and --rounds at least 1")
    huge = options.scale >= 1 if options.huge is None else options.huge
    with tempfile.TemporaryDirectory(prefix="lucid-bench-", dir=options.dir) as directory:
        base = Path(directory)
        # Both corpora, an archive of the larger one and its export; an archive of zeros is next to nothing.
        needed = int(options.scale * (TERMINAL_SIZE + 3 * VIDEO_SIZE) * 1.1)
        if shutil.disk_usage(base).free < needed:
            parser.error(f"{base.parent} has less than {size_label(needed)} free; choose another place with --dir")
        contest = _run(base, options.scale, options.rounds, huge)
    _report(contest, options.scale, options.rounds, as_json=options.json)
    return int(any(reason.startswith("failed") for reason in contest.results.absent.values()))


def _run(base: Path, scale: float, rounds: int, huge: bool) -> Contest:
    contest = Contest(base, all_contestants())
    for corpus in _make_corpora(base, scale):
        contest.compete(corpus, rounds)
    for size in (_SMALL_SPARSE, _HUGE_SPARSE) if huge else (_SMALL_SPARSE,):
        contest.archive_sparse(f"{size_label(size)} of {ZEROS}", size)
    return contest


def _make_corpora(base: Path, scale: float) -> list[Corpus]:
    say("making the corpora")
    terminal, video = base / "terminal.cast", base / "video.mp4"
    write_terminal_recording(terminal, int(scale * TERMINAL_SIZE))
    write_video(video, int(scale * VIDEO_SIZE))
    return [Corpus.read(TERMINAL, terminal), Corpus.read(VIDEO, video)]


def _report(contest: Contest, scale: float, rounds: int, *, as_json: bool) -> None:
    # Imported after the last measurement: see `measure` on why this process stays small.
    from tests.bench.report import print_tables, to_document

    if as_json:
        versions = {contestant.name: contestant.version() for contestant in contest.contestants}
        print(json.dumps(to_document(contest.results, scale, rounds, versions), indent=2))
    else:
        print_tables(contest.results, scale, rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="counted rounds after one warm-up (default %(default)s)")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the corpora; 0.02 for a smoke test")
    parser.add_argument(
        "--huge",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="also archive 8 GiB of zeros for its memory (by default from --scale 1 on)",
    )
    parser.add_argument("--dir", type=Path, help="where the temporary files go: about 4 GiB, removed at the end")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
