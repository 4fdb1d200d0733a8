"""Clean-up: a recording is removed only when its sealed session has been read back and verified, here and now."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import get_args
from uuid import UUID

from dagster import Config, Failure, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.manifest import CompletenessState
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys
from lucid_pipeline.archive.recording import open_recording, opened_folder
from lucid_pipeline.archive.sealed import content_id
from lucid_pipeline.archive.session_id import parse_session_id
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.errors import LucidError, PermanentError, TransientError
from lucid_pipeline.intake.registration import fingerprint
from lucid_pipeline.intake.sidecar import MARKER_ENDING, SIDECAR_ENDING, is_marker, is_taken_in
from lucid_pipeline.lineage.batch import reason_of
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, SessionRecord, Source
from lucid_pipeline.stores.verification import Verifier

REMOVE_RECORDINGS = "remove_recordings"
TRY_AGAIN_AFTER = timedelta(hours=1)
"""How long a recording stays in peace that could not be removed: each attempt reads its whole session back."""

MOST_REMOVALS = 500
QUIET_SECONDS = 3600
"""How long a recording has to be unchanged before it is removed, where the system cannot tell who writes to it."""

_BLOCK_BYTES = MIB


def due_removals(catalog: Catalog, now: datetime, limit: int = MOST_REMOVALS) -> list[UUID]:
    """Sessions that have ended, and whose recordings are to be removed and lie there still, oldest first.

    Those whose removal was tried within the last hour, and failed, are left out.
    """
    return [record.session_id for record in catalog.removable(now - TRY_AGAIN_AFTER, limit)]


def remove_recording(session_id: UUID, catalog: Catalog, verifier: Verifier) -> None:
    """Remove the file that a session was archived from, if it was registered to be removed; else leave it.

    Its sidecar goes with it where the session has all that it says, and its marker if it was found by one. They go
    first: what is left when this is cut short is known by its fingerprint, and the next attempt removes it.

    The file of a duplicate goes when the session that has its content is verified, and it still has that content.

    Raises:
        PermanentError: the session is not sealed, or damaged, or the file is not what was archived. It stays.
        TransientError: the file cannot be removed now.
    """
    record = catalog.get(session_id)
    source = record.source
    if source is None or not source.release:
        return
    _require_intact(_archived_as(record, catalog), catalog, verifier)
    path = source.path
    try:
        with opened_folder(path) as folder:
            _require_unchanged(source, folder)
            if record.duplicate_of:
                _require_content(path, record)
                _require_unchanged(source, folder)
            if source.landed:
                _require_finished(source, folder)
                _require_unchanged(source, folder)
            for name in _companions(record, source, folder):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            _unlink_unchanged(source, folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise TransientError(f"cannot remove {path}: {error.strerror}") from error
    _remove_folder_of(session_id, path.parent)
    catalog.release_source(session_id)


def _remove_folder_of(session_id: UUID, folder: Path) -> None:
    """Remove the folder that the session API made for this recording, unless something else has been put there."""
    if folder.name == str(session_id):
        with suppress(OSError), opened_folder(folder) as parent:
            os.rmdir(folder.name, dir_fd=parent)


def _archived_as(record: SessionRecord, catalog: Catalog) -> SessionRecord:
    """The session in the archive that has a session's content: the same one, or the one of which it is a duplicate."""
    if record.duplicate_of is None:
        return record
    original = catalog.get(record.duplicate_of)
    if original.content_id != record.content_id:
        raise PermanentError(
            f"session {original.session_id} has another content since, so the recording of its duplicate stays",
            "archive it again",
        )
    return original


def _require_unchanged(source: Source, folder: int) -> os.stat_result:
    status = os.lstat(source.path.name, dir_fd=folder)
    if fingerprint(source.path, status) != source.fingerprint:
        raise _changed(source.path)
    return status


def _require_finished(source: Source, folder: int) -> None:
    """What is still open for writing would be lost with its file. Where nobody can tell, a long time has to pass."""
    with suppress(FileNotFoundError), open_recording(source.path) as file:
        writing = file.is_being_written()
        if writing is None and not _has_marker(source, folder):
            writing = time.time() - file.identity.modified_ns / 1e9 < QUIET_SECONDS
        if writing:
            raise TransientError(f"{source.path} may still be written to, so it stays for now")


def _has_marker(source: Source, folder: int) -> bool:
    with suppress(OSError):
        return is_marker(os.lstat(f"{source.path.name}{MARKER_ENDING}", dir_fd=folder))
    return False


def _unlink_unchanged(source: Source, folder: int) -> None:
    """Remove the very file that was archived, and not another one that takes its name at this moment.

    It gets another name first, under which it is looked at once more. What a crash leaves under that name is found as
    an abandoned recording, and then as a duplicate.
    """
    name, aside = source.path.name, f".{os.urandom(8).hex()}.removing"
    before = _require_unchanged(source, folder)
    os.rename(name, aside, src_dir_fd=folder, dst_dir_fd=folder)
    found = os.lstat(aside, dir_fd=folder)
    if (found.st_ino, found.st_size, found.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
        os.link(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
        os.unlink(aside, dir_fd=folder)
        raise _changed(source.path)
    os.unlink(aside, dir_fd=folder)


def _require_content(path: Path, record: SessionRecord) -> None:
    """Nobody has vouched for a duplicate's bytes since they were read."""
    digest = sha256()
    with open_recording(path) as file:
        for offset in range(0, len(file), _BLOCK_BYTES):
            digest.update(file.read(offset, _BLOCK_BYTES))
        file.check_unchanged()
    if record.content_id not in {content_id(digest.digest(), state) for state in get_args(CompletenessState)}:
        raise _changed(path)


def _changed(path: Path) -> PermanentError:
    return PermanentError(f"{path} has changed since it was archived, so it stays", "archive it again")


def _companions(record: SessionRecord, source: Source, folder: int) -> Iterator[str]:
    """The names of what lies beside a recording and goes with it."""
    if is_taken_in(source.path, record.metadata):
        yield f"{source.path.name}{SIDECAR_ENDING}"
    if source.landed and _has_marker(source, folder):
        yield f"{source.path.name}{MARKER_ENDING}"


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

    session_ids: list[str] = Field(
        default_factory=list,
        description="ids of sealed sessions whose recordings were registered to be removed; none for all that are due",
    )


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
    wanted = config.session_ids or [str(session_id) for session_id in due_removals(catalog, datetime.now(UTC))]
    for text in wanted:
        try:
            remove_recording(parse_session_id(text), catalog, verifier)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next recording is not to blame
            kept[text] = reason_of(error)
            with suppress(LucidError):
                catalog.record_removal_attempt(parse_session_id(text), datetime.now(UTC))
            context.log.error("the recording of session %s stays: %s", text, kept[text])
    if kept:
        raise Failure(f"{len(kept)} of {len(wanted)} recordings stay", metadata=kept, allow_retries=False)


@job(name="clean_up")
def clean_up() -> None:
    """Remove recordings whose sessions are sealed and verified."""
    remove_recordings()
