"""From an archive's URL to the adapter for it."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from obstore.store import S3Store

from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.errors import UsageError
from lucid_pipeline.stores.bucket_store import BucketStore
from lucid_pipeline.stores.folder_store import FolderStore


def open_object_store(url: str, *, create: bool = False) -> ObjectStore:
    """The object store at a URL: `file:///folder` or `s3://bucket/prefix`.

    Args:
        url: where it is.
        create: make the folder if it is not there; a bucket is never made.

    Raises:
        UsageError: the URL names no such place, or the folder is not there or cannot be made.
    """
    if folder := local_folder(url):
        return FolderStore(folder, create=create)
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc:
        return BucketStore(url, S3Store(parts.netloc, prefix=parts.path.strip("/") or None))
    raise UsageError(
        "the URL of the archive or keystore is none that Lucid knows", "use file:///folder or s3://bucket/prefix"
    )


def local_folder(url: str) -> Path | None:
    """The folder that a `file:` URL names; None for any other URL."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" and not parts.netloc else None
