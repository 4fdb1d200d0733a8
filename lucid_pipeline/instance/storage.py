"""Dagster's SQLite storage with connections that stay open.

Dagster's own makes an engine, opens a file and waits for the disk for every event, of which a run of 50 sessions has
hundreds: 13 to 15 ms each. Files and tables here are the same, so that a home can change from one to the other.

`synchronous = NORMAL`: in WAL mode a process that is killed loses nothing by that, and a loss of power takes the last
moments, never a file's consistency. Truth does not live in Dagster's log: what is sealed stands in manifests, what is
under way in the catalog, and what a forgotten run covered is requested again.
"""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as db
from dagster import EventLogEntry
from dagster._core.event_api import EventHandlerFn
from dagster._core.events import ASSET_EVENTS
from dagster._core.storage.event_log.polling_event_watcher import SqlPollingEventWatcher
from dagster._core.storage.event_log.schema import DynamicPartitionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite import SqliteRunStorage
from dagster._core.storage.schedules.sqlite import SqliteScheduleStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS, create_db_conn_string
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from typing_extensions import override

from lucid_pipeline.instance.made import Made
from lucid_pipeline.locks import exclusive

MOST_SHARDS = 4
"""Event logs of runs that a process keeps open. Each is up to three open files: database, log, and shared memory."""


@dataclass(frozen=True, slots=True)
class _Partitions:
    """Partition keys, the version of the file in which they were last found unchanged, and what a change would change.

    SQLite raises the version when others have written; what this process writes itself does not count.
    """

    version: object
    last: object
    keys: Sequence[str]


class PooledEventLog(SqliteEventLogStorage):
    """One connection a file, and one thread at a time, as in Dagster's own; `_connect` is its one way to any file."""

    def __init__(self, folder: Path, made: Made | None = None) -> None:
        self._folder, self._made = folder, made
        self._shards: OrderedDict[str, Engine] = OrderedDict()
        self._tables: set[str] = set()
        self._partitions: dict[str, _Partitions] = {}
        self._watcher: SqlPollingEventWatcher | None = None
        super().__init__(str(folder))

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def _engine(self, shard: str) -> Engine:
        engine = self._shards.pop(shard, None) or _open_engine(self.conn_string_for_shard(shard))
        self._shards[shard] = engine
        runs = [name for name in self._shards if name != INDEX_SHARD_NAME]
        for name in runs[:-MOST_SHARDS]:
            self._shards.pop(name).dispose()
        return engine

    @override
    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        if self._made is None or for_index_shard:
            super()._initdb(engine, for_index_shard)
        else:
            with exclusive(self._folder, "lock"):
                self._made.make_event_log(engine)

    @override
    def has_table(self, table_name: str) -> bool:
        """Asked for every event; tables come with a migration, and never go."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    @override
    def get_dynamic_partitions(self, partitions_def_name: str) -> Sequence[str]:
        """Asked for every session of a run, and 0.1 s long where there are 20,000: read again only after a change."""
        known = self._partitions.get(partitions_def_name)
        with self.index_connection() as connection:
            version = connection.exec_driver_sql("PRAGMA data_version").scalar()
            if known and known.version == version:
                return list(known.keys)
            last = _last_partition(connection, partitions_def_name)
        keys = known.keys if known and known.last == last else super().get_dynamic_partitions(partitions_def_name)
        self._partitions[partitions_def_name] = _Partitions(version, last, keys)
        return list(keys)

    @override
    def add_dynamic_partitions(self, partitions_def_name: str, partition_keys: Sequence[str]) -> None:
        super().add_dynamic_partitions(partitions_def_name, partition_keys)
        self._partitions.pop(partitions_def_name, None)

    @override
    def delete_dynamic_partition(self, partitions_def_name: str, partition_key: str) -> None:
        super().delete_dynamic_partition(partitions_def_name, partition_key)
        self._partitions.pop(partitions_def_name, None)

    @override
    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events of one run in two transactions, where Dagster's own takes two for each event."""
        if any(event.dagster_event_type not in ASSET_EVENTS for event in events):
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        insert = SqlEventLogStorageTable.insert()
        with self.run_connection(events[0].run_id) as connection:
            connection.execute(insert, rows)
        with self.index_transaction() as connection:
            ids = [_inserted_id(connection, insert, row) for row in rows]
            self._store_asset_event_tags(connection, events, ids)
            for event, event_id in _last_of_each(events, ids):
                self._store_asset_event(connection, event, event_id)

    @override
    def watch(self, run_id: str, cursor: str | None, callback: EventHandlerFn) -> None:
        """Poll for the UI: a file whose connections stay open changes beside itself, where Dagster does not look."""
        with self._db_lock:
            self._watcher = self._watcher or SqlPollingEventWatcher(self)
        self._watcher.watch_run(run_id, cursor, callback)

    @override
    def end_watch(self, run_id: str, handler: EventHandlerFn) -> None:
        if self._watcher:
            self._watcher.unwatch_run(run_id, handler)

    @override
    def wipe(self) -> None:
        self._close()
        super().wipe()

    @override
    def dispose(self) -> None:
        if self._watcher:
            self._watcher.close()
        super().dispose()
        self._close()

    def _close(self) -> None:
        with self._db_lock:
            while self._shards:
                self._shards.popitem()[1].dispose()


def _last_partition(connection: Connection, name: str) -> object:
    """How many partitions there are, and the last: rows get ascending numbers, so that it shows if there are others."""
    table = DynamicPartitionsTable.c
    ours = table.partitions_def_name == name
    count = connection.execute(db.select(db.func.count()).where(ours)).scalar()
    last = db.select(table.id, table.partition).where(ours).order_by(table.id.desc()).limit(1)
    return count, tuple(connection.execute(last).first() or ())


def _inserted_id(connection: Connection, insert: db.Insert, row: Mapping[str, Any]) -> int:
    key = connection.execute(insert, row).inserted_primary_key
    assert key
    return int(key[0])


def _last_of_each(events: Sequence[EventLogEntry], ids: Sequence[int]) -> list[tuple[EventLogEntry, int]]:
    """The last event of each kind for each asset, in their order: what came before them would be overwritten."""
    last: dict[object, tuple[EventLogEntry, int]] = {}
    for event, event_id in zip(events, ids, strict=True):
        kind = (event.get_dagster_event().asset_key, event.dagster_event_type)
        last.pop(kind, None)
        last[kind] = event, event_id
    return list(last.values())


class _OneEngine:
    """What runs and schedules have in common: one engine, in place of a new one for each question."""

    def __init__(self, conn_string: str) -> None:
        super().__init__(conn_string)  # type: ignore[call-arg] # of the storage that this is mixed with
        self._engine = _open_engine(conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()  # type: ignore[misc]
        self._engine.dispose()


class _Runs(_OneEngine, SqliteRunStorage):
    """Dagster's own, by one engine."""


class _Schedules(_OneEngine, SqliteScheduleStorage):
    """Dagster's own, by one engine."""


class PooledSqliteStorage(DagsterSqliteStorage):
    """All three storages of an instance. Dagster's own code makes the files, one process at a time; these open them."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        folder = Path(base_dir)
        logs = folder / "history" / "runs"
        made = Made.noted(folder)
        if made is None:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with exclusive(folder, "storage-lock"):
                super().__init__(base_dir, inst_data)
                made = Made.note(folder, self._event_log_storage)
        else:
            self.base_dir, self._inst_data = base_dir, inst_data
            super(DagsterSqliteStorage, self).__init__()  # type: ignore[no-untyped-call]
        self._event_log_storage = PooledEventLog(logs, made)
        self._run_storage = _Runs(create_db_conn_string(str(folder / "history"), "runs"))
        self._schedule_storage = _Schedules(create_db_conn_string(str(folder / "schedules"), "schedules"))

    @classmethod
    @override
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Any) -> Self:
        return cls(config_value["base_dir"], inst_data)


def _open_engine(url: str) -> Engine:
    """An engine that keeps one connection open; when several threads ask at once, the others' are closed after use."""
    engine = db.create_engine(
        url,
        poolclass=db.pool.QueuePool,
        pool_size=1,
        max_overflow=-1,
        connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
    )

    @db.event.listens_for(engine, "connect")
    def _trust_the_log(connection: DBAPIConnection, _record: object) -> None:
        connection.execute("PRAGMA synchronous=NORMAL")

    return engine
