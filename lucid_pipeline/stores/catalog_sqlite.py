"""The embedded catalog: one SQLite file, for any number of threads and of processes on one machine.

What a session may lack (a source, a seal, a failure) is a row of a table of its own, so that its columns are never NULL
one by one. Times that are compared are integers, everything else is kept as the port has it.
"""

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import UUID

from typing_extensions import override

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import SessionNotFound, UsageError
from lucid_pipeline.stores import sqlite_listing
from lucid_pipeline.stores.catalog import (
    ENDED,
    ArchivedSession,
    Arrival,
    Catalog,
    Failure,
    Holding,
    Order,
    Page,
    Position,
    Seal,
    SessionFilter,
    SessionRecord,
    Source,
    Stage,
    Standing,
    State,
    Statistics,
    from_microseconds,
    in_unicode,
    microseconds,
)
from lucid_pipeline.stores.sqlite_file import Schema, SqliteFile

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
    (  # The listing, which follows from all else, has what these indexes were for, and `sessions.started_us`.
        "DROP INDEX sessions_by_user",
        "DROP INDEX sessions_by_host",
        "DROP INDEX sessions_by_start",
        "DROP INDEX tags_by_value",
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


def _derive(connection: sqlite3.Connection) -> None:
    sqlite_listing.make(connection, _records(connection))


def _records(connection: sqlite3.Connection) -> Iterator[SessionRecord]:
    yield from map(_record, connection.execute(_SELECT))


_SCHEMA = Schema(
    "catalog",
    b"LUCC",
    _MIGRATIONS,
    "LUCID_CATALOG_URL",
    "move it away, and make a new one with lucid rebuild-catalog",
    _derive,
)


class SqliteCatalog(Catalog):
    """The catalog in a file at `path`, which is made, with its folder, where there is none.

    One that this user cannot write to, in a folder where nothing can be made, can be read.

    A process that forks must not use its parent's catalog, but open its own.

    Raises:
        UsageError: the file cannot be opened, is none of Lucid's, or has been written by a newer version.
        TransientError, PermanentError: as for any other call.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    @override
    def register(self, session_id: UUID, source: Source, name: str, metadata: SessionMetadata) -> SessionRecord:
        with self._file.writing() as connection:
            return _listed(connection, _register(connection, Arrival(session_id, source, name), metadata))

    @override
    def register_all(self, arrivals: Sequence[Arrival]) -> list[UUID]:
        nothing = SessionMetadata()
        with self._file.writing() as connection:
            return [_listed(connection, _register(connection, one, nothing)).session_id for one in arrivals]

    @override
    def registered(self, fingerprints: Collection[str], *, release: bool) -> set[str]:
        places = ", ".join("?" * len(fingerprints))
        statement = f"SELECT fingerprint FROM sources WHERE fingerprint IN ({places}) AND release >= ?"
        with self._file.reading() as connection:
            return {row["fingerprint"] for row in connection.execute(statement, (*fingerprints, release))}

    @override
    def get(self, session_id: UUID) -> SessionRecord:
        with self._file.reading() as connection:
            return _get(connection, session_id)

    @override
    def page(self, wanted: SessionFilter, order: Order, after: Position | None, limit: int) -> Page:
        with self._file.reading() as connection, connection:
            connection.execute("BEGIN")
            places, rest = sqlite_listing.find(connection, wanted, order, after, limit)
            keys = [str(place.session_id) for place in places]
            statement = f"{_SELECT} WHERE sessions.session_id IN ({', '.join('?' * len(keys))})"
            records = {record.session_id: record for record in map(_record, connection.execute(statement, keys))}
            if len(records) < len(places):
                raise sqlite3.DatabaseError("sessions are listed that are not there")
        return Page([records[place.session_id] for place in places], rest)

    @override
    def waiting(self, standings: Collection[Standing], now: datetime, limit: int) -> list[SessionRecord]:
        due = microseconds(now)
        with self._file.reading() as connection:
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
        with self._file.reading() as connection:
            return sqlite_listing.holding(connection)

    @override
    def statistics(self, since: date) -> Statistics:
        with self._file.reading() as connection, connection:
            connection.execute("BEGIN")
            oldest = connection.execute("SELECT MIN(proven_at) AS at FROM seals WHERE proven_at > ''").fetchone()
            return Statistics(
                sqlite_listing.statuses(connection),
                sqlite_listing.holding(connection),
                sqlite_listing.sealed_by_day(connection, since),
                oldest["at"],
            )

    @override
    def sealed(self) -> list[UUID]:
        with self._file.reading() as connection:
            rows = connection.execute("SELECT session_id FROM seals ORDER BY session_id")
            return [UUID(row["session_id"]) for row in rows]

    @override
    def unswept(self, sealed_before: datetime, after: UUID | None, limit: int) -> list[SessionRecord]:
        return self._select(_UNSWEPT, (timestamp(sealed_before), str(after or ""), limit))

    @override
    def record_swept(self, session_ids: Collection[UUID]) -> None:
        with self._file.writing() as connection:
            keys = [(str(session_id),) for session_id in session_ids]
            connection.executemany("UPDATE seals SET swept = 1 WHERE session_id = ?", keys)

    @override
    def hand_over(self, session_id: UUID, stage: Stage, document: bytes, state: State) -> None:
        with self._changing(session_id) as connection:
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
        with self._file.reading() as connection:
            row = connection.execute(
                "SELECT document FROM documents WHERE session_id = ? AND stage = ?", (str(session_id), stage)
            ).fetchone()
        return row["document"] if row else None

    @override
    def describe(
        self, session_id: UUID, length: int, duration_ms: int | None = None, started_at: str | None = None
    ) -> None:
        with self._changing(session_id) as connection:
            record = _get(connection, session_id)
            connection.execute(
                "UPDATE sessions SET length = ?, duration_ms = ?, started_at = ? WHERE session_id = ?",
                (length, duration_ms, record.metadata.started_at or _unicode(started_at), str(session_id)),
            )

    @override
    def complete(self, session_id: UUID, metadata: SessionMetadata) -> SessionMetadata:
        with self._changing(session_id) as connection:
            record = _get(connection, session_id)
            whole = record.metadata.completed_by(metadata)
            _put(connection, replace(record, metadata=whole))
            return whole

    @override
    def record_content(self, session_id: UUID, content_id: bytes) -> UUID | None:
        with self._changing(session_id) as connection:
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
        with self._changing(session_id) as connection:
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
    def record_failure(self, session_id: UUID, failure: Failure, *, counts: bool = True) -> None:
        with self._changing(session_id) as connection:
            if _get(connection, session_id).state in ENDED:
                return
            _put_failure(connection, session_id, failure)
            if failure.retry_at is None:
                _release_duplicates(connection, str(session_id))
            statement = "UPDATE sessions SET attempts = attempts + ? WHERE session_id = ?"
            connection.execute(statement, (counts, str(session_id)))

    @override
    def retry(self, session_id: UUID) -> None:
        with self._changing(session_id) as connection:
            record = _get(connection, session_id)
            connection.execute("DELETE FROM failures WHERE session_id = ?", (str(session_id),))
            connection.execute("UPDATE sessions SET attempts = 0 WHERE session_id = ?", (str(session_id),))
            if record.duplicate_of:
                connection.execute(f"{_RELEASED} WHERE session_id = ?", (State.REGISTERED, str(session_id)))

    @override
    def record_verification(self, session_id: UUID, damages: Sequence[str], verified_at: str) -> None:
        with self._changing(session_id) as connection:
            _get(connection, session_id)
            key = str(session_id)
            statement = "UPDATE sessions SET damages = ?, verified_at = ? WHERE session_id = ?"
            connection.execute(statement, (_lines(damages), verified_at, key))
            connection.execute("UPDATE seals SET proven_at = ? WHERE session_id = ?", (verified_at, key))

    @override
    def record_removal_attempt(self, session_id: UUID, tried_at: datetime) -> None:
        with self._file.writing() as connection:
            _get(connection, session_id)
            connection.execute(
                "UPDATE sources SET tried_us = ? WHERE session_id = ?", (microseconds(tried_at), str(session_id))
            )

    @override
    def release_source(self, session_id: UUID) -> None:
        with self._file.writing() as connection:
            _get(connection, session_id)
            connection.execute("UPDATE sources SET path = NULL WHERE session_id = ?", (str(session_id),))

    @override
    def restore(self, *records: SessionRecord) -> None:
        with self._file.writing() as connection:
            for record in records:
                known = _find_one(connection, record.session_id)
                if known is None or not _is_older(record.seal, known.seal):
                    _put(connection, record)
                    _listed(connection, record.session_id)

    @override
    def restore_sealed(self, *sessions: ArchivedSession) -> list[SessionRecord]:
        with self._file.writing() as connection:
            return [_added(connection, session) for session in sessions]

    @override
    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _changing(self, session_id: UUID) -> Iterator[sqlite3.Connection]:
        """A transaction that changes a session, which is listed anew at its end."""
        with self._file.writing() as connection:
            yield connection
            _listed(connection, session_id)

    def _select(self, conditions: str, values: Sequence[object]) -> list[SessionRecord]:
        with self._file.reading() as connection:
            return [_record(row) for row in connection.execute(f"{_SELECT} {conditions}", values)]


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


def _listed(connection: sqlite3.Connection, session_id: UUID) -> SessionRecord:
    """A session, whose listing has been brought up to date. To be called after every change that a record shows."""
    record = _get(connection, session_id)
    sqlite_listing.update(connection, record)
    return record


def _added(connection: sqlite3.Connection, session: ArchivedSession) -> SessionRecord:
    """A session, to which has been added what the archive says of it."""
    known = _find_one(connection, session.session_id)
    record = session.added_to(known)
    if record == known:
        return record
    _put(connection, record)
    return _listed(connection, session.session_id)


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
    duplicates = connection.execute("SELECT session_id FROM sessions WHERE duplicate_of = ?", (key,)).fetchall()
    connection.execute(f"{_RELEASED} WHERE duplicate_of = ?", (State.REGISTERED, key))
    for row in duplicates:
        _listed(connection, UUID(row["session_id"]))


def _first_with(connection: sqlite3.Connection, content_id: bytes, record: SessionRecord) -> UUID | None:
    """Another session that has this content, and the metadata of the record, and is sealed or on its way."""
    statement = f"{_SELECT} WHERE sessions.content_id = ? AND sessions.state <> ? ORDER BY sessions.session_id"
    for row in connection.execute(statement, (content_id, State.DUPLICATE)):
        other = _record(row)
        is_stuck = other.failure is not None and other.failure.retry_at is None
        if other.session_id != record.session_id and other.metadata == record.metadata and not is_stuck:
            return other.session_id
    return None


def _put(connection: sqlite3.Connection, record: SessionRecord) -> None:
    """Insert a record, or replace all of it but its source; a sealed one has no documents."""
    key = str(record.session_id)
    metadata = record.metadata
    row = {
        "session_id": key,
        "state": record.state,
        "registered_at": record.registered_at,
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
    return text and in_unicode(text)


def _lines(texts: Sequence[str]) -> str:
    return json.dumps([_unicode(text) for text in texts])


def _not_found(session_id: UUID) -> SessionNotFound:
    return SessionNotFound(f"there is no session {session_id}", "lucid list shows those that there are")
