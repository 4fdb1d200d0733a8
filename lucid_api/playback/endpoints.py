"""Playing what was recorded: the bytes, and of terminal casts their text, their events, and where some text stands.

Whoever asks needs the scope `content:play`, and is on record before anything that was recorded leaves.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from lucid_api.access.auditing import Audit, AuditDep
from lucid_api.access.callers import Caller
from lucid_api.access.requirements import require
from lucid_api.access.scopes import Scope
from lucid_api.http.conditional import PreconditionFailed, repr_digest
from lucid_api.http.cursors import Cursor, cursor_of, place_of
from lucid_api.http.documented import content, headers, not_modified
from lucid_api.http.links import next_page
from lucid_api.http.parts import PartsResponse
from lucid_api.http.ranges import RangeNotSatisfiable, Representation, select
from lucid_api.playback.casts import Cast, NotATerminal, Position
from lucid_api.playback.content import SAFE_TYPES, disposition, safe_media_type
from lucid_api.playback.documents import EventsPage, MatchPage, TranscriptPage
from lucid_api.playback.events import page_of_events
from lucid_api.playback.open_sessions import NoKeySlot, OpenSession
from lucid_api.playback.playbacks import TooManyPlaybacks
from lucid_api.playback.playing import Playing
from lucid_api.problems import Damaged, Forbidden, Invalid, NoIdentity, NotFound, Unauthorized, Unavailable, problems
from lucid_api.proofs.proven import NotSealed
from lucid_api.services import RecordDep, ServicesDep
from lucid_pipeline.archive.damage import DamageError
from lucid_pipeline.errors import LucidError
from lucid_pipeline.stores.audit_event import Action, Outcome

_LATEST_MS = 2**53 - 1
_Player = Annotated[Caller, require(Scope.CONTENT_PLAY)]


class NoCast(NotFound):
    """The recording is no terminal cast, so it has no text and no events."""

    kind, title = "not-a-terminal", "Not a terminal cast"


_FAILURES = (
    Unauthorized,
    Forbidden,
    NotFound,
    NotSealed,
    NoIdentity,
    NoKeySlot,
    Damaged,
    Unavailable,
    TooManyPlaybacks,
)
_PROBLEMS = problems(*_FAILURES)
_PROBLEMS_OF_CASTS = problems(*_FAILURES, NoCast, Invalid)

router = APIRouter(tags=["playback"])


def _playing(_caller: _Player, services: ServicesDep) -> Playing:
    if services.playing is None:
        raise NoIdentity("this service holds no identity: it proves sessions, and plays none")
    return services.playing


PlayingDep = Annotated[Playing, Depends(_playing)]


def _opened(playing: PlayingDep, record: RecordDep) -> OpenSession:
    return playing.sessions.session(record)


SessionDep = Annotated[OpenSession, Depends(_opened)]
"""The session in the path, unlocked, for a caller who may play it."""


def _cast(session: SessionDep) -> Cast:
    try:
        return session.cast
    except NotATerminal:
        raise NoCast("the recording is no terminal cast: there is no text of it, and there are no events") from None


CastDep = Annotated[Cast, Depends(_cast)]


@contextmanager
def _on_record(audit: Audit, action: Action, session: OpenSession) -> Iterator[None]:
    """Put on record what is about to be done, and then, if damage keeps it from being done, that as well."""
    session_id = session.signed.manifest.session_id
    audit.record_once(action, session_id=session_id)
    try:
        yield
    except DamageError as error:
        _record_failure(audit, action, session, error)
        raise


def _record_failure(audit: Audit, action: Action, session: OpenSession, error: LucidError) -> None:
    code = error.damage.code if isinstance(error, DamageError) else None
    audit.record_once(action, Outcome.FAILED, session_id=session.signed.manifest.session_id, damage=code)


_CONTENT_HEADERS = ("ETag", "Accept-Ranges", "Repr-Digest", "Content-Disposition", "Content-Length")
_CONTENT_RESPONSES = {
    200: content(SAFE_TYPES, "The whole recording, under its own media type.", *_CONTENT_HEADERS),
    206: content(SAFE_TYPES, "The part that was asked for.", *_CONTENT_HEADERS, "Content-Range"),
    **not_modified("Accept-Ranges", "Repr-Digest"),
    **_PROBLEMS,
    **problems(PreconditionFailed, RangeNotSatisfiable, Invalid),
}


@router.head(
    "/sessions/{session_id}/content",
    operation_id="head_content",
    summary="What there is to know of a recording",
    response_class=Response,
    responses={key: value for key, value in _CONTENT_RESPONSES.items() if key not in (206, 416)},
)
@router.get(
    "/sessions/{session_id}/content",
    operation_id="get_content",
    summary="A recording, decrypted",
    response_class=Response,
    responses=_CONTENT_RESPONSES,
)
def get_content(
    request: Request,
    caller: _Player,
    playing: PlayingDep,
    session: SessionDep,
    audit: AuditDep,
    download: Annotated[
        bool, Query(description="Send it as a file to be saved, and put it on record as a download.")
    ] = False,
) -> Response:
    """The recording as it was archived, byte for byte, or a part of it by `Range`.

    Each chunk is checked against what was signed, and decrypted, before a byte of it is sent. What is damaged at the
    start is answered with a problem; what is damaged later breaks the response off, before `Content-Length` bytes have
    come. Of the whole, the last chunk comes only if the digest of all of it is right. Several ranges at once are
    answered with the whole. `Repr-Digest` is the digest that was taken when the recording was archived.

    It is one event of the audit record as long as the same caller goes on playing the same session, and `HEAD` is none.
    """
    reader, recording = session.reader, session.reader.metadata.recording
    media_type = safe_media_type(session.signed.manifest.recording.media_type)
    whole = Representation(
        len(reader),
        f'"{session.signed.envelope_sha256.hex()[:32]}"',  # what tells the plaintext's digest would end up in logs
        {
            "Repr-Digest": repr_digest(recording.sha256),
            "Content-Disposition": disposition("attachment" if download else "inline", recording.name),
        },
    )
    selection = select(request, whole)
    if selection.status == HTTPStatus.NOT_MODIFIED:
        return Response(status_code=selection.status, headers=selection.headers)
    if request.method == "HEAD":
        return Response(status_code=selection.status, headers=selection.headers, media_type=media_type)
    action = Action.CONTENT_DOWNLOADED if download else Action.CONTENT_PLAYED
    playback = playing.playbacks.playback(reader, selection.start, selection.stop, caller.subject)
    try:
        with _on_record(audit, action, session):
            playback.begin()
    except BaseException:
        playback.close()
        raise
    failed = partial(_record_failure, audit, action, session)
    return PartsResponse(playback, selection.status, selection.headers, media_type, failed)


FromMs = Annotated[
    int, Query(ge=0, le=_LATEST_MS, description="Begin of the span of time, in ms from the start.", examples=[60000])
]
ToMs = Annotated[
    int, Query(ge=0, le=_LATEST_MS, description="End of the span of time, in ms from the start.", examples=[120000])
]
Limit = Annotated[int, Query(ge=1, le=5000, description="Most items of a page.", examples=[100])]


def _responses() -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "A page of them.", "headers": headers("Link")}, **_PROBLEMS_OF_CASTS}


@router.get(
    "/sessions/{session_id}/transcript",
    operation_id="get_transcript",
    summary="The text of a terminal cast",
    responses=_responses(),
)
def get_transcript(
    request: Request,
    response: Response,
    caller: _Player,
    playing: PlayingDep,
    session: SessionDep,
    cast: CastDep,
    audit: AuditDep,
    from_ms: FromMs = 0,
    to_ms: ToMs = _LATEST_MS,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> TranscriptPage:
    """What a person saw on the terminal, line by line, with the times at which each line was written.

    A line is one that scrolled off the screen, that stood there for a quarter of a second and was then replaced, or
    that was there at the end. Of what a program draws again and again, a progress bar or a table of processes, there is
    the last state, or one every minute. Input is no part of it: what was typed and not echoed never stood there.

    A long recording is worked on in stretches, some for each request: a page can have fewer lines than `limit`, even
    none, and still not be the last one. There are more as long as there is a `Link` to a next page. Around the end of a
    stretch, every 4 MiB of the recording, lines that began at the same time can be on both sides of it.
    """
    place = _place(cursor)
    with _on_record(audit, Action.TRANSCRIPT_READ, session):
        page = playing.transcripts.lines(session, from_ms, to_ms, limit, place)
    if page.next:
        response.headers.update(next_page(request, cursor=cursor_of(*page.next)))
    return TranscriptPage.of(session, page)


@router.get(
    "/sessions/{session_id}/matches",
    operation_id="find_in_session",
    summary="Where in a terminal cast some text stands",
    responses=_responses(),
)
def find_in_session(
    request: Request,
    response: Response,
    caller: _Player,
    playing: PlayingDep,
    session: SessionDep,
    cast: CastDep,
    audit: AuditDep,
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]*$",
            description="What to look for: text, and no pattern. Upper and lower case are the same.",
            examples=["sudo"],
        ),
    ],
    limit: Limit = 100,
    cursor: Cursor = None,
) -> MatchPage:
    """The places in the transcript where some text stands, in order, and when it could be read there.

    A match lies within one line of the transcript; one that the terminal broke into several rows is one. What was
    looked for is not put on record, as it could tell what was found.

    A long recording is searched in stretches, some for each request: a page can have fewer matches than `limit`, even
    none, and still not be the last one. There are more as long as there is a `Link` to a next page.
    """
    place = _place(cursor)
    with _on_record(audit, Action.CONTENT_SEARCHED, session):
        page = playing.transcripts.matches(session, q, limit, place)
    if page.next:
        response.headers.update(next_page(request, cursor=cursor_of(*page.next)))
    return MatchPage.of(session, page)


@router.get(
    "/sessions/{session_id}/events",
    operation_id="list_session_events",
    summary="The events of a terminal cast",
    responses=_responses(),
)
def list_session_events(
    request: Request,
    response: Response,
    caller: _Player,
    session: SessionDep,
    cast: CastDep,
    audit: AuditDep,
    from_ms: FromMs = 0,
    to_ms: ToMs = _LATEST_MS,
    limit: Limit = 1000,
    cursor: Cursor = None,
) -> EventsPage:
    """What was recorded, event by event, in the order of the recording, with times from its start.

    Input is among it, so passwords that were typed can be, too. Text that was no UTF-8 has U+FFFD in its place.

    A page has at most 1 MiB of text, or a single longer event. It can have fewer events than `limit`, even none, and
    still not be the last one: there are more as long as there is a `Link` to a next page.
    """
    place = _place(cursor)
    with _on_record(audit, Action.TRANSCRIPT_READ, session):
        page = page_of_events(cast, from_ms, to_ms, limit, Position(*place) if place else None)
    if page.next:
        response.headers.update(next_page(request, cursor=cursor_of(page.next.offset, page.next.elapsed_us)))
    return EventsPage.of(session.signed.manifest.session_id, cast, page)


def _place(cursor: str | None) -> tuple[int, int] | None:
    """Two numbers: a stretch and how far into it, or an offset and the time there."""
    if cursor is None:
        return None
    first, second = place_of(cursor, int, int)
    return max(0, first), max(0, second)
