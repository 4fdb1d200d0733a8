"""Processes that belong together: started as copies of this one, watched, started again when they die, ended as one.

This process has loaded what they need before it starts the first, has no thread but one, and opens nothing that they
would share: so a copy is ready at once, and most of its memory is that of the others as well.
"""

import atexit
import os
import re
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import FrameType

from lucid_pipeline.cli.probes import Probe
from lucid_pipeline.errors import LucidError
from lucid_pipeline.lifeline import end_with, show_as
from lucid_pipeline.paths import printable

Tell = Callable[[str, str], None]
"""Takes the name of a service, and a line of what it says or what is to be said of it."""

_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 60.0
"""Seconds that a service has to live for its earlier deaths to be forgotten."""

_LOOK_AROUND = 0.2
_ASK_AGAIN = 10.0
_LONGEST_ANSWER = 5.0
_MOST_UNANSWERED = 6
"""Questions in a row that a service may leave without an answer; then it is taken to hang, and ended."""

_LONGEST_LINE = 8192
_COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Service:
    """A process that is kept running."""

    name: str
    run: Callable[[], None]
    """What it does, until SIGTERM."""

    ask: Callable[[], Probe] | None = None
    """Asks whether it answers; a service that cannot be asked is taken to answer."""

    after: Sequence[str] = ()
    """Services that have to be ready before it is started for the first time."""


@dataclass(slots=True)
class _Process:
    service: Service
    tell: Tell
    pid: int = 0
    ready: bool = False
    deaths: int = 0
    started: float = 0.0
    next_start: float = 0.0
    reader: int = -1
    said: bytes = b""
    probe: Probe | None = None
    asked: float = 0.0
    unanswered: int = 0

    @property
    def lives(self) -> bool:
        return self.pid != 0

    def start(self) -> None:
        self.reader, writer = os.pipe()
        os.set_blocking(self.reader, False)
        self.pid = _fork(self.service, writer)
        os.close(writer)
        self.started, self.ready = time.monotonic(), False
        self.unanswered = 0

    def answers(self) -> bool:
        """Whether it has answered just now. It is asked again and again, at first at each look."""
        now = time.monotonic()
        if self.service.ask is None:
            return True
        if self.probe is None and (not self.ready or now - self.asked > _ASK_AGAIN):
            self.probe, self.asked = self.service.ask(), now
        if self.probe is None:
            return False
        answer = self.probe.answer()
        if answer is None and now - self.asked < _LONGEST_ANSWER:
            return False
        self.stop_asking()
        self.unanswered = 0 if answer else self.unanswered + 1
        return bool(answer)

    @property
    def hangs(self) -> bool:
        """Whether it does not answer any more, having done so before."""
        return self.ready and self.unanswered >= _MOST_UNANSWERED

    def stop_asking(self) -> None:
        """Do not wait for an answer any more."""
        if self.probe:
            self.probe.close()
            self.probe = None

    def reap(self) -> int | None:
        """The exit status, or minus the signal, of a process that has ended since."""
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return None
        self.listen()
        if self.said:
            self._say(self.said)
        os.close(self.reader)
        self.stop_asking()
        self.pid, self.ready, self.reader, self.said = 0, False, -1, b""
        return os.waitstatus_to_exitcode(status)

    def schedule(self) -> float:
        """Plan the next start after a death; returns in how many seconds that is."""
        now = time.monotonic()
        self.deaths = 1 if now - self.started > _HEALTHY_AFTER else self.deaths + 1
        pause = min(_LONGEST_PAUSE, 2.0 ** (self.deaths - 1) / 2)
        self.next_start = now + pause
        return pause

    def listen(self) -> None:
        """Pass on the lines that it has written since."""
        with suppress(BlockingIOError):
            while data := os.read(self.reader, 1 << 16):
                *lines, self.said = (self.said + data).split(b"\n")
                for line in lines:
                    self._say(line)
                if len(self.said) > _LONGEST_LINE:
                    self._say(self.said)
                    self.said = b""

    def _say(self, line: bytes) -> None:
        text = _COLOUR_CODES.sub("", line.decode(errors="replace")).rstrip()
        if text:
            self.tell(self.service.name, printable(text.replace("\t", "    ")))

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _fork(service: Service, writer: int) -> int:
    """Start a copy of this process that does one thing; all that it writes goes to a pipe."""
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            end_with(parent)
            os.setsid()  # control-c in the terminal is for the parent alone
            signal.set_wakeup_fd(-1)
            for number in _STOPPING_SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(writer, 1)
            os.dup2(writer, 2)
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            show_as(f"lucid-{service.name}")
            status = _run(service)
        finally:
            os._exit(status)
    return pid


def _run(service: Service) -> int:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        service.run()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 1
    except LucidError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_status
    except KeyboardInterrupt:
        return 0
    except Exception:  # noqa: BLE001 - the log of a service is the place for it
        traceback.print_exc()
        return 1
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


@dataclass(slots=True)
class Services:
    """Some services and what became of them. Used in a `with` block, at whose end no process is left."""

    tell: Tell
    _processes: dict[str, _Process] = field(default_factory=dict)
    _stops: int = 0
    """How often the user has asked to stop."""

    @contextmanager
    def running(self, services: Iterable[Service]) -> Iterator[None]:
        """Keep services; SIGINT, SIGTERM and SIGHUP ask to stop, but for those that are ignored, as under `nohup`."""
        self._processes = {service.name: _Process(service, self.tell) for service in services}
        heeded = [number for number in _STOPPING_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self._ask_to_stop) for number in heeded}
        try:
            yield
        finally:
            self._kill(self._processes)
            for number, handler in before.items():
                signal.signal(number, handler)

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of those that live."""
        return {name: process.pid for name, process in self._processes.items() if process.lives}

    def watch(self, when_ready: Callable[[], None]) -> None:
        """Start all, and start again what dies, until the user asks to stop."""
        told = False
        while not self._stops:
            for process in self._processes.values():
                self._tend(process)
            if not told and all(process.ready for process in self._processes.values()):
                told = True
                when_ready()
            self._wait()

    def run_once(self, service: Service) -> int:
        """Run a process to its end; returns its exit status, or minus the signal that ended it."""
        process = _Process(service, self.tell)
        process.start()
        self._processes[service.name] = process
        while (status := process.reap()) is None and self._stops < 2:
            self._wait()
        self._kill([service.name])
        del self._processes[service.name]
        return -signal.SIGKILL if status is None else status

    def stop(self, names: Iterable[str], seconds: float) -> None:
        """Ask services to end, and end those that have not after so many seconds, or when the user asks again."""
        asked = [self._processes[name] for name in names if self._processes[name].lives]
        for process in asked:
            process.signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        while any(process.lives and process.reap() is None for process in asked):
            if time.monotonic() > deadline or self._stops > 1:
                break
            self._wait()
        self._kill([process.service.name for process in asked])

    def _tend(self, process: _Process) -> None:
        if process.lives:
            status = process.reap()
            if status is None:
                self._look_at(process)
            else:
                pause = process.schedule()
                self.tell(process.service.name, f"{_how(status)}; starting it again in {pause:g} s")
        elif process.next_start <= time.monotonic() and self._may_start(process):
            process.start()

    def _look_at(self, process: _Process) -> None:
        answers, name = process.answers(), process.service.name
        if answers and not process.ready:
            process.ready = True
            if process.deaths:
                self.tell(name, "is back")
        elif process.hangs:
            self.tell(name, f"has left {_MOST_UNANSWERED} questions unanswered, and is ended")
            process.signal(signal.SIGKILL)

    def _may_start(self, process: _Process) -> bool:
        return process.deaths > 0 or all(self._processes[name].ready for name in process.service.after)

    def _wait(self) -> None:
        """Until a service says something, or a fifth of a second."""
        poll = select.poll()
        by_reader = {process.reader: process for process in self._processes.values() if process.lives}
        for reader in by_reader:
            poll.register(reader, select.POLLIN)
        ended = False
        for reader, events in poll.poll(_LOOK_AROUND * 1000):
            by_reader[reader].listen()
            ended = ended or not events & select.POLLIN
        if ended:
            time.sleep(_LOOK_AROUND / 10)  # the process has closed its output, and ends just now

    def _kill(self, names: Iterable[str]) -> None:
        for process in [self._processes[name] for name in names]:
            if process.lives:
                process.signal(signal.SIGKILL)
                while process.reap() is None:
                    time.sleep(0.01)

    def _ask_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1


def _how(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return "ended" if status == 0 else f"failed with exit status {status}"
