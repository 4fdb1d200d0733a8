"""`lucid rebuild-catalog`: the catalog again, from the archive alone."""

from dataclasses import dataclass, field, replace
from uuid import UUID

import typer

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.manifest import Manifest
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader, archived_sessions, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata, content_id
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.cli.output import Json, Output, table, warn
from lucid_pipeline.errors import LucidError, SessionNotFound
from lucid_pipeline.home import Home
from lucid_pipeline.paths import printable
from lucid_pipeline.settings import load_settings
from lucid_pipeline.stores.catalog import Catalog, Seal, SessionRecord, State


def rebuild_catalog(as_json: Json = False) -> None:
    """Make the catalog again from the archive alone. Names, users and hosts need the identity to be read."""
    home, output = Home(load_settings()), Output(as_json)
    reading = _Reading(home.archive(), home.trusted_keys(), _keys(home))
    with home.catalog(create=True) as catalog:
        for session_id in archived_sessions(reading.store):
            reading.restore(session_id, catalog)
    failures = reading.failures
    rows = [(session_id, printable(reason)) for session_id, reason in failures.items()]
    summary = f"{reading.restored} sessions restored, {len(failures)} damaged, {reading.never_sealed} never sealed"
    if reading.not_unsealed:
        summary += f"; {reading.not_unsealed} not unsealed, so without what only the identity can read"
    output.result(
        {
            "restored": reading.restored,
            "not_unsealed": reading.not_unsealed,
            "never_sealed": reading.never_sealed,
            "damaged": failures,
        },
        *([table("damaged", ("session", "reason"), rows)] if rows else []),
        summary,
    )
    if failures:
        raise typer.Exit(1)


def _keys(home: Home) -> Keys | None:
    try:
        home.keystore()
    except LucidError as error:
        warn(f"nothing can be unsealed: {error}")
        return None
    return home.keys_at_hand()


@dataclass(slots=True)
class _Reading:
    """What is read from the archive, and what became of it. A session with damage can be restored as well."""

    store: ObjectStore
    trusted: list[PublicKey]
    keys: Keys | None
    restored: int = 0
    not_unsealed: int = 0
    never_sealed: int = 0
    failures: dict[str, str] = field(default_factory=dict)

    def restore(self, session_id: UUID, catalog: Catalog) -> None:
        """Put a session into the catalog; what cannot be unsealed here stays as the catalog knew it."""
        known = _known(session_id, catalog)
        try:
            signed = load_manifest(
                session_id, self.store, self.trusted, known.seal.known if known and known.seal else None
            )
            new = SessionRecord(session_id, State.SEALED, signed.manifest.created_at)
            record = replace(known or new, state=State.SEALED, seal=Seal.of(signed), failure=None)
            catalog.restore(self._unsealed(record, signed.manifest))
            self.restored += 1
        except SessionNotFound:
            self.never_sealed += 1
        except LucidError as error:
            self.failures[str(session_id)] = error.message

    def _unsealed(self, record: SessionRecord, manifest: Manifest) -> SessionRecord:
        if self.keys is None:
            self.not_unsealed += 1
            return record
        try:
            recording = SessionReader.open(manifest, self.store, self.keys).metadata.recording
        except DamageError as error:
            if error.damage.code is DamageCode.KEYSLOT_MISSING:
                self.not_unsealed += 1
                return record
            self.failures[str(record.session_id)] = error.message
            return replace(record, damages=list(dict.fromkeys([*record.damages, error.damage.code])))
        return replace(
            record,
            metadata=SessionMetadata.model_validate(recording.model_dump(include=set(SessionMetadata.model_fields))),
            name=recording.name,
            length=recording.length,
            duration_ms=recording.duration_ms,
            content_id=content_id(recording.sha256, manifest.completeness.state),
        )


def _known(session_id: UUID, catalog: Catalog) -> SessionRecord | None:
    try:
        return catalog.get(session_id)
    except SessionNotFound:
        return None
