"""Opening the Dagster instance below a home: made once, and left as its operator wants it."""

import fcntl
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from dagster import job, op

from lucid_pipeline.errors import UsageError
from lucid_pipeline.instance.opened import open_instance
from lucid_pipeline.locks import exclusive


@op
def say() -> None:
    """What no operation of Lucid does, but a library that it uses may do."""
    print("hunter2 was", "printed", file=sys.stderr)
    os.write(1, b"hunter2 was printed")


@job
def talk() -> None:
    """A job that talks."""
    say()


def test_it_is_made_at_first_use_and_tells_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "dagster"
    with open_instance(folder) as instance:
        assert not instance.telemetry_enabled
        assert instance.root_directory == str(folder)
    assert (folder / "dagster.yaml").exists()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_an_operator_configured_stays(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\nretention: {sensor: {purge_after_days: 3}}\n")
    with open_instance(tmp_path) as instance:
        assert instance.get_settings("retention")["sensor"]["purge_after_days"] == 3
    assert "purge_after_days: 3" in (tmp_path / "dagster.yaml").read_text()


def test_a_folder_that_cannot_be_one_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot use the folder"), open_instance(tmp_path / "file"):
        pass


def test_what_an_asset_prints_is_kept_nowhere(tmp_path: Path) -> None:
    with open_instance(tmp_path) as instance:
        assert talk.execute_in_process(instance=instance).success
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and b"hunter2 was printed" in path.read_bytes()]
    assert kept == []


def test_it_is_made_by_one_process_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits, lock = Event(), fcntl.flock

    def lock_and_tell(descriptor: int, operation: int) -> None:
        waits.set()
        lock(descriptor, operation)

    def make() -> None:
        with open_instance(tmp_path):
            pass

    with ThreadPoolExecutor(1) as threads:
        with exclusive(tmp_path):
            monkeypatch.setattr(fcntl, "flock", lock_and_tell)
            made = threads.submit(make)
            assert waits.wait(60)
            assert [path.name for path in tmp_path.iterdir()] == ["lock"]
        made.result(60)
    assert (tmp_path / "dagster.yaml").exists()
