"""What the archive says of its sessions, for a catalog that was lost, or does not know of all."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from lucid_pipeline.archive.damage import Damage, DamageCode, DamageError
from lucid_pipeline.archive.layout import latest_sequence, session_prefix
from lucid_pipeline.archive.manifest import Manifest, timestamp
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, Known, SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata, content_id
from lucid_pipeline.archive.session_id import made_at
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.errors import LucidError, SessionNotFound
from lucid_pipeline.stores.catalog import ArchivedSession, Description, Seal, SessionRecord

SEALED_AWAY = (
    "user",
    "host",
    "protocol",
    "started_at",
    "ended_at",
    "tags",
    "name",
    "length",
    "duration_ms",
    "content_id",
)
"""What of a session is in its sealed metadata alone, and takes an identity and a key slot to be read."""

_NEVER_TOLD = ("source", "verified_at")


@dataclass(frozen=True, slots=True)
class Asked:
    """A session to ask the archive for: what is known of its newest manifest, and whether it has been unsealed."""

    session_id: UUID
    known: Known | None = None
    is_described: bool = False

    @classmethod
    def beyond(cls, record: SessionRecord) -> "Asked":
        """What goes beyond a catalog's record."""
        return cls(record.session_id, record.seal.known if record.seal else None, record.name is not None)


@dataclass(frozen=True, slots=True)
class Told:
    """What the archive said of a session; all but the id are empty where that was known already.

    `found` is what to add to the catalog. A session can be found in part, and be damaged. `is_sealed` is false for one
    without any manifest; `obstacle` is why the archive or the keystore could not be asked now.
    """

    session_id: UUID
    found: ArchivedSession | None = None
    is_sealed: bool = True
    damage: Damage | None = None
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """An archive that is asked about its sessions, one by one. Without keys, sealed metadata stays sealed."""

    archive: ObjectStore
    trusted: Sequence[PublicKey]
    keys: Keys | None

    def tell(self, asked: Asked) -> Told:
        """What there is beyond what is known. Never raises for a session or store that is out of order.

        A manifest that is known already is not read again, unless its session may now be unsealed: objects of an
        archive never change, and whether they are damaged is for a verification to find.
        """
        try:
            if self._is_known(asked):
                return Told(asked.session_id)
            signed = load_manifest(asked.session_id, self.archive, self.trusted, asked.known)
            description, damage = self._describe(signed.manifest)
        except SessionNotFound:
            return Told(asked.session_id, is_sealed=False)
        except DamageError as error:
            return Told(asked.session_id, damage=error.damage)
        except LucidError as error:
            return Told(asked.session_id, obstacle=str(error))
        codes = (damage.code,) if damage else ()
        found = ArchivedSession(
            asked.session_id, Seal.of(signed), _registered_at(signed.manifest), description, damages=codes
        )
        return Told(asked.session_id, found, damage=damage)

    def _is_known(self, asked: Asked) -> bool:
        session_id, known = asked.session_id, asked.known
        if known is None or not (asked.is_described or self.keys is None):
            return False
        return latest_sequence(session_id, self.archive.list(session_prefix(session_id))) == known.sequence

    def _describe(self, manifest: Manifest) -> tuple[Description | None, Damage | None]:
        """What sealed metadata says, or what is wrong with it; neither where it is for others to open, or for nobody.

        Raises:
            TransientError: a store does not answer.
        """
        if self.keys is None:
            return None, None
        try:
            recording = SessionReader.open(manifest, self.archive, self.keys).metadata.recording
        except DamageError as error:
            return None, None if error.damage.code is DamageCode.KEYSLOT_MISSING else error.damage
        description = Description(
            SessionMetadata.model_validate(recording.model_dump(include=set(SessionMetadata.model_fields))),
            recording.name,
            recording.length,
            recording.duration_ms,
            content_id(recording.sha256, manifest.completeness.state),
        )
        return description, None


def not_known(record: SessionRecord) -> tuple[str, ...]:
    """The fields of a sealed session that its record lacks, and that no archive told.

    Where the recording lay, and what was found by verifying it, stands in no archive; the rest had to be unsealed.
    """
    sealed_away = SEALED_AWAY if record.name is None else ()
    return (*sealed_away, *(name for name in _NEVER_TOLD if getattr(record, name) is None))


def _registered_at(manifest: Manifest) -> str:
    """When its id was made, a moment before it was registered; when it was sealed, where an id is made up."""
    with suppress(OverflowError):
        return timestamp(made_at(manifest.session_id))
    return manifest.created_at
