"""What is wrong with a bucket is told at the start of whatever needs it, in one line that tells no secret."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.support import LUCID, Lucid
from tests.processes import free_port
from tests.servers.s3 import OTHER, Gateway, credentials

COMMANDS: dict[str, Callable[[Path], list[str | Path]]] = {
    "init": lambda _file: [LUCID, "init"],
    "archive": lambda file: [LUCID, "archive", file],
    "up": lambda _file: [LUCID, "up", "--port", str(free_port())],
    "the session API": lambda _file: [sys.executable, "-m", "lucid_api"],
}


@pytest.fixture
def in_bucket(lucid: Lucid, gateway: Gateway) -> Lucid:
    """`lucid` on a home whose archive and keystore are in a bucket."""
    bucket = gateway.link_bucket(lucid.folder)
    urls = {name: f"s3://{bucket}/lucid/{name}" for name in ("archive", "keystore")}
    return with_variables(lucid, credentials(gateway.url)).having(
        archive_url=urls["archive"], keystore_url=urls["keystore"], api_port=str(free_port())
    )


def with_variables(lucid: Lucid, variables: Mapping[str, str]) -> Lucid:
    """The same with other variables, which are none of Lucid's own."""
    return Lucid(lucid.home, {**lucid.settings, **variables}, lucid.folder)


def told(lucid: Lucid, command: str) -> str:
    """The one line of `error:` with which a command ends before it has done anything."""
    file = recording(lucid)
    arguments = COMMANDS[command](file)
    ended = subprocess.run(arguments, env=lucid.environment, cwd=lucid.folder, capture_output=True, timeout=60)
    text = ended.stderr.decode()
    assert ended.returncode in (1, 2), text
    assert ended.stdout == b""
    assert "hunter" not in text
    assert "Traceback" not in text
    [line] = text.splitlines()
    assert file.exists()
    return line


@pytest.mark.parametrize("command", COMMANDS)
def test_a_bucket_that_is_not_there_is_told_at_the_start(in_bucket: Lucid, command: str) -> None:
    line = told(in_bucket.having(archive_url="s3://no-such-bucket/lucid"), command)
    assert "the archive cannot be used: s3://no-such-bucket/lucid failed" in line
    assert "NoSuchBucket" in line
    assert "make the bucket first" in line


def test_the_keystore_is_told_apart_from_the_archive(in_bucket: Lucid) -> None:
    line = told(in_bucket.having(keystore_url="s3://no-such-bucket/lucid"), "archive")
    assert "the keystore cannot be used: s3://no-such-bucket/lucid failed" in line


@pytest.mark.parametrize(
    ("command", "variables", "said"),
    [
        ("init", {"AWS_SECRET_ACCESS_KEY": "hunter3"}, "is AWS_SECRET_ACCESS_KEY right?"),
        (
            "the session API",
            {"AWS_ACCESS_KEY_ID": OTHER[0], "AWS_SECRET_ACCESS_KEY": OTHER[1]},
            "may the key in AWS_ACCESS_KEY_ID use this bucket?",
        ),
        ("up", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "does the server run, and is AWS_ENDPOINT_URL right?"),
    ],
    ids=["wrong secret", "no permission", "wrong endpoint"],
)
def test_what_is_wrong_with_access_is_told_at_the_start(
    in_bucket: Lucid, command: str, variables: Mapping[str, str], said: str
) -> None:
    assert said in told(with_variables(in_bucket, variables), command)


def test_what_only_reads_tells_it_as_well(in_bucket: Lucid) -> None:
    [entry] = in_bucket.archive(recording(in_bucket))
    wrong = with_variables(in_bucket, {"AWS_SECRET_ACCESS_KEY": "hunter3"})
    for command in (["export", entry["session_id"], "-o", in_bucket.folder / "out"], ["rebuild-catalog"]):
        assert "is AWS_SECRET_ACCESS_KEY right?" in wrong.refused(*command, status=1)


def recording(lucid: Lucid) -> Path:
    path = lucid.folder / "recording.bin"
    path.write_bytes(b"recorded")
    return path
