"""Health and figures, outside the versioned API, where whoever watches over services looks for them."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Request, Response
from prometheus_client.exposition import choose_encoder

from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require, whoever
from lucid_api.access.scopes import Scope
from lucid_api.health.components import status_of
from lucid_api.health.models import Component, HealthDocument, LiveDocument, Status
from lucid_api.http.query_parameters import refuse_unknown_parameters
from lucid_api.problems import Forbidden, Invalid, Unauthorized, problems
from lucid_api.services import ServicesDep
from lucid_pipeline import __version__

router = APIRouter(tags=["health"], dependencies=[Depends(refuse_unknown_parameters)])


@router.get(
    "/health",
    operation_id="get_health",
    summary="How the service is, part by part",
    openapi_extra={"security": [{}]},  # beside the others: nobody has to say who they are
    responses={503: {"model": HealthDocument, "description": "It is not ready."}, **problems(Unauthorized, Invalid)},
)
async def get_health(
    response: Response, services: ServicesDep, caller: Annotated[Caller | None, whoever()]
) -> HealthDocument:
    """Tell how the service is, and the parts that it works with.

    It is ready as long as catalog and archive answer: finding, proving and playing sessions needs no Dagster. Whoever
    may not read sessions sees the statuses alone.
    """
    components = await services.health.components()
    status = status_of(components)
    if status is Status.FAILING:
        response.status_code = 503
    if caller is None or Scope.SESSIONS_READ not in caller.scopes:
        return HealthDocument(
            status=status, components=[Component(name=part.name, status=part.status) for part in components]
        )
    return HealthDocument(status=status, version=__version__, components=list(components))


@router.get("/health/live", operation_id="get_live", summary="That the service answers", responses=problems(Invalid))
async def get_live() -> LiveDocument:
    """Answer, whatever else does not."""
    return LiveDocument(status=Status.OK)


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "The figures.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(Unauthorized, Forbidden, Invalid),
    },
)
async def get_metrics(
    request: Request, services: ServicesDep, caller: Annotated[Caller, require(Scope.SESSIONS_READ)]
) -> Response:
    """Tell figures of the service, its parts and its sessions, in Prometheus's text format or OpenMetrics."""
    services.metrics.note_components(await services.health.components())
    encode, media_type = choose_encoder(request.headers.get("Accept", ""))
    content = await to_thread.run_sync(encode, services.metrics.registry)
    return Response(content, headers={"Content-Type": media_type})
