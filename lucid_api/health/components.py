"""The parts that the service works with, each asked whether it does its own part."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Thread

from lucid_api.health.models import Component, Status
from lucid_api.problems import Problem
from lucid_api.runs.dagster import Dagster
from lucid_api.runs.decoding import Found
from lucid_pipeline.course.stages import LEGS
from lucid_pipeline.errors import LucidError
from lucid_pipeline.home import Home
from lucid_pipeline.stores.catalog import Catalog
from lucid_pipeline.stores.object_store import open_object_store

CATALOG, ARCHIVE, KEYSTORE, DAGSTER, DAEMON = "catalog", "archive", "keystore", "dagster", "daemon"
NEEDED = (CATALOG, ARCHIVE)
"""Without these the service is not ready; without the others it does less."""

_SECONDS_FOR_AN_ANSWER = 2.0
_NO_ANSWER = f"no answer in {_SECONDS_FOR_AN_ANSWER:g} s"
_SECONDS_THAT_IT_COUNTS = 1.0


@dataclass(slots=True)
class Health:
    """All parts, looked at when somebody asks, but not more often than every second."""

    home: Home
    catalog: Catalog
    dagster: Dagster
    plays: bool
    """Whether there is an identity, so that the keystore is needed."""

    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _known: tuple[Component, ...] = ()
    _known_at: float = float("-inf")
    _asked: dict[str, asyncio.Future[str]] = field(default_factory=dict)

    async def components(self) -> tuple[Component, ...]:
        """How each part is."""
        async with self._lock:
            if time.monotonic() - self._known_at > _SECONDS_THAT_IT_COUNTS:
                self._known = await self._look()
                self._known_at = time.monotonic()
            return self._known

    async def _look(self) -> tuple[Component, ...]:
        settings = self.home.settings
        keystore = self._stored(KEYSTORE, settings.keystore_url) if self.plays else _unused(KEYSTORE)
        catalog, archive, keys, of_dagster = await asyncio.gather(
            self._in_thread(CATALOG, self._ask_catalog),
            self._stored(ARCHIVE, settings.archive_url),
            keystore,
            self._of_dagster(),
        )
        return (catalog, archive, keys, *of_dagster)

    def _ask_catalog(self) -> None:
        self.catalog.statistics(datetime.now(UTC).date())

    async def _stored(self, name: str, url: str) -> Component:
        return await self._in_thread(name, lambda: _ask_store(url))

    async def _in_thread(self, name: str, ask: Callable[[], None]) -> Component:
        """Ask something that may hang, such as a file system that is out of reach: one thread at most waits for it."""
        began = time.monotonic()
        if name not in self._asked:
            self._asked[name] = _ask_in_thread(ask)
        asked = self._asked[name]
        done, _ = await asyncio.wait({asked}, timeout=_SECONDS_FOR_AN_ANSWER)
        if not done:
            return _component(name, began, _NO_ANSWER)
        del self._asked[name]
        return _component(name, began, asked.result())

    async def _of_dagster(self) -> list[Component]:
        began, detail = time.monotonic(), ""
        found: Found = {}
        try:
            async with asyncio.timeout(_SECONDS_FOR_AN_ANSWER):
                found = await self.dagster.health()
        except TimeoutError:
            detail = _NO_ANSWER
        except Problem as problem:
            detail = problem.detail
        webserver = _component(DAGSTER, began, detail)
        if detail:
            unknown = "Dagster's webserver does not say"
            return [webserver, *(_component(name, began, unknown) for name in (DAEMON, *_LOCATIONS))]
        locations = {entry["name"]: entry for entry in found["workspace"]["locationEntries"]}
        return [
            webserver,
            _component(DAEMON, began, _trouble_of_daemons(found["instance"]["daemonHealth"]["allDaemonStatuses"])),
            *(_component(name, began, _trouble_of_location(locations.get(name))) for name in _LOCATIONS),
        ]


_LOCATIONS = tuple(leg.location for leg in LEGS)


def status_of(components: Iterable[Component]) -> Status:
    """How the service is, given its parts."""
    failing = {component.name for component in components if component.status is Status.FAILING}
    if failing & set(NEEDED):
        return Status.FAILING
    return Status.DEGRADED if failing else Status.OK


def _component(name: str, began: float, detail: str) -> Component:
    milliseconds = round((time.monotonic() - began) * 1000, 1)
    status = Status.FAILING if detail else Status.OK
    return Component(name=name, status=status, detail=detail or None, milliseconds=milliseconds)


async def _unused(name: str) -> Component:
    return Component(name=name, status=Status.UNUSED, detail="there is no identity here", milliseconds=0)


def _ask_in_thread(ask: Callable[[], None]) -> asyncio.Future[str]:
    """What will be wrong with something; its thread keeps nobody from ending the process."""
    loop = asyncio.get_running_loop()
    trouble: asyncio.Future[str] = loop.create_future()

    def work() -> None:
        found = _trouble_of(ask)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(trouble.set_result, found)

    Thread(target=work, name="health", daemon=True).start()
    return trouble


def _trouble_of(ask: Callable[[], None]) -> str:
    """What is wrong with something; nothing if it answers."""
    try:
        ask()
    except LucidError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other parts can be asked
        return f"unexpected {type(error).__name__}"
    return ""


def _ask_store(url: str) -> None:
    """Open a store anew, which finds a folder that has gone, and ask it."""
    open_object_store(url).check(writing=False)


def _trouble_of_daemons(statuses: Iterable[Mapping[str, object]]) -> str:
    silent = [str(status["daemonType"]) for status in statuses if status["required"] and not status["healthy"]]
    return f"no heartbeat: {', '.join(silent)}" if silent else ""


def _trouble_of_location(entry: Mapping[str, object] | None) -> str:
    if entry is None:
        return "Dagster does not know it"
    found = entry["locationOrLoadError"]
    if entry["loadStatus"] != "LOADED" or found is None:
        return "it is being loaded"
    is_loaded = isinstance(found, Mapping) and found["__typename"] == "RepositoryLocation"
    return "" if is_loaded else "it cannot be loaded; Dagster's UI says why"
