"""Servers for the tests that are Go modules: built once by the Go toolchain, and kept for the next run."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_SECONDS_TO_BUILD = 900
_USUAL_PLACE = "/usr/local/go/bin"


class NotToBeHad(Exception):
    """The program cannot be had on this machine, and why."""


@cache
def go_program(package: str, version: str) -> Path:
    """The program of a Go package, of this version; a program of its name on the path is taken instead.

    Raises:
        NotToBeHad: there is none, and it cannot be built.
    """
    name = package.rpartition("/")[2]
    if there := shutil.which(name):
        return Path(there)

    def install(folder: Path) -> Path:
        options = ["-trimpath", "-ldflags=-s -w"]
        run_go("install", *options, f"{package}@{version}", folder=folder, GOBIN=str(folder), CGO_ENABLED="0")
        return folder / name

    return built(f"{name}-{version}", install)


def built(name: str, build: Callable[[Path], Path]) -> Path:
    """A program of this name and version, which is built in an empty folder where there is none yet.

    Raises:
        NotToBeHad: it cannot be built.
    """
    program = _cache() / name
    with _turn(program):
        if not program.exists():
            print(f"building {name} (once, minutes) ...", file=sys.__stderr__, flush=True)
            with TemporaryDirectory(dir=program.parent) as folder:
                build(Path(folder)).rename(program)
    return program


def run_go(*arguments: str, folder: Path, **environment: str) -> str:
    """Run the Go toolchain in a folder; returns what it printed.

    Raises:
        NotToBeHad: there is no toolchain, or it failed.
    """
    go = shutil.which("go") or shutil.which("go", path=_USUAL_PLACE)
    if go is None:
        raise NotToBeHad("there is no Go toolchain to build it with")
    try:
        done = subprocess.run(
            [go, *arguments],
            cwd=folder,
            env={**os.environ, **environment},
            check=True,
            capture_output=True,
            text=True,
            timeout=_SECONDS_TO_BUILD,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise NotToBeHad(f"go {arguments[0]} failed: {said[-1]}") from error
    return done.stdout.strip()


@contextmanager
def _turn(program: Path) -> Iterator[None]:
    """Of several processes that want a program one builds it, and the others wait."""
    with program.with_name(f"{program.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _cache() -> Path:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "lucid-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
