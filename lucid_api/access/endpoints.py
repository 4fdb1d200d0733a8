"""Who is asking."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.problems import Forbidden, Unauthorized, problems

router = APIRouter(tags=["access"])


class CallerDocument(BaseModel):
    """Who asks, and what they may do."""

    subject: str = Field(description="What logs and the audit record call them.", examples=["key:8a2c5a4f0f6b1d3e"])
    scopes: list[Scope] = Field(description="What they may do.")


@router.get("/me", operation_id="get_me", summary="Who is asking", responses=problems(Unauthorized, Forbidden))
def get_me(caller: Annotated[Caller, require()]) -> CallerDocument:
    """Tell the caller who it is to this service, and what it may do."""
    return CallerDocument(subject=caller.subject, scopes=sorted(caller.scopes))
