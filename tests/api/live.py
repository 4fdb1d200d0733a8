"""The session API beside a real Dagster: everything that `lucid up` starts."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2

from lucid_api.access.scopes import Scope
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.intake.registration import register
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, Failure
from tests.api.support import Api
from tests.cli.running import Up, started
from tests.cli.support import Lucid
from tests.processes import eventually

QUARANTINE = Failure("chunks", "the recording was cut off", permanent=True)


@dataclass(frozen=True)
class Live:
    """A running Lucid whose sensors are stopped, so that nothing runs that no test has asked for; and its API."""

    lucid: Lucid
    up: Up
    api: Api
    _names: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    @property
    def catalog(self) -> Catalog:
        return self.api.services.catalog

    def record(self, length: int = 1000) -> UUID:
        """Register a recording of zeros; Dagster does not know it yet."""
        path = self.lucid.folder / f"{next(self._names)}.bin"
        with path.open("wb") as file:
            file.truncate(length)
        return register(path, SessionMetadata(), self.catalog, release=False).session_id

    def start(self, *session_ids: UUID, headers: dict[str, str] | None = None) -> Any:
        """What is answered to a request for runs of these sessions."""
        body = {"sessions": [str(session_id) for session_id in session_ids]}
        return self.api.ask("POST", "/runs", Scope.RUNS_WRITE, json=body, headers=headers)

    def run(self, run_id: str) -> dict[str, Any]:
        document: dict[str, Any] = self.api.get(f"/runs/{run_id}", Scope.SESSIONS_READ).json()
        return document

    def ended(self, run_id: str) -> dict[str, Any]:
        """A run, when it has ended."""
        return eventually(lambda: run if (run := self.run(run_id))["ended_at"] else None, every=0.2)

    def take_on(self, *session_ids: UUID) -> list[dict[str, Any]]:
        """Start runs for sessions, and wait until they have ended."""
        answer = self.start(*session_ids)
        assert answer.status_code == 202, answer.text
        return [self.ended(run["run_id"]) for run in answer.json()["runs"]]

    def lineage(self, session_id: UUID) -> dict[str, Any]:
        document: dict[str, Any] = self.api.get(f"/sessions/{session_id}/lineage", Scope.SESSIONS_READ).json()
        return document


@dataclass(frozen=True)
class _Opened:
    """As much of a home as tests look at, beside the process that serves it."""

    catalog: Catalog
    state: StateDatabase
    settings: Settings


@contextmanager
def running_lucid(folder: Path) -> Iterator[Live]:
    """Everything on a new home below a folder."""
    lucid = Lucid(folder / "lucid", folder=folder)
    lucid.ok("init")
    home = lucid.opened
    with (
        started(lucid) as up,
        home.catalog() as catalog,
        closing(StateDatabase(lucid.home)) as state,
        httpx2.Client(base_url=up.api_url, timeout=60, trust_env=False) as client,
    ):
        eventually(up.ui.locations, every=0.2)
        up.ui.stop_sensors()
        yield Live(lucid, up, Api(client, _Opened(catalog, state, home.settings)))  # type: ignore[arg-type]
