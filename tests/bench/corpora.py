"""The bytes that every contestant archives: made from a seed, the same everywhere, written in bounded memory.

The terminal recording is an asciicast v2 file written by a small grammar of scenes (a typed command, then its
output). Names and layouts recur as they do on a real terminal; numbers, times and identifiers are fresh in every
line, so that a compressor finds what it would find in a real recording and never a repeated block.
"""

import json
import random
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

MIB = 1024 * 1024
TERMINAL_SIZE = 512 * MIB
VIDEO_SIZE = 1024 * MIB

_SEED = 8087
_BLOCK_SIZE = MIB
_MP4_BEGINNING = b"\0\0\0\x10ftypisom\0\0\2\0"
_STARTED_AT = 1_767_225_600  # 2026-01-01T00:00:00Z
_NAMES_PER_SCENE = 10  # one command's output speaks of few things
_LINES_PER_READ = 24  # what a program prints at once reaches the recorder in reads of about this many lines

_NOUNS = (
    "archive auth backup batch billing broker buffer cache catalog chunk client cluster codec config "
    "core cursor daemon decoder device dispatch driver encoder engine event export fetch filter gateway "
    "handler header import index ingest journal kernel keyring lease ledger loader logger manifest "
    "merge metric monitor mount network notify object packet parser partition pipeline policy proxy "
    "queue reader record registry replica resolver router sampler schema script segment sensor server "
    "session shard signal socket spool storage stream sync table task ticket token trace transport "
    "tunnel upload vault verify viewer volume watcher worker writer zone"
)
_WORDS = tuple(_NOUNS.split())
_DIGITS = tuple("0123456789")
_USERS = ("root", "deploy", "build", "www-data", "alice", "postgres")
_MODES = ("-rw-r--r--", "-rw-r--r--", "-rw-r--r--", "-rwxr-xr-x", "-rw-rw-r--")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEVELS = ("\x1b[32mINFO\x1b[0m ", "\x1b[32mINFO\x1b[0m ", "\x1b[36mDEBUG\x1b[0m", "\x1b[33mWARN\x1b[0m ")

_PLACEHOLDER = re.compile(r"\{([a-z])(?::(\d+))?\}")
# Placeholders: c the component in question, w word, d digit, b byte, n number up to four digits, s size in bytes,
# x 64 random bits, t date and time, p progress, u the user, m file mode, f file time, l log level.
_PROMPT = ("\x1b[?2004h\x1b[01;32m{u}@host-{d}\x1b[00m:\x1b[01;34m~/src/{w}/{w}\x1b[00m$ ",)
_LISTING = (
    "{m} 1 {u} {u} {s:9} {f} {w}_{w}.py\r\n",
    "{m} 1 {u} {u} {s:9} {f} {w}-{w}-{n}.log\r\n",
    "{m} 1 {u} {u} {s:9} {f} \x1b[01;31m{w}-{d}.{d}.{d}.tar.gz\x1b[0m\r\n",
    "drwxr-xr-x {d} {u} {u}      4096 {f} \x1b[01;34m{w}\x1b[0m\r\n",
)
_TOP = (
    "{n:7} {u}      20   0 {s:9} {s:9}   8204 S   {d}.{d}   0.{d}   0:{d}{d}.{d}{d} {w}-{w}\x1b[K\r\n",
    "{n:7} root      20   0  168940  13248   8204 S   0.0   0.1   0:0{d}.{d}{d} {w}d\x1b[K\r\n",
    "{n:7} root      20   0       0      0      0 I   0.0   0.0   0:00.00 kworker/{d}:{d}-{w}\x1b[K\r\n",
    "{n:7} root       0 -20       0      0      0 I   0.0   0.0   0:00.00 kworker/{d}:0H-kblockd\x1b[K\r\n",
)
_LOG = (
    "{t} {l} [{c}] request finished method=GET path=/api/v1/{w}/{n} status=200 ms={n} request_id={x}\r\n",
    "{t} {l} [{c}] request finished method=POST path=/api/v1/{w} status=201 ms={n} request_id={x}\r\n",
    "{t} {l} [{c}] connection from 10.{d}.{b}.{b} accepted, tls=1.3 cipher=TLS_AES_256_GCM_SHA384\r\n",
    "{t} {l} [{c}] flushed {n} entries to the segment store in {d}.{n} ms, checkpoint={x}\r\n",
    "{t} {l} [{c}] lease renewed for {w}/{w}, holder={w}-{d}, epoch={n}\r\n",
    '{t} {l} [{c}] retrying "{w}": deadline of {n} ms exceeded while waiting for {w}\r\n',
)
_BUILD = (
    "[{p}%] \x1b[32mBuilding CXX object src/{c}/CMakeFiles/{c}.dir/{w}_{w}.cc.o\x1b[0m\r\n",
    "[{p}%] \x1b[32mBuilding CXX object src/{c}/CMakeFiles/{c}.dir/{w}.cc.o\x1b[0m\r\n",
    "[{p}%] \x1b[32m\x1b[1mLinking CXX static library lib{c}_{w}.a\x1b[0m\r\n[{p}%] Built target {c}_{w}\r\n",
    "\x1b[1m/home/build/src/{c}/{w}.cc:{n}:{d}:\x1b[m \x1b[01;35m\x1b[Kwarning: \x1b[m\x1b[K"
    "unused variable \u2018{w}_{w}\u2019 "
    "[\x1b[01;35m\x1b[K-Wunused-variable\x1b[m\x1b[K]\r\n {n} |     const auto {w}_{w} = {w}->{w}({w});\r\n"
    "      |                \x1b[01;35m\x1b[K^~~~~~~~~~~~\x1b[m\x1b[K\r\n",
)
_TESTS = (
    "tests/{c}/test_{w}.py::test_{w}_{w} \x1b[32mPASSED\x1b[0m\x1b[32m    [{p}%]\x1b[0m\r\n",
    "tests/{c}/test_{w}.py::test_{w}_keeps_{w}[{n}-{w}] \x1b[32mPASSED\x1b[0m\x1b[32m    [{p}%]\x1b[0m\r\n",
    "tests/{c}/test_{w}_{w}.py::test_{w} \x1b[33mSKIPPED\x1b[0m (needs {w})\x1b[32m    [{p}%]\x1b[0m\r\n",
)
_HISTORY = (
    "\x1b[33m{x}\x1b[m {c}: add {w} to the {w} {w}\r\n",
    "\x1b[33m{x}\x1b[m {c}: {w} must not outlive its {w} (#{n})\r\n",
    "\x1b[33m{x}\x1b[m Merge pull request #{n} from {u}/{c}-{w}\r\n",
)
_DOWNLOAD = ("\r\x1b[K{w}-{w}: {p}% |████████████▌       | {s:9}/{s:9} [00:0{d}<00:0{d}, {n} kB/s]",)


def _iso_seconds(timestamp: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(timestamp))


def _escape(text: str) -> str:
    """`text` as it stands between the quotes of a JSON string."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


_Templates = list[tuple[str, list[Callable[[], object]]]]


class _Scene(NamedTuple):
    command: str
    templates: _Templates
    most_lines: int
    lines_per_event: int
    pause_s: float


class _Terminal:
    """The endless session: yields asciicast events with rising times."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._uniform = self._random.random
        self._clock_s = 0.0
        self._second, self._second_text = 0, _iso_seconds(_STARTED_AT)
        self._progress = 0.0
        self._names: list[str] = []
        self._user, self._modified = _USERS[0], "Jan  1 00:00"
        self._fillers: dict[str, Callable[[], object]] = {
            "c": lambda: self._names[0],
            "w": lambda: self._names[int(self._uniform() * _NAMES_PER_SCENE)],
            "u": lambda: self._user,
            "m": self._picker(_MODES),
            "f": self._file_time,
            "l": self._picker(_LEVELS),
            "d": self._picker(_DIGITS),
            "b": lambda: int(self._uniform() * 256),
            "n": lambda: self._skewed(10_000),
            "s": lambda: self._skewed(10_000_000),
            "x": lambda: f"{self._random.getrandbits(64):016x}",
            "t": self._now,
            "p": lambda: f"{self._progress:3.0f}",
        }
        self._prompt = self._compile(_PROMPT)
        self._scenes = (
            _Scene("ls -la", self._compile(_LISTING), 120, _LINES_PER_READ, 0.002),
            _Scene("top -b -d 2", self._compile(_TOP), 400, 40, 2.0),
            _Scene("tail -f /var/log/app/service.log", self._compile(_LOG), 300, 2, 0.4),
            _Scene("journalctl --no-pager -u gateway", self._compile(_LOG), 200, _LINES_PER_READ, 0.004),
            _Scene("make -j8", self._compile(_BUILD), 150, 1, 0.3),
            _Scene("pytest -v tests", self._compile(_TESTS), 150, 3, 0.1),
            _Scene("git log --oneline", self._compile(_HISTORY), 60, _LINES_PER_READ, 0.002),
            _Scene("pip download -r requirements.lock", self._compile(_DOWNLOAD), 40, 1, 0.1),
        )

    def _picker(self, values: tuple[str, ...]) -> Callable[[], str]:
        choices = [_escape(value) for value in values]
        uniform, count = self._uniform, len(choices)
        return lambda: choices[int(uniform() * count)]

    def _skewed(self, limit: int) -> int:
        """A number below `limit`, small ones more often. No `**`: it may round otherwise on another machine."""
        fraction = self._uniform()
        return int(fraction * fraction * fraction * limit)

    def _compile(self, texts: tuple[str, ...]) -> _Templates:
        """Escaped once, placeholders turned into `%`: filling a line must cost about a microsecond."""
        return [
            (
                _PLACEHOLDER.sub(r"%\2s", _escape(text).replace("%", "%%")),
                [self._fillers[placeholder[1]] for placeholder in _PLACEHOLDER.finditer(text)],
            )
            for text in texts
        ]

    def _now(self) -> str:
        seconds, milliseconds = divmod(int(self._clock_s * 1000), 1000)
        if seconds != self._second:
            self._second, self._second_text = seconds, _iso_seconds(_STARTED_AT + seconds)
        return f"{self._second_text}.{milliseconds:03}Z"

    def _file_time(self) -> str:
        """Files are written in batches: often the time of the file above."""
        if self._uniform() < 0.4:
            day, hour, minute = (int(self._uniform() * limit) for limit in (28, 24, 60))
            self._modified = f"{_MONTHS[day % 12]} {day + 1:2} {hour:02}:{minute:02}"
        return self._modified

    def _event(self, pause_s: float, text: str) -> str:
        self._clock_s += pause_s * (0.2 + self._uniform())
        return f'[{self._clock_s:.6f}, "o", "{text}"]\n'

    def _line(self, templates: _Templates) -> str:
        text, fillers = templates[int(self._uniform() * len(templates))]
        return text % tuple([fill() for fill in fillers])

    def scenes(self) -> Iterator[str]:
        """Each a prompt, a command typed one character an event, and its output."""
        while True:
            scene = self._random.choice(self._scenes)
            self._names = self._random.sample(_WORDS, _NAMES_PER_SCENE)
            self._user = self._random.choice(_USERS)
            events = [self._event(0.01, self._line(self._prompt))]
            events += [self._event(0.15, character) for character in scene.command]
            events.append(self._event(0.1, r"\r\n\u001b[?2004l\r"))
            lines = self._random.randrange(1, scene.most_lines)
            for first in range(0, lines, scene.lines_per_event):
                self._progress = 100 * first / lines
                batch = range(min(scene.lines_per_event, lines - first))
                text = "".join([self._line(scene.templates) for _ in batch])
                events.append(self._event(scene.pause_s, text))
            yield "".join(events)


def write_terminal_recording(path: Path, size: int, seed: int = _SEED) -> None:
    """Write an asciicast v2 recording of `size` bytes, and up to one scene (about 50 KiB) more, to `path`."""
    header = {
        "version": 2,
        "width": 160,
        "height": 48,
        "timestamp": _STARTED_AT,
        "env": {"TERM": "xterm-256color"},
    }
    with path.open("wb", buffering=_BLOCK_SIZE) as file:
        written = file.write(json.dumps(header).encode() + b"\n")
        scenes = _Terminal(seed).scenes()
        while written < size:
            written += file.write(next(scenes).encode())


def write_video(path: Path, size: int, seed: int = _SEED) -> None:
    """Write exactly `size` bytes that begin as an MP4 does, and go on at random: no codec makes a video smaller."""
    source = random.Random(seed)
    with path.open("wb") as file:
        file.write(_MP4_BEGINNING)
        for offset in range(len(_MP4_BEGINNING), size, _BLOCK_SIZE):
            file.write(source.randbytes(min(_BLOCK_SIZE, size - offset)))


def write_sparse(path: Path, size: int) -> None:
    """Make a file of `size` zero bytes that occupies no disk space."""
    with path.open("wb") as file:
        file.truncate(size)
