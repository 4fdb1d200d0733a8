"""`lucid rebuild-catalog`: the catalog again, from the archive alone."""

from dataclasses import replace
from uuid import UUID

import typer

from lucid_pipeline.archive.damage import DamageError
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader, archived_sessions, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.cli.output import Json, Output, table
from lucid_pipeline.errors import LucidError, SessionNotFound
from lucid_pipeline.home import Home
from lucid_pipeline.paths import printable
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import Catalog, Seal, SessionRecord, State


def rebuild_catalog(as_json: Json = False) -> None:
    """Make the catalog again from the archive alone. Names, users and hosts need the identity to be read."""
    home, output = Home(load_settings()), Output(as_json)
    store, trusted = home.archive(), home.trusted_keys()
    keys = home.keys_at_hand()
    restored, unsealed = 0, 0
    failures: dict[str, str] = {}
    with home.catalog(create=True) as catalog:
        for session_id in archived_sessions(store):
            try:
                catalog.restore(_read(session_id, store, trusted, keys, _known(session_id, catalog)))
                restored += 1
            except SessionNotFound:
                unsealed += 1
            except LucidError as error:
                failures[str(session_id)] = error.message
    rows = [(session_id, printable(reason)) for session_id, reason in failures.items()]
    summary = f"{restored} sessions restored, {len(failures)} damaged, {unsealed} never sealed"
    output.result(
        {"restored": restored, "never_sealed": unsealed, "damaged": failures},
        *([table("damaged", ("session", "reason"), rows)] if rows else []),
        summary,
    )
    if failures:
        raise typer.Exit(1)


def _known(session_id: UUID, catalog: Catalog) -> SessionRecord | None:
    try:
        return catalog.get(session_id)
    except SessionNotFound:
        return None


def _read(
    session_id: UUID, store: ObjectStore, trusted: list[PublicKey], keys: Keys | None, known: SessionRecord | None
) -> SessionRecord:
    """What the archive says of a session; what cannot be unsealed here stays as the catalog knew it."""
    signed = load_manifest(session_id, store, trusted, known.seal.known if known and known.seal else None)
    new = SessionRecord(session_id, State.SEALED, signed.manifest.created_at)
    record = replace(known or new, state=State.SEALED, seal=Seal.of(signed), failure=None)
    if keys is None:
        return record
    try:
        recording = SessionReader.open(signed.manifest, store, keys).metadata.recording
    except DamageError as error:
        return replace(record, damages=[error.damage.code])
    return replace(
        record,
        metadata=SessionMetadata.model_validate(recording.model_dump(include=set(SessionMetadata.model_fields))),
        name=recording.name,
        length=recording.length,
        duration_ms=recording.duration_ms,
    )
