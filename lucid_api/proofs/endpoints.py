"""Manifests, chunk tables, ciphertext and inclusion proofs, and the public keys that all of it is checked with.

What this service sends of an archive it has verified: what does not verify is answered with the damage that was found,
and where it lies. Nothing here takes a secret to make, or to check.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request
from starlette.responses import Response

from lucid_api.access.auditing import AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.http.conditional import PreconditionFailed, conditional, repr_digest
from lucid_api.http.documented import content, headers, not_modified
from lucid_api.http.links import next_page
from lucid_api.http.parts import PartsResponse
from lucid_api.http.ranges import RangeNotSatisfiable, Representation, select
from lucid_api.problems import Damaged, Forbidden, NotFound, Unauthorized, Unavailable, problems
from lucid_api.proofs.documents import ChunkPage, InclusionProof
from lucid_api.proofs.proven import NotSealed, ProvenSession
from lucid_api.proofs.sending import TooManyObjects
from lucid_api.services import RecordDep, ServicesDep
from lucid_pipeline.archive.fetch import fetch_stored
from lucid_pipeline.archive.layout import LAST_SEQUENCE
from lucid_pipeline.archive.manifest import PAYLOAD_TYPE
from lucid_pipeline.stores.audit_event import Action

ENVELOPE = "application/vnd.dsse.envelope.v1+json"
_ENVELOPE_SCHEMA = {
    "type": "object",
    "description": "A DSSE envelope. Its bytes count: verify them before you parse what is in them.",
    "required": ["payload", "payloadType", "signatures"],
    "properties": {
        "payload": {"type": "string", "description": "The manifest, in base64: canonical JSON (RFC 8785)."},
        "payloadType": {"const": PAYLOAD_TYPE},
        "signatures": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["keyid", "sig"],
                "properties": {
                    "keyid": {"type": "string", "description": "Id of the key that signed."},
                    "sig": {"type": "string", "description": "Its signature, Ed25519, in base64."},
                },
            },
        },
    },
}
_OBJECT = "application/octet-stream"
_JSON = "application/json"
_CHUNK_HEADERS = ("ETag", "Cache-Control", "Repr-Digest", "Accept-Ranges")

Sequence = Annotated[
    int | None,
    Query(
        ge=1,
        le=LAST_SEQUENCE,
        description="Go by the manifest with this number, and not by the newest one; what is answered then stays the "
        "same for good.",
        examples=[1],
    ),
]
ChunkIndex = Annotated[int, Path(ge=0, description="Which chunk, counted from 0.", examples=[0])]

_Reader = Annotated[Caller, require(Scope.SESSIONS_READ)]
_PROBLEMS = problems(Unauthorized, Forbidden, NotFound, NotSealed, PreconditionFailed, Damaged, Unavailable)

router = APIRouter(tags=["proofs"])


def _proven(record: RecordDep, services: ServicesDep, sequence: Sequence = None) -> ProvenSession:
    return services.proven.session(record, sequence)


ProvenDep = Annotated[ProvenSession, Depends(_proven)]
"""The session in the path, by the manifest that is asked for."""


def _kept(sequence: int | None) -> str:
    """Who may keep an answer: by the newest manifest it has to be asked for again, by one with a number never."""
    return "private, no-cache" if sequence is None else "private, max-age=31536000, immutable"


@router.get(
    "/sessions/{session_id}/manifest",
    operation_id="get_manifest",
    summary="The signed manifest of a session",
    response_class=Response,
    responses={
        200: {
            "description": "The envelope, as it was signed.",
            "content": {ENVELOPE: {"schema": _ENVELOPE_SCHEMA}},
            "headers": headers("ETag", "Cache-Control", "Repr-Digest", "Content-Location"),
        },
        **not_modified("Cache-Control"),
        **_PROBLEMS,
    },
)
def get_manifest(
    request: Request, caller: _Reader, record: RecordDep, services: ServicesDep, sequence: Sequence = None
) -> Response:
    """The DSSE envelope that was signed when the session was sealed, byte for byte.

    It commits to everything that is stored of the session. Its signature is verified before it is sent, against the
    keys that `get_signing_keys` returns; verify it once more yourself. An envelope that is not the one that this
    service remembers is damage, as is one that is not there any more.
    """
    signed = services.proven.manifest(record, sequence)
    location = request.url.include_query_params(sequence=signed.manifest.sequence)
    more = {
        "Repr-Digest": repr_digest(signed.envelope_sha256),
        "Content-Location": f"{location.path}?{location.query}",
    }
    return conditional(request, signed.envelope, ENVELOPE, _kept(sequence), more)


@router.get(
    "/sessions/{session_id}/chunks",
    operation_id="list_chunks",
    summary="The chunk table of a session",
    response_model=ChunkPage,
    responses={
        200: {"description": "A page of the table.", "headers": headers("ETag", "Cache-Control", "Link")},
        **not_modified("Cache-Control", "Link"),
        **_PROBLEMS,
    },
)
def list_chunks(
    request: Request,
    caller: _Reader,
    session: ProvenDep,
    sequence: Sequence = None,
    after: Annotated[
        int | None, Query(ge=0, description="Begin behind the chunk with this index.", examples=[999])
    ] = None,
    limit: Annotated[int, Query(ge=1, le=10_000, description="Most chunks of a page.", examples=[100])] = 1000,
) -> Response:
    """The chunk objects of a session, by ascending index: what each is called, how long it is, and its digest.

    The digest of the whole table, and the root of the Merkle tree over it, are signed; both have been computed anew.
    """
    first = 0 if after is None else after + 1
    indexes = range(first, min(first + limit, len(session)))
    more = {}
    if indexes and indexes[-1] + 1 < len(session):
        more = next_page(request, after=indexes[-1], sequence=session.signed.manifest.sequence)
    document = ChunkPage.of(session, indexes).model_dump_json().encode()
    return conditional(request, document, _JSON, _kept(sequence), more)


_CHUNK_RESPONSES = {
    200: content(_OBJECT, "The whole object.", *_CHUNK_HEADERS, "Content-Length", "Content-Disposition"),
    206: content(_OBJECT, "The part that was asked for.", *_CHUNK_HEADERS, "Content-Length", "Content-Range"),
    **not_modified("Cache-Control", "Repr-Digest", "Accept-Ranges"),
    **_PROBLEMS,
    **problems(RangeNotSatisfiable, Unavailable, TooManyObjects),
}


@router.head(
    "/sessions/{session_id}/chunks/{index}",
    operation_id="head_chunk",
    summary="What there is to know of a chunk object",
    response_class=Response,
    responses={key: value for key, value in _CHUNK_RESPONSES.items() if key not in (206, 416)},
)
@router.get(
    "/sessions/{session_id}/chunks/{index}",
    operation_id="get_chunk",
    summary="A chunk object: ciphertext",
    response_class=Response,
    responses=_CHUNK_RESPONSES,
)
def get_chunk(
    request: Request,
    caller: _Reader,
    services: ServicesDep,
    session: ProvenDep,
    index: ChunkIndex,
    audit: AuditDep,
    sequence: Sequence = None,
) -> Response:
    """A chunk object as it lies in the archive, encrypted, or a part of it by `Range`.

    The whole object is read, and its digest compared with the signed one, before the first byte is sent. It is one
    event of the audit record as long as the same caller goes on with the same session, and `HEAD` is none.
    """
    chunk = session.chunk(index)
    name = f"{session.signed.manifest.session_id}.{index:08d}.luc"
    selection = select(
        request,
        Representation(
            chunk.length,
            f'"{chunk.sha256.hex()}"',
            {
                "Cache-Control": _kept(sequence),
                "Repr-Digest": repr_digest(chunk.sha256),
                "Content-Disposition": f'attachment; filename="{name}"',
            },
        ),
    )
    if selection.status == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=selection.status, headers=selection.headers)
    place = services.objects.take(chunk.length)
    try:
        stored = fetch_stored(chunk, services.archive)
        if request.method == "GET":
            audit.record_once(Action.CHUNKS_DOWNLOADED, session_id=session.signed.manifest.session_id)
        place.put(stored[selection.start : selection.stop])
    except BaseException:
        place.close()
        raise
    return PartsResponse(place, selection.status, selection.headers, _OBJECT)


@router.get(
    "/sessions/{session_id}/proofs/{index}",
    operation_id="get_proof",
    summary="The inclusion proof of a chunk",
    response_model=InclusionProof,
    responses={
        200: {"description": "The proof.", "headers": headers("ETag", "Cache-Control")},
        **not_modified("Cache-Control"),
        **_PROBLEMS,
    },
)
def get_proof(
    request: Request, caller: _Reader, session: ProvenDep, index: ChunkIndex, sequence: Sequence = None
) -> Response:
    """That a chunk object is part of what was signed: the way from its leaf up to the root of the Merkle tree.

    With the chunk object, the manifest and the public keys this can be checked offline, without Lucid and without any
    secret: docs/proofs.md has a few lines that do it.
    """
    document = InclusionProof.of(session, index).model_dump_json().encode()
    return conditional(request, document, _JSON, _kept(sequence))
