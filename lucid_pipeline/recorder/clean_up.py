"""Clean-up: a recording is removed only when its sealed session has been read back and verified, here and now."""

from collections.abc import Sequence
from uuid import UUID

from dagster import Config, Failure, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.errors import LucidError, PermanentError, TransientError
from lucid_pipeline.lineage.verification import Verifier
from lucid_pipeline.recorder.intake import fingerprint
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, SessionRecord

REMOVE_RECORDINGS = "remove_recordings"


def remove_recording(session_id: UUID, catalog: Catalog, verifier: Verifier) -> None:
    """Remove the file that a session was archived from, if it was registered to be removed; else leave it.

    Raises:
        PermanentError: the session is not sealed, or damaged, or the file is not what was archived. It stays.
        TransientError: the file cannot be removed now.
    """
    record = catalog.get(session_id)
    if record.source is None or not record.source.release:
        return
    _require_intact(record, catalog, verifier)
    path = record.source.path
    try:
        if fingerprint(path, path.stat()) != record.source.fingerprint:
            raise PermanentError(f"{path} has changed since it was archived, so it stays", "archive it again")
        path.unlink()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise TransientError(f"cannot remove {path}: {error.strerror}") from error
    catalog.release_source(session_id)


def _require_intact(record: SessionRecord, catalog: Catalog, verifier: Verifier) -> None:
    if record.seal is None:
        raise PermanentError(f"session {record.session_id} is not sealed, so its recording stays")
    report, codes = verifier.verify(record, catalog)
    if not report.intact:
        raise PermanentError(f"session {record.session_id} is damaged ({report.damages[0]}), so its recording stays")
    if codes:
        raise PermanentError(
            f"session {record.session_id} was found damaged with a key ({', '.join(codes)}), so its recording stays",
            "lucid verify --deep looks again",
        )


class RemoveRecordings(Config):
    """Which recordings to remove."""

    session_ids: list[str] = Field(description="ids of sealed sessions whose recordings were registered to be removed")


@op(name=REMOVE_RECORDINGS)
def remove_recordings(
    context: OpExecutionContext,
    config: RemoveRecordings,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    trusted_keys: ResourceParam[Sequence[PublicKey]],
    keys: ResourceParam[Keys | None],
    settings: ResourceParam[Settings],
) -> None:
    """Verify each session, then remove its recording from the landing folder. One that fails keeps its recording."""
    if settings.keep_landing:
        raise Failure("LUCID_KEEP_LANDING is set: no recording is removed", allow_retries=False)
    verifier = Verifier(archive, trusted_keys, settings.workers, keys)
    kept: dict[str, str] = {}
    for text in config.session_ids:
        try:
            remove_recording(parse_session_id(text), catalog, verifier)
        except LucidError as error:
            kept[text] = str(error)
            context.log.error("the recording of session %s stays: %s", text, error)
    if kept:
        raise Failure(f"{len(kept)} of {len(config.session_ids)} recordings stay", metadata=kept, allow_retries=False)


@job(name="clean_up")
def clean_up() -> None:
    """Remove recordings whose sessions are sealed and verified."""
    remove_recordings()
