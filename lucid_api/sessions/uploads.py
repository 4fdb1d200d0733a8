"""Recordings that are sent to the service, on their way into the landing folder.

Each arrives in a folder of its own, which the landing folder's own look passes over (`intake.names.receiving_folder`).
When all of it is on the disk, with its sidecar, its session is registered, and then the folder gets a name under which
recordings are found. That changes nothing about the file itself, so the session has it by its fingerprint already. What
a kill leaves is decided by the next start: where there is a session the folder is renamed, else it is removed.
"""

import errno
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from uuid import UUID

from lucid_api.http.shares import Shares
from lucid_api.problems import Problem, Unavailable
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.errors import SessionNotFound
from lucid_pipeline.home import Home
from lucid_pipeline.intake.names import received_in, receiving_folder
from lucid_pipeline.intake.registration import fingerprint
from lucid_pipeline.intake.sidecar import SIDECAR_ENDING, Sidecar
from lucid_pipeline.paths import is_full
from lucid_pipeline.stores.catalog import Catalog, Source

MOST_AT_ONCE = 8
"""Uploads that are received at the same time; each takes a few MiB of memory, and a part of the disk's speed."""

_RETRY = {"Retry-After": "10"}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_log = logging.getLogger(__name__)


class TooManyUploads(Problem):
    """So many recordings are being received that there is no place for another one; try again."""

    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-uploads", "Too many uploads"

    def __init__(self, detail: str = "other recordings are being received; try again") -> None:
        super().__init__(detail, headers=_RETRY)


class NoRoom(Problem):
    """The disk of the landing folder is full, or what is sent does not fit on it."""

    status, kind, title = HTTPStatus.INSUFFICIENT_STORAGE, "no-room", "No room on the disk"


class Uploads:
    """Takes recordings in. Any thread may use it; a call may wait for the disk.

    Raises:
        TransientError: the catalog does not answer.
    """

    def __init__(self, home: Home, catalog: Catalog) -> None:
        self._settings = home.settings
        self._catalog = catalog
        self.places = Shares(MOST_AT_ONCE, TooManyUploads)
        self._clear_up()

    @property
    def _landing(self) -> Path:
        return self._settings.landing_dir.resolve()

    def begin(self, name: str, length: int | None) -> "Incoming":
        """Begin to receive a recording; the caller ends that by `Incoming.close`.

        Args:
            name: what the recording is called, and its file.
            length: how many bytes will come, if that is known.

        Raises:
            NoRoom: there is no room for them.
            Unavailable: the landing folder is not there, or cannot be written to.
        """
        with _landing_problems():
            incoming = Incoming(self._landing, name)
            try:
                incoming.require_room(length or 0)
            except BaseException:
                incoming.close()
                raise
            return incoming

    def take_in(self, incoming: "Incoming", sidecar: Sidecar) -> None:
        """Register the session of a recording of which all has been received and finished, and let it land.

        Raises:
            TransientError: the catalog does not answer; nothing has been done.
            Unavailable: the landing folder fails. The session is registered; the recording lands at the next start.
        """
        release = not self._settings.keep_landing
        source = Source(incoming.landed_path, incoming.landed_fingerprint, release, landed=True)
        self._catalog.register(incoming.session_id, source, incoming.name, sidecar.metadata)
        with _landing_problems():
            incoming.land()

    def _clear_up(self) -> None:
        """End what was being received when the process before this one died."""
        try:
            landing = os.open(self._landing, _FOLDER)
        except OSError as error:
            _log.warning("the landing folder cannot be opened, so no recording can be received: %s", error)
            return
        try:
            with os.scandir(landing) as entries:
                names = [entry.name for entry in entries]
            for session_id in filter(None, map(received_in, names)):
                self._end(session_id, landing)
        finally:
            os.close(landing)

    def _end(self, session_id: UUID, landing: int) -> None:
        try:
            failure = self._catalog.get(session_id).failure
            _let_land(session_id, landing)
            if failure:  # its recording was not there
                self._catalog.retry(session_id)
        except SessionNotFound:
            _remove(receiving_folder(session_id), landing)
        except OSError as error:
            _log.warning("the recording of session %s does not land: %s", session_id, error)


class Incoming:
    """A recording that is being received, into a file that only this user may read.

    A request that is canceled leaves the thread behind that worked for it, so whoever does so has it `in_hand`.

    Raises:
        OSError: the landing folder is not there, or cannot be written to.
    """

    def __init__(self, landing: Path, name: str) -> None:
        self.name = name
        self.session_id = new_session_id()
        self.landed_path = landing / str(self.session_id) / name
        self.length = 0
        self._hash = sha256()
        self._kept = self._closed = False
        self._lock = threading.Lock()
        with ExitStack() as opened:
            self._landing = _opened(opened, os.open(landing, _FOLDER))
            folder = receiving_folder(self.session_id)
            os.mkdir(folder, 0o700, dir_fd=self._landing)
            opened.callback(self._discard)
            self._folder = _opened(opened, os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=self._landing))
            self._file = _opened(opened, os.open(name, _NEW_FILE, 0o600, dir_fd=self._folder))
            self._opened = opened.pop_all()

    @property
    def sha256(self) -> bytes:
        """The digest of what has been received."""
        return self._hash.digest()

    @property
    def landed_fingerprint(self) -> str:
        """What the file will be known by where it lands: nothing of it changes any more."""
        return fingerprint(self.landed_path, os.lstat(self.name, dir_fd=self._folder))

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """As long as somebody works on it, nobody gives it up.

        Raises:
            Unavailable: it has been given up.
        """
        with self._lock:
            if self._closed:
                raise Unavailable("the service is about to end; send it again", headers=_RETRY)
            yield

    def require_room(self, length: int) -> None:
        """Raises `NoRoom` where the disk has less than so many bytes for this user."""
        status = os.fstatvfs(self._landing)
        if length > status.f_bavail * status.f_frsize:
            raise NoRoom("what is sent does not fit on the disk of the landing folder")

    def write(self, piece: bytes | bytearray) -> None:
        """Receive the next bytes.

        Raises:
            NoRoom: the disk is full.
            Unavailable: they cannot be written.
        """
        with _landing_problems():
            _write(self._file, piece)
        self._hash.update(piece)
        self.length += len(piece)

    def finish(self, sidecar: Sidecar) -> None:
        """Put everything on the disk for good, with what is said of the session, if anything, beside it.

        Raises:
            NoRoom: the disk is full.
            Unavailable: it cannot be written.
        """
        with _landing_problems():
            os.fsync(self._file)
            if sidecar != Sidecar():
                with ExitStack() as opened:
                    name = f"{self.name}{SIDECAR_ENDING}"
                    file = _opened(opened, os.open(name, _NEW_FILE, 0o600, dir_fd=self._folder))
                    _write(file, sidecar.encode())
                    os.fsync(file)
            os.fsync(self._folder)
            os.fsync(self._landing)

    def land(self) -> None:
        """Let the landing folder's own look find the recording.

        Raises:
            OSError: it cannot be renamed; it lies there still.
        """
        self._kept = True  # a session waits for it
        _let_land(self.session_id, self._landing)

    def close(self) -> None:
        """Give up the file; it is removed unless it has landed."""
        with self._lock:
            self._closed = True
            self._opened.close()

    def _discard(self) -> None:
        if not self._kept:
            _remove(receiving_folder(self.session_id), self._landing)


def _opened(stack: ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _write(descriptor: int, data: bytes | bytearray) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _let_land(session_id: UUID, landing: int) -> None:
    os.rename(receiving_folder(session_id), str(session_id), src_dir_fd=landing, dst_dir_fd=landing)
    os.fsync(landing)


def _remove(folder: str, landing: int) -> None:
    try:
        shutil.rmtree(folder, dir_fd=landing)
    except OSError as error:
        _log.warning("%s stays in the landing folder until the next start: %s", folder, error)


@contextmanager
def _landing_problems() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise NoRoom("the disk of the landing folder is full") from error
        _log.error("cannot write to the landing folder: %s", errno.errorcode.get(error.errno or 0, "unknown error"))
        raise Unavailable("the landing folder cannot be written to just now", headers=_RETRY) from error
