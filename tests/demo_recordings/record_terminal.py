"""Record the bundled demo terminal session as an asciicast v2 file.

A real bash runs on a real pseudo-terminal, real commands are typed into it at a human pace, and every
piece of output is written down with the time at which it really arrived. The story is Lucid's own: files
get checksums, one file is tampered with, the checksums tell.

The shell starts from an almost empty environment in an empty home directory, and the recorder refuses to
write a cast that names the machine, the account or the directory it was made with.

Needs Linux with bash, coreutils, less and an awk; nothing from outside Python's standard library. The
format is https://docs.asciinema.org/manual/asciicast/v2/.

    python tests/demo_recordings/record_terminal.py [--output FILE] [--seed N]
"""

from __future__ import annotations

import argparse
import codecs
import fcntl
import getpass
import json
import os
import pty
import random
import select
import signal
import socket
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

DEFAULT_OUTPUT = Path(__file__).resolve().parents[2] / "lucid_pipeline/cli/demo/terminal.cast"

COLUMNS, ROWS = 80, 24
TITLE = "Lucid demo: checksums tell who tampered"
DEADLINE_SECONDS = 30.0
PROMPT_END = "\x1b[0m$ "

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "TERM": "xterm-256color",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PS1": r"\[\e[1;36m\]demo\[\e[0m\]:\[\e[1;34m\]\w\[\e[0m\]$ ",
    "HISTFILE": "/dev/null",
    "INPUTRC": "/dev/null",
    "LESSHISTFILE": "-",
}


@dataclass(frozen=True)
class Chapter:
    """A marker in the cast, so that a player can jump here."""

    label: str


@dataclass(frozen=True)
class Command:
    """A line typed at the prompt, run, and waited for."""

    line: str


@dataclass(frozen=True)
class FullScreen:
    """A line that opens a full-screen program, the keys pressed in it, the last of which leaves it."""

    line: str
    keys: str


@dataclass(frozen=True)
class Slip:
    """A beginning typed wrongly and taken back with backspace; the next step types it right."""

    text: str


Step: TypeAlias = Chapter | Command | FullScreen | Slip
Event: TypeAlias = tuple[float, str, str]

STORY: tuple[Step, ...] = (
    Chapter("Make some evidence"),
    Command("echo 'Hello, Lucid! This session is being recorded.'"),
    Command("mkdir evidence && cd evidence"),
    Command("seq 1 50000 > numbers.txt"),
    Command("seq -f 'reading %05g: nominal' 20000 > readings.txt"),
    Slip("sl"),
    Command("ls -1sh --color=always"),
    Chapter("Checksums"),
    Command("sha256sum *.txt | tee SHA256SUMS"),
    Command("sha256sum --check SHA256SUMS"),
    Chapter("Someone tampers"),
    Command("sed -i 's/12345: nominal/12345: alarm!/' readings.txt"),
    Command(r"sha256sum --check SHA256SUMS || printf '\e[1;31m%s\e[0m\n' 'caught!'"),
    Command("grep -n --color=always alarm readings.txt"),
    Command("sed -i 's/alarm!/nominal/' readings.txt && sha256sum --check SHA256SUMS"),
    Chapter("A progress bar"),
    Command(
        r"for i in {0..100..2}; do printf -v bar '%*s' $((i / 2)) ''; "
        r"printf '\r\e[32m%-50s\e[0m %3d %%' ${bar// /█} $i; sleep 0.06; done; echo"
    ),
    Chapter("Colours"),
    Command(r"for c in {16..231}; do printf '\e[48;5;%dm  ' $c; (((c - 15) % 36)) || printf '\e[0m\n'; done"),
    Chapter("A wave"),
    Command(
        r"""seq 0 0.2 19 | awk '{ printf "\033[3%dm%*s\033[0m\n", NR % 6 + 1, 40 + 36 * sin($1), "●"; """
        r"""system("sleep 0.07") }'"""
    ),
    Chapter("Reading along"),
    FullScreen("less readings.txt", keys="  jjjjjGkkq"),
    Command("cd .. && rm -r evidence && echo 'Nothing left behind.'"),
)


@dataclass
class Session:
    """A shell on a pseudo-terminal, and everything it printed so far.

    `events` holds asciicast events: seconds since the shell started, a code ("o" output, "m" marker), a text.
    """

    terminal: int
    rhythm: random.Random
    started: float = field(default_factory=time.monotonic)
    events: list[Event] = field(default_factory=list)
    closed: bool = False
    _decoder: codecs.IncrementalDecoder = field(
        # A read may end in the middle of a character; an asciicast event must not.
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")(errors="strict")
    )

    def perform(self, step: Step) -> None:
        """Do one step of the story, recording what the terminal shows meanwhile."""
        match step:
            case Chapter(label):
                self._record("m", label)
            case Slip(text):
                self._type(text)
                self._listen(0.4)
                self._type("\x7f" * len(text))
            case Command(line):
                self._type(line)
                self._press_enter_and_await_prompt()
                self._listen(self.rhythm.uniform(0.5, 0.9))
            case FullScreen(line, keys):
                self._type(line + "\r")
                self._listen(1.2)
                for key in keys[:-1]:
                    self._send(key)
                    self._listen(self.rhythm.uniform(0.25, 0.5))
                self._await_prompt(after=keys[-1])

    def await_first_prompt(self) -> None:
        """Record until the shell is ready for its first line."""
        self._await_prompt(after="")

    def leave(self) -> None:
        """Press Ctrl-D at the prompt and record until the shell has closed the terminal."""
        self._send("\x04")
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self.closed and time.monotonic() < deadline:
            self._listen(0.1)

    def _type(self, text: str) -> None:
        for character in text:
            self._send(character)
            pause = self.rhythm.lognormvariate(-3.3, 0.45)
            self._listen(min(pause * (1.8 if character == " " else 1.0), 0.3))

    def _press_enter_and_await_prompt(self) -> None:
        self._listen(self.rhythm.uniform(0.2, 0.4))
        self._await_prompt(after="\r")

    def _await_prompt(self, after: str) -> None:
        first_new = len(self.events) if after else 0
        self._send(after)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not "".join(text for _, _, text in self.events[first_new:]).endswith(PROMPT_END):
            if self.closed or time.monotonic() > deadline:
                raise TimeoutError(f"no prompt came back after {after!r}")
            self._listen(0.02)

    def _send(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def _listen(self, seconds: float) -> None:
        """Record whatever arrives in the next `seconds`."""
        until = time.monotonic() + seconds
        while not self.closed and (left := until - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                self._read()

    def _read(self) -> None:
        try:
            data = os.read(self.terminal, 4096)
        except OSError:  # Linux answers EIO, not end of file, once the shell has gone.
            data = b""
        self.closed = not data
        if text := self._decoder.decode(data, final=self.closed):
            self._record("o", text)

    def _record(self, code: str, text: str) -> None:
        self.events.append((round(time.monotonic() - self.started, 6), code, text))


def record(home: Path, seed: int) -> list[Event]:
    """Play the story in a shell whose home is `home`; return its asciicast events.

    `seed` fixes the rhythm of the typing. Raises TimeoutError if a command does not come back to the prompt.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(home)
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execve("/bin/bash", ["bash", "--noprofile", "--norc", "-i"], ENVIRONMENT | {"HOME": str(home)})
    try:
        session = Session(terminal, random.Random(seed))
        session.await_first_prompt()
        for step in STORY:
            session.perform(step)
        session.leave()
    finally:
        os.kill(child, signal.SIGHUP)
        os.waitpid(child, 0)
        os.close(terminal)
    return session.events


def cast_lines(events: list[Event]) -> Iterator[str]:
    """Yield the lines of an asciicast v2 file: a header, then one line an event."""
    header = {
        "version": 2,
        "width": COLUMNS,
        "height": ROWS,
        "timestamp": int(time.time() - events[-1][0]),
        "title": TITLE,
        "env": {name: ENVIRONMENT[name] for name in ("SHELL", "TERM")},
    }
    yield json.dumps(header, ensure_ascii=False) + "\n"
    for event in events:
        yield json.dumps(event, ensure_ascii=False) + "\n"


def traces_of_this_machine(cast: str, home: Path) -> list[str]:
    """Return the names of this machine, account and working directory that occur in `cast`."""
    names = {socket.gethostname(), getpass.getuser(), str(home), str(Path.home()), str(Path.cwd())}
    return sorted(name for name in names - {"", "/"} if name in cast)


def main() -> int:
    """Record the session and write the cast; exit status 1 if it would tell where it was made."""
    parser = argparse.ArgumentParser(description="Record the demo terminal session as an asciicast v2 file.")
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT, help="where the cast goes")
    parser.add_argument("--seed", type=int, default=8087, help="of the typing rhythm")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory(prefix="demo-") as directory:
        home = Path(directory)
        events = record(home, arguments.seed)
        cast = "".join(cast_lines(events))
        traces = traces_of_this_machine(cast, home)
    if traces:
        print(f"not written: the cast names {', '.join(traces)}", file=sys.stderr)
        return 1
    arguments.output.write_text(cast, encoding="utf-8")
    print(f"{arguments.output}: {len(cast.encode())} bytes, {len(events)} events, {events[-1][0]:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
