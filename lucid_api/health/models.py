"""What is told of the service's health."""

from enum import StrEnum

from pydantic import BaseModel, Field


class Status(StrEnum):
    """How the service, or a part of it, is.

    A service that is degraded answers whatever does not need the parts that fail.
    """

    OK = "ok"
    DEGRADED = "degraded"
    FAILING = "failing"
    UNUSED = "unused"


class Component(BaseModel):
    """One part that the service works with."""

    name: str = Field(
        description="`catalog`, `archive`, `keystore`, `dagster`, `daemon`, or a code location.", examples=["catalog"]
    )
    status: Status = Field(description="`ok` or `failing`; `unused` for a keystore where there is no identity.")
    detail: str | None = Field(
        default=None, description="What is wrong; told to callers who may read sessions.", examples=["no answer in 2 s"]
    )
    milliseconds: float | None = Field(
        default=None, description="How long it took to find out; told to callers who may read sessions.", examples=[1.8]
    )


class HealthDocument(BaseModel):
    """How the service is, and the parts that it works with."""

    status: Status = Field(
        description="`failing` if the catalog or the archive is: then it is not ready; `degraded` if another part is."
    )
    version: str | None = Field(
        default=None, description="Lucid's version; told to callers who may read sessions.", examples=["0.1.0"]
    )
    components: list[Component] = Field(description="Each part.")


class LiveDocument(BaseModel):
    """That the service answers at all."""

    status: Status = Field(description="Always `ok`.")
