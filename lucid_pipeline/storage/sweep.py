"""The sweep: what attempts that died left beside sealed sessions in the archive is removed.

Only beside a session that is sealed and has just been read back and found whole, and only what is Lucid's by its name,
old enough, and not referred to by any manifest of the session, whatever its number. Key slots of such attempts stay:
storage does not reach the keystore. A session is looked at once for each of its manifests, since nothing is written
beside a sealed one any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from dagster import AssetObservation, Failure, MetadataValue, OpExecutionContext, ResourceParam, job, op

from lucid_pipeline.archive.layout import (
    chunk_table_key,
    chunks_prefix,
    manifest_key,
    may_be_referred_to,
    sealed_key,
    sequences,
    session_prefix,
)
from lucid_pipeline.archive.ports import ObjectMissing, ObjectStore
from lucid_pipeline.archive.reader import load_chunk_table, load_manifest_of
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.errors import PermanentError
from lucid_pipeline.lineage.batch import reason_of
from lucid_pipeline.lineage.metadata import MEGABYTE, stopwatch, throughput
from lucid_pipeline.lineage.upkeep import FIRST
from lucid_pipeline.settings import Settings
from lucid_pipeline.storage.assets import ARCHIVE
from lucid_pipeline.stores.catalog import Catalog, Seal, SessionRecord
from lucid_pipeline.stores.partial import is_partial
from lucid_pipeline.stores.throttled_store import ThrottledStore
from lucid_pipeline.stores.verification import Verifier

_PAGE = 500
_MOST_FAILURES = 50
_OBJECTS_BESIDE_CHUNKS = 3  # of a session with one manifest: this, the chunk table, the sealed metadata
_ONE_WORKER = 1


@dataclass(slots=True)
class Swept:
    """What a sweep did: how many sessions it looked at, what it removed, and where it left everything as it is."""

    sessions: int = 0
    objects: int = 0
    stored_bytes: int = 0
    bytes_read: int = 0
    kept: dict[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Leftovers:
    """Objects beside a session that nothing refers to, with the length of each; and whether there are younger ones."""

    old: dict[str, int]
    are_all_old: bool


def sweep(catalog: Catalog, verifier: Verifier, before: datetime) -> Swept:
    """Remove what was left beside sealed sessions before a moment, and record where nothing is left.

    A session of which anything is wrong keeps everything, and is looked at again the next time. A store that fails
    often is out of order: the sweep gives up.
    """
    swept = Swept()
    failures = 0
    after: UUID | None = None
    while failures < _MOST_FAILURES and (page := catalog.unswept(before, after, _PAGE)):
        done: list[UUID] = []
        for record in page:
            after = record.session_id
            try:
                if _sweep_session(record, catalog, verifier, before, swept):
                    done.append(record.session_id)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next session is not to blame
                swept.kept[record.session_id] = reason_of(error)
                failures += not isinstance(error, PermanentError)
                if failures == _MOST_FAILURES:
                    break
        catalog.record_swept(done)
    return swept


def _sweep_session(record: SessionRecord, catalog: Catalog, verifier: Verifier, before: datetime, swept: Swept) -> bool:
    """Remove what was left beside one session; returns whether nothing is left."""
    session_id, archive = record.session_id, verifier.archive
    swept.sessions += 1
    leftovers = _leftovers(record, archive, verifier.trusted, before)
    if leftovers.old:
        report, codes = verifier.verify(catalog.get(session_id), catalog)
        swept.bytes_read += report.bytes_checked
        if codes:
            raise PermanentError(f"session {session_id} is damaged ({', '.join(codes)}), so nothing beside it goes")
    for key, length in leftovers.old.items():
        archive.delete(key)
        swept.objects += 1
        swept.stored_bytes += length
    return leftovers.are_all_old


def _leftovers(
    record: SessionRecord, archive: ObjectStore, trusted: Sequence[PublicKey], before: datetime
) -> _Leftovers:
    session_id = record.session_id
    # The manifests last: one that comes meanwhile refers to nothing that has not been listed without it.
    chunks = list(archive.list(chunks_prefix(session_id)))
    others = list(archive.list(session_prefix(session_id)))
    if record.seal and _is_all_referred_to(record.seal, chunks, others):
        return _Leftovers({}, are_all_old=True)
    referred_to = set(_referred_to(session_id, others, archive, trusted))
    left = [key for key in (*chunks, *others) if key not in referred_to and _is_lucids(session_id, key)]
    found = {key: status for key in left if (status := _status(archive, key))}
    old = {key: length for key, (length, stored_at) in found.items() if stored_at < before}
    return _Leftovers(old, are_all_old=len(old) == len(found))


def _is_all_referred_to(seal: Seal, chunks: Sequence[str], others: Sequence[str]) -> bool:
    """Whether there are as many objects as one manifest refers to: so it is nearly always, and costs no reading.

    Where one is missing and another too many, the session is damaged, and nothing beside it would be removed anyway.
    """
    return seal.sequence == 1 and (len(chunks), len(others)) == (seal.chunk_count, _OBJECTS_BESIDE_CHUNKS)


def _referred_to(
    session_id: UUID, keys: Sequence[str], archive: ObjectStore, trusted: Sequence[PublicKey]
) -> Iterator[str]:
    """All that the manifests of a session refer to; each must be in order, or nobody knows what it needs."""
    for sequence in sequences(session_id, keys):
        manifest = load_manifest_of(session_id, sequence, archive, trusted).manifest
        yield manifest_key(session_id, sequence)
        yield sealed_key(session_id, manifest.sealed_sha256)
        yield chunk_table_key(session_id, manifest.recording.chunk_table_sha256)
        for chunk in load_chunk_table(manifest, archive).objects:
            yield chunk.key


def _is_lucids(session_id: UUID, key: str) -> bool:
    return may_be_referred_to(session_id, key) or is_partial(key)


def _status(archive: ObjectStore, key: str) -> tuple[int, datetime] | None:
    try:
        status = archive.status(key)
    except ObjectMissing:  # whoever wrote it is done
        return None
    return status.length, status.stored_at


@op
def remove_leftovers(
    context: OpExecutionContext,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    trusted_keys: ResourceParam[Sequence[PublicKey]],
    settings: ResourceParam[Settings],
) -> None:
    """Remove objects that no manifest refers to, beside sealed sessions that have just been verified."""
    limited = ThrottledStore(archive, settings.scrub_megabytes_per_second * MEGABYTE)
    before = datetime.now(UTC) - timedelta(hours=settings.sweep_after_hours)
    with stopwatch() as watch:
        swept = sweep(catalog, Verifier(limited, trusted_keys, _ONE_WORKER, keys=None), before)
    figures = {
        "sessions_swept": MetadataValue.int(swept.sessions),
        "objects_removed": MetadataValue.int(swept.objects),
        "bytes_removed": MetadataValue.int(swept.stored_bytes),
        "sessions_kept": MetadataValue.int(len(swept.kept)),
        **throughput(swept.bytes_read, watch),
    }
    context.log_event(AssetObservation(ARCHIVE.key, metadata=figures))
    if swept.kept:
        reasons = {str(session_id): reason for session_id, reason in swept.kept.items()}
        raise Failure(f"{len(reasons)} sessions keep what lies beside them", metadata=reasons, allow_retries=False)


@job(name="sweep", tags=FIRST)
def sweep_job() -> None:
    """Remove what attempts that died left in the archive, beside sessions that are sealed and have been verified."""
    remove_leftovers()
