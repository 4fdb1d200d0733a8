"""The lineage below a folder of each test's own: in Dagster, or as functions alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from tests.lineage.support import Lineage, Stages, open_home, open_lineage


@pytest.fixture
def lineage(tmp_path: Path) -> Iterator[Lineage]:
    """On a Dagster instance in memory."""
    with DagsterInstance.ephemeral() as instance, open_lineage(tmp_path / "lucid", instance) as lineage:
        yield lineage


@pytest.fixture
def stages(tmp_path: Path) -> Iterator[Stages]:
    """Without Dagster."""
    with open_home(tmp_path / "lucid") as (home, catalog):
        yield Stages(home, catalog)
