"""Servers for the tests that are Go modules: built once by the Go toolchain, and kept for the next run."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

_SECONDS_TO_BUILD = 900


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
    go = shutil.which("go")
    if go is None:
        raise NotToBeHad(f"there is neither {name} nor a Go toolchain to build it with")
    program = _cache() / f"{name}-{version}"
    with _turn(program):
        if not program.exists():
            _build(go, package, version, program)
    return program


def _build(go: str, package: str, version: str, program: Path) -> None:
    with TemporaryDirectory(dir=program.parent) as folder:
        try:
            subprocess.run(
                [go, "install", "-trimpath", "-ldflags=-s -w", f"{package}@{version}"],
                env={**os.environ, "GOBIN": folder, "CGO_ENABLED": "0"},
                check=True,
                capture_output=True,
                text=True,
                timeout=_SECONDS_TO_BUILD,
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise NotToBeHad(f"{package} {version} cannot be built: {said[-1]}") from error
        next(Path(folder).iterdir()).rename(program)


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
