"""Opening the Dagster instance below a home: made once, and left as its operator wants it."""

from pathlib import Path

import pytest

from lucid_pipeline.errors import UsageError
from lucid_pipeline.instance.opened import open_instance


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
