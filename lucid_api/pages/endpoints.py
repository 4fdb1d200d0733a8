"""What people visit: one address for each page."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from lucid_api.pages import assets
from lucid_api.pages.rendering import WITH_DRAWINGS, page

router = APIRouter(include_in_schema=False)
router.include_router(assets.router)


@router.get("/docs")
def get_docs(request: Request) -> Response:
    """What programs can ask, shown from the OpenAPI document."""
    return page("docs.html", policy=WITH_DRAWINGS, openapi_url=request.app.openapi_url)
