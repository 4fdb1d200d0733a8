"""Runs, their events and what they made of a session, as callers get them."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, Field

_TIME = "2026-03-01T12:00:00.000Z"
_RUN_ID = "8f0f6a3c-31a3-4b8f-9c2f-6f2f3a0f9a51"
_SESSION_ID = "01a207bc-8e81-7370-a993-4daf2ca01f8c"


class RunStatus(StrEnum):
    """How far a run has come, in Dagster's words."""

    QUEUED = "queued"
    NOT_STARTED = "not_started"
    MANAGED = "managed"
    STARTING = "starting"
    STARTED = "started"
    SUSPENDED = "suspended"
    SUCCESS = "success"
    FAILURE = "failure"
    CANCELING = "canceling"
    CANCELED = "canceled"

    @property
    def has_ended(self) -> bool:
        """Whether nothing follows."""
        return self in (RunStatus.SUCCESS, RunStatus.FAILURE, RunStatus.CANCELED)


class Run(BaseModel):
    """A run in Dagster."""

    run_id: str = Field(description="Its id.", examples=[_RUN_ID])
    job: str = Field(
        description="The name of its job; `__ASSET_JOB` for assets that somebody chose.", examples=["seal"]
    )
    location: str | None = Field(
        description="The code location that it runs in; null for `lucid archive`, which runs it itself.",
        examples=["session-storage"],
    )
    status: RunStatus = Field(description="How far it has come.")
    stages: list[str] = Field(
        description="The stages that it takes sessions through, in their order.", examples=[["merkle_tree", "manifest"]]
    )
    first_session: str | None = Field(
        description="The first session that it is about, null if it is about none.", examples=[_SESSION_ID]
    )
    last_session: str | None = Field(
        description="The last session that it is about: it takes all from the first to this one.",
        examples=[_SESSION_ID],
    )
    created_at: str = Field(description="When it was asked for.", examples=[_TIME])
    started_at: str | None = Field(description="When its process began, null before that.", examples=[_TIME])
    ended_at: str | None = Field(description="When it ended, null before that.", examples=[_TIME])
    tags: dict[str, str] = Field(description="What marks it.", examples=[{"lucid/backlog": "seal"}])


class RunDetail(Run):
    """A run, with all sessions that it is about."""

    sessions: list[str] | None = Field(
        description="All sessions that it is about; null where Dagster cannot say just now.", examples=[[_SESSION_ID]]
    )


class RunList(BaseModel):
    """One page of runs, newest first; `Link` with `rel="next"` leads to the next page, if there is one."""

    runs: list[Run] = Field(description="The runs of this page.")


class MetadataEntry(BaseModel):
    """One thing that Dagster was told of what a stage made."""

    label: str = Field(description="What it is about.", examples=["stored_bytes"])
    type: str = Field(
        description="How to take the value: `text`, `int`, `float`, `bool`, `json`, `markdown`, `url`, `path`, "
        "`timestamp`, `run`, `asset`, `job`; or `other`, of which the value is null.",
        examples=["int"],
    )
    value: Any = Field(description="The value in plain JSON.", examples=[73_216])


class RunEvent(BaseModel):
    """Something that happened in a run."""

    type: str = Field(
        description="What happened, in Dagster's words; `log` for a line of its log.", examples=["step_start"]
    )
    at: str = Field(description="When.", examples=[_TIME])
    level: str = Field(description="How much it matters, as logs have it.", examples=["info"])
    stage: str | None = Field(description="The stage that it happened in, if in one.", examples=["manifest"])
    session_id: str | None = Field(
        description="The session that was done, or failed; null where it is about the run.", examples=[_SESSION_ID]
    )
    message: str = Field(description="What a person reads.")
    metadata: list[MetadataEntry] = Field(description="What was told of it.")


class RunEnd(BaseModel):
    """The last thing that is told of a run."""

    run_id: str = Field(description="The run.", examples=[_RUN_ID])
    status: RunStatus = Field(description="How it ended.")


class AssetState(StrEnum):
    """What became of a stage for one session."""

    MATERIALIZED = "materialized"
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    FAILED = "failed"
    MISSING = "missing"


class LineageAsset(BaseModel):
    """One stage of a session: what was made, by which run, and what was told of it."""

    name: str = Field(description="The stage, which is the asset's key.", examples=["manifest"])
    location: str = Field(description="The code location that makes it.", examples=["session-storage"])
    after: str | None = Field(
        description="The stage that it is made from; null for the first.", examples=["merkle_tree"]
    )
    known_from: Literal["dagster", "catalog"] = Field(
        description="Who says so. What only Dagster knows is null where the catalog had to answer."
    )
    state: AssetState = Field(description="What became of it.")
    run_id: str | None = Field(description="The run that made it, has it in hand, or failed.", examples=[_RUN_ID])
    run_status: RunStatus | None = Field(description="How far that run has come.")
    materialized_at: str | None = Field(description="When it was last made.", examples=[_TIME])
    metadata: list[MetadataEntry] = Field(description="What was told of it when it was made.")
    reason: str | None = Field(description="Why it failed, where that is known.")


class Lineage(BaseModel):
    """How a session came to be, stage by stage."""

    session_id: str = Field(description="The session.", examples=[_SESSION_ID])
    dagster: Literal["answers", "away"] = Field(
        description="Whether Dagster could be asked. If not, all of it is what the catalog knows."
    )
    assets: list[LineageAsset] = Field(description="The stages in their order.")


class Outcome(StrEnum):
    """What became of a session that runs were asked for."""

    STARTED = "started"
    IN_HAND = "in_hand"
    WAITING = "waiting"
    SEALED = "sealed"
    DUPLICATE = "duplicate"


class RequestedSession(BaseModel):
    """What became of one session of a request."""

    session_id: str = Field(description="The session.", examples=[_SESSION_ID])
    outcome: Outcome = Field(
        description="`started`: a run of this request has it. `in_hand`: another run has it, or `lucid archive`. "
        "`waiting`: a run will be started by itself when there is room. `sealed`, `duplicate`: there is nothing to do."
    )
    run_id: str | None = Field(description="The run that has it.", examples=[_RUN_ID])


class StartedRuns(BaseModel):
    """What came of a request for runs."""

    request: str = Field(
        description="The name of this request; `GET /runs?request=` finds its runs.", examples=["5f1c6a0be1a94c1d"]
    )
    runs: list[Run] = Field(description="The runs that it started.")
    sessions: list[RequestedSession] = Field(description="What became of each session.")
