"""The embedded catalog: one SQLite file, for any number of threads and of processes on one machine.

What a session may lack (a source, a seal, a failure) is a row of a table of its own, so that its columns are never NULL
one by one. Times that are compared are integers, everything else is kept as the port has it.
"""

import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from typing_extensions import override

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import LucidError, PermanentError, SessionNotFound, TransientError, UsageError
from lucid_pipeline.paths import full_disk, has_no_room, is_full
from lucid_pipeline.stores.catalog import (
    ENDED,
    Arrival,
    Catalog,
    Failure,
    Holding,
    Seal,
    SessionFilter,
    SessionRecord,
    Source,
    Stage,
    Standing,
    State,
    from_microseconds,
    microseconds,
    started_us,
)

_BUSY_SECONDS = 10
_LARGEST_POOL = 8
_IMMUTABLE = "ro&immutable=1"  # for SQLite makes files beside a catalog even to read it
_APPLICATION_ID = int.from_bytes(b"LUCC")

# One tuple of statements for each version of the schema. What has been released is never changed, only added to.
# The oldest SQLite that a supported system brings is 3.34, which has neither STRICT tables nor RETURNING.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE sessions (
            session_id    TEXT PRIMARY KEY,
            state         TEXT NOT NULL,
            registered_at TEXT NOT NULL,
            started_us    INTEGER,
            name          TEXT,
            user          TEXT,
            host          TEXT,
            protocol      TEXT,
            started_at    TEXT,
            ended_at      TEXT,
            length        INTEGER,
            duration_ms   INTEGER,
            verified_at   TEXT,
            damages       TEXT NOT NULL  -- a JSON array
        ) WITHOUT ROWID""",
        "CREATE INDEX sessions_by_user ON sessions (user)",
        "CREATE INDEX sessions_by_host ON sessions (host)",
        "CREATE INDEX sessions_by_state ON sessions (state)",
        "CREATE INDEX sessions_by_start ON sessions (started_us)",
        """CREATE TABLE tags (
            session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
            name       TEXT NOT NULL,
            value      TEXT NOT NULL,
            PRIMARY KEY (session_id, name)
        ) WITHOUT ROWID""",
        "CREATE INDEX tags_by_value ON tags (name, value)",
        """CREATE TABLE sources (
            session_id  TEXT PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
            fingerprint TEXT NOT NULL UNIQUE,
            path        BLOB,  -- as the file system has it; NULL once the recording has been removed
            release     INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE seals (
            session_id      TEXT PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
            sequence        INTEGER NOT NULL,
            envelope_sha256 BLOB NOT NULL,
            key_id          TEXT NOT NULL,
            root            BLOB NOT NULL,
            suite           TEXT NOT NULL,
            media_type      TEXT NOT NULL,
            chunk_count     INTEGER NOT NULL,
            stored_bytes    INTEGER NOT NULL,
            sealed_at       TEXT NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE failures (
            session_id TEXT PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
            stage      TEXT NOT NULL,
            reason     TEXT NOT NULL,
            permanent  INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE documents (
            session_id TEXT NOT NULL REFERENCES sessions ON DELETE CASCADE,
            stage      TEXT NOT NULL,
            document   BLOB NOT NULL,
            PRIMARY KEY (session_id, stage)
        )""",
    ),
    (
        "ALTER TABLE sessions ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE sessions ADD COLUMN duplicate_of TEXT",
        "ALTER TABLE sessions ADD COLUMN content_id BLOB",
        "CREATE INDEX sessions_by_content ON sessions (content_id) WHERE content_id IS NOT NULL",
        "CREATE INDEX sessions_by_original ON sessions (duplicate_of) WHERE duplicate_of IS NOT NULL",
        "ALTER TABLE sources ADD COLUMN landed INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE sources ADD COLUMN abandoned INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE sources ADD COLUMN tried_us INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX sources_to_remove ON sources (session_id) WHERE release = 1 AND path IS NOT NULL",
        "ALTER TABLE failures ADD COLUMN retry_us INTEGER",
        "ALTER TABLE seals ADD COLUMN proven_at TEXT NOT NULL DEFAULT ''",
        """UPDATE seals SET proven_at = COALESCE(
            (SELECT verified_at FROM sessions WHERE sessions.session_id = seals.session_id), sealed_at
        )""",
        "CREATE INDEX seals_by_proof ON seals (proven_at)",
        "ALTER TABLE seals ADD COLUMN swept INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX seals_to_sweep ON seals (session_id) WHERE swept = 0",
    ),
)

_SELECT = """
    SELECT sessions.*,
        sources.path, sources.fingerprint, sources.release, sources.landed, sources.abandoned,
        seals.sequence, seals.envelope_sha256, seals.key_id, seals.root, seals.suite, seals.media_type,
        seals.chunk_count, seals.stored_bytes, seals.sealed_at,
        failures.stage, failures.reason, failures.permanent, failures.retry_us,
        (SELECT json_group_object(name, value) FROM tags WHERE tags.session_id = sessions.session_id) AS tags
    FROM sessions
        LEFT JOIN sources ON sources.session_id = sessions.session_id
        LEFT JOIN seals ON seals.session_id = sessions.session_id
        LEFT JOIN failures ON failures.session_id = sessions.session_id
"""

_REMOVABLE = """
    WHERE sources.release = 1 AND sources.landed = 1 AND sources.path IS NOT NULL
        AND sessions.state IN (?, ?) AND sources.tried_us < ?
    ORDER BY sessions.session_id LIMIT ?
"""
_LONGEST_UNVERIFIED = "WHERE seals.proven_at > '' ORDER BY seals.proven_at LIMIT ?"
_UNSWEPT = """
    WHERE seals.swept = 0 AND seals.sealed_at < ? AND sessions.session_id > ? ORDER BY sessions.session_id LIMIT ?
"""
_RELEASED = "UPDATE sessions SET state = ?, duplicate_of = NULL, content_id = NULL"
_STATES = tuple(State)


class SqliteCatalog(Catalog):
    """The catalog in a file at `path`, which is made, with its folder, where there is none.

    One that this user cannot write to, in a folder where nothing can be made, can be read.

    A process that forks must not use its parent's catalog, but open its own.

    Raises:
        UsageError: the file cannot be opened, is none of Lucid's, or has been written by a newer version.
        TransientError, PermanentError: as for any other call.
    """

    def __init__(self, path: Path) -> None:
        # Absolute, because connections are opened later too, when the working directory may have changed.
        self._path = path.absolute()
        with _failures(self._path, opening=True):
            mode = _make_ready(self._path)
        self._pool = _Pool(self._path, mode)
        self._turn = threading.Lock()

    @override
    def register(self, session_id: UUID, source: Source, name: str, metadata: SessionMetadata) -> SessionRecord:
        with self._writing() as connection:
            return _get(connection, _register(connection, Arrival(session_id, source, name), metadata))

    @override
    def register_all(self, arrivals: Sequence[Arrival]) -> list[UUID]:
        nothing = SessionMetadata()
        with self._writing() as connection:
            return [_register(connection, arrival, nothing) for arrival in arrivals]

    @override
    def registered(self, fingerprints: Collection[str], *, release: bool) -> set[str]:
        places = ", ".join("?" * len(fingerprints))
        statement = f"SELECT fingerprint FROM sources WHERE fingerprint IN ({places}) AND release >= ?"
        with self._connection() as connection:
            return {row["fingerprint"] for row in connection.execute(statement, (*fingerprints, release))}

    @override
    def get(self, session_id: UUID) -> SessionRecord:
        with self._connection() as connection:
            return _get(connection, session_id)

    @override
    def find(self, wanted: SessionFilter) -> list[SessionRecord]:
        statement, values = _search(wanted)
        with self._connection() as connection:
            return [_record(row) for row in connection.execute(statement, values)]

    @override
    def waiting(self, standings: Collection[Standing], now: datetime, limit: int) -> list[SessionRecord]:
        due = microseconds(now)
        with self._connection() as connection:
            found = [row for standing in standings for row in _at(connection, standing, due, limit)]
        return sorted(map(_record, found), key=lambda record: record.session_id)

    @override
    def removable(self, untried_since: datetime, limit: int) -> list[SessionRecord]:
        return self._select(_REMOVABLE, (*ENDED, microseconds(untried_since), limit))

    @override
    def longest_unverified(self, limit: int) -> list[SessionRecord]:
        return self._select(_LONGEST_UNVERIFIED, (limit,))

    @override
    def holding(self) -> Holding:
        with self._connection() as connection:
            row = connection.execute("SELECT COUNT(*), COALESCE(SUM(stored_bytes), 0) FROM seals").fetchone()
        return Holding(*row)

    @override
    def sealed(self) -> list[UUID]:
        with self._connection() as connection:
            rows = connection.execute("SELECT session_id FROM seals ORDER BY session_id")
            return [UUID(row["session_id"]) for row in rows]

    @override
    def unswept(self, sealed_before: datetime, after: UUID | None, limit: int) -> list[SessionRecord]:
        return self._select(_UNSWEPT, (timestamp(sealed_before), str(after or ""), limit))

    @override
    def record_swept(self, session_ids: Collection[UUID]) -> None:
        with self._writing() as connection:
            keys = [(str(session_id),) for session_id in session_ids]
            connection.executemany("UPDATE seals SET swept = 1 WHERE session_id = ?", keys)

    @override
    def hand_over(self, session_id: UUID, stage: Stage, document: bytes, state: State) -> None:
        with self._writing() as connection:
            before = _get(connection, session_id)
            if before.state in ENDED:
                return
            key = str(session_id)
            attempts = 0 if _STATES.index(state) > _STATES.index(before.state) else before.attempts
            connection.execute(
                "UPDATE sessions SET state = ?, attempts = ? WHERE session_id = ?", (state, attempts, key)
            )
            connection.execute("DELETE FROM failures WHERE session_id = ?", (key,))
            connection.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (key, stage, document))

    @override
    def handed_over(self, session_id: UUID, stage: Stage) -> bytes | None:
        with self._connection() as connection:
            row = connection.execute(
                "SELECT document FROM documents WHERE session_id = ? AND stage = ?", (str(session_id), stage)
            ).fetchone()
        return row["document"] if row else None

    @override
    def describe(
        self, session_id: UUID, length: int, duration_ms: int | None = None, started_at: str | None = None
    ) -> None:
        with self._writing() as connection:
            record = _get(connection, session_id)
            metadata = record.metadata.model_copy(update={"started_at": record.metadata.started_at or started_at})
            started = started_us(metadata, record.registered_at)
            connection.execute(
                "UPDATE sessions SET length = ?, duration_ms = ?, started_at = ?, started_us = ? WHERE session_id = ?",
                (length, duration_ms, metadata.started_at, started, str(session_id)),
            )

    @override
    def complete(self, session_id: UUID, metadata: SessionMetadata) -> SessionMetadata:
        with self._writing() as connection:
            record = _get(connection, session_id)
            whole = record.metadata.completed_by(metadata)
            _put(connection, replace(record, metadata=whole))
            return whole

    @override
    def record_content(self, session_id: UUID, content_id: bytes) -> UUID | None:
        with self._writing() as connection:
            record = _get(connection, session_id)
            if record.content_id == content_id:
                return None
            key = str(session_id)
            _release_duplicates(connection, key)
            connection.execute("UPDATE sessions SET content_id = ? WHERE session_id = ?", (content_id, key))
            if not record.source or not record.source.landed or not record.length or record.state in ENDED:
                return None
            first = _first_with(connection, content_id, record)
            if first:
                assignments = "state = ?, duplicate_of = ?, attempts = 0"
                connection.execute(
                    f"UPDATE sessions SET {assignments} WHERE session_id = ?", (State.DUPLICATE, str(first), key)
                )
                connection.execute("DELETE FROM documents WHERE session_id = ?", (key,))
                connection.execute("DELETE FROM failures WHERE session_id = ?", (key,))
            return first

    @override
    def record_seal(self, session_id: UUID, seal: Seal) -> None:
        with self._writing() as connection:
            known = _get(connection, session_id).seal
            if known and seal.sequence <= known.sequence:
                return
            connection.execute(
                "UPDATE sessions SET state = ?, attempts = 0, duplicate_of = NULL, damages = '[]', verified_at = NULL"
                " WHERE session_id = ?",
                (State.SEALED, str(session_id)),
            )
            connection.execute("DELETE FROM failures WHERE session_id = ?", (str(session_id),))
            _put_seal(connection, session_id, seal)

    @override
    def record_failure(self, session_id: UUID, failure: Failure) -> None:
        with self._writing() as connection:
            if _get(connection, session_id).state in ENDED:
                return
            _put_failure(connection, session_id, failure)
            if failure.retry_at is None:
                _release_duplicates(connection, str(session_id))
            connection.execute("UPDATE sessions SET attempts = attempts + 1 WHERE session_id = ?", (str(session_id),))

    @override
    def retry(self, session_id: UUID) -> None:
        with self._writing() as connection:
            record = _get(connection, session_id)
            connection.execute("DELETE FROM failures WHERE session_id = ?", (str(session_id),))
            connection.execute("UPDATE sessions SET attempts = 0 WHERE session_id = ?", (str(session_id),))
            if record.duplicate_of:
                connection.execute(f"{_RELEASED} WHERE session_id = ?", (State.REGISTERED, str(session_id)))

    @override
    def record_verification(self, session_id: UUID, damages: Sequence[str], verified_at: str) -> None:
        with self._writing() as connection:
            _get(connection, session_id)
            key = str(session_id)
            statement = "UPDATE sessions SET damages = ?, verified_at = ? WHERE session_id = ?"
            connection.execute(statement, (_lines(damages), verified_at, key))
            connection.execute("UPDATE seals SET proven_at = ? WHERE session_id = ?", (verified_at, key))

    @override
    def record_removal_attempt(self, session_id: UUID, tried_at: datetime) -> None:
        with self._writing() as connection:
            _get(connection, session_id)
            connection.execute(
                "UPDATE sources SET tried_us = ? WHERE session_id = ?", (microseconds(tried_at), str(session_id))
            )

    @override
    def release_source(self, session_id: UUID) -> None:
        with self._writing() as connection:
            _get(connection, session_id)
            connection.execute("UPDATE sources SET path = NULL WHERE session_id = ?", (str(session_id),))

    @override
    def restore(self, record: SessionRecord) -> None:
        with self._writing() as connection:
            known = _find_one(connection, record.session_id)
            if known is None or not _is_older(record.seal, known.seal):
                _put(connection, record)

    @override
    def close(self) -> None:
        self._pool.close()

    def _select(self, conditions: str, values: Sequence[object]) -> list[SessionRecord]:
        with self._connection() as connection:
            return [_record(row) for row in connection.execute(f"{_SELECT} {conditions}", values)]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with _failures(self._path), self._pool.lend() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        # SQLite lets writers try again until one is lucky. Threads take turns instead, and processes have fewer rivals.
        if not self._turn.acquire(timeout=_BUSY_SECONDS):
            raise _too_many_threads(self._path)
        try:
            with self._connection() as connection, connection:
                # IMMEDIATE waits for other writers: a transaction that turned from reading to writing would just fail.
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        finally:
            self._turn.release()


class _Pool:
    """A bounded number of connections to one file, each lent to one thread at a time."""

    def __init__(self, path: Path, mode: str) -> None:
        self._path = path
        self._mode = mode
        self._free = threading.BoundedSemaphore(_LARGEST_POOL)
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        if not self._free.acquire(timeout=_BUSY_SECONDS):
            raise _too_many_threads(self._path)
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
                raise ValueError("the catalog has been closed")
            if self._idle:
                return self._idle.pop()
        return _connect(self._path, self._mode)

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
        # A sealed session can be found in the archive again, but registrations and hand-overs stand nowhere else, and a
        # recording is removed because its seal is known: so a commit waits for the disk. There are a few a session.
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _make_ready(path: Path) -> str:
    """Make the file where there is none, and bring its schema up to date; returns the mode to open it with."""
    try:
        _prepare(path, "rwc")
    except sqlite3.Error as error:
        if _code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) or not _is_settled(path):
            raise
        _prepare(path, _IMMUTABLE)
        return _IMMUTABLE
    return "rw"


def _is_settled(path: Path) -> bool:
    """Whether a file that this user cannot write to is the whole catalog: what is written lies beside it at first."""
    log = path.with_name(f"{path.name}-wal")
    is_closed = not os.access(path.parent, os.W_OK, effective_ids=True)
    return is_closed and path.is_file() and not (log.exists() and log.stat().st_size)


def _prepare(path: Path, mode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    connection = _connect(path, mode)
    try:
        if new:
            # It says who was recorded where. Not by opening the file: closing it again would drop SQLite's locks on it.
            path.chmod(0o600)
        with connection:
            connection.execute("BEGIN")
            version = _check_origin(connection, path)
        if version < len(_MIGRATIONS):
            _switch_to_wal(connection)
            _migrate(connection, path)
    finally:
        connection.close()


def _check_origin(connection: sqlite3.Connection, path: Path) -> int:
    """The version of the schema, 0 for an empty file; refuses what this version of Lucid must not touch."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    application: int = connection.execute("PRAGMA application_id").fetchone()[0]
    is_empty = connection.execute("SELECT 1 FROM sqlite_master").fetchone() is None
    if application != _APPLICATION_ID and not is_empty:
        raise UsageError(f"{path} is the database of another program", "choose another file for the catalog")
    if version > len(_MIGRATIONS):
        raise UsageError(
            f"the catalog {path} was written by a newer version of Lucid",
            f"its schema has version {version}, this Lucid knows {len(_MIGRATIONS)}: use the newer Lucid",
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


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    with connection:
        # Exclusive from before the version is read: of all processes that open a fresh file at once, one migrates it.
        connection.execute("BEGIN EXCLUSIVE")
        version = _check_origin(connection, path)
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


def _register(connection: sqlite3.Connection, arrival: Arrival, metadata: SessionMetadata) -> UUID:
    """The session that a recording has, or from now on has."""
    source, session_id = arrival.source, arrival.session_id
    known = connection.execute("SELECT session_id FROM sources WHERE fingerprint = ?", (source.fingerprint,)).fetchone()
    if known is None:
        if _find_one(connection, session_id):
            raise UsageError(f"the session id {session_id} is taken by another recording")
        now, failure = timestamp(datetime.now(UTC)), arrival.failure
        record = SessionRecord(session_id, State.REGISTERED, now, metadata, arrival.name, source)
        _put(connection, replace(record, failure=failure, attempts=1) if failure else record)
        return session_id
    if source.release:
        connection.execute(
            "UPDATE sources SET release = 1, landed = max(landed, ?) WHERE session_id = ?",
            (source.landed, known["session_id"]),
        )
    return UUID(known["session_id"])


def _get(connection: sqlite3.Connection, session_id: UUID) -> SessionRecord:
    record = _find_one(connection, session_id)
    if record is None:
        raise _not_found(session_id)
    return record


def _find_one(connection: sqlite3.Connection, session_id: UUID) -> SessionRecord | None:
    row = connection.execute(f"{_SELECT} WHERE sessions.session_id = ?", (str(session_id),)).fetchone()
    return _record(row) if row else None


def _at(connection: sqlite3.Connection, standing: Standing, due_us: int, limit: int) -> list[sqlite3.Row]:
    """The rows of sessions that stand there and may be worked on now."""
    condition = "failures.retry_us <= ?" if standing.failed else "failures.session_id IS NULL"
    statement = f"{_SELECT} WHERE sessions.state = ? AND {condition} ORDER BY sessions.session_id LIMIT ?"
    values = (standing.state, *((due_us,) if standing.failed else ()), limit)
    return connection.execute(statement, values).fetchall()


def _release_duplicates(connection: sqlite3.Connection, key: str) -> None:
    """Let the duplicates of a session wait again: it may never be sealed, or not with their content."""
    connection.execute(f"{_RELEASED} WHERE duplicate_of = ?", (State.REGISTERED, key))


def _first_with(connection: sqlite3.Connection, content_id: bytes, record: SessionRecord) -> UUID | None:
    """Another session that has this content, and the metadata of the record, and is sealed or on its way."""
    statement = f"{_SELECT} WHERE sessions.content_id = ? AND sessions.state <> ? ORDER BY sessions.session_id"
    for row in connection.execute(statement, (content_id, State.DUPLICATE)):
        other = _record(row)
        is_stuck = other.failure is not None and other.failure.retry_at is None
        if other.session_id != record.session_id and other.metadata == record.metadata and not is_stuck:
            return other.session_id
    return None


def _search(wanted: SessionFilter) -> tuple[str, list[object]]:
    """The statement that finds these sessions, and its values."""
    conditions = list(_conditions(wanted))
    where = " AND ".join(condition for condition, _ in conditions) or "TRUE"
    values = [value for _, values in conditions for value in values]
    limit = -1 if wanted.limit is None else wanted.limit
    return f"{_SELECT} WHERE {where} ORDER BY sessions.session_id DESC LIMIT ?", [*values, limit]


def _conditions(wanted: SessionFilter) -> Iterator[tuple[str, tuple[object, ...]]]:
    for column, text in (("user", wanted.user), ("host", wanted.host), ("state", wanted.state)):
        if text:
            yield f"sessions.{column} = ?", (_unicode(text),)
    for operator, moment in ((">=", wanted.since), ("<", wanted.until)):
        if moment:
            yield f"sessions.started_us {operator} ?", (microseconds(moment),)
    for name, value in wanted.tags.items():
        tagged = "(SELECT session_id FROM tags WHERE name = ? AND value = ?)"
        yield f"sessions.session_id IN {tagged}", (_unicode(name), _unicode(value))
    if wanted.failed is not None:
        operator = "IN" if wanted.failed else "NOT IN"
        yield f"sessions.session_id {operator} (SELECT session_id FROM failures)", ()
    if wanted.damaged is not None:
        yield f"sessions.damages {'<>' if wanted.damaged else '='} '[]'", ()


def _put(connection: sqlite3.Connection, record: SessionRecord) -> None:
    """Insert a record, or replace all of it but its source; a sealed one has no documents."""
    key = str(record.session_id)
    metadata = record.metadata
    row = {
        "session_id": key,
        "state": record.state,
        "registered_at": record.registered_at,
        "started_us": started_us(metadata, record.registered_at),
        "name": _unicode(record.name),
        "user": _unicode(metadata.user),
        "host": _unicode(metadata.host),
        "protocol": _unicode(metadata.protocol),
        "started_at": _unicode(metadata.started_at),
        "ended_at": _unicode(metadata.ended_at),
        "length": record.length,
        "duration_ms": record.duration_ms,
        "attempts": record.attempts,
        "duplicate_of": str(record.duplicate_of) if record.duplicate_of else None,
        "content_id": record.content_id,
        "verified_at": record.verified_at,
        "damages": _lines(record.damages),
    }
    connection.execute(
        f"INSERT INTO sessions ({', '.join(row)}) VALUES ({', '.join(f':{column}' for column in row)})"
        f" ON CONFLICT (session_id) DO UPDATE SET {', '.join(f'{column} = excluded.{column}' for column in row)}",
        row,
    )
    for table in ("tags", "seals", "failures"):
        connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (key,))
    tags = [(key, _unicode(name), _unicode(value)) for name, value in metadata.tags.items()]
    connection.executemany("INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", tags)
    if source := record.source:
        connection.execute(
            "INSERT INTO sources (session_id, fingerprint, path, release, landed, abandoned) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (key, source.fingerprint, os.fsencode(source.path), source.release, source.landed, source.abandoned),
        )
    if record.seal:
        _put_seal(connection, record.session_id, record.seal, record.verified_at)
    if record.failure:
        _put_failure(connection, record.session_id, record.failure)


def _put_seal(connection: sqlite3.Connection, session_id: UUID, seal: Seal, verified_at: str | None = None) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO seals (session_id, sequence, envelope_sha256, key_id, root, suite, media_type,"
        " chunk_count, stored_bytes, sealed_at, proven_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            str(session_id),
            seal.sequence,
            seal.envelope_sha256,
            seal.key_id,
            seal.root,
            seal.suite,
            seal.media_type,
            seal.chunk_count,
            seal.stored_bytes,
            seal.sealed_at,
            verified_at or seal.sealed_at,
        ),
    )
    connection.execute("DELETE FROM documents WHERE session_id = ?", (str(session_id),))


def _put_failure(connection: sqlite3.Connection, session_id: UUID, failure: Failure) -> None:
    retry_us = microseconds(failure.retry_at) if failure.retry_at else None
    connection.execute(
        "INSERT OR REPLACE INTO failures (session_id, stage, reason, permanent, retry_us) VALUES (?, ?, ?, ?, ?)",
        (str(session_id), failure.stage, _unicode(failure.reason), failure.permanent, retry_us),
    )


def _is_older(seal: Seal | None, known: Seal | None) -> bool:
    return known is not None and (seal is None or seal.sequence < known.sequence)


def _record(row: sqlite3.Row) -> SessionRecord:
    try:
        return _parse(row)
    except (TypeError, ValueError) as error:
        raise sqlite3.DatabaseError("a row holds what no catalog has") from error


def _parse(row: sqlite3.Row) -> SessionRecord:
    return SessionRecord(
        session_id=UUID(row["session_id"]),
        state=State(row["state"]),
        registered_at=row["registered_at"],
        metadata=SessionMetadata(
            user=row["user"],
            host=row["host"],
            protocol=row["protocol"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
            tags=json.loads(row["tags"]),
        ),
        name=row["name"],
        source=_source(row),
        length=row["length"],
        duration_ms=row["duration_ms"],
        seal=_seal(row),
        failure=_failure(row),
        attempts=row["attempts"],
        duplicate_of=UUID(row["duplicate_of"]) if row["duplicate_of"] else None,
        content_id=row["content_id"],
        verified_at=row["verified_at"],
        damages=tuple(json.loads(row["damages"])),
    )


def _source(row: sqlite3.Row) -> Source | None:
    if row["path"] is None:
        return None
    return Source(
        Path(os.fsdecode(row["path"])),
        row["fingerprint"],
        release=bool(row["release"]),
        landed=bool(row["landed"]),
        abandoned=bool(row["abandoned"]),
    )


def _seal(row: sqlite3.Row) -> Seal | None:
    if row["sequence"] is None:
        return None
    return Seal(
        sequence=row["sequence"],
        envelope_sha256=row["envelope_sha256"],
        key_id=row["key_id"],
        root=row["root"],
        suite=row["suite"],
        media_type=row["media_type"],
        chunk_count=row["chunk_count"],
        stored_bytes=row["stored_bytes"],
        sealed_at=row["sealed_at"],
    )


def _failure(row: sqlite3.Row) -> Failure | None:
    if row["stage"] is None:
        return None
    return Failure(row["stage"], row["reason"], bool(row["permanent"]), from_microseconds(row["retry_us"]))


def _unicode(text: str | None) -> str | None:
    return text and text.encode("utf-8", "backslashreplace").decode()


def _lines(texts: Sequence[str]) -> str:
    return json.dumps([_unicode(text) for text in texts])


def _too_many_threads(path: Path) -> TransientError:
    return TransientError(f"the catalog {path} is busy", "too many threads of this process use it at once")


def _not_found(session_id: UUID) -> SessionNotFound:
    return SessionNotFound(f"there is no session {session_id}", "lucid list shows those that there are")


@contextmanager
def _failures(path: Path, *, opening: bool = False) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise _explain(error, path, opening) from error
    except OverflowError as error:
        raise PermanentError("a number has more than 64 bits, which the catalog cannot hold") from error
    except OSError as error:
        if is_full(error):
            raise full_disk(path) from error
        raise UsageError(f"cannot open the catalog {path}: {error.strerror}", "see LUCID_CATALOG_URL") from error


def _explain(error: sqlite3.Error, path: Path, opening: bool) -> LucidError:
    rebuild = "move it away, and make a new one with lucid rebuild-catalog"
    match _code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED | sqlite3.SQLITE_PROTOCOL:
            return TransientError(f"the catalog {path} is busy", f"another process has kept it for {_BUSY_SECONDS} s")
        case sqlite3.SQLITE_FULL:
            return full_disk(path)
        case sqlite3.SQLITE_NOTADB:
            return UsageError(f"{path} is not a catalog, or a damaged one", rebuild)
        case sqlite3.SQLITE_CORRUPT:
            return PermanentError(f"the catalog {path} is damaged", rebuild)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return UsageError(f"the catalog {path} must not be written to", "check its permissions")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR if has_no_room(path.parent):
            return full_disk(path)
        case sqlite3.SQLITE_CANTOPEN if opening:
            return UsageError(f"cannot open the catalog {path}", "check that it is a file, and its permissions")
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_NOMEM:
            return TransientError(f"the catalog {path} cannot be read or written: {error}", "is its disk in order?")
    return PermanentError(f"the catalog {path} failed: {error}", rebuild)


def _code(error: sqlite3.Error) -> int:
    """The primary result code, without what the extended one adds."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & 0xFF
