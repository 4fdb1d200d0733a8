"""What is known of a storage that was made: with it, opening one and adding a run's file need no look at migrations.

To find out at which revision a database should be, Dagster loads all migrations that there ever were: 0.1 s of CPU and
18 MB for every process, and the same once more for every run. So whoever makes the storage notes it.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import sqlalchemy as db
from dagster import __version__ as dagster_version
from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
from dagster._core.storage.event_log.sqlite import SqliteEventLogStorage
from sqlalchemy.engine import Connection, Engine

_NAME = "storage.json"
_REVISION = db.Table(
    "alembic_version", db.MetaData(), db.Column("version_num", db.String(32), primary_key=True, nullable=False)
)
"""As Alembic makes it."""


@dataclass(frozen=True, slots=True)
class Made:
    """A storage whose files are all there."""

    dagster: str
    """The version of Dagster that made them, or looked at them last."""

    revision: str
    """Of the event logs that this version makes."""

    @classmethod
    def noted(cls, folder: Path) -> Self | None:
        """What was noted in a storage's folder, by this version of Dagster."""
        try:
            made = cls(**json.loads((folder / _NAME).read_text("utf-8")))
        except (FileNotFoundError, TypeError, ValueError):
            return None
        return made if made.dagster == dagster_version else None

    @classmethod
    def note(cls, folder: Path, event_log: SqliteEventLogStorage) -> Self:
        """Note that all files are there."""
        _, revision = event_log.alembic_version()
        made = cls(dagster_version, str(revision))
        written = folder / f".{_NAME}.partial"
        written.write_text(json.dumps(asdict(made)), encoding="utf-8")
        written.replace(folder / _NAME)
        return made

    def make_event_log(self, engine: Engine) -> None:
        """Make the tables of a run's event log, where they are not there. One process at a time may do so."""
        with engine.begin() as connection:
            if _has_revision(connection):
                return
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        with engine.begin() as connection:
            SqlEventLogStorageMetadata.create_all(connection)
            _REVISION.create(connection, checkfirst=True)
            connection.execute(_REVISION.insert(), {"version_num": self.revision})


def _has_revision(connection: Connection) -> bool:
    there = connection.dialect.has_table(connection, _REVISION.name)
    return there and connection.execute(db.select(_REVISION.c.version_num)).first() is not None
