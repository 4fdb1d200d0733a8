"""Recordings that are sent to the service."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from sys import maxsize
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import contextmanager_in_threadpool, run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from lucid_api.access.auditing import AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.http import forms
from lucid_api.http.digest_fields import DigestMismatch, SaidDigest
from lucid_api.http.documented import headers
from lucid_api.http.idempotency import Attempt, IdempotencyKey, KeyInUse, KeyReused
from lucid_api.problems import BadRequest, Forbidden, Invalid, Problem, TooLarge, Unauthorized, Unavailable, problems
from lucid_api.services import ServicesDep
from lucid_api.sessions.recording_description import RecordingDescription
from lucid_api.sessions.uploads import Incoming, NoRoom, TooManyUploads
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.stores.audit_event import Action
from lucid_pipeline.units import size

STALLED_SECONDS = 60
"""How long nothing may arrive before an upload is given up."""

_PIECE_BYTES = MIB
_OPERATION = "upload_recording"

router = APIRouter(tags=["sessions"])


class CutOff(BadRequest):
    """The connection ended before all of the recording had arrived. Nothing of it is kept."""

    kind, title = "upload-cut-off", "Not all of it arrived"


class Stalled(Problem):
    """Nothing arrived for too long. Nothing of the recording is kept."""

    status, kind, title = HTTPStatus.REQUEST_TIMEOUT, "upload-stalled", "It goes on no more"


class UnsupportedMediaType(Problem):
    """A recording is sent as it is: as the body of the request, neither as a form nor compressed."""

    status, kind, title = HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Not as it is"


class ReceivedRecording(BaseModel):
    """A recording that was received, and whose session waits to be archived."""

    session_id: str = Field(
        description="Id of its session: a UUIDv7.", examples=["01a207bc-8e81-7370-a993-4daf2ca01f8c"]
    )
    name: str = Field(description="What it is called.", examples=["session.cast"])
    length: int = Field(description="Bytes that were received.", examples=[146515])


@router.post(
    "/sessions",
    operation_id=_OPERATION,
    summary="Send a recording",
    status_code=202,
    response_model=ReceivedRecording,
    max_body_size=maxsize,  # its own limit is a setting
    openapi_extra={
        "requestBody": {
            "description": "The recording: any bytes. A request without any is an empty recording.",
            "required": False,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
    responses={
        202: {"description": "It is there, and its session registered.", "headers": headers("Location")},
        **problems(
            *(Unauthorized, Forbidden, Invalid, BadRequest, DigestMismatch, CutOff, Stalled, TooLarge),
            *(UnsupportedMediaType, KeyInUse, KeyReused, TooManyUploads, NoRoom, Unavailable),
        ),
    },
)
async def upload_recording(
    request: Request,
    caller: Annotated[Caller, require(Scope.RUNS_WRITE)],
    services: ServicesDep,
    audit: AuditDep,
    described: Annotated[RecordingDescription, Query()],
    said_digest: SaidDigest,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Take a finished recording in, as if it had been put into the landing folder with a sidecar.

    It is archived by the next runs, and then removed from the landing folder. Either all of it is taken in, or nothing.
    Sent once more without an `Idempotency-Key`, the same recording with the same description is a session of its own,
    which ends as a duplicate.
    """
    sidecar, limit = described.sidecar, services.settings.api_upload_bytes
    length = _announced(request, limit)
    asked = (_OPERATION, described.name, sidecar.encode())

    def attempt(digest: bytes) -> Attempt:
        return services.idempotent.attempt(caller.subject, idempotency_key, *asked, digest)

    def take_in(incoming: Incoming) -> Response:
        with incoming.in_hand():
            made = attempt(incoming.sha256)
            if made.answered:
                return made.answered
            incoming.finish(sidecar)
            audit.record(Action.UPLOAD_RECEIVED, session_id=incoming.session_id, bytes=incoming.length)
            services.uploads.take_in(incoming, sidecar)
            return made.answer(_accepted(request, incoming))

    with services.uploads.places.one_of(caller.subject):
        async with contextmanager_in_threadpool(services.idempotent.alone(caller.subject, idempotency_key)):
            if said_digest and (answered := (await run_in_threadpool(attempt, said_digest)).answered):
                return answered
            incoming = await run_in_threadpool(services.uploads.begin, described.name, length)
            try:
                await _receive(request, incoming, limit)
                if said_digest not in (None, incoming.sha256):
                    raise DigestMismatch("what arrived has another SHA-256 than what was said to be sent")
                return await run_in_threadpool(take_in, incoming)
            finally:  # handed over at once: what cancels the request cancels whatever waits for a thread, too
                await asyncio.get_running_loop().run_in_executor(None, incoming.close)


def _announced(request: Request, limit: int) -> int | None:
    """How many bytes are to come, if that is said.

    Raises:
        TooLarge: more than may be.
        UnsupportedMediaType: it is not the bytes of a recording that are to come.
    """
    if forms.media_type_of(request) in (forms.MEDIA_TYPE, "multipart/form-data"):
        raise UnsupportedMediaType(
            "the body has to be the recording itself; send it as application/octet-stream, with curl by "
            "-T FILE -X POST, or --data-binary @FILE -H 'Content-Type: application/octet-stream'"
        )
    if request.headers.get("Content-Encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("the recording has to be sent as it is, without a Content-Encoding")
    length = request.headers.get("Content-Length")
    if length is not None and int(length) > limit:
        raise _too_large(limit)
    return int(length) if length else None


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"a recording may have {size(limit)} here", limit=limit)


async def _receive(request: Request, incoming: Incoming, limit: int) -> None:
    async for piece in _pieces(request):
        if incoming.length + len(piece) > limit:
            raise _too_large(limit)
        await run_in_threadpool(_write, incoming, piece)


def _write(incoming: Incoming, piece: bytearray) -> None:
    with incoming.in_hand():
        incoming.write(piece)


async def _pieces(request: Request) -> AsyncIterator[bytearray]:
    """What arrives, gathered: to hand each packet to another thread would cost more than to write it."""
    piece, more = bytearray(), True
    async with aclosing(request.stream()) as stream:
        while more:
            try:
                async with asyncio.timeout(STALLED_SECONDS):
                    received = await anext(stream, b"")
            except TimeoutError:
                raise Stalled(f"nothing arrived for {STALLED_SECONDS} s; send it again") from None
            except ClientDisconnect:
                raise CutOff("the connection ended before all of it had arrived") from None
            piece += received
            more = bool(received)
            if len(piece) >= _PIECE_BYTES or not more:
                yield piece
                piece = bytearray()


def _accepted(request: Request, incoming: Incoming) -> Response:
    received = ReceivedRecording(session_id=str(incoming.session_id), name=incoming.name, length=incoming.length)
    location = {"Location": f"{request.url.path}/{incoming.session_id}"}
    return JSONResponse(received.model_dump(), 202, location)
