"""The stages of the lineage by name, in their order, and the code locations and jobs that they belong to.

Whoever asks Dagster for runs of them, by its GraphQL say, needs these names and nothing of Dagster itself.
"""

from dataclasses import dataclass

RECORDING = "recording"
CHUNKS = "chunks"
ENCRYPTED_CHUNKS = "encrypted_chunks"
MERKLE_TREE = "merkle_tree"
MANIFEST = "manifest"


@dataclass(frozen=True, slots=True)
class Leg:
    """The stages that one code location takes sessions through, in runs of one job.

    `job` is that job's name, `location` the code location's, `stages` are asset keys in the order of the lineage.
    """

    job: str
    location: str
    stages: tuple[str, ...]


RECORD = Leg("record", "session-recorder", (RECORDING,))
PROCESS = Leg("process", "chunk-processor", (CHUNKS, ENCRYPTED_CHUNKS))
SEAL = Leg("seal", "session-storage", (MERKLE_TREE, MANIFEST))

LEGS = (RECORD, PROCESS, SEAL)
"""All of the course, in the order in which a session takes it."""

LINEAGE = tuple(stage for leg in LEGS for stage in leg.stages)
"""All stages, from the recording to its proof."""


def leg_of(stage: str) -> Leg:
    """The leg that a stage is part of."""
    return next(leg for leg in LEGS if stage in leg.stages)
