"""Who is asking, the keys that there are, and what was done."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from lucid_api.access import api_keys
from lucid_api.access.api_keys import ApiKey, NoSuchKey, TooManyKeys
from lucid_api.access.auditing import Audit, AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.models import (
    ApiKeyDocument,
    ApiKeyList,
    AuditEventDocument,
    AuditEventList,
    CallerDocument,
    KeyWithRole,
    KeyWithScopes,
    NewApiKeyDocument,
)
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.http.cursors import Cursor, cursor_of, place_of
from lucid_api.http.documented import headers
from lucid_api.http.links import next_page
from lucid_api.http.times import Moment
from lucid_api.problems import Conflict, Forbidden, Invalid, NotFound, Unauthorized, Unavailable, problems
from lucid_api.services import ServicesDep, SessionIdText
from lucid_pipeline.stores.audit_event import Action
from lucid_pipeline.stores.audit_index import AuditFilter, Place

router = APIRouter(tags=["access"])

_LONGEST_PAGE = 200
_REFUSED = (Unauthorized, Forbidden)

Admin = Annotated[Caller, require(Scope.ADMIN)]
Auditor = Annotated[Caller, require(Scope.AUDIT_READ)]
KeyId = Annotated[str, Path(pattern="^[0-9a-f]{16}$", description="Id of a key.", examples=["8a2c5a4f0f6b1d3e"])]


@router.get("/me", operation_id="get_me", summary="Who is asking", responses=problems(*_REFUSED))
def get_me(caller: Annotated[Caller, require()]) -> CallerDocument:
    """Tell the caller who it is to this service, and what it may do."""
    return CallerDocument.of(caller)


@router.get("/api-keys", operation_id="list_api_keys", summary="All keys", responses=problems(*_REFUSED))
def list_api_keys(services: ServicesDep, caller: Admin) -> ApiKeyList:
    """List all keys, also those that have expired. Their secrets are not known."""
    return ApiKeyList(api_keys=[ApiKeyDocument.of(key) for key in api_keys.get_all(services.state)])


@router.post(
    "/api-keys",
    operation_id="create_api_key",
    summary="Make a key",
    status_code=201,
    responses={201: {"headers": headers("Location")}, **problems(*_REFUSED, Conflict, Invalid, Unavailable)},
)
def create_api_key(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Admin,
    audit: AuditDep,
    body: KeyWithRole | KeyWithScopes,
) -> NewApiKeyDocument:
    """Make a key that may do no more than its maker. Its text is in this answer and nowhere else."""
    excess = sorted(body.granted - caller.scopes)
    if excess:
        raise Forbidden(f"nobody can give what they do not have: {', '.join(excess)}", missing=excess)
    expires_at = datetime.now(UTC) + timedelta(days=body.expires_in_days) if body.expires_in_days else None
    try:
        key, text = api_keys.create(
            services.state,
            body.label,
            body.granted,
            created_by=caller.subject,
            expires_at=expires_at,
            record=lambda key: _record(audit, Action.KEY_CREATED, key),
        )
    except TooManyKeys as error:
        raise Conflict(str(error)) from error
    response.headers["Location"] = f"{request.url.path}/{key.key_id}"
    return NewApiKeyDocument.with_text(key, text)


@router.get(
    "/api-keys/{key_id}",
    operation_id="get_api_key",
    summary="One key",
    responses=problems(*_REFUSED, NotFound, Invalid),
)
def get_api_key(key_id: KeyId, services: ServicesDep, caller: Admin) -> ApiKeyDocument:
    """Tell what is known of a key."""
    with _finding_a_key():
        return ApiKeyDocument.of(api_keys.get(services.state, key_id))


@router.delete(
    "/api-keys/{key_id}",
    operation_id="delete_api_key",
    summary="Delete a key",
    status_code=204,
    responses=problems(*_REFUSED, NotFound, Invalid, Unavailable),
)
def delete_api_key(key_id: KeyId, services: ServicesDep, caller: Admin, audit: AuditDep) -> None:
    """Delete a key. From now on nobody gets in by it, nor by a browser that was signed in with it."""
    with _finding_a_key():
        api_keys.delete(services.state, key_id, lambda key: _record(audit, Action.KEY_DELETED, key))


def _record(audit: Audit, action: Action, key: ApiKey) -> None:
    audit.record(action, key_id=key.key_id, label=key.label, scopes=key.may)


@contextmanager
def _finding_a_key() -> Iterator[None]:
    try:
        yield
    except NoSuchKey as error:
        raise NotFound(error.message) from error


@router.get(
    "/audit-events",
    operation_id="list_audit_events",
    summary="What was done, by whom and when",
    responses={200: {"headers": headers("Link")}, **problems(*_REFUSED, NotFound, Invalid, Unavailable)},
)
def list_audit_events(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: Auditor,
    audit: AuditDep,
    action: Annotated[Action | None, Query(description="What was done.")] = None,
    subject: Annotated[str | None, Query(max_length=256, description="Who did it.", examples=["owner"])] = None,
    session: Annotated[
        SessionIdText | None,
        Query(description="The session that it was done to.", examples=["01a207bc-8e81-7370-a993-4daf2ca01f8c"]),
    ] = None,
    recorded_after: Annotated[Moment | None, Query(description="Not before this moment.")] = None,
    recorded_before: Annotated[Moment | None, Query(description="Before this moment.")] = None,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=_LONGEST_PAGE, description="Events of one page.")] = 50,
) -> AuditEventList:
    """List events of the audit record, the newest first. That somebody reads it is an event as well."""
    before = Place(*place_of(cursor, str, int)) if cursor else None
    wanted = AuditFilter(action, subject, session, recorded_after, recorded_before)
    audit.record_once(Action.AUDIT_READ)
    found = services.audit.find(wanted, before=before, limit=limit + 1)
    if len(found) > limit:
        response.headers.update(next_page(request, cursor=cursor_of(*found[limit - 1].place)))
    events = [AuditEventDocument.of(entry.event) for entry in found[:limit] if entry.event]
    return AuditEventList(events=events, altered=len(found[:limit]) - len(events))
