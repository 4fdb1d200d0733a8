"""The stages of the lineage: their asset keys, what all have in common, and how one location names another's."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from dagster import AssetsDefinition, AssetSpec, BackfillPolicy, BetaWarning, asset

from lucid_pipeline.lineage.partitions import SESSIONS

RECORDING = "recording"
CHUNKS = "chunks"
ENCRYPTED_CHUNKS = "encrypted_chunks"
MERKLE_TREE = "merkle_tree"
MANIFEST = "manifest"

LINEAGE = (RECORDING, CHUNKS, ENCRYPTED_CHUNKS, MERKLE_TREE, MANIFEST)
"""All stages, from the recording to its proof."""

GROUP = "sessions"


def stage(name: str, *, after: Sequence[str] = (), kind: str) -> Callable[[Callable[..., Any]], AssetsDefinition]:
    """Declare a stage: an asset with one partition a session, of which one run takes any range.

    Args:
        name: its key.
        after: keys of the assets it is made from.
        kind: what Dagster's UI shows it as.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BetaWarning)  # Dagster calls the policy below beta; batches rest on it
        return asset(
            name=name,
            deps=after,
            kinds={kind},
            partitions_def=SESSIONS,
            group_name=GROUP,
            backfill_policy=BackfillPolicy.single_run(),
        )


def upstream(key: str) -> AssetSpec:
    """An asset of another location, partitioned here as it is there: else Dagster would not join the partitions."""
    return AssetSpec(key, partitions_def=SESSIONS, group_name=GROUP)
