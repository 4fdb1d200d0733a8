"""Dagster's answers, read into what callers get."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from lucid_api.runs.models import MetadataEntry, Run, RunEvent, RunStatus
from lucid_api.runs.problems import DagsterFailed
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.course.partitions import PARTITION_TAG, RANGE_END_TAG, RANGE_START_TAG
from lucid_pipeline.course.stages import LINEAGE

Found = Mapping[str, Any]
"""A part of an answer."""

_OWN_TAGS = "lucid/"
_LONGEST_MESSAGE = 500


def time_of(seconds: float) -> str:
    """A moment that Dagster gives in seconds from 1970."""
    return timestamp(datetime.fromtimestamp(seconds, UTC))


def run_of(found: Found) -> Run:
    """A run."""
    tags = {tag["key"]: tag["value"] for tag in found["tags"]}
    selected = {asset["path"][-1] for asset in found["assetSelection"] or ()}
    origin = found["repositoryOrigin"]
    alone = tags.get(PARTITION_TAG)
    return Run(
        run_id=found["runId"],
        job=found["jobName"],
        location=origin["repositoryLocationName"] if origin else None,
        status=status_of(found["status"]),
        stages=[stage for stage in LINEAGE if stage in selected],
        first_session=alone or tags.get(RANGE_START_TAG),
        last_session=alone or tags.get(RANGE_END_TAG),
        created_at=time_of(found["creationTime"]),
        started_at=_optional_time(found["startTime"]),
        ended_at=_optional_time(found["endTime"]),
        tags={key: value for key, value in tags.items() if key.startswith(_OWN_TAGS)},
    )


def status_of(name: str) -> RunStatus:
    """A run's status."""
    try:
        return RunStatus[name]
    except KeyError:
        raise DagsterFailed("Dagster has a status for runs that Lucid does not know") from None


def event_of(found: Found) -> RunEvent:
    """An event of a run; of its message the first line."""
    kind = found["eventType"]
    failure = found.get("failureMetadata") or {}
    return RunEvent(
        type=kind.lower() if kind else "log",
        at=time_of(int(found["timestamp"]) / 1000),
        level=found["level"].lower(),
        stage=found["stepKey"],
        session_id=found.get("partition"),
        message=first_line(found["message"]),
        metadata=metadata_of([*found.get("metadataEntries", ()), *failure.get("metadataEntries", ())]),
    )


def first_line(text: str) -> str:
    """As much of a text as a person is told; a stack trace would begin on the second line."""
    return next(iter(text.splitlines()), "")[:_LONGEST_MESSAGE]


def metadata_of(entries: Iterable[Found]) -> list[MetadataEntry]:
    """What was told of a stage, in plain JSON."""
    return [_entry(found) for found in entries]


def _optional_time(seconds: float | None) -> str | None:
    return None if seconds is None else time_of(seconds)


def _float(text: str) -> float | str:
    """A number, or what JSON has no number for."""
    number = float(text)
    return number if abs(number) < float("inf") else text


ENTRIES: Mapping[str, tuple[str, Callable[[Found], object]]] = {
    "TextMetadataEntry": ("text", lambda found: found["text"]),
    "IntMetadataEntry": ("int", lambda found: int(found["intRepr"])),
    "FloatMetadataEntry": ("float", lambda found: _float(found["floatRepr"])),
    "BoolMetadataEntry": ("bool", lambda found: found["boolValue"]),
    "JsonMetadataEntry": ("json", lambda found: json.loads(found["jsonString"])),
    "MarkdownMetadataEntry": ("markdown", lambda found: found["mdStr"]),
    "UrlMetadataEntry": ("url", lambda found: found["url"]),
    "PathMetadataEntry": ("path", lambda found: found["path"]),
    "TimestampMetadataEntry": ("timestamp", lambda found: time_of(found["timestamp"])),
    "PipelineRunMetadataEntry": ("run", lambda found: found["runId"]),
    "AssetMetadataEntry": ("asset", lambda found: "/".join(found["assetKey"]["path"])),
    "JobMetadataEntry": ("job", lambda found: found["jobName"]),
}
"""How each kind of entry is taken. Lucid's assets tell nothing of other kinds, and Dagster may learn new ones."""


def _entry(found: Found) -> MetadataEntry:
    kind, value = ENTRIES.get(found["__typename"], ("other", lambda _found: None))
    return MetadataEntry(label=found["label"], type=kind, value=value(found))
