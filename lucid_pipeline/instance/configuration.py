"""The file `dagster.yaml` of a home: written by Lucid, then its operator's."""

from importlib.resources import files
from pathlib import Path

NAME = "dagster.yaml"
OURS = files("lucid_pipeline.instance").joinpath(NAME).read_text("utf-8")
"""What Lucid writes."""

_EVENT_BATCH = 500
"""Materializations of one step that are written in one transaction; a run has fewer sessions than that."""

_FORMERLY_OURS = frozenset(
    {
        "# Dagster's settings for this home. Lucid wrote this file once, and leaves it as it is from then on.\n"
        "telemetry:\n"
        "  enabled: false  # nothing about sessions leaves this machine\n",
    }
)
"""What earlier versions wrote: their files become today's, as long as nobody has touched them."""


def write_configuration(folder: Path) -> None:
    """Make the file where it is missing, or is as an earlier version of Lucid wrote it.

    Whoever calls this keeps other processes from doing the same.
    """
    path = folder / NAME
    if path.exists() and path.read_text("utf-8") not in _FORMERLY_OURS:
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
