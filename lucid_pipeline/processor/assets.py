"""The assets `chunks` and `encrypted_chunks`: where a recording is cut, and its chunks as ciphertext in the archive."""

from uuid import UUID

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, ResourceParam

from lucid_pipeline.archive.planning import ChunkedRecording, plan_recording
from lucid_pipeline.archive.ports import KeySlotStore, ObjectStore, Progress
from lucid_pipeline.archive.recording import FileIdentity, open_recording
from lucid_pipeline.archive.writer import Encryption, discard_session, encrypt_session
from lucid_pipeline.course.stages import CHUNKS, ENCRYPTED_CHUNKS, RECORDING
from lucid_pipeline.lineage.batch import Metadata, duplicate_metadata, materialize_sessions
from lucid_pipeline.lineage.handover import receive, source_of
from lucid_pipeline.lineage.metadata import stopwatch, throughput
from lucid_pipeline.lineage.stages import Holds, stage
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Stage, State


@stage(CHUNKS, after=[RECORDING], kind="python", holds=Holds.PLAINTEXT)
def chunks(
    context: AssetExecutionContext, catalog: ResourceParam[Catalog], settings: ResourceParam[Settings]
) -> MaterializeResult[None]:
    """The plan by which a recording is cut into chunks, and for a cast the first and last event time of each."""

    def work(session_id: UUID) -> Metadata:
        recorded = receive(catalog, session_id, Stage.RECORDING, FileIdentity)
        source = source_of(catalog, session_id)
        with open_recording(source.path) as file, stopwatch() as watch:
            file.check_unchanged(recorded)
            chunked = plan_recording(file, settings.chunk_size, abandoned=source.abandoned)
        catalog.describe(session_id, chunked.file.length, chunked.duration_ms, chunked.recorded_at)
        catalog.hand_over(session_id, Stage.CHUNKS, chunked.encode(), State.CHUNKED)
        return {
            "chunk_count": MetadataValue.int(len(chunked.rows)),
            "chunk_size_bytes": MetadataValue.int(chunked.chunk_size),
            "size_bytes": MetadataValue.int(chunked.file.length),
            "media_type": MetadataValue.text(chunked.media_type),
            "duration_seconds": MetadataValue.float((chunked.duration_ms or 0) / 1000),
            **throughput(chunked.file.length, watch),
        }

    return materialize_sessions(context, catalog, settings, work)


@stage(ENCRYPTED_CHUNKS, after=[CHUNKS], kind="python", holds=Holds.CIPHERTEXT)
def encrypted_chunks(
    context: AssetExecutionContext,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    keystore: ResourceParam[KeySlotStore],
    encryption: ResourceParam[Encryption],
    progress: ResourceParam[Progress],
    settings: ResourceParam[Settings],
) -> MaterializeResult[None]:
    """Every chunk compressed and encrypted in the archive, with the sealed metadata; the key wrapped for recipients.

    Where another session has the same bytes and the same metadata, this one ends as its duplicate.
    """

    def work(session_id: UUID) -> Metadata:
        chunked = receive(catalog, session_id, Stage.CHUNKS, ChunkedRecording)
        record = catalog.get(session_id)
        with open_recording(source_of(catalog, session_id).path) as file, stopwatch() as watch:
            file.check_unchanged(chunked.file)
            encrypted = encrypt_session(
                file, chunked, record.metadata, session_id, encryption, archive, keystore, progress
            )
        request = encrypted.request
        if original := catalog.record_content(session_id, encrypted.content_id):
            discard_session(request, archive, keystore)
            return duplicate_metadata(original)
        catalog.hand_over(session_id, Stage.ENCRYPTED_CHUNKS, request.encode(), State.ENCRYPTED)
        stored = sum(chunk.length for chunk in request.objects)
        return {
            "size_bytes": MetadataValue.int(chunked.file.length),
            "stored_bytes": MetadataValue.int(stored),
            "compression_ratio": MetadataValue.float(round(chunked.file.length / stored, 3)),
            "chunk_count": MetadataValue.int(len(request.objects)),
            "codecs": MetadataValue.json({codec.name.lower(): count for codec, count in encrypted.codecs.items()}),
            "suite": MetadataValue.text(request.suite),
            "recipients": MetadataValue.text(", ".join(recipient.id for recipient in encryption.recipients)),
            **throughput(chunked.file.length, watch),
        }

    return materialize_sessions(context, catalog, settings, work, [archive, keystore])
