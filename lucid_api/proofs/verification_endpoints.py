"""Verifications: asked for, watched, and looked up later."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import JSONResponse

from lucid_api.access.auditing import AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.http.documented import headers
from lucid_api.http.idempotency import IdempotencyKey, KeyInUse, KeyReused
from lucid_api.http.links import next_page
from lucid_api.problems import Conflict, Forbidden, Invalid, NoIdentity, NotFound, Unauthorized, Unavailable, problems
from lucid_api.proofs.documents import Verification, VerificationDetail, VerificationPage, VerificationRequest
from lucid_api.proofs.verifications import TooManyVerifications
from lucid_api.services import RecordDep, ServicesDep
from lucid_pipeline.stores.audit_event import Action

_EXAMPLE = "01a20f5e-6d0f-7c43-b9a1-64f20dd3a7d5"
_Reader = Annotated[Caller, require(Scope.SESSIONS_READ)]
_Verifier = Annotated[Caller, require(Scope.VERIFY_WRITE)]
_PROBLEMS = (Unauthorized, Forbidden, NotFound, Invalid, Unavailable)

router = APIRouter(tags=["verifications"])


class NothingSealed(Conflict):
    """Nothing of the session is sealed, so there is nothing to verify."""

    kind, title = "nothing-sealed", "Nothing to verify yet"


@router.post(
    "/sessions/{session_id}/verifications",
    operation_id="request_verification",
    summary="Have a session verified",
    status_code=202,
    response_model=Verification,
    responses={
        202: {"description": "It is made as soon as it is its turn.", "headers": headers("Location")},
        **problems(*_PROBLEMS, NothingSealed, NoIdentity, TooManyVerifications, KeyInUse, KeyReused),
    },
)
def request_verification(
    body: VerificationRequest,
    request: Request,
    caller: _Verifier,
    record: RecordDep,
    services: ServicesDep,
    audit: AuditDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Read everything back that is stored of a session, and check it against its signed manifest.

    Whatever is found is remembered in the catalog, too, as by `lucid verify`. What a few threads have not begun when
    the service ends is interrupted, as is what they have not finished.
    """
    asked = ("request_verification", str(record.session_id), body.model_dump_json())
    with services.idempotent.once(caller.subject, idempotency_key, *asked) as attempt:
        if attempt.answered:
            return attempt.answered
        if record.seal is None:
            raise NothingSealed(f"the session is {record.state}: nothing of it is signed yet")
        if body.deep and not services.verifications.can_be_deep:
            raise NoIdentity("a deep verification decrypts, and this service holds no identity")
        audit.record(Action.VERIFICATION_STARTED, session_id=record.session_id, deep=body.deep)
        made = services.verifications.request(record, deep=body.deep, subject=caller.subject)
        location = {"Location": f"{request.url.path}/{made.verification_id}"}
        return attempt.answer(JSONResponse(made.model_dump(mode="json"), 202, location))


@router.get(
    "/sessions/{session_id}/verifications",
    operation_id="list_verifications",
    summary="The verifications of a session",
    responses={
        200: {"description": "A page of them, the newest first.", "headers": headers("Link")},
        **problems(*_PROBLEMS),
    },
)
def list_verifications(
    request: Request,
    response: Response,
    caller: _Reader,
    record: RecordDep,
    services: ServicesDep,
    cursor: Annotated[
        UUID | None, Query(description="Where the page before this one ended, from its `Link`.", examples=[_EXAMPLE])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100, description="Most verifications of a page.")] = 20,
) -> VerificationPage:
    """What callers had verified of a session through this service; the newest hundred are kept.

    The command line, the nightly scrub and the clean-up verify, too: what all of them found last is in `get_session`.
    """
    found = services.verifications.newest(record.session_id, cursor, limit + 1)
    if len(found) > limit:
        response.headers.update(next_page(request, cursor=found[limit - 1].verification_id))
    return VerificationPage(verifications=found[:limit])


@router.get(
    "/sessions/{session_id}/verifications/{verification_id}",
    operation_id="get_verification",
    summary="How far a verification is, and what it found",
    responses={200: {"description": "The verification."}, **problems(*_PROBLEMS)},
)
def get_verification(
    caller: _Reader,
    record: RecordDep,
    services: ServicesDep,
    verification_id: Annotated[UUID, Path(description="Id of the verification.", examples=[_EXAMPLE])],
) -> VerificationDetail:
    """Ask again until `status` is `finished`, `failed` or `interrupted`."""
    return services.verifications.get(record.session_id, verification_id)
