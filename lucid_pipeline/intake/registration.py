"""How a recording enters: it gets a session id, and the catalog learns where it lies."""

import os
import stat
from hashlib import sha256
from pathlib import Path

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.errors import PermanentError
from lucid_pipeline.stores.catalog import Catalog, SessionRecord, Source


def register(path: Path, metadata: SessionMetadata, catalog: Catalog, *, release: bool) -> SessionRecord:
    """Register a recording, or find the session that this very state of the file already has.

    Args:
        path: the file; it is read later, where it lies.
        metadata: what is known of the session.
        catalog: where sessions are registered.
        release: remove the file once its session is sealed and verified.

    Raises:
        PermanentError: there is no such file, or it is not a regular one, or it may not be read.
    """
    try:
        path = path.resolve(strict=True)
        status = path.stat()
        readable = os.access(path, os.R_OK)
    except (OSError, RuntimeError) as error:
        raise PermanentError(
            f"cannot find {path}: {getattr(error, 'strerror', error)}", "is the path right?"
        ) from error
    if not stat.S_ISREG(status.st_mode):
        raise PermanentError(f"{path} is not a regular file", "only files can be archived")
    if not readable:
        raise PermanentError(f"{path} may not be read by this user", "change its mode or owner")
    source = Source(path, fingerprint(path, status), release)
    return catalog.register(new_session_id(), source, name_of(path), metadata)


def name_of(path: Path) -> str:
    """What a recording is called, in Unicode whatever its name is made of."""
    return os.fsencode(path.name).decode("utf-8", "replace")


def fingerprint(path: str | Path, status: os.stat_result) -> str:
    """What tells this state of this file from any other: place, inode, length, and times of change, all hashed.

    The time of the last status change is part of it, which no tool that copies times can set.
    """
    facts = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return sha256(os.fsencode(path) + b"\0" + repr(facts).encode()).hexdigest()
