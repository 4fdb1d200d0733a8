"""The assets `merkle_tree` and `manifest`: what really lies in the archive, hashed and then signed."""

from uuid import UUID

from dagster import AssetExecutionContext, AssetSpec, MaterializeResult, MetadataValue, ResourceParam

from lucid_pipeline.archive import envelope
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Document
from lucid_pipeline.archive.fetch import fetch_stored
from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.manifest import SignedManifest, parse_time
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import load_chunk_table
from lucid_pipeline.archive.sealing import HashedChunks, SealingRequest, hash_chunks, seal_session
from lucid_pipeline.archive.signing import SigningKey
from lucid_pipeline.course.stages import ENCRYPTED_CHUNKS, MANIFEST, MERKLE_TREE
from lucid_pipeline.lineage.batch import Metadata, materialize_sessions
from lucid_pipeline.lineage.handover import receive, receive_bytes
from lucid_pipeline.lineage.metadata import stopwatch, throughput
from lucid_pipeline.lineage.stages import GROUP, Holds, owner, stage
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Seal, Stage, State

_HASHED_ATTEMPT = "application/vnd.lucid.hashed-attempt.v1+json"

ARCHIVE = AssetSpec(
    "archive",
    deps=[MANIFEST],
    group_name=GROUP,
    kinds={"storage"},
    owners=[owner(MANIFEST)],
    description="All sealed sessions, where they lie. The scrub verifies them again and again, the sweep removes what"
    " attempts that died left beside them. No run makes it, so no run of a session waits for either.",
)


class _HashedAttempt(Document):
    """All that the manifest says of one attempt to encrypt a session, without its list of objects.

    Handed over as one, because `encrypted_chunks` may have handed over another attempt since, under another key; and
    signed, because whoever can write to the catalog could change it.
    """

    request: SealingRequest
    hashed: HashedChunks


@stage(MERKLE_TREE, after=[ENCRYPTED_CHUNKS], kind="python", holds=Holds.PROOF)
def merkle_tree(
    context: AssetExecutionContext,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    signing_key: ResourceParam[SigningKey],
    settings: ResourceParam[Settings],
) -> MaterializeResult[None]:
    """The RFC 9162 tree over all chunk objects, each read back from the archive and hashed here."""

    def work(session_id: UUID) -> Metadata:
        request = receive(catalog, session_id, Stage.ENCRYPTED_CHUNKS, SealingRequest)
        _check_session(request, session_id)
        with stopwatch() as watch:
            hashed = hash_chunks(request, archive, settings.workers)
        attempt = _HashedAttempt(request=request.model_copy(update={"objects": []}), hashed=hashed)
        signed = envelope.sign(attempt.encode(), _HASHED_ATTEMPT, signing_key)
        catalog.hand_over(session_id, Stage.MERKLE_TREE, signed, State.HASHED)
        return {
            "root": MetadataValue.text(hashed.root.hex()),
            "chunk_count": MetadataValue.int(hashed.chunk_count),
            "stored_bytes": MetadataValue.int(hashed.stored_bytes),
            "chunk_table": MetadataValue.text(hashed.chunk_table.key),
            **throughput(hashed.stored_bytes, watch),
        }

    return materialize_sessions(context, catalog, settings, work, [archive])


@stage(MANIFEST, after=[MERKLE_TREE], kind="json", holds=Holds.PROOF)
def manifest(
    context: AssetExecutionContext,
    catalog: ResourceParam[Catalog],
    archive: ResourceParam[ObjectStore],
    signing_key: ResourceParam[SigningKey],
    settings: ResourceParam[Settings],
) -> MaterializeResult[None]:
    """The signed manifest, which proves the whole session to anyone who has the public key. Read back and verified."""

    def work(session_id: UUID) -> Metadata:
        handed_over = receive_bytes(catalog, session_id, Stage.MERKLE_TREE)
        payload = envelope.verify(handed_over, _HASHED_ATTEMPT, [signing_key.public], MERKLE_TREE).payload
        attempt = _HashedAttempt.decode(payload, DamageCode.MANIFEST_MALFORMED, MERKLE_TREE)
        _check_session(attempt.request, session_id)
        fetch_stored(attempt.hashed.chunk_table, archive)
        signed = seal_session(attempt.request, attempt.hashed, signing_key, archive)
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
            "seconds_to_seal": MetadataValue.float(_seconds_between(catalog.get(session_id).registered_at, signed)),
        }

    return materialize_sessions(context, catalog, settings, work, [archive])


def _seconds_between(registered_at: str, signed: SignedManifest) -> float:
    """How long a session took from its registration; both times are of this host's clock."""
    return (parse_time(signed.manifest.created_at) - parse_time(registered_at)).total_seconds()


def _check_session(request: SealingRequest, session_id: UUID) -> None:
    if request.session_id != session_id:
        where = f"session {session_id}"
        raise DamageError(DamageCode.COMMITMENT_MISMATCH, where, "what was handed over is of another session")
