"""S3-compatible servers in processes of their own: Versity's gateway, which keeps files, and moto, which keeps memory.

The gateway checks signatures and permissions, is fast, and can be stopped, starved and restarted: it is the one for
most tests. Where it cannot be had, moto is what there is; it comes with the tests' packages, and answers to anybody.

`python -m tests.servers.s3` runs a gateway until its standard input ends. It prints one line: a JSON object of the
variables by which it is reached, and `folder`, where each folder or link is a bucket.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.request import urlopen

import boto3
import pytest

from tests.processes import eventually, free_port
from tests.servers.go_programs import NotToBeHad, go_program

GATEWAY = ("github.com/versity/versitygw/cmd/versitygw", "v1.8.0")
REGION = "us-east-1"
SECRET = "hunter2-of-the-owner"
OTHER = ("somebody", "hunter2-of-somebody")
"""The credentials of a user who may do nothing that nobody allowed."""

_MOTO = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"


class S3Server(Protocol):
    """A server that runs."""

    url: str

    def make_bucket(self, name: str) -> None:
        """Make a bucket; its owner is who has `credentials`."""


def credentials(url: str, access: str = "owner", secret: str = SECRET) -> dict[str, str]:
    """The variables by which a client finds a server and may use it, and no file of this user says otherwise."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": REGION,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_CONFIG_FILE": os.devnull,
    }


def client(url: str) -> Any:
    """Another client than Lucid's, for what Lucid never does."""
    return boto3.client(
        "s3", endpoint_url=url, region_name=REGION, aws_access_key_id="owner", aws_secret_access_key=SECRET
    )


@dataclass
class Gateway:
    """Versity's gateway to a folder: each folder in it is a bucket, also behind a symbolic link, and files are objects.

    It can be stopped and started again, with other options, at the same address.
    """

    folder: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    def start(self, *options: str) -> None:
        """Start it, and wait until it answers."""
        program = go_program(*GATEWAY)
        users = self.folder.with_name(f"{self.folder.name}.users")
        users.mkdir(parents=True, exist_ok=True)
        self.folder.mkdir(exist_ok=True)
        account = {"access": OTHER[0], "secret": OTHER[1], "role": "user"}
        (users / "users.json").write_text(json.dumps({"accessAccounts": {OTHER[0]: account}}), encoding="utf-8")
        self.process = subprocess.Popen(
            [
                program,
                *("--port", f"127.0.0.1:{self.port}", "--access", "owner", "--secret", SECRET, "--region", REGION),
                *("--iam-dir", users, "--health", "/healthy", "--keep-alive", "--quiet", *options),
                *("posix", "--bucketlinks", self.folder),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        eventually(lambda: answers(f"{self.url}/healthy"), every=0.02)

    def stop(self, number: int = signal.SIGKILL) -> None:
        """End it, by default as a loss of power would."""
        if self.process:
            self.process.send_signal(number)
            self.process.wait(20)
            self.process = None

    def restart(self, *options: str) -> None:
        """Stop it, and start it with other options."""
        self.stop()
        self.start(*options)

    def make_bucket(self, name: str) -> None:
        (self.folder / name).mkdir(mode=0o700)

    def link_bucket(self, folder: Path) -> str:
        """Make a bucket of a folder that is elsewhere, or will be, unless it is one; returns the bucket's name."""
        bucket = sha256(os.fsencode(folder)).hexdigest()[:40]
        link = self.folder / bucket
        if not link.is_symlink():
            link.symlink_to(folder)
        return bucket


@dataclass(frozen=True)
class Moto:
    """Moto's server."""

    url: str

    def make_bucket(self, name: str) -> None:
        client(self.url).create_bucket(Bucket=name)


@contextmanager
def running_gateway(folder: Path, *options: str) -> Iterator[Gateway]:
    """A gateway to a folder, ended in the end."""
    gateway = Gateway(folder)
    try:
        gateway.start(*options)
        yield gateway
    finally:
        gateway.stop()


@contextmanager
def gateway_or_skip(folder: Path) -> Iterator[Gateway]:
    """The same for tests, which are skipped where it cannot be had."""
    try:
        go_program(*GATEWAY)
    except NotToBeHad as error:
        pytest.skip(str(error))
    with running_gateway(folder) as gateway:
        yield gateway


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway for all tests of a process, which nobody stops."""
    with gateway_or_skip(tmp_path_factory.mktemp("gateway") / "buckets") as gateway:
        yield gateway


@contextmanager
def running_moto() -> Iterator[Moto]:
    """Moto's server, ended in the end."""
    port = free_port()
    with subprocess.Popen([sys.executable, "-c", _MOTO, str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            moto = Moto(f"http://127.0.0.1:{port}")
            eventually(lambda: answers(moto.url), every=0.02)
            yield moto
        finally:
            process.kill()


def answers(url: str) -> bool:
    """Whether a web server is there."""
    try:
        with urlopen(url, timeout=5):
            return True
    except HTTPError:
        return True
    except OSError:
        return False


def main() -> None:
    """See the module."""
    with TemporaryDirectory(prefix="lucid-s3-") as folder, running_gateway(Path(folder) / "buckets") as gateway:
        print(json.dumps({"folder": str(gateway.folder), **credentials(gateway.url)}), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    try:
        main()
    except NotToBeHad as error:
        sys.exit(str(error))
