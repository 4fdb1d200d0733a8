"""The service put together: who is asked for what, in which order a request passes through what."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI

from lucid_api.access import endpoints as access
from lucid_api.access import sign_in
from lucid_api.health import endpoints as health
from lucid_api.health.metrics import CountRequests
from lucid_api.http.access_log import AccessLog
from lucid_api.http.query_parameters import refuse_unknown_parameters
from lucid_api.http.rate_limits import RateLimitHeaders
from lucid_api.http.request_ids import RequestIds
from lucid_api.http.security_headers import SecurityHeaders
from lucid_api.openapi import document_of
from lucid_api.pages import endpoints as pages
from lucid_api.pages.problem_pages import problem_page
from lucid_api.playback import endpoints as playback
from lucid_api.problems import answer_errors_with_problems
from lucid_api.proofs import endpoints as proofs
from lucid_api.proofs import signing_keys
from lucid_api.proofs import verification_endpoints as verifications
from lucid_api.runs import endpoints as runs
from lucid_api.services import Services
from lucid_api.sessions import endpoints as sessions
from lucid_api.sessions import upload_endpoints as uploads
from lucid_pipeline import __version__

_LARGEST_BODY = 1024 * 1024
"""Bytes of a request, but for an operation that says otherwise."""

_ROUTERS = (
    sessions.router,
    uploads.router,
    access.router,
    proofs.router,
    verifications.router,
    playback.router,
    runs.router,
)
"""Below `/api/v1`."""


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    await app.state.services.dagster.close()


def create_app(services: Services) -> FastAPI:
    """The service that works with these."""
    app = FastAPI(
        title="Lucid session API",
        summary="Find, prove and play archived recordings of sessions.",
        version=__version__,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=_LARGEST_BODY,
        lifespan=_lifespan,
        # A validation failure can quote what was sent, and a stack trace what was decrypted.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.services = services
    app.openapi = lambda: document_of(app)  # type: ignore[method-assign]
    answer_errors_with_problems(app, problem_page)
    versioned = APIRouter(prefix="/api/v1", dependencies=[Depends(refuse_unknown_parameters)])
    for router in _ROUTERS:
        versioned.include_router(router)
    app.include_router(versioned)
    app.include_router(sign_in.router)
    app.include_router(signing_keys.router)
    app.include_router(health.router)
    app.include_router(pages.router)
    app.add_middleware(CountRequests, metrics=services.metrics)
    for middleware in (SecurityHeaders, RateLimitHeaders, AccessLog, RequestIds):  # the last one is passed first
        app.add_middleware(middleware)
    return app
