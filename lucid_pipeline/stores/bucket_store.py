"""The archive in an S3-compatible bucket, through obstore."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store
from typing_extensions import override

from lucid_pipeline.archive.ports import ObjectExists, ObjectMissing, ObjectStatus, ObjectStore
from lucid_pipeline.errors import TransientError, UsageError

_NO_BUCKET = "NoSuchBucket"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

# Where no credentials are set, the client asks the cloud's own service for some, and with its usual patience an office
# network that swallows such questions would keep it waiting for minutes.
_MOST_RETRIES = 8
_RETRY_SECONDS = 60


class BucketStore(ObjectStore):
    """Objects in a bucket, below a prefix. An object is durable as soon as it is stored.

    Credentials, region and endpoint come from the usual `AWS_*` variables.

    Raises:
        UsageError: those, or the prefix, cannot be.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self._url = f"s3://{bucket}/{prefix}".rstrip("/")
        _check_endpoint()
        retries = timedelta(seconds=_RETRY_SECONDS)
        try:
            self._store = S3Store(
                bucket,
                prefix=prefix or None,
                retry_config={"max_retries": _MOST_RETRIES, "retry_timeout": retries},
            )
        except (BaseError, ValueError) as error:
            raise UsageError(
                f"cannot use {self._url}: {_first_line(error)}", f"mend the URL or the AWS_* variables: {_CREDENTIALS}"
            ) from error

    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """An object of these very bytes is taken for the one that is being put.

        The client repeats a request that was answered by an error, or not at all, and that may have stored it already.
        """
        try:
            with self._failures(key):
                obstore.put(self._store, key, data, mode="create", use_multipart=False)
        except ObjectExists:
            if self.get(key, len(data) + 1) != data:
                raise

    @override
    def get(self, key: str, limit: int) -> memoryview:
        with self._failures(key):
            found = obstore.get(self._store, key)
            if found.meta["size"] <= limit:
                return memoryview(found.bytes())
            return memoryview(obstore.get_range(self._store, key, start=0, length=limit) if limit else b"")

    @override
    def status(self, key: str) -> ObjectStatus:
        with self._failures(key):
            found = obstore.head(self._store, key)
        return ObjectStatus(found["size"], found["last_modified"])

    @override
    def list(self, prefix: str) -> Iterator[str]:
        with self._failures(prefix):
            found = obstore.list_with_delimiter(self._store, prefix.rstrip("/"))
        return iter(sorted(entry["path"] for entry in found["objects"]))

    @override
    def list_folders(self, prefix: str) -> Iterator[str]:
        with self._failures(prefix):
            found = obstore.list_with_delimiter(self._store, prefix.rstrip("/"))
        return iter(sorted(f"{folder}/" for folder in found["common_prefixes"]))

    @override
    def delete(self, key: str) -> None:
        try:
            with self._failures(key):
                obstore.delete(self._store, key)
        except ObjectMissing:
            pass

    @override
    def flush(self, keys: Iterable[str]) -> None:
        """Nothing is left to do."""

    @contextmanager
    def _failures(self, key: str) -> Iterator[None]:
        try:
            yield
        except AlreadyExistsError as error:
            raise ObjectExists(key) from error
        except FileNotFoundError as error:
            if _NO_BUCKET in str(error):
                raise TransientError(f"{self._url} failed: there is no such bucket", "make it first") from error
            raise ObjectMissing(key) from error
        except (BaseError, OSError) as error:
            raise self._failure(key, error) from error

    def _failure(self, key: str, error: Exception) -> TransientError:
        line, hint = _first_line(error), None
        if "/latest/api/token" in line or "/latest/meta-data/" in line:
            return TransientError(f"{self._url} failed: there are no credentials for it", _CREDENTIALS)
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            hint = "may the key in AWS_ACCESS_KEY_ID use this bucket?"
        elif line.endswith("builder error"):
            hint = "an endpoint without TLS needs AWS_ALLOW_HTTP=true"
        reason = line.partition(" - ")[2] or line  # before that stands the whole address once more
        return TransientError(f"{self._url} failed at {key}: {reason[:200]}", hint)


def _check_endpoint() -> None:
    """Refuse what the client would stumble over, or would repeat in its messages, password and all."""
    for name in _ENDPOINTS:
        value = os.environ.get(name, "http://none")
        is_url = value.startswith(("http://", "https://")) and urlsplit(value).netloc
        if not is_url or "@" in value:
            raise UsageError(f"{name} is no URL such as https://host:port", f"for credentials {_CREDENTIALS}")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]
