"""A database of a MongoDB server: reached, asked again while it may come back, its errors told in Lucid's words.

Here: everything that does not depend on what the collections hold. The oldest server is MongoDB 4.4, which is the
newest that a Raspberry Pi 4 can run.
"""

import random
import time
import warnings
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from bson.errors import BSONError
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    InvalidName,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WTimeoutError,
)

from lucid_pipeline.errors import LucidError, PermanentError, TransientError, UsageError

Document = dict[str, Any]
Result = TypeVar("Result")

HINT = "use mongodb://user:password@host:27017/database, with %40 for an @ in a password"

_OLDEST = (4, 4)
_DATABASE = "lucid"
_PATIENCE_SECONDS = 10
_CALL_SECONDS = 5.0
_LONGEST_PAUSE = 1.0

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_UNAUTHORIZED = 13
_AUTHENTICATION_FAILED = 18
_NOT_IMPLEMENTED = 238  # a server that is compatible with MongoDB, but for this
_INVALID = 121
_OUT_OF_DISK_SPACE = 14031
_WILL_PASS = {
    1,  # InternalError, of which nobody knows more
    8,  # UnknownError
    6,  # HostUnreachable
    7,  # HostNotFound
    24,  # LockTimeout
    46,  # LockBusy
    50,  # MaxTimeMSExpired
    64,  # WriteConcernFailed
    89,  # NetworkTimeout
    91,  # ShutdownInProgress
    112,  # WriteConflict
    133,  # FailedToSatisfyReadPreference
    134,  # ReadConcernMajorityNotAvailableYet
    189,  # PrimarySteppedDown
    262,  # ExceededTimeLimit
    9001,  # SocketException
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11602,  # InterruptedDueToReplStateChange
    13435,  # NotPrimaryNoSecondaryOk
    13436,  # NotPrimaryOrSecondary
}


class MongoServer:
    """The database that a URL names; `lucid` where it names none.

    Writes count when a majority of the servers has them on disk. A process that forks must not use its parent's, but
    open its own.

    Raises:
        UsageError: the URL is none, or the server is too old, does not know the user, or forbids what has to be done.
            Never quotes the URL, which may hold a password.
        TransientError: no server answers in time; also from `run`.
    """

    def __init__(self, url: str) -> None:
        self.name = "the catalog's server"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)  # of options that there are none
                self._client = _client(url)
            self.database: Database[Document] = self._client.get_default_database(_DATABASE)
        except (PyMongoError, ValueError, TypeError, UserWarning):
            # Not chained: what the driver says may quote the URL.
            raise UsageError("the catalog's URL is none that a MongoDB server has", HINT) from None
        # An @ of the user's name or password is escaped, else the driver had refused the URL.
        self.name += f" {urlsplit(url).netloc.rpartition('@')[2]}"
        try:
            self._check_version()
        except BaseException:
            self.close()
            raise

    def run(self, work: Callable[[], Result]) -> Result:
        """What the work returns, which is done again while the server may come back: it has to be safe to repeat."""
        deadline, pause = time.monotonic() + _PATIENCE_SECONDS, 0.05
        while True:
            try:
                return self.once(work)
            except TransientError:
                if time.monotonic() + pause > deadline:
                    raise
            time.sleep(random.uniform(pause / 2, pause))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def once(self, work: Callable[[], Result]) -> Result:
        """What the work returns. That a key is taken is for the caller to tell (`DuplicateKeyError`)."""
        try:
            return work()
        except DuplicateKeyError:
            raise
        except PyMongoError as error:
            # Not chained: what the driver says may quote the URL, or what is recorded of a session.
            raise self._explain(error) from None
        except OverflowError as error:
            raise PermanentError("a number has more than 64 bits, which the catalog cannot hold") from error
        except BSONError as error:
            raise PermanentError(f"the catalog cannot hold or read this: {error}") from error

    def lacks(self, error: OperationFailure) -> bool:
        """Whether the server says that it has no such thing."""
        return error.code == _NOT_IMPLEMENTED

    def close(self) -> None:
        """Give up all connections."""
        self._client.close()

    def _check_version(self) -> None:
        known = self.once(lambda: self._client.server_info())
        version = tuple(known.get("versionArray", ()))[:2]
        if version < _OLDEST:
            found, oldest = known.get("version", "of no version"), ".".join(map(str, _OLDEST))
            raise UsageError(f"{self.name} is MongoDB {found}", f"Lucid needs MongoDB {oldest} or newer")
        # What a user may is told by the first command that needs it, not by a greeting.
        self.once(lambda: self.database.command("ping"))

    def _explain(self, error: PyMongoError) -> LucidError:
        if isinstance(error, BulkWriteError):
            return self._explain_code(_first_code(error))
        if isinstance(error, OperationFailure) and not isinstance(error, WTimeoutError | ExecutionTimeout):
            return self._explain_code(error.code)
        match error:
            case ServerSelectionTimeoutError():
                return TransientError(f"{self.name} does not answer", "is it running, and LUCID_CATALOG_URL right?")
            case ConfigurationError() if "wire version" in str(error):
                oldest = ".".join(map(str, _OLDEST))
                return UsageError(f"{self.name} has a version that does not fit", f"use MongoDB {oldest} or newer")
            case ConfigurationError() | InvalidName():
                return UsageError("the catalog's URL is none that a MongoDB server has", HINT)
            case DocumentTooLarge():
                return PermanentError("what is to be recorded of a session is too large for the catalog")
        if isinstance(error, AutoReconnect) or error.timeout:
            return TransientError(f"{self.name} does not answer, or the connection was cut", "try again later")
        return PermanentError(f"{self.name} failed: {type(error).__name__}", "see its log")

    def _explain_code(self, code: int | None) -> LucidError:
        if code == _AUTHENTICATION_FAILED:
            return UsageError(f"{self.name} does not accept this user and password", "see LUCID_CATALOG_URL")
        if code == _UNAUTHORIZED:
            role = f"give it the role readWrite on the database {self.database.name}"
            return UsageError(f"{self.name} does not let this user do what a catalog needs", role)
        if code == _INVALID:
            return PermanentError(f"{self.name} refuses what is no session of this version of Lucid")
        if code == _OUT_OF_DISK_SPACE:
            return TransientError(f"the disk of {self.name} is full", "make room there")
        if code in _WILL_PASS:
            return TransientError(f"{self.name} cannot do this now", "try again later, and see its log")
        return PermanentError(f"{self.name} failed with its error {code}", "see its log")


def _client(url: str) -> MongoClient[Document]:
    return MongoClient(
        url,
        appname="lucid",
        w="majority",
        journal=True,
        readPreference="primary",
        timeoutMS=int(_CALL_SECONDS * 1000),
        serverSelectionTimeoutMS=int(_CALL_SECONDS * 1000),
        connect=False,
        tz_aware=True,
    )


def _first_code(error: BulkWriteError) -> int | None:
    details = error.details or {}
    errors = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
    return errors[0].get("code") if errors else error.code
