"""The archive in a bucket: the contract, over the wire against an S3-compatible server in a process of its own."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.ports import ObjectExists, ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.verify import verify_session
from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.stores.keystore import Keystore
from lucid_pipeline.stores.object_store import open_object_store
from tests.processes import eventually
from tests.stores.lossy_proxy import LossyProxy, lossy_proxy
from tests.stores.object_store_contract import KEY, LIMIT, ObjectStoreContract
from tests.support import Home, export, noise

SERVER = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', sys.argv[1]])"


def answers(url: str) -> bool:
    """Whether a server is there."""
    try:
        with urlopen(url, timeout=5):
            return True
    except URLError:
        return False


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a server that keeps its buckets in memory."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: answers(url))
            yield url
        finally:
            process.kill()


_numbers = count()


@pytest.fixture
def url(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, and what the environment says of the server."""
    bucket = f"bucket-{next(_numbers)}"
    with urlopen(Request(f"{server}/{bucket}", method="PUT"), timeout=20):
        pass
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "reader",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket}/archive/of lucid"


@pytest.fixture
def store(url: str) -> ObjectStore:
    """An empty store."""
    return open_object_store(url)


class TestBucketStore(ObjectStoreContract):
    """The contract, over the wire."""

    @pytest.fixture
    def same_place(self, store: ObjectStore, url: str) -> ObjectStore:
        """The same bucket, opened once more."""
        return open_object_store(url)


def test_a_prefix_keeps_to_itself(store: ObjectStore, url: str) -> None:
    beside = open_object_store(url + " 2")
    store.put(KEY, b"one")
    beside.put(KEY, b"two")
    assert (bytes(store.get(KEY, LIMIT)), bytes(beside.get(KEY, LIMIT))) == (b"one", b"two")
    assert list(store.list_folders("sessions/")) == list(beside.list_folders("sessions/"))


def test_a_bucket_that_is_not_there_is_a_store_that_fails_and_no_secret_is_told(url: str) -> None:
    nowhere = open_object_store("s3://no-such-bucket/prefix")
    calls: list[Callable[[], object]] = [
        lambda: nowhere.put(KEY, b""),
        lambda: nowhere.get(KEY, LIMIT),
        lambda: nowhere.list("sessions/"),
        lambda: nowhere.list_folders("sessions/"),
    ]
    for call in calls:
        with pytest.raises(TransientError) as raised:
            call()
        assert "s3://no-such-bucket/prefix" in str(raised.value)
        assert "hunter2" not in str(raised.value)
        assert "\n" not in str(raised.value)


def test_without_credentials_it_says_so_and_does_not_wait_long(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, the client asks the cloud's own service for some; there is none here."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        started = time.monotonic()
        with pytest.raises(TransientError, match="no credentials") as raised:
            open_object_store(url).get(KEY, LIMIT)
    assert time.monotonic() - started < 60
    assert raised.value.hint == "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", None),
        ("AWS_ENDPOINT_URL", "http://ada:hunter3@127.0.0.1:9"),
        ("AWS_ENDPOINT_URL", "hunter3"),
        ("AWS_ENDPOINT_URL", "http://"),
        ("AWS_ALLOW_HTTP", "perhaps"),
    ],
)
def test_variables_that_cannot_be_are_refused_in_one_line(
    url: str, name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="AWS_") as raised:
        open_object_store(url)
    assert "hunter" not in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("prefix", ["a//b", "a/../b"])
def test_a_prefix_that_no_key_can_have_is_refused(url: str, prefix: str) -> None:
    with pytest.raises(UsageError, match="cannot use s3://bucket/"):
        open_object_store(f"s3://bucket/{prefix}")


def test_an_endpoint_without_tls_has_to_be_allowed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    with pytest.raises(TransientError, match="AWS_ALLOW_HTTP=true"):
        open_object_store(url).get(KEY, LIMIT)


@pytest.fixture
def lossy(server: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[LossyProxy]:
    """A proxy that answers 500 to the first PUT of each key, once it is stored; the way to the server from here on."""
    with lossy_proxy(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def test_an_object_whose_first_answer_was_lost_is_stored(lossy: LossyProxy, url: str) -> None:
    store = open_object_store(url)
    store.put(KEY, memoryview(noise(1000)))
    assert len(lossy.lost) == 1
    assert store.get(KEY, LIMIT) == noise(1000)
    for other in (b"", noise(999), noise(1001), noise(1000, seed=1)):
        with pytest.raises(ObjectExists):
            store.put(KEY, other)
    assert store.get(KEY, LIMIT) == noise(1000)


def test_a_session_is_archived_where_every_first_answer_is_lost(lossy: LossyProxy, url: str, home: Home) -> None:
    store = open_object_store(url)
    keystore, session_id, data = Keystore(store), new_session_id(), noise(MIB + 1)
    archive_recording(
        home.landing_file(data),
        SessionMetadata(),
        session_id,
        home.encryption(),
        home.signing_key,
        store,
        keystore,
        chunk_size=MIB,
    )
    assert len(lossy.lost) == 6, "key slot, two chunks, sealed metadata, chunk table, envelope"
    keys = Keys([home.identity], keystore)
    assert verify_session(session_id, store, home.trusted, workers=1, keys=keys).intact
    reader = SessionReader.open(load_manifest(session_id, store, home.trusted).manifest, store, keys)
    assert export(reader) == data
