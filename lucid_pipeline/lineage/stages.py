"""The stages of the lineage as assets: what all have in common, and how one location names another's."""

import warnings
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

from dagster import (
    AssetCheckSpec,
    AssetsDefinition,
    AssetSpec,
    BackfillPolicy,
    BetaWarning,
    MaterializeResult,
    asset,
    with_source_code_references,
)

from lucid_pipeline.course.stages import MANIFEST, MERKLE_TREE, leg_of
from lucid_pipeline.lineage.partitions import SESSIONS

GROUP = "sessions"
_HOLDS_TAG = "lucid/holds"

INTACT = "intact"
CHECKED = {
    MERKLE_TREE: "Every object of these sessions came back from the archive as it was put there.",
    MANIFEST: "Every manifest of these sessions was read back, and proves what was hashed.",
}
"""Stages that end with a check of that name, and what it says. It is done with the stage's own work."""


class Holds(StrEnum):
    """What an asset is about, and so who must not see it."""

    PLAINTEXT = "plaintext"
    CIPHERTEXT = "ciphertext"
    PROOF = "proof"


def stage(
    name: str, *, after: Sequence[str] = (), kind: str, holds: Holds
) -> Callable[[Callable[..., Any]], AssetsDefinition]:
    """Declare a stage: an asset with one partition a session, of which one run takes any range.

    Args:
        name: its key.
        after: keys of the assets it is made from.
        kind: what Dagster's UI shows it as.
        holds: what it is about.
    """

    def declare(function: Callable[..., Any]) -> AssetsDefinition:
        # Where there is a check too, Dagster knows its result only without a type parameter.
        function.__annotations__["return"] = MaterializeResult
        with warnings.catch_warnings():
            # Dagster calls the policy, on which batches rest, and the links to the source beta.
            warnings.simplefilter("ignore", BetaWarning)
            declared = asset(
                name=name,
                deps=after,
                kinds={kind},
                owners=[owner(name)],
                tags={_HOLDS_TAG: holds.value},  # Dagster serializes no enums of others
                partitions_def=SESSIONS,
                group_name=GROUP,
                backfill_policy=BackfillPolicy.single_run(),
                check_specs=_checks(name),
            )(function)
            [linked] = with_source_code_references([declared])
        assert isinstance(linked, AssetsDefinition)
        return linked

    return declare


def owner(name: str) -> str:
    """Whom Dagster's UI shows as the owner of a stage: the code location that it belongs to."""
    return f"team:{leg_of(name).location}"


def _checks(name: str) -> list[AssetCheckSpec]:
    if name not in CHECKED:
        return []
    return [AssetCheckSpec(INTACT, asset=name, description=CHECKED[name], blocking=True)]


def upstream(key: str) -> AssetSpec:
    """An asset of another location, partitioned here as it is there: else Dagster would not join the partitions."""
    return AssetSpec(key, partitions_def=SESSIONS, group_name=GROUP)
