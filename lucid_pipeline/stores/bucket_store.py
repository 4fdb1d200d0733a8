"""The archive in an S3-compatible bucket, through obstore."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, cast
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store
from typing_extensions import override

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.ports import ObjectExists, ObjectMissing, ObjectStatus, ObjectStore
from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.stores.aws_profile import ProfileSettings, profile_settings
from lucid_pipeline.stores.bucket_failures import CREDENTIALS, explain, is_absence, may_have_taken_effect
from lucid_pipeline.stores.partial import partial_name

if TYPE_CHECKING:
    from obstore.store import S3Config

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")


class _Patience(NamedTuple):
    """For how long a request is repeated, and an answer is waited for."""

    retry_seconds: int
    request_seconds: int


_PATIENT = _Patience(retry_seconds=30, request_seconds=120)
"""The largest chunk object passes at 0.15 MB/s; two of them at once, as many as there may be, at twice that."""

_HASTY = _Patience(retry_seconds=1, request_seconds=5)
"""For whoever waits for a first answer. Where no credentials are set, the client asks the cloud's own service for some,
and some networks swallow such questions."""

_MOST_RETRIES = 1000
"""So that the time alone decides: the client's pauses are drawn at random, and eight of them may be one second."""

_LONGEST_PAUSE = timedelta(seconds=2)

_PAUSES = (0.2, 0.8, 3.2)
"""Seconds between the attempts at a put whose connection was lost: the client itself repeats only what is harmless."""

LARGEST_REQUEST = 32 * MIB
"""What is longer is sent in parts: no chunk object, but chunk table and sealed metadata of the longest recordings."""

_PART = 8 * MIB
_PARTS_AT_ONCE = 4

# Objects are removed one by one, which every server knows.
_SENDING: "S3Config" = {"checksum_algorithm": "SHA256", "disable_bulk_delete": True}

_MARKER = ".lucid-store"
_MARK = b"Lucid keeps objects here. By putting this one again it finds out whether it may.\n"


class BucketStore(ObjectStore):
    """Objects in a bucket, below a prefix. An object is durable as soon as it is stored.

    Credentials, region and endpoint come from the usual `AWS_*` variables, else from the files of the AWS tools, else
    from the service that gives them to machines and containers. Of each object that is sent, the server is told the
    SHA-256, and refuses other bytes. What is read is not checked here: readers know the digest of every object.

    Raises:
        UsageError: those, or the prefix, cannot be.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self._url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket, self._prefix = bucket, prefix
        self._profile = profile_settings()
        _check_endpoints(self._profile)
        self._store = self._client(_SENDING, _PATIENT)

    @cached_property
    def _copier(self) -> S3Store:
        """A client that copies if absent. It names no checksum: some servers refuse one for what they copy."""
        return self._client({"copy_if_not_exists": "multipart"}, _PATIENT)

    def _client(self, config: "S3Config", patience: _Patience) -> S3Store:
        try:
            return S3Store(
                self._bucket,
                prefix=self._prefix or None,
                config=cast("S3Config", {**self._profile, **config, "timeout": f"{patience.request_seconds} s"}),
                retry_config={
                    "max_retries": _MOST_RETRIES,
                    "retry_timeout": timedelta(seconds=patience.retry_seconds),
                    "backoff": {"max_backoff": _LONGEST_PAUSE},
                },
            )
        except (BaseError, ValueError) as error:
            raise UsageError(
                f"cannot use {self._url}: {str(error).strip().splitlines()[0]}",
                f"mend the URL or the AWS_* variables: {CREDENTIALS}",
            ) from error

    @override
    def check(self, *, writing: bool) -> None:
        """See the port. Writing is tried with one small object, which stays where it is."""
        client = self._client(_SENDING, _HASTY)
        try:
            with self._failures(_MARKER):
                if writing:
                    for _ in range(2):
                        obstore.put(client, _MARKER, _MARK, mode="create", use_multipart=False)
                    raise UsageError(
                        f"{self._url} replaces objects that are there",
                        "Lucid needs a server that knows If-None-Match for PUT",
                    )
                obstore.get(client, _MARKER)
        except (ObjectExists, ObjectMissing):
            pass

    @override
    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """An object of these very bytes is taken for the one that is being put.

        A request that was answered by an error, or not at all, is repeated, and may have stored it already.
        """
        for pause in (*_PAUSES, None):
            try:
                with self._failures(key):
                    self._create(key, data)
                return
            except (ObjectExists, ObjectMissing) as conflict:
                found = self._found(key, len(data) + 1)
                if found == data:
                    return
                if found is not None:
                    raise ObjectExists(key) from conflict
                if pause is None:
                    raise TransientError(f"{self._url} neither takes {key} nor has it") from conflict
            except _Interrupted:
                if pause is None:
                    raise
            time.sleep(pause)

    def _create(self, key: str, data: bytes | memoryview) -> None:
        if len(data) <= LARGEST_REQUEST:
            obstore.put(self._store, key, data, mode="create", use_multipart=False)
            return
        # An upload in parts replaces what has its name; a copy inside the store does not have to.
        partial = partial_name(key)
        try:
            obstore.put(
                self._store, partial, data, use_multipart=True, chunk_size=_PART, max_concurrency=_PARTS_AT_ONCE
            )
            obstore.copy(self._copier, partial, key, overwrite=False)
        finally:
            with suppress(BaseError, OSError):  # what is left goes with the next sweep
                obstore.delete(self._store, partial)

    def _found(self, key: str, limit: int) -> memoryview | None:
        try:
            return self.get(key, limit)
        except ObjectMissing:
            return None

    @override
    def get(self, key: str, limit: int) -> memoryview:
        with self._failures(key):
            found = obstore.get(self._store, key)
            if found.meta["size"] <= limit:
                return memoryview(found.bytes())
            return memoryview(obstore.get_range(self._store, key, start=0, length=limit) if limit else b"")

    @override
    def status(self, key: str) -> ObjectStatus:
        try:
            with self._failures(key):
                found = obstore.head(self._store, key)
        except ObjectMissing:
            self.get(key, 0)  # the answer to a HEAD does not say whether the object is missing, or the bucket
            raise
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
            if is_absence(error):
                raise ObjectMissing(key) from error
            raise self._failure(key, error) from error
        except (BaseError, OSError) as error:
            raise self._failure(key, error) from error

    def _failure(self, key: str, error: Exception) -> TransientError:
        reason, hint = explain(error)
        kind = _Interrupted if may_have_taken_effect(error) else TransientError
        return kind(f"{self._url} failed at {key}: {reason}", hint)


class _Interrupted(TransientError):
    """The connection was lost while a request was under way: the server may have done what it asked for."""


def _check_endpoints(profile: ProfileSettings) -> None:
    """Refuse what the client would stumble over, or would repeat in its messages, password and all."""
    named = {name: os.environ[name] for name in _ENDPOINTS if name in os.environ}
    if endpoint := profile.get("endpoint"):
        named["endpoint_url"] = endpoint
    for name, value in named.items():
        is_url = value.startswith(("http://", "https://")) and urlsplit(value).netloc
        if not is_url or "@" in value:
            raise UsageError(f"{name} is no URL such as https://host:port", f"for credentials {CREDENTIALS}")
