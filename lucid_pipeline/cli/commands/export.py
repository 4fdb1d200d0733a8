"""`lucid export`: the original bytes, or a range of them."""

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from lucid_pipeline.archive.damage import DamageError
from lucid_pipeline.archive.ports import Progress
from lucid_pipeline.archive.reader import SessionReader, load_manifest
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.cli.arguments import SessionId
from lucid_pipeline.cli.files import new_file, write_at
from lucid_pipeline.cli.memory import open_memory
from lucid_pipeline.cli.output import Json, Output
from lucid_pipeline.errors import LucidError, UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings
from lucid_pipeline.units import size

_RANGE = re.compile(r"(\d{1,19})-(\d{0,19})")
_STANDARD_OUTPUT = Path("-")
_MOST_RANGES = 20


def export(
    session: SessionId,
    output_file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to; - for a pipe.")],
    byte_range: Annotated[
        str | None,
        typer.Option("--range", metavar="A-B", help="Only bytes A to B, both included, from 0; A- to the end."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the original bytes of a session. Exit status 1 if it is damaged, and then what of it is whole.

    A file appears only when all of it has been checked. A pipe gets each chunk as soon as that is authentic, and only
    the exit status says that the whole is what was archived: do not use what a pipe brought before it is 0.
    """
    session_id = parse_session_id(session)
    home, output = Home(load_settings()), Output(as_json)
    wanted = None if byte_range is None else parse_range(byte_range)
    if as_json and output_file == _STANDARD_OUTPUT:
        raise UsageError("--json and the recording cannot both go to standard output", "name a file with -o")
    reader = _open(session_id, home)
    start, stop = wanted or (0, len(reader))
    stop = min(stop, len(reader))
    if wanted and start >= len(reader):
        raise UsageError(f"the recording has {len(reader)} bytes", "ranges count from 0")
    parts = reader.read(start, stop) if wanted else None
    try:
        if output_file == _STANDARD_OUTPUT:
            _write_to_pipe(parts or reader.read_whole(home.settings.workers))
            return
        with output.progress(f"exporting {session_id}", stop - start) as progress, new_file(output_file) as descriptor:
            if parts:
                _write_in_order(parts, descriptor, progress)
            else:
                reader.copy_to(lambda part, at: write_at(descriptor, part, at), home.settings.workers, progress)
    except DamageError as error:
        if not wanted:
            error.hint = _what_is_whole(reader, home.settings.workers, output)
        raise
    document = {"session_id": str(session_id), "file": str(output_file), "start": start, "length": stop - start}
    output.result(document, f"{size(stop - start)} of session {session_id} are in {output_file}")


def _open(session_id: UUID, home: Home) -> SessionReader:
    store = home.archive()
    with open_memory(home) as memory:
        known = memory.known(session_id)
    manifest = load_manifest(session_id, store, home.trusted_keys(), known).manifest
    return SessionReader.open(manifest, store, home.keys())


def _write_to_pipe(parts: Iterator[bytes]) -> None:
    for part in parts:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


def _write_in_order(parts: Iterator[bytes], descriptor: int, progress: Progress) -> None:
    at = 0
    for part in parts:
        at += write_at(descriptor, part, at)
        progress(len(part))


def _what_is_whole(reader: SessionReader, workers: int, output: Output) -> str | None:
    """Which ranges of a damaged recording can still be exported, or None if that says nothing of the damage."""
    with suppress(LucidError), output.progress("looking for what is whole", len(reader)) as progress:
        ranges = [f"{start}-{stop - 1}" for start, stop in reader.whole_ranges(workers, progress)]
        if not ranges:
            return "nothing of it is whole"
        if ranges != [f"0-{len(reader) - 1}"]:
            more = f" and {len(ranges) - _MOST_RANGES} more" if len(ranges) > _MOST_RANGES else ""
            return f"whole are bytes {', '.join(ranges[:_MOST_RANGES])}{more}; get them with --range {ranges[0]}"
    return None


def parse_range(text: str) -> tuple[int, int]:
    """`A-B`, both included, or `A-`, as start and stop offset."""
    match = _RANGE.fullmatch(text)
    start, last = (int(match[1]), int(match[2]) if match[2] else sys.maxsize - 1) if match else (1, 0)
    if last < start:
        raise UsageError(f"--range takes A-B or A-, not {text!r}", "both are offsets in bytes, and both are included")
    return start, last + 1
