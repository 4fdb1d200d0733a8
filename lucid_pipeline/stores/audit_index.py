"""Finding events in the audit record, the newest first, at a cost that does not grow with it.

The index is a cache beside the record: it is brought up to date by whoever searches, and made anew if it is lost or the
record is another one. What it finds is read from the record.
"""

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import MINYEAR, datetime
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple
from uuid import UUID

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.errors import TransientError
from lucid_pipeline.paths import hint_for
from lucid_pipeline.stores.audit_event import LONGEST_LINE, Action, AuditEvent, NotAnEvent, parse_event
from lucid_pipeline.stores.audit_log import opened_for_reading
from lucid_pipeline.stores.sqlite_file import Schema, SqliteFile

_LINES_AT_ONCE = 5000

# Each index ends with the order of results, so that a page takes as many steps as it has results. Events are in the
# order of their times, which is that of the record as long as nobody sets the clock back.
_SCHEMA = Schema(
    name="index of the audit record",
    mark=b"LUCX",
    migrations=(
        (
            """CREATE TABLE events (
                position   INTEGER PRIMARY KEY,  -- of its line, in bytes
                length     INTEGER NOT NULL,
                time       TEXT NOT NULL,
                action     TEXT NOT NULL,
                subject    TEXT,
                session_id TEXT
            )""",
            "CREATE INDEX events_by_time ON events (time, position)",
            "CREATE INDEX events_by_action ON events (action, time, position)",
            "CREATE INDEX events_by_subject ON events (subject, time, position)",
            "CREATE INDEX events_by_session ON events (session_id, time, position)",
            """CREATE TABLE record (
                only       INTEGER PRIMARY KEY CHECK (only = 1),
                first_line BLOB NOT NULL,  -- its SHA-256: which record it is
                read       INTEGER NOT NULL  -- bytes of it that are in here
            )""",
        ),
    ),
    setting="LUCID_HOME",
    remedy="remove it: it is made anew",
)


class Place(NamedTuple):
    """Where an event stands in the order of results."""

    time: str
    position: int


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What events must have to be found; None asks for nothing. `since` is included, `until` is not."""

    action: Action | None = None
    subject: str | None = None
    session_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event that was found; None where its line is not what it was when it was written."""

    place: Place
    event: AuditEvent | None


class AuditIndex:
    """The index of the record at `record`, kept in the SQLite file `path`, which is made where there is none.

    Raises:
        LucidError: as `SqliteFile` does; also from `find`.
    """

    def __init__(self, record: Path, path: Path) -> None:
        self._record = record
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = SqliteFile(path, _SCHEMA)

    def find(self, wanted: AuditFilter, *, before: Place | None, limit: int) -> Sequence[FoundEvent]:
        """At most `limit` events, the newest first, of those before a place.

        Raises:
            TransientError: the record cannot be read.
        """
        try:
            with opened_for_reading(self._record) as (descriptor, size):
                self._catch_up(descriptor, size)
                with self._file.reading() as connection:
                    rows = connection.execute(*_search(wanted, before, limit)).fetchall()
                return [_found(descriptor, *row) for row in rows]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise TransientError(
                f"cannot read the audit record {self._record}: {error.strerror}", hint_for(error)
            ) from error

    def close(self) -> None:
        """Give up the file."""
        self._file.close()

    def _catch_up(self, descriptor: int, size: int) -> None:
        """Take in the lines that are new, some thousands a transaction."""
        with os.fdopen(os.dup(descriptor), "rb") as file:
            with self._file.reading() as connection:
                more = _bytes_read(connection, _first_line(file)) != size
            while more:
                with self._file.writing() as connection:
                    more = _take_in(connection, file, size)


def _take_in(connection: sqlite3.Connection, file: BinaryIO, size: int) -> bool:
    """Take in the next lines of the record; returns whether there are more."""
    first_line = _first_line(file)
    start = _bytes_read(connection, first_line)
    if not 0 < start <= size:  # a new index, another record, or one that has been cut
        start = 0
        connection.execute("DELETE FROM events")
    position, rows = start, list[tuple[int, int, str, str, str | None, str | None]]()
    file.seek(start)
    while len(rows) < _LINES_AT_ONCE and position < size:
        line = file.readline(min(LONGEST_LINE, size - position))
        if not line.endswith(b"\n") and len(line) < LONGEST_LINE:
            break  # half a line, which the next event will end
        with suppress(ValueError):  # what is no event at all is for `audit_check`
            event = AuditEvent.model_validate_json(line)
            rows.append((position, len(line), event.time, event.action, event.subject, event.session_id))
        position += len(line)
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", rows)
    connection.execute("REPLACE INTO record VALUES (1, ?, ?)", (first_line, position))
    return start < position < size


def _first_line(file: BinaryIO) -> bytes:
    file.seek(0)
    return sha256(file.readline(LONGEST_LINE)).digest()


def _bytes_read(connection: sqlite3.Connection, first_line: bytes) -> int:
    """How much of a record the index has, which is nothing if the index is of another one."""
    row = connection.execute("SELECT read FROM record WHERE first_line = ?", (first_line,)).fetchone()
    return row["read"] if row else 0


def _search(wanted: AuditFilter, before: Place | None, limit: int) -> tuple[str, list[object]]:
    """The statement that finds these events, and its values."""
    asked: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("action = ?", (wanted.action,)),
        ("subject = ?", (wanted.subject,)),
        ("session_id = ?", (wanted.session_id and str(wanted.session_id),)),
        ("time >= ?", (wanted.since and _text(wanted.since),)),
        ("time < ?", (wanted.until and _text(wanted.until),)),
        ("(time, position) < (?, ?)", before or (None,)),
    )
    conditions = [(condition, values) for condition, values in asked if values[0] is not None]
    where = " AND ".join(condition for condition, _ in conditions) or "TRUE"
    statement = f"SELECT time, position, length FROM events WHERE {where} ORDER BY time DESC, position DESC LIMIT ?"
    return statement, [*(value for _, values in conditions for value in values), limit]


def _text(moment: datetime) -> str:
    """A moment in the order of events; one that has no time in UTC is before or after all of them."""
    try:
        return timestamp(moment)
    except OverflowError:
        return "" if moment.year == MINYEAR else "~"


def _found(descriptor: int, time: str, position: int, length: int) -> FoundEvent:
    event = None
    with suppress(NotAnEvent):
        event = parse_event(os.pread(descriptor, length, position).removesuffix(b"\n"))
    return FoundEvent(Place(time, position), event)
