"""`python -m lucid_api` as a process of its own, while a test talks to it."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cli.support import Lucid
from tests.processes import free_port


@contextmanager
def served(
    home: Path, *, environment: Mapping[str, str] | None = None, **settings: str
) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    """The service on a port of its own, once it answers; killed in the end."""
    port = str(free_port())
    variables = {**Lucid(home).having(api_port=port, **settings).environment, **(environment or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "lucid_api"], env=variables, stderr=subprocess.PIPE, cwd=home.parent
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, f"{url} does not answer"
            time.sleep(0.1)
