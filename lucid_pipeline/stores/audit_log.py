"""The audit record: one file of lines that is only ever appended to, each event chained to the one before.

A file, and not a table: the system can hold it to being appended to (`chattr +a`), and whoever collects logs can carry
its lines elsewhere, which is what makes a chain worth something (docs/audit.md).
"""

import errno
import fcntl
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from lucid_pipeline.errors import TransientError
from lucid_pipeline.locks import is_locked
from lucid_pipeline.paths import full_disk, hint_for, is_full
from lucid_pipeline.stores.audit_event import (
    LONGEST_LINE,
    START,
    Action,
    AuditEvent,
    Detail,
    Entry,
    Head,
    NotAnEvent,
    chained,
    parse_event,
)

FILE_NAME = "audit.jsonl"

_BUSY_SECONDS = 10.0
_PAUSE_SECONDS = 0.005
_WINDOWS = (LONGEST_LINE, 128 * LONGEST_LINE)


class AuditUnavailable(TransientError):
    """An event could not be recorded, so what it is about must not be done."""


class AuditLog:
    """The audit record in a folder, for any number of threads and of processes on one machine.

    Folder and file are made with the first event. Nothing is written by opening it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE_NAME
        self._descriptor: int | None = None
        self._known = _Tail(START, 0, b"")
        self._turn = threading.Lock()
        self._queue = threading.Lock()
        self._waiting: list[_Waiting] = []

    def append(self, *entries: Entry) -> Sequence[AuditEvent]:
        """Record events, one behind the other; they are on the disk when this returns. Threads share one sync.

        Raises:
            AuditUnavailable: nothing has been recorded: the disk is full, or the file cannot be written or made out.
        """
        mine = _Waiting(entries)
        with self._queue:
            self._waiting.append(mine)
        with self._turn:
            if mine.events is None and mine.failure is None:
                self._commit()
        if mine.events is None:
            raise mine.failure or AuditUnavailable(f"the audit record {self.path} was interrupted", "try again")
        return mine.events

    def close(self) -> None:
        """Give the file up; a later event opens it again."""
        with self._turn:
            self._forget_descriptor()

    def _commit(self) -> None:
        with self._queue:
            batch, self._waiting = self._waiting, []
        try:
            with self._locked() as descriptor:
                events = iter(self._write(descriptor, [entry for waiting in batch for entry in waiting.entries]))
                for waiting in batch:
                    waiting.events = [next(events) for _entry in waiting.entries]
        except OSError as error:
            failure = self._explain(error)
        except AuditUnavailable as error:
            failure = error
        else:
            return
        for waiting in batch:
            waiting.failure = failure

    def _write(self, descriptor: int, entries: Sequence[Entry]) -> list[AuditEvent]:
        size = os.fstat(descriptor).st_size
        tail = self._tail(descriptor, size)
        head, moment, data = tail.head, datetime.now(UTC), bytearray()
        recovery = _recovery(tail.torn, data) if tail.torn else []
        events = []
        for entry in (*recovery, *entries):
            event = chained(entry, head, moment)
            events.append(event)
            data += event.line
            head = event.head
        _append(descriptor, data, size)
        self._known = _Tail(head, size + len(data), b"")
        return events[len(recovery) :]

    def _tail(self, descriptor: int, size: int) -> "_Tail":
        """Where the record stands.

        What this process has written itself counts, even if it is gone: then the next event shows that it has been
        there. Otherwise what was cut off meanwhile would leave no trace.
        """
        if size == self._known.end:
            return self._known
        found = _read_tail(descriptor, size)
        if found is None:
            raise AuditUnavailable(
                f"the end of the audit record {self.path} is no audit record", "move the file away: keep it as evidence"
            )
        newest = max(found.head, self._known.head, key=lambda head: head.sequence)
        return _Tail(newest, found.end, found.torn)

    @contextmanager
    def _locked(self) -> Iterator[int]:
        """The file, which no other process appends to meanwhile."""
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            descriptor = self._open()
            _lock(descriptor, fcntl.LOCK_EX, deadline)
            try:
                if _is_file_of(descriptor, self.path):
                    yield descriptor
                    return
            finally:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            self._forget_descriptor()

    def _open(self) -> int:
        if self._descriptor is None:
            folder = self.path.parent
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            self._descriptor = os.open(self.path, flags, 0o600)
            for place in (folder, folder.parent):
                _sync_folder(place)
        return self._descriptor

    def _forget_descriptor(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _explain(self, error: OSError) -> AuditUnavailable:
        if is_full(error):
            full = full_disk(self.path)
            return AuditUnavailable(full.message, full.hint)
        return AuditUnavailable(f"cannot write the audit record {self.path}: {error.strerror}", hint_for(error))


@dataclass(slots=True)
class _Waiting:
    """What one thread wants to have recorded, and what became of it."""

    entries: Sequence[Entry]
    events: Sequence[AuditEvent] | None = None
    failure: AuditUnavailable | None = None


@dataclass(frozen=True, slots=True)
class _Tail:
    """The last whole event, the size of the file, and what lies behind that event: half a line, after a crash."""

    head: Head
    end: int
    torn: bytes


@contextmanager
def opened_for_reading(path: Path) -> Iterator[tuple[int, int]]:
    """Descriptor and size of a record, at a moment when no living process is in the middle of a line.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _lock(descriptor, fcntl.LOCK_SH, time.monotonic() + _BUSY_SECONDS)
        size = os.fstat(descriptor).st_size
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        yield descriptor, size
    finally:
        os.close(descriptor)


def _recovery(torn: bytes, data: bytearray) -> list[Entry]:
    """End the torn line, and say so: what was torn stays where it is, and is accounted for by length and digest.

    It ends with more than a line's end, since that alone could be what an event lacked to be one.
    """
    unfinished = b"\0" in torn or not torn.endswith(b"\n")  # blocks that never reached the disk; half a line
    if not torn.endswith(b"\n"):
        data += b"#\n"
    left = torn + data
    details: dict[str, Detail] = {"bytes": len(left), "sha256": sha256(left).hexdigest(), "unfinished": unfinished}
    return [Entry(Action.LOG_RECOVERED, details=details)]


def _read_tail(descriptor: int, size: int) -> _Tail | None:
    for window in _WINDOWS:
        start = max(0, size - window)
        data = _read(descriptor, start, size)
        for begin, end in _lines_backwards(data):
            if begin == 0 and start:
                break  # its own beginning may lie before the window
            with suppress(NotAnEvent):
                return _Tail(parse_event(data[begin:end]).head, size, data[end + 1 :])
        if start == 0:
            return _Tail(START, size, data)
    return None


def _lines_backwards(data: bytes) -> Iterator[tuple[int, int]]:
    """Beginning and end of each line that ends, the last one first."""
    end = data.rfind(b"\n")
    while end >= 0:
        begin = data.rfind(b"\n", 0, end) + 1
        if begin < end:
            yield begin, end
        end = begin - 1


def _read(descriptor: int, start: int, end: int) -> bytes:
    data = b""
    while start + len(data) < end and (more := os.pread(descriptor, end - start - len(data), start + len(data))):
        data += more
    return data


def _append(descriptor: int, data: bytes | bytearray, size: int) -> None:
    """Append and sync; whatever goes wrong, nothing of it stays, as far as the file lets itself be cut."""
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
        os.fdatasync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _lock(descriptor: int, kind: int, deadline: float) -> None:
    while is_locked(descriptor, kind):
        if time.monotonic() > deadline:
            raise TimeoutError(errno.ETIMEDOUT, f"another process has kept it for {_BUSY_SECONDS:.0f} s")
        time.sleep(_PAUSE_SECONDS)


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
