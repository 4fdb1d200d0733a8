"""What the names of files and folders say in the landing folder."""

import re
from uuid import UUID

IN_PROGRESS = (".part", ".partial", ".tmp", ".temp", ".filepart", ".crdownload", ".download", ".incomplete", ".upload")
"""What the names of files and folders end in, in small letters, that are still being written."""

_RECEIVED = re.compile(r"\.([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.upload")


def is_in_progress(name: str) -> bool:
    """Whether a file of this name is still being written, or whatever is in a folder of this name."""
    return name.startswith(".") or name.lower().endswith(IN_PROGRESS)


def receiving_folder(session_id: UUID) -> str:
    """The folder in which the session API receives the recording of a session. Only the API takes it on, or away.

    When all of it is there the folder is renamed to the session's id, so that nothing in it changes.
    """
    return f".{session_id}.upload"


def received_in(name: str) -> UUID | None:
    """The session whose recording the session API receives in a folder of this name; None for any other name."""
    match = _RECEIVED.fullmatch(name)
    return UUID(match[1]) if match else None
