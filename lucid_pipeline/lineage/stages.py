"""The stages of the lineage, their asset keys, and the specs by which one location depends on another's assets."""

from dagster import AssetSpec

from lucid_pipeline.lineage.partitions import SESSIONS

RECORDING = "recording"
CHUNKS = "chunks"
ENCRYPTED_CHUNKS = "encrypted_chunks"
MERKLE_TREE = "merkle_tree"
MANIFEST = "manifest"

LINEAGE = (RECORDING, CHUNKS, ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST)
"""All stages, from the recording to its proof."""

GROUP = "sessions"


def upstream(key: str) -> AssetSpec:
    """An asset of another location, partitioned here as it is there: else Dagster would not join the partitions."""
    return AssetSpec(key, partitions_def=SESSIONS, group_name=GROUP)
