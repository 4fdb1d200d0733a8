"""The pooled storage: what Dagster's own would have written, in the same files, by several processes, bounded."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from dagster import (
    AssetExecutionContext,
    AssetKey,
    BackfillPolicy,
    DagsterInstance,
    DagsterRun,
    Definitions,
    DynamicPartitionsDefinition,
    EventLogEntry,
    ExecuteInProcessResult,
    MaterializeResult,
    asset,
    in_process_executor,
)
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from lucid_pipeline.instance.storage import MOST_SHARDS
from tests.lineage.test_definitions import ROOT
from tests.processes import eventually

KEYS = [f"key-{n}" for n in range(5)]
OTHERS = [f"other-{n}" for n in range(5)]
PARTITIONS = DynamicPartitionsDefinition(name="sessions")
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@asset(partitions_def=PARTITIONS, backfill_policy=BackfillPolicy.single_run())
def first(context: AssetExecutionContext) -> MaterializeResult[None]:
    for key in context.partition_keys:
        context.add_asset_metadata({"key": key}, partition_key=key)
    return MaterializeResult()


@asset(partitions_def=PARTITIONS, backfill_policy=BackfillPolicy.single_run(), deps=[first])
def second(context: AssetExecutionContext) -> MaterializeResult[None]:
    return MaterializeResult(metadata={"partitions": len(context.partition_keys)})


@contextmanager
def opened(folder: Path, *, pooled: bool = True) -> Iterator[DagsterInstance]:
    folder.mkdir(exist_ok=True)
    ours: dict[str, Any] = {
        "module": "lucid_pipeline.instance.storage",
        "class": "PooledSqliteStorage",
        "config": {"base_dir": str(folder)},
    }
    overrides = {"telemetry": {"enabled": False}, **({"storage": {"custom": ours}} if pooled else {})}
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(folder), overrides=overrides)) as instance:
        yield instance


def materialize(instance: DagsterInstance, *keys: str) -> ExecuteInProcessResult:
    instance.add_dynamic_partitions(
        "sessions", [key for key in keys if not instance.has_dynamic_partition("sessions", key)]
    )
    job = Definitions(assets=[first, second], executor=in_process_executor).resolve_implicit_global_asset_job_def()
    ends = {"dagster/asset_partition_range_start": keys[0], "dagster/asset_partition_range_end": keys[-1]}
    return job.execute_in_process(instance=instance, run_config=QUIET, tags=ends)


def materialized(instance: DagsterInstance, name: str) -> set[str]:
    return set(instance.get_materialized_partitions(AssetKey(name)))


def contents(folder: Path) -> dict[str, Any]:
    """What the files hold, but for times, ids, and the text of events, which has both."""
    index = "select dagster_event_type, asset_key, partition, step_key from event_logs order by id"
    assets = (
        "select asset_key, last_materialization is null, last_run_id is null, asset_details from asset_keys order by 1"
    )
    found: dict[str, Any] = {
        "index": _rows(folder / "history/runs/index.db", index),
        "assets": _rows(folder / "history/runs/index.db", assets),
        "tags": _rows(
            folder / "history/runs/index.db", "select event_id, asset_key, key from asset_event_tags order by 1, 3"
        ),
        "runs": _rows(folder / "history/runs.db", "select status, partition, pipeline_name from runs order by id"),
        "run tags": _rows(folder / "history/runs.db", "select key, count(*) from run_tags group by 1 order by 1"),
    }
    shards = [path for path in (folder / "history/runs").glob("*.db") if path.name != "index.db"]
    found["shards"] = sorted(
        _rows(path, "select dagster_event_type, partition from event_logs order by id") for path in shards
    )
    for path in (folder / "history/runs/index.db", folder / "history/runs.db", *shards):
        found[f"tables of {path.name if path.name in ('index.db', 'runs.db') else 'a shard'}"] = _rows(
            path, "select type, name from sqlite_master order by 1, 2"
        )
    return found


def _rows(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("batch", ["0", "3", "500"], ids=["one by one", "in batches", "in one batch"])
def test_it_holds_what_dagsters_own_holds(batch: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(tmp_path / "stock", pooled=False) as instance:
        assert materialize(instance, *KEYS).success
        assert materialize(instance, *KEYS[:2]).success
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", batch)
    with opened(tmp_path / "pooled") as instance:
        assert materialize(instance, *KEYS).success
        assert materialize(instance, *KEYS[:2]).success
    assert contents(tmp_path / "pooled") == contents(tmp_path / "stock")


def test_a_home_goes_from_dagsters_own_to_this_one_and_back(tmp_path: Path) -> None:
    with opened(tmp_path, pooled=False) as instance:
        materialize(instance, *KEYS[:2])
    with opened(tmp_path) as instance:
        assert materialized(instance, "second") == set(KEYS[:2])
        materialize(instance, *KEYS[2:])
        assert len(instance.get_runs()) == 2
    with opened(tmp_path, pooled=False) as instance:
        assert materialized(instance, "second") == set(KEYS)
        assert all(instance.all_logs(run.run_id) for run in instance.get_runs())


MATERIALIZE = """
import sys
from pathlib import Path
from tests.instance.test_storage import materialize, opened

with opened(Path(sys.argv[1])) as instance:
    for n in range(4):
        assert materialize(instance, f"{sys.argv[2]}-{n}").success
"""


def test_processes_write_at_once_also_when_they_make_it(tmp_path: Path) -> None:
    """Dagster's own makes its files in several steps, which do not go well with others' at the same time."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", MATERIALIZE, str(tmp_path / "home"), name],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in "abcd"
    ]
    for process in processes:
        _, told = process.communicate(timeout=200)
        assert process.returncode == 0, told
        assert "locked" not in told
    with opened(tmp_path / "home") as instance:
        assert materialized(instance, "second") == {f"{name}-{n}" for name in "abcd" for n in range(4)}


def test_threads_write_and_read_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as instance, ThreadPoolExecutor(len(KEYS)) as threads:
        runs = [materialize(instance, key).dagster_run for key in KEYS]

        def work(run: DagsterRun) -> int:
            before = len(instance.all_logs(run.run_id))
            for n in range(20):
                instance.report_engine_event(f"{n}", run)
                instance.add_run_tags(run.run_id, {"n": str(n)})
            return len(instance.all_logs(run.run_id)) - before

        assert list(threads.map(work, runs)) == [20] * len(KEYS)
        assert [run.tags["n"] for run in instance.get_runs()] == ["19"] * len(KEYS)


def open_files(folder: Path) -> list[str]:
    links = Path("/proc/self/fd").iterdir()
    return [str(link.readlink()) for link in links if link.exists() and link.readlink().is_relative_to(folder)]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to count open files")
def test_open_files_are_bounded_and_closed_in_the_end(tmp_path: Path) -> None:
    with opened(tmp_path) as instance:
        runs = [materialize(instance, key).run_id for key in [*KEYS, *KEYS]]
        for run_id in runs:
            assert instance.all_logs(run_id)
        shards = {name.split(".db")[0] for name in open_files(tmp_path / "history" / "runs")}
        assert len(shards) == MOST_SHARDS + 1
        assert len(open_files(tmp_path)) <= 3 * (MOST_SHARDS + 3)
    assert open_files(tmp_path) == []


def test_who_watches_a_run_sees_its_events_as_they_come(tmp_path: Path) -> None:
    seen: list[EventLogEntry] = []
    with opened(tmp_path) as instance, opened(tmp_path) as other:
        run_id = materialize(instance, KEYS[0]).run_id
        before = len(instance.all_logs(run_id))
        other.watch_event_logs(run_id, None, lambda event, _cursor: seen.append(event))
        eventually(lambda: len(seen) == before, every=0.05)
        run = instance.get_run_by_id(run_id)
        assert run
        instance.report_engine_event("one more", run)
        eventually(lambda: len(seen) == before + 1, every=0.05)
        assert seen[-1].dagster_event
        assert seen[-1].dagster_event.message == "one more"


def test_wiping_it_leaves_it_usable(tmp_path: Path) -> None:
    with opened(tmp_path) as instance:
        materialize(instance, *KEYS)
        instance.wipe()
        assert materialized(instance, "first") == set()
        materialize(instance, *KEYS)
        assert materialized(instance, "first") == set(KEYS)


def test_partitions_that_another_process_adds_or_removes_are_seen_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as here, opened(tmp_path) as there:
        expected: list[str] = []
        for key in [*KEYS, *OTHERS]:
            there.add_dynamic_partitions("sessions", [key])
            expected.append(key)
            assert here.get_dynamic_partitions("sessions") == there.get_dynamic_partitions("sessions") == expected
        for key in (OTHERS[-1], KEYS[0], OTHERS[1]):
            there.delete_dynamic_partition("sessions", key)
            expected.remove(key)
            assert here.get_dynamic_partitions("sessions") == expected
            there.add_dynamic_partitions("sessions", [f"new {key}"])
            expected.append(f"new {key}")
            assert here.get_dynamic_partitions("sessions") == expected
        assert here.get_dynamic_partitions("others") == []


def test_the_partitions_that_were_answered_may_be_changed(tmp_path: Path) -> None:
    with opened(tmp_path) as instance:
        instance.add_dynamic_partitions("sessions", KEYS)
        answer = instance.get_dynamic_partitions("sessions")
        assert isinstance(answer, list)
        answer.clear()
        assert instance.get_dynamic_partitions("sessions") == KEYS


def test_partitions_are_not_read_again_for_every_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    read = SqliteEventLogStorage.get_dynamic_partitions

    def watched(storage: SqliteEventLogStorage, name: str) -> Any:
        reads.append(name)
        return read(storage, name)

    monkeypatch.setattr(SqliteEventLogStorage, "get_dynamic_partitions", watched)
    with opened(tmp_path) as instance:
        instance.add_dynamic_partitions("sessions", KEYS)
        for _ in range(10):
            assert instance.get_dynamic_partitions("sessions") == KEYS
    assert reads == ["sessions"]


def test_a_storage_that_is_there_is_opened_and_gets_runs_without_a_look_at_migrations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path):
        pass
    monkeypatch.delattr(ScriptDirectory, "from_config")
    with opened(tmp_path) as instance:
        assert materialize(instance, *KEYS).success


def test_another_version_of_dagster_looks_at_it_again(tmp_path: Path) -> None:
    with opened(tmp_path) as instance:
        materialize(instance, *KEYS[:2])
    noted = json.loads((tmp_path / "storage.json").read_text())
    (tmp_path / "storage.json").write_text(json.dumps({**noted, "dagster": "0.1"}))
    with opened(tmp_path) as instance:
        assert materialized(instance, "second") == set(KEYS[:2])
    assert json.loads((tmp_path / "storage.json").read_text()) == noted
