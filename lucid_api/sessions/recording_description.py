"""What a caller says of a recording that it sends: its name, and what a sidecar could say."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from lucid_api.problems import Invalid
from lucid_api.sessions.tags import Tag, pairs_of
from lucid_pipeline.intake.names import IN_PROGRESS
from lucid_pipeline.intake.sidecar import (
    LARGEST_SIDECAR,
    LONGEST_TEXT,
    MARKER_ENDING,
    MOST_TAGS,
    SIDECAR_ENDING,
    Sidecar,
    SidecarText,
    SidecarTime,
)

LONGEST_NAME = 255 - len(SIDECAR_ENDING)
"""Bytes of a name, beside which a file system has room for that of the sidecar."""

_TIME = {"format": "date-time"}
_CONTROL = r"\u0000-\u001f\u007f-\u009f"
_NAME = {"pattern": f"^[^./{_CONTROL}][^/{_CONTROL}]*$"}


def _check_name(name: str) -> str:
    """Refuse what would not lie in the upload's own folder as a recording; says why."""
    if "/" in name or name in (".", ".."):
        raise ValueError("it is a path, and not a name")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ValueError("it has control characters")
    if name.startswith("."):
        raise ValueError("it begins with a dot, as what is still being written")
    if ending := next((ending for ending in IN_PROGRESS if name.lower().endswith(ending)), None):
        raise ValueError(f"it ends in {ending}, as what is still being written")
    if ending := next((ending for ending in (SIDECAR_ENDING, MARKER_ENDING) if name.endswith(ending)), None):
        raise ValueError(f"it ends in {ending}, as what lies beside a recording")
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"it is longer than {LONGEST_NAME} bytes")
    return name


def _check_tags(tags: list[str]) -> list[str]:
    try:
        Sidecar(tags=pairs_of(tags))
    except ValidationError as error:
        raise ValueError(error.errors(include_input=False)[0]["msg"].removeprefix("Value error, ")) from None
    return tags


_Text = Annotated[SidecarText, Field(max_length=LONGEST_TEXT)]
_Time = Annotated[SidecarTime, Field(json_schema_extra=_TIME)]


class RecordingDescription(BaseModel):
    """The query of an upload."""

    name: Annotated[
        str,
        AfterValidator(_check_name),
        Field(
            min_length=1,
            max_length=LONGEST_NAME,
            description="What the recording is called: the name of a file, which is neither hidden nor one of a file "
            f"that is still being written ({', '.join(f'`{ending}`' for ending in IN_PROGRESS)}), a sidecar "
            f"(`{SIDECAR_ENDING}`) or a marker (`{MARKER_ENDING}`).",
            examples=["session.cast"],
            json_schema_extra=_NAME,
        ),
    ]
    user: _Text | None = Field(None, description="Who was recorded.", examples=["ada"])
    host: _Text | None = Field(None, description="Where.", examples=["gate-1"])
    protocol: _Text | None = Field(None, description="How they were connected.", examples=["ssh"])
    started_at: _Time | None = Field(
        None,
        description="When the session began (RFC 3339, with its zone). Of a terminal cast that says it, that counts "
        "where nothing is given here. In a URL, `+` is written `%2B`.",
        examples=["2026-01-31T12:00:00Z"],
    )
    ended_at: _Time | None = Field(None, description="When it ended.", examples=["2026-01-31T12:30:00Z"])
    tag: Annotated[
        list[Tag],
        AfterValidator(_check_tags),
        Field(
            max_length=MOST_TAGS,
            description="Further facts, each as `name=value`; may be given several times.",
            examples=[["ticket=4711"]],
        ),
    ] = Field(default_factory=list)

    @property
    def sidecar(self) -> Sidecar:
        """What lies beside the recording.

        Raises:
            Invalid: it is more than a sidecar may say.
        """
        fields = self.model_dump(include={"user", "host", "protocol", "started_at", "ended_at"})
        sidecar = Sidecar(**fields, tags=pairs_of(self.tag))
        if len(sidecar.encode()) > LARGEST_SIDECAR:
            reason = f"with all else that is said, it takes more than {LARGEST_SIDECAR // 1024} KiB"
            raise Invalid("see errors", errors=[{"in": "query", "name": "tag", "reason": reason}])
        return sidecar
