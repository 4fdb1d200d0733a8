"""What befalls sessions in an archive, for tests of what is said of them."""

from pathlib import Path
from uuid import UUID

from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.reader import load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.stores.catalog import Seal, Source
from tests.api.support import Api

NEVER = "01a207bc-8e81-7370-a993-4daf2ca01f8c"
"""The id of no session."""


def object_path(api: Api, key: str) -> Path:
    """The file of an object."""
    return api.services.settings.home / "archive" / key


def flip(path: Path, at: int = -1) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


def unsealed(api: Api) -> UUID:
    """A session that has just been registered."""
    session_id = new_session_id()
    api.services.catalog.register(session_id, Source(Path("/somewhere"), str(session_id)), "new", SessionMetadata())
    return session_id


def seal_again(api: Api, session_id: UUID, *, told: bool = True) -> bytes:
    """Seal a session once more, so that it has a second manifest; returns that one's envelope.

    Args:
        api: has the session.
        session_id: which.
        told: whether the catalog learns of it.
    """
    services = api.services
    first = load_manifest(session_id, services.archive, services.trusted)
    changed = first.manifest.model_copy(update={"sequence": 2, "previous": first.envelope_sha256})
    envelope = changed.sign(services.home.signing_key())
    services.archive.put(manifest_key(session_id, 2), envelope)
    if told:
        services.catalog.record_seal(session_id, Seal.of(load_manifest(session_id, services.archive, services.trusted)))
    return envelope
