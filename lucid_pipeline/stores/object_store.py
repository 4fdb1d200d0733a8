"""From an archive's URL to the adapter for it."""

import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.errors import UsageError
from lucid_pipeline.stores.bucket_store import BucketStore
from lucid_pipeline.stores.folder_store import FolderStore

_BUCKET = re.compile(r"[A-Za-z0-9._-]+")
_THREADS_AT_A_BUCKET = 8


def open_object_store(url: str, *, create: bool = False) -> ObjectStore:
    """The object store at a URL: `file:///folder` or `s3://bucket/prefix`.

    Args:
        url: where it is.
        create: make the folder if it is not there; a bucket is never made.

    Raises:
        UsageError: the URL names no such place, or the folder is not there or cannot be made. Never quotes a URL that
            was refused: it may hold a password.
    """
    if folder := local_folder(url):
        return FolderStore(folder, create=create)
    parts = _split(url)
    if parts.scheme == "s3" and _BUCKET.fullmatch(parts.netloc):
        return BucketStore(parts.netloc, parts.path.strip("/"))
    raise _unknown()


def local_folder(url: str) -> Path | None:
    """The folder that a `file:` URL names; None for any other URL.

    Raises:
        UsageError: it has parts that no URL of a store has.
    """
    parts = _split(url)
    path = unquote(parts.path)
    is_absolute = path.startswith("/") and "\0" not in path
    return Path(path) if parts.scheme == "file" and not parts.netloc and is_absolute else None


def threads_per_core(*urls: str) -> int:
    """How many threads keep a core busy with stores: at a bucket each waits for answers nearly all the time."""
    return 1 if all(local_folder(url) for url in urls) else _THREADS_AT_A_BUCKET


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _unknown() from None
    if "@" in parts.netloc:
        raise UsageError(
            "the URL of the archive or keystore holds a user or a password",
            "leave them out: for s3:// they come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if "?" in url or "#" in url:
        raise UsageError(
            "the URL of the archive or keystore has a ? or a #", "leave that out; in file:///folder write %3F and %23"
        )
    return parts


def _unknown() -> UsageError:
    return UsageError(
        "the URL of the archive or keystore is none that Lucid knows", "use file:///folder or s3://bucket/prefix"
    )
