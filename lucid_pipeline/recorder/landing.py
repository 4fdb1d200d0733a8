"""The landing folder: which of the files in it are finished recordings, and how they are registered.

The rules are a table in the README. Nothing that lies there stops the others, and no look takes long, however much lies
there: each goes on where the last one stopped, and examines and registers a bounded number of files.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Generic, TypeVar
from uuid import UUID

from lucid_pipeline.archive.recording import FileIdentity, open_recording, opened_folder
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.errors import PermanentError, TransientError
from lucid_pipeline.home import Home
from lucid_pipeline.intake.names import is_in_progress, received_in
from lucid_pipeline.intake.registration import fingerprint, name_of
from lucid_pipeline.intake.sidecar import MARKER_ENDING, SIDECAR_ENDING, is_beside, is_marker, recording_of
from lucid_pipeline.paths import printable
from lucid_pipeline.recorder.walk import Entry, walk
from lucid_pipeline.stores.catalog import Arrival, Catalog, Failure, Source, Stage

K = TypeVar("K")

_SCAN_SECONDS = 0.25
_EXAMINE_SECONDS = 0.15
_MOST_REGISTERED = 500
_MOST_ASKED = 500
_MOST_WATCHED = 20_000
_MOST_REMEMBERED = 100_000
_MOST_TOLD = 1_000
_MOST_MESSAGES = 20


@dataclass(frozen=True, slots=True)
class Intake:
    """What came of one look: the sessions registered, oldest recording first, and what a person should know."""

    registered: Sequence[UUID] = ()
    messages: Sequence[str] = ()


class LandingFolder:
    """The landing folder of a home, which is looked at a little at a time.

    What it remembers between two looks is where it stopped, and since when which files are unchanged. All of that may
    be lost: a new one begins at the beginning, and what is in the catalog is registered once whatever happens.
    """

    def __init__(self, home: Home, clock: Callable[[], float] | None = None) -> None:
        """Look at nothing yet.

        Args:
            home: whose landing folder it is.
            clock: seconds by a clock that nobody sets; by itself, since this machine was started.
        """
        self._home = home
        self._settings = home.settings
        self._clock = clock or _since_boot
        self._turn = threading.Lock()
        self._walk: Iterator[Entry | None] = iter(())
        self._root = ""
        self._watched: dict[str, _Watched] = {}  # in the order in which they will have been watched for long enough
        self._marked: dict[str, _Watched] = {}
        self._known: _Remembered[int] = _Remembered(_MOST_REMEMBERED)
        self._told: _Remembered[str] = _Remembered(_MOST_TOLD)
        self._messages: list[str] = []
        self._ahead: float | None = None
        self._set_at: float | None = None

    def take_in(self, catalog: Catalog, now: datetime) -> Intake:
        """Look on for less than a second, and register what has been found to be finished.

        To be called every few seconds, also when nothing came of it: that a file is finished is seen by looking twice.

        Args:
            catalog: where sessions are registered, at most 500; those of recordings that cannot be archived have
                failed already, for good. All are to be removed when sealed and verified, unless the settings keep them.
            now: tells how old partial files are, and nothing else.

        Raises:
            TransientError: the catalog does not answer. Nothing is lost by that.
        """
        if not self._turn.acquire(blocking=False):
            return Intake(messages=["another look at the landing folder is not done yet"])
        try:
            look = _Look(self._clock(), now.timestamp())
            self._notice_a_set_clock(look)
            self._scan(catalog, look)
            registered = self._register(self._ready(look), catalog)
            messages, self._messages = self._messages, []
            return Intake(registered, messages)
        finally:
            self._turn.release()

    def _scan(self, catalog: Catalog, look: "_Look") -> None:
        """Go on with the walk, and watch what is new; where enough is being watched, rest until some of it is done."""
        deadline = time.perf_counter() + _SCAN_SECONDS
        found: dict[str, _Found] = {}
        while time.perf_counter() < deadline and len(self._watched) + len(self._marked) + len(found) < _MOST_WATCHED:
            try:
                entry = next(self._walk)
            except StopIteration:
                if self._begin_again(look):
                    continue
                break
            if entry and (new := self._look_at(entry, look)):
                found[new.watched.fingerprint] = new
            if len(found) == _MOST_ASKED:
                self._watch(found, catalog)
                found = {}
        self._watch(found, catalog)

    def _begin_again(self, look: "_Look") -> bool:
        """Begin the walk anew, unless that has been done in this look."""
        if look.began:
            return False
        look.began = True
        self._known.turn()
        self._told.turn()
        root = self._settings.landing_dir.resolve()
        self._root = str(root)
        self._walk = walk(root, self._may_enter, self._refuse)
        return True

    def _may_enter(self, folder: str) -> bool:
        """Whether what lies in a folder can be recordings: not what is Lucid's own, nor what the API is receiving."""
        path = Path(folder)
        return received_in(path.name) is None and not self._home.owns(path)

    def _look_at(self, entry: Entry, look: "_Look") -> "_Found | None":
        """What is to be watched from now on, unless it is known, or in progress."""
        path, status = f"{entry.folder}/{entry.name}", entry.status
        recording = recording_of(entry.name)
        if recording and is_beside(entry.name, status):
            self._look_beside(path, status, f"{entry.folder}/{recording}", look)
            return None
        key = hash((path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns))
        if self._known.has_met(key) or path in self._watched or path in self._marked:
            return None
        is_marked = _has_marker(path)
        abandoned = not is_marked and self._is_in_progress(entry)
        if abandoned and not self._is_old(status, look):
            return None
        watched = _Watched(fingerprint(path, status), _sidecar_state(path), look.steady, abandoned)
        return _Found(path, key, watched, is_marked)

    def _look_beside(self, path: str, status: os.stat_result, recording: str, look: "_Look") -> None:
        """A marker ends the watch over its recording; what lies beside nothing for long is told."""
        if path.endswith(MARKER_ENDING) and recording in self._watched:
            self._marked[recording] = self._watched.pop(recording)
        elif self._is_old(status, look) and not os.path.lexists(recording):
            self._tell(f"{path} lies there without its recording: nothing is done with it")

    def _is_in_progress(self, entry: Entry) -> bool:
        below_root = f"{entry.folder}/{entry.name}".removeprefix(self._root).split("/")
        return any(map(is_in_progress, below_root))

    def _is_old(self, status: os.stat_result, look: "_Look") -> bool:
        """Whether a file was last changed so long ago, or so far ahead, that its writer has given it up.

        After the clock has been set that cannot be told from the times of files, until as much time has gone by.
        """
        age = abs(look.now - status.st_ctime)
        if self._set_at is not None:
            age = min(age, look.steady - self._set_at)
        return age >= self._settings.abandoned_after_seconds

    def _notice_a_set_clock(self, look: "_Look") -> None:
        """A clock that was set by a tenth of the time that counts has been set."""
        ahead = look.now - look.steady
        if self._ahead is not None and abs(ahead - self._ahead) > self._settings.abandoned_after_seconds / 10:
            self._set_at = look.steady
        self._ahead = ahead

    def _watch(self, found: dict[str, "_Found"], catalog: Catalog) -> None:
        if not found:
            return
        known = catalog.registered(found, release=not self._settings.keep_landing)
        for name, new in found.items():
            if name in known:
                self._known.add(new.key)
            elif new.is_marked:
                self._marked[new.path] = new.watched
            else:
                self._watched[new.path] = new.watched

    def _ready(self, look: "_Look") -> list["_Ready"]:
        """What is finished, of all that is marked, or has been watched for long enough."""
        deadline = time.perf_counter() + _EXAMINE_SECONDS
        ready: list[_Ready] = []
        again: dict[str, _Watched] = {}
        while len(ready) < _MOST_REGISTERED and time.perf_counter() < deadline and (path := self._due(look)):
            is_marked = path in self._marked
            watched = (self._marked if is_marked else self._watched).pop(path)
            state = self._examine(path, watched, is_marked=is_marked)
            if isinstance(state, _Ready):
                ready.append(state)
            elif state:
                again[path] = replace(state, since=look.steady)
        # Were all room taken by what is never finished, other files would wait for ever. The walk finds these again.
        room = _MOST_WATCHED // 2 - len(self._watched)
        self._watched.update(list(again.items())[: max(0, room)])
        return ready

    def _due(self, look: "_Look") -> str | None:
        """The path that is to be examined next."""
        if self._marked:
            return next(iter(self._marked))
        path, watched = next(iter(self._watched.items()), ("", None))
        is_due = watched and look.steady - watched.since >= self._settings.landing_settle_seconds
        return path if is_due else None

    def _examine(self, path: str, watched: "_Watched", *, is_marked: bool) -> "_Ready | _Watched | None":
        """A file that is finished, or what is to be watched on; None for what has gone, or is Lucid's own."""
        try:
            with opened_folder(Path(path)) as folder:
                status = os.lstat(Path(path).name, dir_fd=folder)
        except OSError:
            return None
        if self._home.owns(Path(path)):
            return None
        now = replace(watched, fingerprint=fingerprint(path, status), sidecar=_sidecar_state(path))
        if now != watched and not is_marked:
            return now
        reason = ""
        try:
            with open_recording(Path(path)) as file:
                if file.identity != FileIdentity.of(status) or (not is_marked and file.is_being_written()):
                    return now
        except TransientError:
            return now
        except PermanentError as error:
            if not os.path.lexists(path):
                return None
            reason = str(error)
        return _Ready(path, status.st_mtime_ns, now.fingerprint, reason, abandoned=watched.abandoned)

    def _register(self, ready: Iterable["_Ready"], catalog: Catalog) -> list[UUID]:
        release = not self._settings.keep_landing
        arrivals = []
        for file in sorted(ready, key=attrgetter("modified_ns")):
            path = Path(file.path)
            source = Source(path, file.fingerprint, release, landed=True, abandoned=file.abandoned)
            failure = Failure(Stage.RECORDING, file.reason, permanent=True) if file.reason else None
            arrivals.append(Arrival(new_session_id(), source, name_of(path), failure))
        registered = catalog.register_all(arrivals) if arrivals else []
        for arrival, session_id in zip(arrivals, registered, strict=True):
            if arrival.failure:
                self._tell(f"session {session_id} is in quarantine: {arrival.failure.reason}")
        return registered

    def _refuse(self, folder: str, reason: str) -> None:
        self._tell(f"cannot look into {folder}: {reason}")

    def _tell(self, message: str) -> None:
        """Say what has not been said since it was found for the first time, as far as there is room."""
        shown = printable(message)
        if not self._told.has_met(shown) and len(self._messages) < _MOST_MESSAGES and self._told.add(shown):
            self._messages.append(shown)


@dataclass(slots=True)
class _Look:
    """The times of one look, in seconds: by a clock that nobody sets, and since 1970; and whether the walk began."""

    steady: float
    now: float
    began: bool = False


@dataclass(frozen=True, slots=True)
class _Watched:
    """The state of a file and its sidecar, and since when it has been the same."""

    fingerprint: str
    sidecar: tuple[int, ...]
    since: float
    abandoned: bool


@dataclass(frozen=True, slots=True)
class _Found:
    path: str
    key: int
    watched: _Watched
    is_marked: bool


@dataclass(frozen=True, slots=True)
class _Ready:
    """A file that is to be registered; with the reason, if it cannot be archived."""

    path: str
    modified_ns: int
    fingerprint: str
    reason: str
    abandoned: bool


class _Remembered(Generic[K]):
    """What was met in this turn or the one before; of more than a number of things a turn, some are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._now: set[K] = set()
        self._before: set[K] = set()

    def has_met(self, key: K) -> bool:
        return key in self._now or (key in self._before and self.add(key))

    def add(self, key: K) -> bool:
        """Remember; returns whether there was room."""
        has_room = len(self._now) < self._most
        if has_room:
            self._now.add(key)
        return has_room

    def turn(self) -> None:
        self._before, self._now = self._now, set()


def _has_marker(path: str) -> bool:
    try:
        return is_marker(os.lstat(f"{path}{MARKER_ENDING}"))
    except OSError:
        return False


def _sidecar_state(path: str) -> tuple[int, ...]:
    try:
        status = os.lstat(f"{path}{SIDECAR_ENDING}")
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _since_boot() -> float:
    """Seconds since the machine was started, asleep or not."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
