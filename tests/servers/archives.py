"""Where the homes of the tests keep their archive and keystore: in folders, or in buckets if `LUCID_TEST_ARCHIVE=s3`.

A bucket is the folder that a home lies in, behind a symbolic link: objects are files at the very places where a folder
store has them. So tests that look at files, damage some, or copy a home, do that whatever the archive is.
"""

import atexit
import os
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.servers.s3 import Gateway, credentials

IN_BUCKETS = os.environ.get("LUCID_TEST_ARCHIVE", "files") == "s3"

OF_BUCKETS = frozenset({".sgwtmp", ".lucid-store"} if IN_BUCKETS else ())
"""What lies in the folders of buckets beside their objects: the gateway's own, and Lucid's mark."""

files_only = pytest.mark.skipif(IN_BUCKETS, reason="it is about stores in folders")
"""For tests that show what only folders do: their modes, their disk, that they can be missing."""


def archive_settings(home: Path) -> dict[str, str]:
    """The settings of a home that say where archive and keystore are; none where those are in its folders."""
    if not IN_BUCKETS:
        return {}
    return {"archive_url": store_url(home, "archive"), "keystore_url": store_url(home, "keystore")}


def store_url(home: Path, name: str) -> str:
    """The URL of a store whose objects are to lie in a folder of a home."""
    if not IN_BUCKETS:
        return (home / name).as_uri()
    home = home.absolute()
    bucket = _gateway().link_bucket(home.parent)
    if home.is_dir():
        (home / name).mkdir(exist_ok=True, mode=0o700)
    return f"s3://{bucket}/{home.name}/{name}"


def archive_environment() -> dict[str, str]:
    """The variables with which a process reaches the buckets."""
    return credentials(_gateway().url) if IN_BUCKETS else {}


@cache
def _gateway() -> Gateway:
    """One for this process and all that it starts, which find it by their environment."""
    folder = Path(mkdtemp(prefix="lucid-buckets-"))
    gateway = Gateway(folder / "buckets")
    gateway.start()
    os.environ.update(credentials(gateway.url))
    atexit.register(lambda: (gateway.stop(), shutil.rmtree(folder, ignore_errors=True)))
    return gateway
