"""`lucid demo`: the bundled recordings through the real assets, and what came of it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import mkdtemp

import typer
from rich.console import Group
from rich.table import Table
from rich.text import Text

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.cli.commands.archive import archive_files
from lucid_pipeline.cli.describe import damage_table, report_document, session_document
from lucid_pipeline.cli.output import Json, Output, facts, table
from lucid_pipeline.cli.recordings import find_recordings
from lucid_pipeline.errors import LucidError
from lucid_pipeline.home import Home
from lucid_pipeline.paths import printable
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import SessionRecord
from lucid_pipeline.units import duration, size

_RECORDINGS = "demo"
_METADATA = SessionMetadata(user="demo", host="lucid", tags={"demo": "yes"})
_STORY = {
    "recording": ("session-recorder", "recording", "the file, where it landed"),
    "chunks": ("chunk-processor", "chunks", "where it is cut, and when what happened"),
    "encrypted_chunks": ("chunk-processor", "encrypted_chunks", "compressed, encrypted, in the archive"),
    "merkle_tree": ("session-storage", "merkle_tree", "every object read back and hashed"),
    "manifest": ("session-storage", "manifest", "signed"),
}


def demo(as_json: Json = False) -> None:
    """Archive the bundled sample recordings through the real assets, verify them, and show the result."""
    home, output = Home(load_settings()), Output(as_json)
    home.create()
    with home.catalog(create=True):
        pass
    with _landed(home.settings.landing_dir) as folder:
        found = find_recordings([folder], home.owns)
        records = archive_files(home, found, _METADATA, move=not home.settings.keep_landing, output=output)
    if found.refused:
        raise LucidError("; ".join(found.refused.values()), "see the README")
    reports = [_verify(home, record) for record in records.values()]
    document = [
        {**session_document(record), "verification": report_document(report)}
        for record, report in zip(records.values(), reports, strict=True)
    ]
    output.result(document, _story(home, list(records.values()), reports))
    if not all(report.intact for report in reports):
        raise typer.Exit(1)


@contextmanager
def _landed(landing: Path) -> Iterator[Path]:
    """A new folder below the landing folder with copies of the bundled recordings; removed if nothing stays in it."""
    folder = Path(mkdtemp(prefix="demo-", dir=landing))
    try:
        with as_file(files("lucid_pipeline.cli") / _RECORDINGS) as bundled:
            for recording in bundled.iterdir():
                shutil.copyfile(recording, folder / f"demo-{recording.name}")
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def _verify(home: Home, record: SessionRecord) -> VerificationReport:
    return verify_session(
        record.session_id,
        home.archive(),
        home.trusted_keys(),
        workers=home.settings.workers,
        keys=home.keys(),
        known=record.seal.known if record.seal else None,
    )


def _story(home: Home, records: list[SessionRecord], reports: list[VerificationReport]) -> Group:
    damages = [damage_table(reports)] if any(report.damages for report in reports) else []
    sessions = zip(records, reports, strict=True)
    return Group(
        _lineage_table(home, records),
        *(_session_facts(*session) for session in sessions),
        *damages,
        _advice(home, records[0]),
    )


def _lineage_table(home: Home, records: list[SessionRecord]) -> Table:
    from lucid_pipeline.cli.lineage_run import materialized

    ids = [record.session_id for record in records]
    rows = [(*_STORY[stage], f"{count} of {len(ids)}") for stage, count in materialized(home, ids).items()]
    return table("lineage, as Dagster has it", ("code location", "asset", "what it is", "sessions"), rows)


def _session_facts(record: SessionRecord, report: VerificationReport) -> Table:
    seal = record.seal
    stored = seal.stored_bytes if seal else 0
    return facts(
        record.name or "",
        {
            "session": record.session_id,
            "size": f"{size(record.length)}, {seal.media_type}" if seal else None,
            "duration": duration(record.duration_ms),
            "stored": f"{size(stored)}, ratio {(record.length or 0) / stored:.2f}, {seal.suite}" if seal else None,
            "Merkle root": seal.root.hex() if seal else None,
            "signed by": seal.key_id if seal else None,
            "verified": "signature, tree, every object, every byte" if report.intact else "DAMAGED",
        },
    )


def _advice(home: Home, record: SessionRecord) -> Text:
    lines = (
        "What to do next (lucid and dagster are in .venv/bin):",
        "  lucid verify --all",
        "      prove every session again, without any secret",
        f"  lucid export {record.session_id} -o demo-recording",
        "      the original bytes",
        "  lucid archive PATH...",
        "      your own recordings",
        f"  DAGSTER_HOME={home.dagster_folder} dagster dev -w workspace.yaml",
        "      the lineage and these runs in a browser, on port 3000",
    )
    return Text("\n".join(map(printable, lines)), no_wrap=True, overflow="ignore")
