"""An SQLite file with a schema of Lucid's: opened, migrated, lent to threads, its errors told in Lucid's words.

Here: everything that does not depend on what the tables hold. The oldest SQLite that a supported system brings is 3.34,
which has neither STRICT tables nor RETURNING.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lucid_pipeline.errors import LucidError, PermanentError, TransientError, UsageError
from lucid_pipeline.paths import full_disk, has_no_room, is_full

_BUSY_SECONDS = 10
_LARGEST_POOL = 8
_IMMUTABLE = "ro&immutable=1"  # for SQLite makes files beside a database even to read it


@dataclass(frozen=True, slots=True)
class Schema:
    """What a file of one kind has in it.

    `name` is what people call such a file, `mark` four bytes that tell it from the files of other programs.
    `migrations` has one tuple of statements for each version of the schema: what has been released is never changed,
    only added to. `setting` is the variable that names the file, `remedy` what to do about a damaged one. `derive`
    makes anew, after migrations and in their transaction, what follows from all else.
    """

    name: str
    mark: bytes
    migrations: tuple[tuple[str, ...], ...]
    setting: str
    remedy: str
    derive: Callable[[sqlite3.Connection], None] | None = None

    @property
    def application_id(self) -> int:
        """The mark as SQLite keeps it."""
        return int.from_bytes(self.mark)


class SqliteFile:
    """The file at `path`, which is made, with its folder, where there is none.

    One that this user cannot write to, in a folder where nothing can be made, can be read. A process that forks must
    not use its parent's, but open its own.

    Raises:
        UsageError: the file cannot be opened, is of another kind, or has been written by a newer version.
        TransientError: it is busy for too long, or its disk is full; also from `reading` and `writing`.
        PermanentError: it is damaged, or a number has more than 64 bits; also from those two.
    """

    def __init__(self, path: Path, schema: Schema) -> None:
        # Absolute, because connections are opened later too, when the working directory may have changed.
        self._file = _File(path.absolute(), schema)
        with self._file.failures(opening=True):
            mode = _make_ready(self._file)
        self._pool = _Pool(self._file, mode)
        self._turn = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for statements that change nothing; rows are `sqlite3.Row`."""
        with self._file.failures(), self._pool.lend() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection in a transaction, which is committed at the end of the block and undone by an exception."""
        # SQLite lets writers try again until one is lucky. Threads take turns instead, and processes have fewer rivals.
        if not self._turn.acquire(timeout=_BUSY_SECONDS):
            raise self._file.too_many_threads()
        try:
            with self.reading() as connection, connection:
                # IMMEDIATE waits for other writers: a transaction that turned from reading to writing would just fail.
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        finally:
            self._turn.release()

    def close(self) -> None:
        """Give up all connections."""
        self._pool.close()


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    schema: Schema

    def __str__(self) -> str:
        return f"the {self.schema.name} {self.path}"

    def too_many_threads(self) -> TransientError:
        return TransientError(f"{self} is busy", "too many threads of this process use it at once")

    @contextmanager
    def failures(self, *, opening: bool = False) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise _explain(error, self, opening) from error
        except OverflowError as error:
            reason = f"a number has more than 64 bits, which the {self.schema.name} cannot hold"
            raise PermanentError(reason) from error
        except OSError as error:
            if is_full(error):
                raise full_disk(self.path) from error
            raise UsageError(f"cannot open {self}: {error.strerror}", f"see {self.schema.setting}") from error


class _Pool:
    """A bounded number of connections to one file, each lent to one thread at a time."""

    def __init__(self, file: _File, mode: str) -> None:
        self._file = file
        self._mode = mode
        self._free = threading.BoundedSemaphore(_LARGEST_POOL)
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        if not self._free.acquire(timeout=_BUSY_SECONDS):
            raise self._file.too_many_threads()
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise ValueError(f"the {self._file.schema.name} has been closed")
            if self._idle:
                return self._idle.pop()
        return _connect(self._file.path, self._mode)

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if self._closed or connection.in_transaction:
                connection.close()
            else:
                self._idle.append(connection)


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        # What is written here decides what may be removed or allowed elsewhere: so a commit waits for the disk.
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _make_ready(file: _File) -> str:
    """Make the file where there is none, and bring its schema up to date; returns the mode to open it with."""
    try:
        _prepare(file, "rwc")
    except sqlite3.Error as error:
        if _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or not _is_settled(file.path):
            raise
        _prepare(file, _IMMUTABLE)
        return _IMMUTABLE
    return "rw"


def _is_settled(path: Path) -> bool:
    """Whether a file that this user cannot write to is the whole database: what is written lies beside it at first."""
    log = path.with_name(f"{path.name}-wal")
    is_closed = not os.access(path.parent, os.W_OK, effective_ids=True)
    return is_closed and path.is_file() and not (log.exists() and log.stat().st_size)


def _prepare(file: _File, mode: str) -> None:
    file.path.parent.mkdir(parents=True, exist_ok=True)
    new = not file.path.exists()
    connection = _connect(file.path, mode)
    try:
        if new:
            # It says who was recorded where. Not by opening the file: closing it again would drop SQLite's locks on it.
            file.path.chmod(0o600)
        with connection:
            connection.execute("BEGIN")
            version = _check_origin(connection, file)
        if version < len(file.schema.migrations):
            _switch_to_wal(connection)
            _migrate(connection, file)
    finally:
        connection.close()


def _check_origin(connection: sqlite3.Connection, file: _File) -> int:
    """The version of the schema, 0 for an empty file; refuses what this version of Lucid must not touch."""
    schema = file.schema
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    if application != schema.application_id and not is_empty:
        raise UsageError(
            f"{file.path} is the database of another program", f"choose another file for the {schema.name}"
        )
    if version > len(schema.migrations):
        raise UsageError(
            f"{file} was written by a newer version of Lucid",
            f"its schema has version {version}, this Lucid knows {len(schema.migrations)}: use the newer Lucid",
        )
    return version


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at once. The file remembers; one that cannot (some network mounts) works without.

    The switch needs the file to itself for a moment, and SQLite does not wait for that as it does for other locks.
    """
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            with connection:
                connection.execute("BEGIN EXCLUSIVE")
        else:
            return


def _migrate(connection: sqlite3.Connection, file: _File) -> None:
    schema = file.schema
    with connection:
        # Exclusive from before the version is read: of all processes that open a fresh file at once, one migrates it.
        connection.execute("BEGIN EXCLUSIVE")
        version = _check_origin(connection, file)
        for statements in schema.migrations[version:]:
            for statement in statements:
                connection.execute(statement)
        if version < len(schema.migrations) and schema.derive:
            schema.derive(connection)
        connection.execute(f"PRAGMA application_id = {schema.application_id}")
        connection.execute(f"PRAGMA user_version = {len(schema.migrations)}")


def _explain(error: sqlite3.Error, file: _File, opening: bool) -> LucidError:
    remedy = file.schema.remedy
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return TransientError(f"{file} is busy", f"another process has kept it for {_BUSY_SECONDS} s")
        case sqlite3.SQLITE_FULL:
            return full_disk(file.path)
        case sqlite3.SQLITE_NOTADB:
            return UsageError(f"{file.path} is not a {file.schema.name}, or a damaged one", remedy)
        case sqlite3.SQLITE_CORRUPT:
            return PermanentError(f"{file} is damaged", remedy)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return UsageError(f"{file} must not be written to", "check its permissions")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR if has_no_room(file.path.parent):
            return full_disk(file.path)
        case sqlite3.SQLITE_CANTOPEN if opening:
            return UsageError(f"cannot open {file}", "check that it is a file, and its permissions")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            return TransientError(f"{file} cannot be read or written: {error}", "is its disk in order?")
    return PermanentError(f"{file} failed: {error}", remedy)


def _code(error: sqlite3.Error) -> int:
    """The primary result code, without what the extended one adds."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF
