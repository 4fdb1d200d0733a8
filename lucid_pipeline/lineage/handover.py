"""What one stage hands to the next through the catalog, until the session is sealed."""

from typing import TypeVar
from uuid import UUID

from lucid_pipeline.archive.documents import Document
from lucid_pipeline.errors import PermanentError, TransientError
from lucid_pipeline.stores.catalog import Catalog, Source, Stage

D = TypeVar("D", bound=Document)


def receive(catalog: Catalog, session_id: UUID, stage: Stage, kind: type[D]) -> D:
    """The document that a stage handed over for a session.

    Raises:
        TransientError: the stage has not been done.
        PermanentError: what it handed over is no such document.
    """
    try:
        return kind.model_validate_json(receive_bytes(catalog, session_id, stage))
    except ValueError as error:
        detail = f"what {stage} handed over for session {session_id} cannot be read"
        raise PermanentError(detail, f"materialize {stage} again") from error


def receive_bytes(catalog: Catalog, session_id: UUID, stage: Stage) -> bytes:
    """What a stage handed over for a session, as it is.

    Raises:
        TransientError: the stage has not been done.
    """
    data = catalog.handed_over(session_id, stage)
    if data is None:
        raise TransientError(f"{stage} of session {session_id} is not there", f"materialize {stage} first")
    return data


def source_of(catalog: Catalog, session_id: UUID) -> Source:
    """Where a session's recording lies.

    Raises:
        PermanentError: it lies nowhere any more.
    """
    source = catalog.get(session_id).source
    if source is None:
        raise PermanentError(
            f"session {session_id} has no recording any more", "only a registered file can be archived"
        )
    return source
