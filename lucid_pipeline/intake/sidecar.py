"""What may lie beside a recording: its sidecar, which says whose session it was, and its marker, that it is finished.

Both are named by the recording. A sidecar is written by whoever dropped the recording, so it is read as strictly as
anything from outside, and its reader quotes none of its values.
"""

import errno
import os
import stat
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, ValidationError

from lucid_pipeline.archive.canonical import DoubleKey, parse
from lucid_pipeline.archive.documents import Document
from lucid_pipeline.archive.manifest import parse_time
from lucid_pipeline.archive.recording import opened_folder
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import PermanentError, TransientError

SIDECAR_ENDING = ".meta.json"
MARKER_ENDING = ".done"

LARGEST_SIDECAR = 64 * 1024
LARGEST_MARKER = 1024
"""Bytes that a marker may hold, such as a time or a checksum: a larger file with its ending is a recording."""

LONGEST_TEXT = 1024
"""Bytes of a text in a sidecar."""

MOST_TAGS = 100
_SHOWN_CHARACTERS = 40
_HINT = "mend or remove it, then retry the session"


def _check_text(text: str) -> str:
    try:
        length = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("not Unicode text") from None
    if length > LONGEST_TEXT:
        raise ValueError(f"longer than {LONGEST_TEXT} bytes")
    return text


def _check_time(text: str) -> str:
    try:
        parse_time(text)
    except ValueError:
        raise ValueError("not an RFC 3339 time") from None
    return text


SidecarText = Annotated[str, AfterValidator(_check_text)]
"""Text of at most `LONGEST_TEXT` bytes."""

SidecarTime = Annotated[SidecarText, AfterValidator(_check_time)]
"""A time as in RFC 3339."""

_Tags = dict[Annotated[SidecarText, Field(min_length=1)], SidecarText]


class Sidecar(Document):
    """What may be said of a session by whoever brings its recording."""

    user: SidecarText | None = None
    host: SidecarText | None = None
    protocol: SidecarText | None = None
    started_at: SidecarTime | None = None
    ended_at: SidecarTime | None = None
    tags: Annotated[_Tags, Field(max_length=MOST_TAGS)] = Field(default_factory=dict)

    @property
    def metadata(self) -> SessionMetadata:
        """The same as it is archived."""
        return SessionMetadata.model_validate(self.model_dump())


def read_sidecar(recording: Path) -> SessionMetadata | None:
    """What the sidecar of a recording says; None where there is none.

    Raises:
        PermanentError: it is no sidecar; the message names it, and the field that is at fault.
        TransientError: it cannot be read now.
    """
    path = Path(f"{recording}{SIDECAR_ENDING}")
    data = _read(path)
    if data is None:
        return None
    if len(data) > LARGEST_SIDECAR:
        raise _refused(path, f"it has more than {LARGEST_SIDECAR // 1024} KiB")
    try:
        return _parse(data).metadata
    except ValidationError as error:
        raise _refused(path, _reason(error)) from None
    except DoubleKey as error:
        raise _refused(path, f"the field {_shown(error.key)} stands twice in one object") from None
    except (ValueError, RecursionError):
        raise _refused(path, "it is not JSON in UTF-8") from None


def is_taken_in(recording: Path, metadata: SessionMetadata) -> bool:
    """Whether a session has all that the sidecar of its recording says, or what outweighs it; false without one.

    Raises:
        TransientError: the sidecar cannot be read now.
    """
    try:
        said = read_sidecar(recording)
    except PermanentError:
        return False
    return said is not None and metadata.completed_by(said) == metadata


def is_marker(status: os.stat_result) -> bool:
    """Whether a file whose name ends as a marker's does is one."""
    return stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST_MARKER


def is_beside(name: str, status: os.stat_result) -> bool:
    """Whether a file that is named as a sidecar or a marker is one, if its recording is there."""
    return name.endswith(SIDECAR_ENDING) or is_marker(status)


def recording_of(name: str) -> str | None:
    """The name of the recording that a file with this name is the sidecar or marker of; None for any other name."""
    for ending in (SIDECAR_ENDING, MARKER_ENDING):
        if name.endswith(ending):
            return name.removesuffix(ending) or None
    return None


def _read(path: Path) -> bytes | None:
    """One byte more than a sidecar may have, at most."""
    try:
        with opened_folder(path) as folder:
            flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(path.name, flags, dir_fd=folder)
    except OSError as error:
        # Beside a recording that has gone, or has a very long name, there is none.
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return None
        reason = "it is a link" if error.errno == errno.ELOOP else f"it cannot be opened: {error.strerror}"
        raise _refused(path, reason) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _refused(path, "it is not a regular file")
        with open(descriptor, "rb", closefd=False) as file:
            return file.read(LARGEST_SIDECAR + 1)
    except OSError as error:
        raise TransientError(f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _parse(data: bytes) -> Sidecar:
    fields: Any = parse(data)
    return Sidecar.model_validate(fields)


def _reason(error: ValidationError) -> str:
    """What is wrong with which field, without a word of its value."""
    first = error.errors(include_input=False, include_url=False)[0]
    if not first["loc"]:
        return "it is not a JSON object"
    field = _shown(str(first["loc"][0]))
    if first["type"] == "extra_forbidden":
        return f"a sidecar has no field {field}"
    return f"{field}: {first['msg'].removeprefix('Value error, ')}"


def _shown(name: str) -> str:
    return ascii(name[:_SHOWN_CHARACTERS])


def _refused(path: Path, reason: str) -> PermanentError:
    return PermanentError(f"the sidecar {path} cannot be used: {reason}", _HINT)
