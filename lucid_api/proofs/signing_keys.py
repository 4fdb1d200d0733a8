"""The public keys whose signatures count, for whoever checks what was signed; outside of `/api/v1`, for anybody."""

from base64 import b64encode

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from lucid_api.http.conditional import PreconditionFailed, conditional
from lucid_api.http.documented import content, not_modified
from lucid_api.http.query_parameters import refuse_unknown_parameters
from lucid_api.problems import Invalid, problems
from lucid_api.services import ServicesDep

PATH = "/.well-known/lucid-signing-keys"
_KEPT = "public, max-age=300"
_TEXT = "text/plain; charset=us-ascii"

router = APIRouter(tags=["proofs"], dependencies=[Depends(refuse_unknown_parameters)])


@router.get(
    PATH,
    operation_id="get_signing_keys",
    summary="The public keys that manifests are checked with",
    response_class=Response,
    responses={
        200: content("text/plain", "The keys, one a line.", "ETag", "Cache-Control"),
        **not_modified("Cache-Control"),
        **problems(PreconditionFailed, Invalid),
    },
)
def get_signing_keys(request: Request, services: ServicesDep) -> Response:
    """The public keys whose signatures this service trusts, as a keyring file.

    `lucid verify --public-key` takes what is returned, saved to a file. Keys that come from the very service that is to
    be checked prove little: compare them with a copy that you got another way.
    """
    lines = ["# manifests signed by these are trusted here"]
    for key in services.trusted:
        lines += [f"# {key.id}", f"{key.KIND} {b64encode(key.raw).decode()}"]
    return conditional(request, ("\n".join(lines) + "\n").encode("ascii"), _TEXT, _KEPT)
