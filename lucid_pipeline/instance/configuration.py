"""The file `dagster.yaml` of a home: written by Lucid, then its operator's."""

from hashlib import sha256
from importlib.resources import files
from pathlib import Path

NAME = "dagster.yaml"
OURS = files("lucid_pipeline.instance").joinpath(NAME).read_text("utf-8")
"""What Lucid writes."""

_EVENT_BATCH = 500
"""Materializations of one step that are written in one transaction; a run has fewer sessions than that."""

_FORMERLY_OURS = frozenset(
    {
        "ea75536274255a9b196251553bbb605405263fa05eaa314408e14611773f79e9",
        "345dbaa5148fb38a67f98c88d8a40273b7f4062131e514b510bb03623e75aa17",
        "13b2c18f58341d5f65b08ea4e26d9c106ad1cc6bb4326f828ee3bd6d67eda560",
        "966f712bcbf56ad16a088e2edfbd3220584f9633576ddd527e2c0c0bf102e44b",
        "10c9d9e23acb110fc3fcda5d7ad07449cb32baf64d8797da27c8d32bc370ceb8",
    }
)
"""SHA-256 of what earlier versions wrote: their files become today's, as long as nobody has touched them."""


def write_configuration(folder: Path) -> None:
    """Make the file where it is missing, or is as an earlier version of Lucid wrote it.

    Whoever calls this keeps other processes from doing the same.
    """
    path = folder / NAME
    if path.exists() and sha256(path.read_bytes()).hexdigest() not in _FORMERLY_OURS:
        return
    written = path.with_name(f".{NAME}.partial")
    written.write_text(OURS, encoding="utf-8")
    written.replace(path)


def is_ours(folder: Path) -> bool:
    """Whether the file is as Lucid writes it; one that somebody changed may lack what `lucid up` relies on."""
    return (folder / NAME).read_text("utf-8") == OURS


def environment(folder: Path) -> dict[str, str]:
    """The variables by which every process that works on an instance knows it; `dagster.yaml` refers to the first."""
    return {"DAGSTER_HOME": str(folder), "DAGSTER_EVENT_BATCH_SIZE": str(_EVENT_BATCH)}
