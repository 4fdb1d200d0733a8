"""Keys, callers and events of the audit record, as callers get them."""

from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from lucid_api.access.api_keys import ApiKey
from lucid_api.access.callers import Caller
from lucid_api.access.scopes import Role, Scope
from lucid_pipeline.stores.audit_event import AuditEvent, Detail

_TIME = "2026-03-01T12:00:00.000Z"
_KEY_ID = "8a2c5a4f0f6b1d3e"
_LONGEST_LABEL = 100
_MOST_DAYS = 3650


class CallerDocument(BaseModel):
    """Who asks, and what they may do."""

    subject: str = Field(description="What logs and the audit record call them.", examples=[f"key:{_KEY_ID}"])
    scopes: list[Scope] = Field(description="What they may do.")

    @classmethod
    def of(cls, caller: Caller) -> Self:
        """What is told of a caller."""
        return cls(subject=caller.subject, scopes=sorted(caller.scopes))


class ApiKeyDocument(BaseModel):
    """A key, without its secret."""

    key_id: str = Field(description="Its id.", examples=[_KEY_ID])
    subject: str = Field(description="What logs and the audit record call its holder.", examples=[f"key:{_KEY_ID}"])
    label: str = Field(description="What people call it.", examples=["nightly upload"])
    scopes: list[Scope] = Field(description="What its holder may do.")
    created_by: str = Field(description="The subject who made it.", examples=["owner"])
    created_at: str = Field(description="When it was made.", examples=[_TIME])
    expires_at: str | None = Field(description="Until when it is valid; null: until it is deleted.", examples=[_TIME])
    used_at: str | None = Field(description="When it was used last, to the hour; null: never.", examples=[_TIME])

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """What is told of a key."""
        return cls.model_validate(key.document)


class NewApiKeyDocument(ApiKeyDocument):
    """A key that has just been made."""

    key: str = Field(
        description="What its holder sends, as `Authorization: Bearer <key>`. It is told this once, and kept nowhere.",
        examples=[f"lucid_{_KEY_ID}_<secret>"],
    )

    @classmethod
    def with_text(cls, key: ApiKey, text: str) -> Self:
        """What is told of a key when it is made."""
        return cls.model_validate({**key.document, "key": text})


class ApiKeyList(BaseModel):
    """All keys, the newest first."""

    api_keys: list[ApiKeyDocument] = Field(description="The keys; at most 1,000.")


def _whole(value: object) -> object:
    """In JSON a number is whole or not, however it is written."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _KeyRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    label: str = Field(
        min_length=1,
        max_length=_LONGEST_LABEL,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]+$",
        description="What people call it; it goes into the audit record.",
        examples=["nightly upload"],
    )
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=_MOST_DAYS), BeforeValidator(_whole)] | None = Field(
        default=None, description="How long it is valid; null: until it is deleted.", examples=[90]
    )


class KeyWithRole(_KeyRequest):
    """A key for somebody with a role."""

    role: Role = Field(description="Its holder may do what the role may.", examples=["viewer"])

    @property
    def granted(self) -> frozenset[Scope]:
        """What its holder may do."""
        return self.role.scopes


class KeyWithScopes(_KeyRequest):
    """A key for these scopes and no others."""

    scopes: list[Scope] = Field(
        min_length=1,
        max_length=len(Scope),
        json_schema_extra={"uniqueItems": True},
        description="What its holder may do.",
        examples=[["sessions:read"]],
    )

    @property
    def granted(self) -> frozenset[Scope]:
        """What its holder may do."""
        return frozenset(self.scopes)

    @field_validator("scopes")
    @classmethod
    def _each_once(cls, scopes: list[Scope]) -> list[Scope]:
        if len(set(scopes)) < len(scopes):
            raise ValueError("each may be named once")
        return scopes


class AuditEventDocument(BaseModel):
    """An event of the audit record, as it stands there."""

    sequence: int = Field(description="Its number, from 1.", examples=[42])
    time: str = Field(description="When it was recorded.", examples=[_TIME])
    action: str = Field(description="What was done, or tried.", examples=["content.played"])
    outcome: str = Field(description="`allowed`, `refused` or `failed`.", examples=["allowed"])
    subject: str | None = Field(description="Who; null where nobody was known.", examples=[f"key:{_KEY_ID}"])
    address: str | None = Field(description="Where the request came from.", examples=["127.0.0.1"])
    session_id: str | None = Field(
        description="The session that it is about.", examples=["01a207bc-8e81-7370-a993-4daf2ca01f8c"]
    )
    request_id: str | None = Field(
        description="The request that did it, as in the service's log.",
        examples=["01a20f5e-6d0f-7c43-b9a1-64f20dd3a7d5"],
    )
    details: dict[str, Detail] = Field(description="What else there is to say.", examples=[{"way": "link"}])
    previous: str = Field(description="The hash of the event before, in hex.", examples=["9f" * 32])
    hash: str = Field(description="Its own hash, in hex, which the next one is chained to.", examples=["3c" * 32])

    @classmethod
    def of(cls, event: AuditEvent) -> Self:
        """An event as it was read."""
        return cls.model_validate(event.model_dump(mode="json"))


class AuditEventList(BaseModel):
    """One page of events, the newest first; `Link` with `rel="next"` leads to the next page, if there is one."""

    events: list[AuditEventDocument] = Field(description="The events of this page.")
    altered: int = Field(
        description="How many events of this page are not what was written, and are left out: `lucid verify --audit` "
        "says which.",
        examples=[0],
    )
