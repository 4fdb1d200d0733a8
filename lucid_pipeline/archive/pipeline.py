"""A recording into a sealed session in one call: the stages that the code locations run, one after the other.

For programs that use the archive library by itself; the lineage in Dagster calls the same stages.
"""

from pathlib import Path
from uuid import UUID

from lucid_pipeline.archive.manifest import SignedManifest
from lucid_pipeline.archive.planning import plan_recording
from lucid_pipeline.archive.ports import KeySlotStore, ObjectStore, Progress
from lucid_pipeline.archive.recording import open_recording
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.sealing import hash_chunks, seal_session
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.archive.writer import Encryption, encrypt_session


def archive_recording(
    path: Path,
    metadata: SessionMetadata,
    session_id: UUID,
    encryption: Encryption,
    signing_key: SigningKey,
    store: ObjectStore,
    keystore: KeySlotStore,
    *,
    chunk_size: int | None = None,
    progress: Progress = lambda _bytes: None,
) -> SignedManifest:
    """Archive one recording and seal it; the file stays as it is.

    Raises:
        PermanentError: the file cannot be read.
        TransientError: the file changed meanwhile, or a store failed.
    """
    with open_recording(path.parent.resolve() / path.name) as recording:
        chunked = plan_recording(recording, chunk_size)
        encrypted = encrypt_session(recording, chunked, metadata, session_id, encryption, store, keystore, progress)
    hashed = hash_chunks(encrypted.request, store, encryption.workers)
    return seal_session(encrypted.request, hashed, signing_key, store)
