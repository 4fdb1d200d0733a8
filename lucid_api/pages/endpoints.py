"""What people visit: one address for each page.

A page asks by the operations of the JSON API: they are its dependencies, so what they take, check, record and refuse is
the same for both.
"""

import re
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from lucid_api.access.callers import Caller
from lucid_api.access.endpoints import Admin, Auditor, list_api_keys, list_audit_events
from lucid_api.access.models import ApiKeyList, AuditEventList
from lucid_api.access.requirements import require
from lucid_api.access.scopes import DESCRIPTIONS, Role, Scope
from lucid_api.access.sign_in import SIGN_IN, own_path
from lucid_api.pages import assets
from lucid_api.pages.plots import Sizes, plot
from lucid_api.pages.query import Asked, PageRoute
from lucid_api.pages.rendering import PLAIN, WITH_DRAWINGS, WITH_PLAYER, page
from lucid_api.pages.session_view import (
    DAMAGE_WORDS,
    chunk_size_of,
    damaged_chunks,
    facts_of,
    player_of,
    proven_of,
    sizes_of,
)
from lucid_api.playback.content import SAFE_TYPES
from lucid_api.proofs.documents import VerificationPage
from lucid_api.proofs.verification_endpoints import list_verifications
from lucid_api.runs.endpoints import get_lineage, get_run, list_runs
from lucid_api.runs.models import Lineage, RunDetail, RunList, RunStatus
from lucid_api.services import RecordDep, ServicesDep
from lucid_api.sessions.documents import SessionPage, StatisticsDocument
from lucid_api.sessions.endpoints import Reader, get_statistics, list_sessions
from lucid_pipeline.stores.audit_event import Action
from lucid_pipeline.stores.catalog import ListedState, Proof

router = APIRouter(include_in_schema=False, route_class=PageRoute)
router.include_router(assets.router)

_FEW = 5
_FILTERS = (
    "user",
    "host",
    "protocol",
    "state",
    "verified",
    "media_type",
    "tag",
    "started_after",
    "started_before",
)
"""Those that are folded away unless one is set."""

_NEXT = re.compile(r'<([^>]*)>; rel="next"')


def _next_of(response: Response) -> str | None:
    """Where the next page is, from the header that an operation has set."""
    found = _NEXT.fullmatch(response.headers.get("Link", ""))
    return found[1] if found else None


@router.get(SIGN_IN)
def sign_in_page(token: str = "", next: str = "/") -> Response:  # noqa: A002 - that is its name in the address
    """Where a browser is signed in: by the link that leads here, or by a key."""
    return page("sign_in.html", token=token, next=own_path(next), trouble=None)


@router.get("/")
def sessions_page(
    request: Request, response: Response, caller: Reader, found: Annotated[SessionPage, Depends(list_sessions)]
) -> Response:
    """The sessions that are like what was asked for."""
    asked = Asked(request)
    return page(
        "sessions.html",
        caller,
        sessions=found.sessions,
        asked=asked,
        filtered=any(getattr(asked, name) for name in _FILTERS),
        states=list(ListedState),
        proofs=list(Proof),
        media_types=sorted(SAFE_TYPES),
        next=_next_of(response),
    )


@router.get("/statistics")
def statistics_page(caller: Reader, found: Annotated[StatisticsDocument, Depends(get_statistics)]) -> Response:
    """How much there is."""
    return page(
        "statistics.html",
        caller,
        found=found,
        bytes=plot([Sizes(str(day.day), day.raw_bytes, day.stored_bytes) for day in found.days]),
        sessions=plot(
            [Sizes(str(day.day), 0, day.sessions) for day in found.days], lambda day: f"{day.name}: {day.stored}"
        ),
    )


@router.get("/sessions/{session_id}")
def session_page(
    request: Request,
    caller: Reader,
    session: RecordDep,
    services: ServicesDep,
    found: Annotated[VerificationPage, Depends(list_verifications)],
) -> Response:
    """One session: what it is, how it stands, what proves it, and what plays it."""
    player, proven = player_of(session, caller, services), proven_of(session, services)
    return page(
        "session.html",
        caller,
        policy=WITH_PLAYER if player.kind == "terminal" else PLAIN,
        session=session,
        player=player,
        facts=facts_of(session),
        chunk_size=chunk_size_of(proven) if proven else None,
        plot=sizes_of(proven, session.length, damaged_chunks(found, services)) if proven and session.length else None,
        verifications=found.verifications[:_FEW],
        damage_words=DAMAGE_WORDS,
        deep=services.verifications.can_be_deep,
        can_download=services.playing is not None and Scope.CONTENT_PLAY in caller.scopes,
        here=f"/sessions/{session.session_id}",
        api=f"/api/v1/sessions/{session.session_id}",
        origin=str(request.base_url).rstrip("/"),
    )


@router.get("/sessions/{session_id}/standing")
def standing_part(caller: Reader, session: RecordDep) -> Response:
    """How a session stands, for its page."""
    return page("parts/standing.html", caller, session=session, damage_words=DAMAGE_WORDS)


@router.get("/sessions/{session_id}/lineage")
def lineage_part(caller: Reader, lineage: Annotated[Lineage, Depends(get_lineage)]) -> Response:
    """How a session came to be, for its page."""
    return page("parts/lineage.html", caller, lineage=lineage)


@router.get("/sessions/{session_id}/verifications")
def verifications_part(caller: Reader, found: Annotated[VerificationPage, Depends(list_verifications)]) -> Response:
    """What was verified of a session, for its page."""
    return page("parts/verifications.html", caller, verifications=found.verifications[:_FEW])


@router.get("/upload")
def upload_page(caller: Annotated[Caller, require(Scope.RUNS_WRITE)], services: ServicesDep) -> Response:
    """Where a recording is sent from."""
    return page("upload.html", caller, limit=services.settings.api_upload_bytes)


@router.get("/runs")
def runs_page(
    request: Request, response: Response, caller: Reader, found: Annotated[RunList, Depends(list_runs)]
) -> Response:
    """The runs, newest first."""
    return page(
        "runs.html",
        caller,
        runs=found.runs,
        statuses=list(RunStatus),
        asked=Asked(request),
        next=_next_of(response),
    )


@router.get("/runs/{run_id}")
def run_page(caller: Reader, run: Annotated[RunDetail, Depends(get_run)]) -> Response:
    """One run, and what happens in it."""
    return page("run.html", caller, run=run)


@router.get("/audit")
def audit_page(
    request: Request, response: Response, caller: Auditor, found: Annotated[AuditEventList, Depends(list_audit_events)]
) -> Response:
    """What was done, by whom and when."""
    return page(
        "audit.html",
        caller,
        found=found,
        actions=list(Action),
        asked=Asked(request),
        next=_next_of(response),
    )


@router.get("/api-keys")
def api_keys_page(caller: Admin, found: Annotated[ApiKeyList, Depends(list_api_keys)]) -> Response:
    """The keys that there are."""
    return page("api_keys.html", caller, keys=found.api_keys, roles=list(Role), scopes=DESCRIPTIONS)


@router.get("/docs")
def docs_page(request: Request) -> Response:
    """What programs can ask, shown from the OpenAPI document."""
    return page("docs.html", policy=WITH_DRAWINGS, openapi_url=request.app.openapi_url)
