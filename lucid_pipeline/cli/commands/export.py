"""`lucid export`: the original bytes, or a range of them."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from lucid_pipeline.archive.reader import SessionReader, load_manifest
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.cli.arguments import SessionId
from lucid_pipeline.cli.files import new_file, write_at
from lucid_pipeline.cli.output import Json, Output, size
from lucid_pipeline.errors import UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.settings import load_settings

_RANGE = re.compile(r"(\d{1,19})-(\d{0,19})")
_STANDARD_OUTPUT = Path("-")


def export(
    session: SessionId,
    output_file: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to; - for a pipe.")],
    byte_range: Annotated[
        str | None,
        typer.Option("--range", metavar="A-B", help="Only bytes A to B, both included, from 0; A- to the end."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the original bytes of a session. The file appears only when all of it has been checked."""
    session_id = parse_session_id(session)
    home, output = Home(load_settings()), Output(as_json)
    wanted = None if byte_range is None else parse_range(byte_range)
    store = home.archive()
    manifest = load_manifest(session_id, store, home.trusted_keys()).manifest
    reader = SessionReader.open(manifest, store, home.keys())
    start, stop = wanted or (0, len(reader))
    stop = min(stop, len(reader))
    if wanted and start >= len(reader):
        raise UsageError(f"the recording has {len(reader)} bytes", "ranges count from 0")
    if output_file == _STANDARD_OUTPUT:
        if as_json:
            raise UsageError("--json and the recording cannot both go to standard output", "name a file with -o")
        for part in reader.read(start, stop):
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return
    with output.progress(f"exporting {session_id}", stop - start) as progress, new_file(output_file) as descriptor:
        if wanted:
            at = 0
            for part in reader.read(start, stop):
                at += write_at(descriptor, part, at)
                progress(len(part))
        else:
            reader.copy_to(lambda part, at: write_at(descriptor, part, at), home.settings.workers, progress)
    document = {"session_id": str(session_id), "file": str(output_file), "start": start, "length": stop - start}
    output.result(document, f"{size(stop - start)} of session {session_id} are in {output_file}")


def parse_range(text: str) -> tuple[int, int]:
    """`A-B`, both included, or `A-`, as start and stop offset."""
    match = _RANGE.fullmatch(text)
    start, last = (int(match[1]), int(match[2]) if match[2] else sys.maxsize - 1) if match else (1, 0)
    if last < start:
        raise UsageError(f"--range takes A-B or A-, not {text!r}", "both are offsets in bytes, and both are included")
    return start, last + 1
