"""The assets `merkle_tree` and `manifest`: what really lies in the archive, hashed and then signed."""

from uuid import UUID

from dagster import AssetExecutionContext, MaterializeResult, MetadataValue, ResourceParam, asset

from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import load_chunk_table
from lucid_pipeline.archive.sealing import HashedChunks, SealingRequest, hash_chunks, seal_session
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.lineage.batch import Metadata, materialize_sessions
from lucid_pipeline.lineage.handover import receive
from lucid_pipeline.lineage.metadata import stopwatch, throughput
from lucid_pipeline.lineage.partitions import SESSIONS
from lucid_pipeline.lineage.stages import ENCRYPTED_CHUNKS, GROUP, MANIFEST, MERKLE_TREE
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Seal, Stage, State


@asset(name=MERKLE_TREE, partitions_def=SESSIONS, group_name=GROUP, deps=[ENCRYPTED_CHUNKS], kinds={"python"})
def merkle_tree(
    context: AssetExecutionContext,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    settings: ResourceParam[Settings],
) -> MaterializeResult[None]:
    """The RFC 9162 tree over all chunk objects, each read back from the archive and hashed here."""

    def work(session_id: UUID) -> Metadata:
        request = receive(catalog, session_id, Stage.ENCRYPTED_CHUNKS, SealingRequest)
        with stopwatch() as watch:
            hashed = hash_chunks(request, archive, settings.workers)
        catalog.hand_over(session_id, Stage.MERKLE_TREE, hashed.encode(), State.HASHED)
        return {
            "root": MetadataValue.text(hashed.root.hex()),
            "chunk_count": MetadataValue.int(hashed.chunk_count),
            "stored_bytes": MetadataValue.int(hashed.stored_bytes),
            "chunk_table": MetadataValue.text(hashed.chunk_table.key),
            **throughput(hashed.stored_bytes, watch),
        }

    return materialize_sessions(context, catalog, work)


@asset(name=MANIFEST, partitions_def=SESSIONS, group_name=GROUP, deps=[merkle_tree], kinds={"json"})
def manifest(
    context: AssetExecutionContext,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    signing_key: ResourceParam[SigningKey],
) -> MaterializeResult[None]:
    """The signed manifest, which proves the whole session to anyone who has the public key. Read back and verified."""

    def work(session_id: UUID) -> Metadata:
        request = receive(catalog, session_id, Stage.ENCRYPTED_CHUNKS, SealingRequest)
        hashed = receive(catalog, session_id, Stage.MERKLE_TREE, HashedChunks)
        signed = seal_session(request, hashed, signing_key, archive)
        load_chunk_table(signed.manifest, archive)
        catalog.record_seal(session_id, Seal.of(signed))
        stream = signed.manifest.recording
        return {
            "root": MetadataValue.text(stream.tree.root.hex()),
            "sequence": MetadataValue.int(signed.manifest.sequence),
            "signed_by": MetadataValue.text(signed.key_id),
            "envelope_sha256": MetadataValue.text(signed.envelope_sha256.hex()),
            "object": MetadataValue.text(manifest_key(session_id, signed.manifest.sequence)),
            "chunk_count": MetadataValue.int(stream.chunk_count),
            "stored_bytes": MetadataValue.int(stream.stored_bytes),
            "completeness": MetadataValue.text(signed.manifest.completeness.state),
            "damage": MetadataValue.text("none"),
        }

    return materialize_sessions(context, catalog, work)
