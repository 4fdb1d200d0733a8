"""The archive in a bucket: the contract, over the wire against S3-compatible servers in processes of their own."""

import json
import os
import re
import signal
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from hashlib import sha256
from itertools import count
from pathlib import Path
from threading import Timer

import pytest

from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.pipeline import archive_recording
from lucid_pipeline.archive.ports import KeySlotStore, ObjectExists, ObjectMissing, ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.archive.verify import verify_session
from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.stores import bucket_store
from lucid_pipeline.stores.keystore import Keystore
from lucid_pipeline.stores.object_store import open_object_store
from tests.servers.s3 import OTHER, SECRET, Gateway, S3Server, client, credentials, gateway_or_skip, running_moto
from tests.stores.faulty_proxy import Choice, Fault, FaultyProxy, faulty_proxy
from tests.stores.keystore_contract import KeystoreContract
from tests.stores.object_store_contract import KEY, LIMIT, ObjectStoreContract
from tests.support import Home, export, noise

PREFIX = "archive/of lucid"
DOCUMENT = Path(__file__).parents[2] / "docs" / "object-stores.md"
_numbers = count()


@pytest.fixture(scope="session")
def moto() -> Iterator[S3Server]:
    """A server that keeps its buckets in memory."""
    with running_moto() as moto:
        yield moto


@pytest.fixture(params=["gateway", "moto"])
def server(request: pytest.FixtureRequest) -> S3Server:
    """One server after the other."""
    server: S3Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Makes a bucket on a server, and has the environment say how to reach it; returns the URL of an empty store."""

    def use(server: S3Server, url: str = "") -> str:
        bucket = f"bucket-{next(_numbers)}"
        server.make_bucket(bucket)
        for name, value in credentials(url or server.url).items():
            monkeypatch.setenv(name, value)
        return f"s3://{bucket}/{PREFIX}"

    return use


@pytest.fixture
def url(server: S3Server, use: Callable[..., str]) -> str:
    """The URL of an empty store, on each server."""
    return use(server)


@pytest.fixture
def store(url: str) -> ObjectStore:
    """An empty store, on each server."""
    return open_object_store(url)


class TestBucketStore(ObjectStoreContract):
    """The contract, over the wire."""

    @pytest.fixture
    def same_place(self, store: ObjectStore, url: str) -> ObjectStore:
        """The same bucket, opened once more."""
        return open_object_store(url)

    @pytest.fixture(autouse=True)
    def small_parts(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the contract's largest objects sent in parts; no others are as large."""
        monkeypatch.setattr(bucket_store, "LARGEST_REQUEST", 8 * MIB)


class TestKeystoreInABucket(KeystoreContract):
    """The contract of a keystore, over the wire."""

    @pytest.fixture
    def keystore(self, store: ObjectStore) -> KeySlotStore:
        """An empty keystore."""
        return Keystore(store)


def test_a_prefix_keeps_to_itself(store: ObjectStore, url: str) -> None:
    beside = open_object_store(url + " 2")
    store.put(KEY, b"one")
    beside.put(KEY, b"two")
    assert (bytes(store.get(KEY, LIMIT)), bytes(beside.get(KEY, LIMIT))) == (b"one", b"two")
    assert list(store.list_folders("sessions/")) == list(beside.list_folders("sessions/"))


# Objects that are sent in parts.


@pytest.fixture
def parted(monkeypatch: pytest.MonkeyPatch) -> int:
    """The length of an object that takes three parts; parts other than the last have 5 MiB at least."""
    monkeypatch.setattr(bucket_store, "LARGEST_REQUEST", MIB)
    return 17 * MIB


def test_an_object_in_parts_is_never_replaced_and_leaves_nothing_beside_it(store: ObjectStore, parted: int) -> None:
    store.put("s/large", noise(parted))
    store.put("s/large", noise(parted))  # of the very same bytes nobody knows who was first
    with pytest.raises(ObjectExists):
        store.put("s/large", noise(parted, seed=1))
    assert store.get("s/large", LIMIT) == noise(parted)
    assert list(store.list("s/")) == ["s/large"]


def test_no_upload_in_parts_is_left_open(store: ObjectStore, url: str, server: S3Server, parted: int) -> None:
    store.put("s/large", noise(parted))
    with pytest.raises(ObjectExists):
        store.put("s/large", noise(parted, seed=1))
    bucket = url.split("/")[2]
    assert "Uploads" not in client(server.url).list_multipart_uploads(Bucket=bucket)


# Checksums.


@pytest.fixture
def through(gateway: Gateway, use: Callable[..., str]) -> Iterator[Callable[[Choice], tuple[ObjectStore, FaultyProxy]]]:
    """Opens an empty store behind a proxy that does to requests what a test chooses."""
    open_proxies: list[AbstractContextManager[FaultyProxy]] = []

    def through(choice: Choice) -> tuple[ObjectStore, FaultyProxy]:
        proxies = faulty_proxy(gateway.url, choice)
        proxy = proxies.__enter__()
        open_proxies.append(proxies)
        return open_object_store(use(gateway, proxy.url)), proxy

    yield through
    for proxies in open_proxies:
        proxies.__exit__(None, None, None)


def never(_method: str, _path: str, _before: int) -> Fault:
    return Fault.NONE


def first(method: str, fault: Fault) -> Choice:
    """The fault strikes the first request of a method for each path."""
    return lambda asked, _path, before: fault if (asked, before) == (method, 0) else Fault.NONE


def always(method: str, fault: Fault) -> Choice:
    return lambda asked, _path, _before: fault if asked == method else Fault.NONE


def test_each_object_is_sent_with_its_sha_256(through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]]) -> None:
    store, proxy = through(never)
    store.put(KEY, noise(1000))
    [sent] = [headers for method, _, headers in proxy.requests if method == "PUT"]
    assert {name.lower(): value for name, value in sent.items()}["x-amz-checksum-sha256"] == (
        b64encode(sha256(noise(1000)).digest()).decode()
    )


def test_bytes_that_changed_on_the_way_are_not_stored(
    through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]],
) -> None:
    store, _ = through(always("PUT", Fault.BYTE_CHANGED))
    with pytest.raises(TransientError, match=r"XAmzContentSHA256Mismatch|BadDigest"):
        store.put(KEY, noise(1000))
    with pytest.raises(ObjectMissing):
        store.get(KEY, LIMIT)


def test_the_server_verifies_the_checksum_that_it_is_told(gateway: Gateway) -> None:
    """Moto does not."""
    other = client(gateway.url)
    gateway.make_bucket("checksums")
    wrong = b64encode(sha256(b"other").digest()).decode()
    with pytest.raises(other.exceptions.ClientError, match=r"BadDigest|checksum"):
        other.put_object(Bucket="checksums", Key="key", Body=b"data", ChecksumSHA256=wrong)


# Connections that break.


@pytest.mark.parametrize(
    "fault", [Fault.ANSWER_BECOMES_500, Fault.CUT_BEFORE, Fault.CUT_AFTER, Fault.ANSWER_BECOMES_409]
)
def test_an_object_whose_first_request_or_answer_was_lost_is_stored(
    through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]], fault: Fault
) -> None:
    store, proxy = through(first("PUT", fault))
    store.put(KEY, memoryview(noise(1000)))
    assert len(proxy.struck) == 1
    assert store.get(KEY, LIMIT) == noise(1000)
    for other in (b"", noise(999), noise(1001), noise(1000, seed=1)):
        with pytest.raises(ObjectExists):
            store.put(KEY, other)
    assert store.get(KEY, LIMIT) == noise(1000)


@pytest.mark.parametrize("fault", [Fault.ANSWER_BECOMES_500, Fault.CUT_BEFORE, Fault.CUT_AFTER])
def test_an_object_in_parts_is_stored_where_every_first_request_or_answer_is_lost(
    through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]], fault: Fault, parted: int
) -> None:
    store, proxy = through(lambda _method, _path, before: fault if before == 0 else Fault.NONE)
    store.put("s/large", noise(parted))
    assert store.get("s/large", LIMIT) == noise(parted)
    assert len(proxy.struck) > 5


def test_what_is_read_while_the_connection_breaks_is_whole(
    through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]],
) -> None:
    store, proxy = through(first("GET", Fault.HALF_AN_ANSWER))
    store.put(KEY, noise(3 * MIB))
    assert store.get(KEY, LIMIT) == noise(3 * MIB)
    assert len(proxy.struck) == 1


def test_a_session_is_archived_where_every_first_answer_is_lost(
    through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]], home: Home
) -> None:
    store, proxy = through(first("PUT", Fault.ANSWER_BECOMES_500))
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
    assert len(proxy.struck) == 6, "key slot, two chunks, sealed metadata, chunk table, envelope"
    keys = Keys([home.identity], keystore)
    assert verify_session(session_id, store, home.trusted, workers=1, keys=keys).intact
    reader = SessionReader.open(load_manifest(session_id, store, home.trusted).manifest, store, keys)
    assert export(reader) == data


# Servers that come and go.


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that a test may stop."""
    with gateway_or_skip(tmp_path / "buckets") as gateway:
        yield gateway


def test_what_was_acknowledged_outlives_the_server_and_what_was_put_while_it_was_away_arrives(
    own: Gateway, use: Callable[..., str]
) -> None:
    store = open_object_store(use(own))
    store.put(KEY, noise(1000))
    own.stop()
    restart_later(own)
    store.put(KEY + "0", noise(1000, seed=1))
    assert (store.get(KEY, LIMIT), store.get(KEY + "0", LIMIT)) == (noise(1000), noise(1000, seed=1))


def restart_later(gateway: Gateway) -> None:
    """Start a server again in a second, beside the test."""
    Timer(1, gateway.start).start()


def test_a_server_that_hangs_for_a_while_is_waited_for(own: Gateway, use: Callable[..., str]) -> None:
    store = open_object_store(use(own))
    os.kill(own.pid, signal.SIGSTOP)
    Timer(1, os.kill, (own.pid, signal.SIGCONT)).start()
    store.put(KEY, noise(1000))
    assert store.get(KEY, LIMIT) == noise(1000)


def test_a_server_that_lets_nobody_write_is_told_at_the_check_and_can_be_read(
    own: Gateway, use: Callable[..., str]
) -> None:
    store = open_object_store(use(own))
    store.put(KEY, noise(1000))
    own.restart("--readonly")
    with pytest.raises(TransientError, match="AccessDenied"):
        store.check(writing=True)
    with pytest.raises(TransientError, match="AccessDenied"):
        store.put(KEY + "0", b"")
    store.check(writing=False)
    assert store.get(KEY, LIMIT) == noise(1000)


# What is wrong with settings, told in one line.


def trouble(url: str, *, writing: bool = False) -> str:
    """What the check of a store says, in one line that tells no secret, soon."""
    started = time.monotonic()
    with pytest.raises((TransientError, UsageError)) as raised:
        open_object_store(url).check(writing=writing)
    line = str(raised.value)
    assert time.monotonic() - started < 15
    assert "hunter" not in line
    assert "\n" not in line
    assert raised.value.hint
    return line


def test_a_bucket_that_is_not_there_is_a_store_that_fails_and_no_secret_is_told(url: str) -> None:
    assert "NoSuchBucket" in trouble("s3://no-such-bucket/prefix")
    nowhere = open_object_store("s3://no-such-bucket/prefix")
    calls: list[Callable[[], object]] = [
        lambda: nowhere.put(KEY, b""),
        lambda: nowhere.get(KEY, LIMIT),
        lambda: nowhere.status(KEY),
        lambda: nowhere.list("sessions/"),
        lambda: nowhere.list_folders("sessions/"),
    ]
    for call in calls:
        with pytest.raises(TransientError) as raised:
            call()
        assert "s3://no-such-bucket/prefix" in str(raised.value)
        assert "hunter" not in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("AWS_SECRET_ACCESS_KEY", "hunter3", "SignatureDoesNotMatch.*is AWS_SECRET_ACCESS_KEY right"),
        ("AWS_ACCESS_KEY_ID", "nobody", "is AWS_ACCESS_KEY_ID right"),
        ("AWS_REGION", "eu-central-1", "eu-central-1.*set AWS_REGION"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_mend(
    gateway: Gateway, use: Callable[..., str], monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    url = use(gateway)
    monkeypatch.setenv(variable, value)
    line = trouble(url)
    assert re.search(told, line), line
    with pytest.raises(TransientError):
        open_object_store(url).status(KEY)  # and nobody takes an object for one that is missing


def test_a_clock_that_is_wrong_is_told_and_work_goes_on_when_it_is_set(
    through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]],
) -> None:
    clock = [Fault.CLOCK_A_DAY_BEHIND]
    store, _ = through(lambda _method, _path, _before: clock[0])
    for call in (
        lambda: store.check(writing=True),
        lambda: store.put(KEY, noise(1000)),
        lambda: store.get(KEY, LIMIT),
    ):
        with pytest.raises(TransientError, match=r"RequestTimeTooSkewed.*set the clock of this machine"):
            call()
    clock[0] = Fault.NONE
    store.put(KEY, noise(1000))
    assert store.get(KEY, LIMIT) == noise(1000)


@pytest.mark.parametrize(
    ("endpoint", "told"),
    [("http://127.0.0.1:9", "refuses connections"), ("http://no-such-host.invalid", "no server of this name")],
)
def test_an_endpoint_at_which_nobody_answers_is_told_soon(
    gateway: Gateway, use: Callable[..., str], monkeypatch: pytest.MonkeyPatch, endpoint: str, told: str
) -> None:
    url = use(gateway)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert re.search(f"{told}.*is AWS_ENDPOINT_URL right", trouble(url))


def test_who_may_not_use_the_bucket_is_told_so(
    gateway: Gateway, use: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use(gateway)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OTHER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OTHER[1])
    for writing in (False, True):
        assert "AccessDenied" in trouble(url, writing=writing)


def test_the_documented_policy_is_enough_for_all_that_lucid_does(
    gateway: Gateway, use: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Except for objects in parts: this server copies parts for nobody but the owner."""
    bucket = use(gateway).split("/")[2]
    _, found, rest = DOCUMENT.read_text("utf-8").partition('{\n      "Version"')
    text = found + rest.partition("\n\n")[0]
    policy = json.loads(text.replace(":recordings", f":{bucket}"))
    for statement in policy["Statement"]:
        statement["Principal"] = {"AWS": [OTHER[0]]}
    client(gateway.url).put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", OTHER[0])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", OTHER[1])
    store = open_object_store(f"s3://{bucket}/lucid")
    store.check(writing=True)
    store.put("s/object", noise(1000))
    with pytest.raises(ObjectExists):
        store.put("s/object", b"other")
    assert (store.get("s/object", LIMIT), list(store.list("s/"))) == (noise(1000), ["s/object"])
    store.delete("s/object")
    with pytest.raises(ObjectMissing):
        store.get("s/object", LIMIT)
    with pytest.raises(TransientError, match="AccessDenied"):
        open_object_store(f"s3://{bucket}/elsewhere").put(KEY, b"")


def test_the_endpoint_of_a_server_without_tls_is_told_apart(
    gateway: Gateway, use: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = use(gateway)
    monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.url.replace("http:", "https:"))
    assert "write http:// for it" in trouble(url)
    monkeypatch.setenv("AWS_ENDPOINT_URL", gateway.url)
    monkeypatch.delenv("AWS_ALLOW_HTTP")
    assert "AWS_ALLOW_HTTP=true" in trouble(url)


def test_a_server_that_replaces_objects_is_refused(
    through: Callable[[Choice], tuple[ObjectStore, FaultyProxy]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As older servers do, which do not know the condition."""
    store, proxy = through(never)
    monkeypatch.setattr(proxy, "ask", without_condition(proxy.ask))
    with pytest.raises(UsageError, match=r"replaces objects.*If-None-Match"):
        store.check(writing=True)


def without_condition(ask: Callable[..., tuple[int, dict[str, str], bytes]]) -> Callable[..., object]:
    """Every PUT is answered as if it had been done."""

    def ask_without(method: str, _path: str, _headers: dict[str, str], _body: bytes) -> object:
        return (200, {"ETag": '"0"', "Content-Length": "0"}, b"") if method == "PUT" else ask("GET", "/", {}, b"")

    return ask_without


def test_without_credentials_it_says_so_and_does_not_wait_long(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, the client asks the cloud's own service for some; there is none here."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        assert "no credentials for it (set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE)" in trouble(url)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AWS_SECRET_ACCESS_KEY", None),
        ("AWS_ENDPOINT_URL", "http://ada:hunter3@127.0.0.1:9"),
        ("AWS_ENDPOINT_URL", "hunter3"),
        ("AWS_ENDPOINT_URL", "http://"),
        ("AWS_ALLOW_HTTP", "perhaps"),
        ("AWS_PROFILE", "nobody"),
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


# Credentials in files.


@pytest.fixture
def profiles(gateway: Gateway, use: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The URL of a store whose server and credentials stand in files, in the profile `lucid` alone."""
    url = use(gateway)
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name)
    secrets, general = tmp_path / "credentials", tmp_path / "config"
    secrets.write_text(
        f"[default]\naws_access_key_id = nobody\naws_secret_access_key = hunter3\n"
        f"[lucid]\naws_access_key_id = owner\naws_secret_access_key = {SECRET}\n"
    )
    general.write_text(f"[profile lucid]\nregion = us-east-1\nendpoint_url = {gateway.url}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(secrets))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(general))
    monkeypatch.setenv("AWS_PROFILE", "lucid")
    return url


def test_a_profile_says_where_the_server_is_and_who_asks(profiles: str) -> None:
    open_object_store(profiles).check(writing=True)


def test_credentials_of_the_environment_count_before_those_of_a_profile(
    profiles: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter3")
    assert "is AWS_ACCESS_KEY_ID right" in trouble(profiles)


@pytest.mark.parametrize(
    "content", ["[lucid\naws_secret_access_key = hunter3\n", "hunter3", "[lucid]\nhunter3 hunter3\n"]
)
def test_a_file_that_cannot_be_read_is_named_and_not_quoted(
    profiles: str, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    path = Path(os.environ["AWS_SHARED_CREDENTIALS_FILE"])
    path.write_text(content)
    with pytest.raises(UsageError, match="cannot read") as raised:
        open_object_store(profiles)
    assert str(path) in str(raised.value)
    assert "hunter" not in str(raised.value)
