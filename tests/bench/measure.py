"""Whole processes on the clock: started, waited for with `wait4`, and asked what they used.

Standard library only, and the caller stays small while it measures: a process inherits, across `exec`, the peak
memory of whoever started it, so a large parent would be counted as every contestant's memory.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

Command = Sequence[str | Path]
RSS_UNIT = 1 if sys.platform == "darwin" else 1024  # ru_maxrss counts bytes on macOS, KiB elsewhere


class CommandFailed(Exception):
    """A command did not exit with 0; `str` of it is one line, `errors` all that it printed."""

    def __init__(self, command: Command, status: int, errors: str) -> None:
        self.errors = errors
        last_line = errors.rpartition("\n")[2] or "without a word"
        super().__init__(f"{command[0]} exited with {status}: {last_line}")


@dataclass(frozen=True)
class Usage:
    """What one command, or one pipeline, took from start to exit."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    output: str = ""


@dataclass(frozen=True)
class InnerUsage:
    """What work took inside a process that had already imported everything."""

    seconds: float
    growth_bytes: int
    session_id: str | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "InnerUsage":
        return cls(**json.loads(text))


def run(*pipeline: Command, cwd: Path, env: Mapping[str, str] | None = None) -> Usage:
    """Run a command, or several joined by pipes, to the end.

    Wall time runs from the first start to the last exit; CPU time is the sum over the pipeline; peak memory is
    that of the largest single process, children that were waited for included. `output` is the last command's.

    Raises:
        CommandFailed: a command exited with another status than 0.
    """
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        processes = _start(pipeline, cwd, env, output.fileno(), errors.fileno())
        usages = [_wait(process) for process in processes]
        wall_s = time.perf_counter() - started
        for command, process in zip(pipeline, processes, strict=True):
            if process.returncode != 0:
                errors.seek(0)
                raise CommandFailed(command, process.returncode, errors.read().decode(errors="replace").strip())
        output.seek(0)
        return Usage(
            wall_s=wall_s,
            cpu_s=sum(usage.ru_utime + usage.ru_stime for usage in usages),
            peak_bytes=max(usage.ru_maxrss for usage in usages) * RSS_UNIT,
            output=output.read().decode(),
        )


_TOUCH = """
import mmap, os, sys
wanted, free = int(sys.argv[1]), os.sysconf("SC_AVPHYS_PAGES") * mmap.PAGESIZE
length = min(wanted, free // 2) // mmap.PAGESIZE * mmap.PAGESIZE
memory = mmap.mmap(-1, max(length, mmap.PAGESIZE))
memory[:: mmap.PAGESIZE] = bytes(len(memory) // mmap.PAGESIZE)
"""


def make_memory_resident(length: int) -> None:
    """Use so many bytes of memory, at most half of what is free, in a process of its own that gives them up at once."""
    subprocess.run([sys.executable, "-c", _TOUCH, str(length)], check=True)


def _start(
    pipeline: Sequence[Command], cwd: Path, env: Mapping[str, str] | None, output: int, errors: int
) -> list["subprocess.Popen[bytes]"]:
    processes: list[subprocess.Popen[bytes]] = []
    for position, command in enumerate(pipeline):
        last = position == len(pipeline) - 1
        process = subprocess.Popen(
            [str(argument) for argument in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=processes[-1].stdout if processes else subprocess.DEVNULL,
            stdout=output if last else subprocess.PIPE,
            stderr=errors,
        )
        if processes and processes[-1].stdout:
            processes[-1].stdout.close()
        processes.append(process)
    return processes


def _wait(process: "subprocess.Popen[bytes]") -> resource.struct_rusage:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def run_inner(work: Callable[[], str | None]) -> InnerUsage:
    """Time `work` in this process, which has imported what it needs; `work` may return a session id.

    Memory growth is the peak during the work above what was resident before it, in bytes.
    """
    before = _reset_peak()
    started = time.perf_counter()
    session_id = work()
    seconds = time.perf_counter() - started
    return InnerUsage(seconds=seconds, growth_bytes=max(0, _peak_bytes() - before), session_id=session_id)


def _reset_peak() -> int:
    """Forget the peak that imports left behind, where the system can; return the resident bytes now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status_bytes("VmRSS")
    except OSError:
        return _peak_bytes()


def _peak_bytes() -> int:
    try:
        return _status_bytes("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise OSError(f"/proc/self/status has no {field}")
