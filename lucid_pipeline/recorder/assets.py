"""The asset `recording`: a session's recording lies where it was registered, and can be read."""

from uuid import UUID

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, ResourceParam

from lucid_pipeline.archive import media
from lucid_pipeline.archive.recording import open_recording
from lucid_pipeline.course.stages import RECORDING
from lucid_pipeline.intake.sidecar import read_sidecar
from lucid_pipeline.lineage.batch import Metadata, materialize_sessions
from lucid_pipeline.lineage.handover import source_of
from lucid_pipeline.lineage.stages import Holds, stage
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Stage, State


@stage(RECORDING, kind="file", holds=Holds.PLAINTEXT)
def recording(
    context: AssetExecutionContext, catalog: ResourceParam[Catalog], settings: ResourceParam[Settings]
) -> MaterializeResult[None]:
    """The finished recording of a session, in plaintext, where it was captured, with its sidecar. Nothing is copied."""

    def work(session_id: UUID) -> Metadata:
        source = source_of(catalog, session_id)
        with open_recording(source.path) as file:
            media_type = media.sniff(file.read(0, media.SNIFF_BYTES))
            if len(file) != catalog.get(session_id).length:
                catalog.describe(session_id, len(file))
            said = read_sidecar(source.path)
            if said is not None:
                catalog.complete(session_id, said)
            catalog.hand_over(session_id, Stage.RECORDING, file.identity.encode(), State.RECORDED)
            return {"size_bytes": MetadataValue.int(len(file)), "media_type": MetadataValue.text(media_type)}

    return materialize_sessions(context, catalog, settings, work)
