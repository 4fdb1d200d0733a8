"""Recordings that are sent to the service: taken in whole, once, under their names, or not at all."""

import base64
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import httpx2
import pytest
import uvicorn

from lucid_api.access import api_keys
from lucid_api.access.scopes import Scope
from lucid_api.app import create_app
from lucid_api.services import opened_services
from lucid_api.sessions import upload_endpoints, uploads
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.errors import TransientError
from lucid_pipeline.intake.sidecar import read_sidecar
from lucid_pipeline.recorder.clean_up import remove_recording
from lucid_pipeline.recorder.landing import LandingFolder
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.audit_event import Action
from lucid_pipeline.stores.audit_index import AuditFilter
from lucid_pipeline.stores.catalog import Failure, SessionFilter, SessionRecord, State
from lucid_pipeline.stores.verification import Verifier
from tests.api.serving import served, wait_for
from tests.api.support import Api, assert_problem
from tests.end_to_end.small_disk import small_disk
from tests.lineage.conftest import stages
from tests.lineage.support import CAST, Stages
from tests.processes import eventually
from tests.support import noise

__all__ = ["stages"]

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "api.md"
MIB = 1024 * 1024
WHO = {
    "user": "zoë",
    "host": "gate-1",
    "protocol": "ssh",
    "started_at": "2026-01-31T12:00:00+01:00",
    "ended_at": "2026-01-31T12:30:00Z",
}


@contextmanager
def listening(settings: Settings) -> Iterator[Api]:
    """The service in this process, but reached over real connections."""
    with opened_services(settings) as services, socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(create_app(services), access_log=False, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
                yield Api(client, services)  # type: ignore[arg-type]
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture
def api(stages: Stages) -> Iterator[Api]:
    with listening(stages.home.settings) as api:
        yield api


def send(
    api: Api, data: Any = CAST, name: str = "session.cast", *, headers: Mapping[str, str] | None = None, **said: Any
) -> Any:
    query = urlencode({"name": name, **said}, doseq=True)
    return api.ask("POST", f"/sessions?{query}", Scope.RUNS_WRITE, content=data, headers=headers)


def sent(api: Api, data: Any = CAST, name: str = "session.cast", **said: Any) -> SessionRecord:
    """The session of a recording that was taken in."""
    answer = send(api, data, name, **said)
    assert answer.status_code == 202, answer.text
    return api.services.catalog.get(UUID(answer.json()["session_id"]))


def sessions(api: Api) -> list[SessionRecord]:
    return api.services.catalog.find(SessionFilter())


def landed(api: Api) -> list[str]:
    """All that lies in the landing folder."""
    folder = api.services.settings.landing_dir
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_nothing_stays(api: Api) -> None:
    eventually(lambda: not landed(api))
    assert sessions(api) == []


def pieces(*data: bytes) -> Iterator[bytes]:
    """Sent in chunks, so that nobody knows beforehand how many bytes there will be."""
    yield from data


def digest(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(sha256(data).digest()).decode()}:"


@contextmanager
def sending(
    api: Api, *lines: str, body: bytes = b"", caller: Mapping[str, str] | None = None
) -> Iterator[socket.socket]:
    """A connection on which the beginning of a request was sent."""
    url = urlsplit(str(api.client.base_url))
    headers = api.headers(Scope.RUNS_WRITE) if caller is None else caller
    lines = (*lines, *(f"{name}: {value}" for name, value in headers.items()))
    with socket.create_connection((url.hostname, url.port), timeout=30) as connection:
        head = "\r\n".join(["POST /api/v1/sessions?name=session.cast HTTP/1.1", f"Host: {url.netloc}", *lines, "", ""])
        connection.sendall(head.encode() + body)
        yield connection


def received_by(api: Api, count: int) -> Path:
    """The file into which a recording is being received, once it has so many bytes."""

    def file() -> Path | None:
        found = [path for path in api.services.settings.landing_dir.glob(".*.upload/*") if path.stat().st_size >= count]
        return found[0] if found else None

    return eventually(file)


def looked_for(stages: Stages, now: datetime) -> list[UUID]:
    """The sessions of recordings that the landing folder's own look finds."""
    clock = count(step=10)
    folder = LandingFolder(stages.home, clock=lambda: float(next(clock)))
    return [session_id for _ in range(5) for session_id in folder.take_in(stages.catalog, now).registered]


def status_on(connection: socket.socket) -> int:
    return int(connection.recv(65536).split()[1])


# Who may.


def test_who_may_not_start_runs_sends_nothing(api: Api) -> None:
    api.assert_guarded("POST", "/sessions?name=session.cast", Scope.RUNS_WRITE, content=CAST)
    assert_nothing_stays(api)


# What is taken in.


def test_a_recording_that_is_sent_lies_in_the_landing_folder_with_its_sidecar(api: Api) -> None:
    answer = send(api, name="späť 🎥 %2f.cast", tag=["ticket=4711", "a=b=c", "empty="], **WHO)
    assert answer.status_code == 202
    document = answer.json()
    record = api.services.catalog.get(UUID(document["session_id"]))
    assert document == {"session_id": str(record.session_id), "name": "späť 🎥 %2f.cast", "length": len(CAST)}
    assert answer.headers["Location"] == f"/api/v1/sessions/{record.session_id}"
    metadata = SessionMetadata(**WHO, tags={"ticket": "4711", "a": "b=c", "empty": ""})
    assert (record.state, record.name, record.metadata) == (State.REGISTERED, document["name"], metadata)
    assert record.source
    path = record.source.path
    assert path == api.services.settings.landing_dir / document["session_id"] / document["name"]
    assert (record.source.release, record.source.landed, record.source.abandoned) == (True, True, False)
    assert path.read_bytes() == CAST
    assert read_sidecar(path) == metadata
    assert [stat.S_IMODE(found.stat().st_mode) for found in sorted(path.parent.iterdir())] == [0o600, 0o600]
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_is_archived_as_it_was_sent_and_then_nothing_is_left(api: Api, stages: Stages) -> None:
    data = noise(3 * MIB + 17)
    record = sent(api, data, "screen.bin", user="ada", tag="ticket=4711")
    assert looked_for(stages, datetime.now(UTC)) == []
    stages.archive(record.session_id)
    assert stages.export(record.session_id) == data
    sealed = stages.record(record.session_id)
    assert (sealed.state, sealed.name, sealed.metadata) == (State.SEALED, "screen.bin", record.metadata)
    home = stages.home
    remove_recording(record.session_id, stages.catalog, Verifier(home.archive(), home.trusted_keys(), 1, keys=None))
    assert landed(api) == []


@pytest.mark.parametrize("body", [b"", pieces()], ids=["of no length", "in no chunks"])
def test_an_empty_recording_is_one(api: Api, stages: Stages, body: Any) -> None:
    record = sent(api, body)
    stages.archive(record.session_id)
    assert stages.export(record.session_id) == b""


def test_nothing_has_to_be_said_of_it(api: Api) -> None:
    record = sent(api)
    assert record.metadata == SessionMetadata()
    assert landed(api) == [str(record.session_id), f"{record.session_id}/session.cast"]


def test_two_may_have_one_name(api: Api) -> None:
    assert [sent(api, data).name for data in (b"one", b"two")] == ["session.cast"] * 2
    assert len(sessions(api)) == 2


def test_what_is_to_be_kept_is_kept(stages: Stages) -> None:
    with listening(stages.home.settings.model_copy(update={"keep_landing": True})) as api:
        source = sent(api).source
        assert source
        assert not source.release


def test_that_it_arrived_is_on_record(api: Api) -> None:
    record = sent(api, b"recorded")
    [found] = api.services.audit.find(AuditFilter(action=Action.UPLOAD_RECEIVED), before=None, limit=9)
    assert found.event
    assert (found.event.session_id, found.event.details) == (str(record.session_id), {"bytes": 8})
    assert found.event.subject
    assert found.event.subject.startswith("key:")


def test_it_is_never_in_memory(stages: Stages) -> None:
    with (
        served(stages.home.settings.home) as (process, url),
        closing(StateDatabase(stages.home.settings.home)) as state,
    ):
        wait_for(f"{url}/health/live")
        _, key = api_keys.create(state, "test", [Scope.RUNS_WRITE], created_by="tests", record=lambda _key: None)

        def send_one(count: int) -> int:
            """Send so many MiB; the most memory that the process has ever had since, in MiB."""
            piece = noise(MIB)
            body = (piece for _ in range(count))
            headers = {"Authorization": f"Bearer {key}"}
            answer = httpx2.post(f"{url}/api/v1/sessions?name=a.bin", content=body, headers=headers, timeout=120)
            assert answer.status_code == 202, answer.text
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))

        before = send_one(1)
        assert send_one(256) - before < 32


def test_the_line_of_the_documentation_works(api: Api, tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("there is no curl")
    (tmp_path / "session.cast").write_bytes(CAST)
    lines = DOCUMENTATION.read_text().split("    curl ", 1)[1].split("\n\n")[0].replace("\\\n", " ")
    [key] = api.headers(Scope.RUNS_WRITE).values()
    ended = subprocess.run(
        ["sh", "-c", f"curl -q --noproxy '*' {lines}"],
        env={"PATH": os.environ["PATH"], "LUCID": f"{api.client.base_url}/api/v1", "AUTH": f"Authorization: {key}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"session_id"' in ended.stdout, ended
    [record] = sessions(api)
    assert (record.metadata.user, record.metadata.tags) == ("ada", {"ticket": "4711"})


# Names and descriptions that cannot be.

NAMES = [
    ("../x", "path"),
    ("/etc/x", "path"),
    ("a/b", "path"),
    ("..", "path"),
    (".", "path"),
    (".hidden", "dot"),
    ("new\nline", "control"),
    ("a\0b", "control"),
    ("a\x7f", "control"),
    ("a\x85", "control"),
    ("a.part", ".part"),
    ("A.UPLOAD", ".upload"),
    ("a.done", ".done"),
    ("a.meta.json", ".meta.json"),
    ("ä" * 123, "longer than 245 bytes"),
    ("a" * 246, "245"),
    ("", "at least 1"),
]


@pytest.mark.parametrize(("name", "reason"), NAMES)
def test_a_name_that_no_recording_can_have_is_refused(api: Api, name: str, reason: str) -> None:
    [error] = assert_problem(send(api, name=name), 422, "invalid")["errors"]
    assert (error["in"], error["name"]) == ("query", "name")
    assert reason in error["reason"]
    assert_nothing_stays(api)


@pytest.mark.parametrize("name", ["a", "a" * 245, "-rf *", "a.cast.DONE", "a..b", "x.json", "\\..\\x", "%00"])
def test_any_other_name_is_kept(api: Api, name: str) -> None:
    assert sent(api, name=name, user="ada").name == name


BAD = [
    ({"user": "ä" * 513}, "user", "longer than 1024 bytes"),
    ({"started_at": "yesterday"}, "started_at", "not an RFC 3339 time"),
    ({"ended_at": "2026-01-31T12:00:00"}, "ended_at", "not an RFC 3339 time"),
    ({"tag": "ticket"}, "tag.0", "match"),
    ({"tag": "=4711"}, "tag.0", "match"),
    ({"tag": ["a=1", "a=2"]}, "tag", "twice"),
    ({"tag": "a=" + "b" * 1025}, "tag", "longer than 1024 bytes"),
    ({"tag": [f"{n}=" for n in range(101)]}, "tag", "at most 100"),
    ({"tag": [f"{n}=" + "\1" * 1000 for n in range(12)]}, "tag", "64 KiB"),
    ({"password": "x"}, "password", "no such parameter"),
    ({"user": ["a", "b"]}, "user", "once"),
]


@pytest.mark.parametrize(("said", "name", "reason"), BAD)
def test_what_no_sidecar_may_say_is_refused(api: Api, said: dict[str, Any], name: str, reason: str) -> None:
    [error] = assert_problem(send(api, **said), 422, "invalid")["errors"]
    assert error["name"] == name
    assert reason in error["reason"]
    assert_nothing_stays(api)


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_form_is_no_recording_and_is_not_read(api: Api, media_type: str) -> None:
    lines = (f"Content-Type: {media_type}", "Transfer-Encoding: chunked")
    with sending(api, *lines, body=b"100000\r\n") as connection:
        assert status_on(connection) == 415
    assert_problem(send(api, headers={"Content-Encoding": "gzip"}), 415, "unsupported-media-type")
    assert_nothing_stays(api)


# Too large.


@pytest.fixture
def small_api(stages: Stages) -> Iterator[Api]:
    with listening(stages.home.settings.model_copy(update={"api_upload_bytes": 2 * MIB})) as api:
        yield api


def test_what_is_said_to_be_too_large_is_refused_before_it_comes(small_api: Api) -> None:
    with sending(small_api, f"Content-Length: {2 * MIB + 1}") as connection:
        assert status_on(connection) == 413
    document = assert_problem(send(small_api, noise(2 * MIB + 1)), 413, "too-large")
    assert document["limit"] == 2 * MIB
    assert_nothing_stays(small_api)


def test_what_turns_out_to_be_too_large_is_not_kept(small_api: Api) -> None:
    assert_problem(send(small_api, pieces(noise(2 * MIB), b"1")), 413, "too-large")
    assert_nothing_stays(small_api)
    assert sent(small_api, pieces(noise(2 * MIB))).name == "session.cast"


# Digests.


@pytest.mark.parametrize("name", ["Repr-Digest", "Content-Digest"])
@pytest.mark.parametrize("value", ["{}", "sha-512=:AAAA:, {}", "{},md5=::", "unixsum=:Ow==:,\t{}"])
def test_what_arrives_as_it_was_sent_is_taken_in(api: Api, name: str, value: str) -> None:
    assert send(api, headers={name: value.format(digest(CAST))}).status_code == 202


@pytest.mark.parametrize(
    "headers",
    [
        {"Repr-Digest": digest(b"another")},
        {"Content-Digest": digest(b"another")},
        {"Repr-Digest": digest(CAST), "Content-Digest": digest(b"another")},
    ],
)
def test_what_arrives_otherwise_is_not_kept(api: Api, headers: dict[str, str]) -> None:
    assert_problem(send(api, headers=headers), 400, "digest-mismatch")
    assert_nothing_stays(api)


@pytest.mark.parametrize(
    "value",
    [
        "sha-256",
        "sha-256=abc",
        "sha-256=:",
        "sha-256=:AAAA:",
        "sha-256=:A:",
        "SHA-256=:AAAA:",
        "md5=:A==:,",
        "=",
        "{}=",
    ],
)
def test_a_digest_that_cannot_be_read_is_refused(api: Api, value: str) -> None:
    assert_problem(send(api, headers={"Repr-Digest": value.format(digest(CAST))}), 400, "bad-request")
    assert_nothing_stays(api)


def test_of_an_algorithm_that_nobody_asked_for_nothing_is_known(api: Api) -> None:
    assert send(api, headers={"Content-Digest": "sha-512=:AAAA:"}).status_code == 202


# Sent once more.


@pytest.fixture
def keyed(api: Api) -> dict[str, str]:
    """The headers of one caller, and what they call their request."""
    return {**api.headers(Scope.RUNS_WRITE), "Idempotency-Key": "8e03978e"}


def test_what_is_sent_again_under_its_key_is_one_session(api: Api, keyed: dict[str, str]) -> None:
    first, again = (send(api, user="ada", headers=keyed) for _ in range(2))
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["Location"] == first.headers["Location"]
    [record] = sessions(api)
    assert landed(api)[:2] == [str(record.session_id), f"{record.session_id}/session.cast"]


@pytest.mark.parametrize("changed", [{"data": b"other"}, {"name": "other.cast"}, {"user": "eve"}, {"tag": "a=b"}])
def test_another_recording_is_not_taken_in_under_a_key_that_was_used(
    api: Api, keyed: dict[str, str], changed: dict[str, Any]
) -> None:
    record = sent(api, headers=keyed)
    assert_problem(send(api, headers=keyed, **changed), 422, "idempotency-key-reused")
    assert sessions(api) == [record]
    assert {name.split("/")[0] for name in landed(api)} == {str(record.session_id)}


def test_with_its_digest_it_need_not_come_again(api: Api, keyed: dict[str, str]) -> None:
    record = sent(api, headers={**keyed, "Repr-Digest": digest(CAST)})
    with sending(api, f"Content-Length: {len(CAST)}", caller={**keyed, "Repr-Digest": digest(CAST)}) as connection:
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 202")
    assert str(record.session_id).encode() in answer
    assert sessions(api) == [record]


def test_what_is_being_sent_is_not_received_twice(api: Api, keyed: dict[str, str]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield CAST[:10]
        begun.set()
        assert go_on.wait(30)
        yield CAST[10:]

    with ThreadPoolExecutor() as other:
        first = other.submit(send, api, slowly(), headers=keyed)
        assert begun.wait(30)
        eventually(lambda: landed(api))
        assert_problem(send(api, headers=keyed), 409, "idempotency-key-in-use")
        go_on.set()
    again = send(api, headers=keyed)
    assert (again.status_code, again.json()) == (202, first.result().json())
    assert len(sessions(api)) == 1


# Cut off.


@pytest.mark.parametrize(
    ("line", "body"),
    [("Content-Length: 5000000", b""), ("Transfer-Encoding: chunked", b"%x\r\n" % (2 * MIB))],
    ids=["fewer bytes than were announced", "no last chunk"],
)
def test_a_recording_that_is_cut_off_is_not_kept_and_may_be_sent_again(api: Api, line: str, body: bytes) -> None:
    with sending(api, line, body=body + noise(2 * MIB) + (b"\r\n" if body else b"")):
        path = received_by(api, MIB)
        assert path.name == "session.cast"
        assert sessions(api) == []
    assert_nothing_stays(api)
    assert sent(api).name == "session.cast"


def test_a_chunk_that_is_none_ends_it(api: Api) -> None:
    with sending(api, "Transfer-Encoding: chunked", body=b"5\r\nhello\r\nzz\r\n") as connection:
        assert status_on(connection) == 400
    assert_nothing_stays(api)


def test_who_sends_nothing_more_is_not_waited_for(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_endpoints, "STALLED_SECONDS", 0.2)
    with sending(api, "Content-Length: 100", body=b"begun") as connection:
        assert status_on(connection) == 408
    assert_nothing_stays(api)


def test_what_a_kill_leaves_is_no_recording_and_goes_at_the_next_start(stages: Stages) -> None:
    settings = stages.home.settings
    with served(settings.home) as (process, url), closing(StateDatabase(settings.home)) as state:
        wait_for(f"{url}/health/live")
        with httpx2.Client(base_url=url) as client:
            beside = Api(client, _Opened(stages, state))  # type: ignore[arg-type]
            with sending(beside, "Content-Length: 5000000", body=noise(2 * MIB)):
                received_by(beside, MIB)
                process.send_signal(signal.SIGKILL)
                process.wait()
    assert len(list(settings.landing_dir.glob(".*.upload/*"))) == 1
    assert looked_for(stages, datetime.now(UTC) + timedelta(seconds=2 * settings.abandoned_after_seconds)) == []
    with listening(settings) as api:
        assert_nothing_stays(api)


class _Opened:
    """As much of the services as tests look at, beside the process that has them."""

    def __init__(self, stages: Stages, state: StateDatabase) -> None:
        self.catalog, self.settings, self.state = stages.catalog, stages.home.settings, state


def test_what_a_kill_kept_from_landing_lands_at_the_next_start(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with listening(stages.home.settings) as api, monkeypatch.context() as patch:
        patch.setattr(os, "rename", fails)
        assert_problem(send(api, user="ada"), 503, "unavailable")
        [record] = sessions(api)
        # A run that begins now finds no recording.
        api.services.catalog.record_failure(record.session_id, Failure("recording", "it has gone", permanent=True))
    with listening(stages.home.settings) as api:
        assert sessions(api) == [record]
        stages.archive(record.session_id)
        assert stages.export(record.session_id) == CAST


def test_somebodys_folder_is_left_alone_at_the_start(stages: Stages) -> None:
    for name in (".mine.upload", ".01a207bc.upload", "x.upload", ".01a207bc-8e81-7370-a993-4daf2ca01f8c.part"):
        (stages.home.settings.landing_dir / name).mkdir()
    with listening(stages.home.settings) as api:
        assert len(landed(api)) == 4


def test_an_upload_does_not_keep_the_service_from_ending(stages: Stages) -> None:
    settings = stages.home.settings
    with served(settings.home) as (process, url), closing(StateDatabase(settings.home)) as state:
        wait_for(f"{url}/health/live")
        with httpx2.Client(base_url=url) as client:
            beside = Api(client, _Opened(stages, state))  # type: ignore[arg-type]
            with sending(beside, "Content-Length: 5000000", body=noise(2 * MIB)):
                received_by(beside, MIB)
                process.send_signal(signal.SIGTERM)
                assert process.wait(timeout=10) == 0
            assert_nothing_stays(beside)


# What cannot be done just now.


def test_there_is_a_bound_to_uploads_at_the_same_time(stages: Stages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MOST_AT_ONCE", 1)
    with listening(stages.home.settings) as api:
        with sending(api, "Content-Length: 100", body=b"begun"):
            eventually(lambda: landed(api))
            refused = send(api)
            assert_problem(refused, 503, "too-many-uploads")
            assert int(refused.headers["Retry-After"]) > 0
        eventually(lambda: send(api).status_code == 202)


def test_without_a_landing_folder_nothing_is_received(api: Api) -> None:
    folder = api.services.settings.landing_dir
    folder.rename(folder.with_name("away"))
    assert int(send(api).headers["Retry-After"]) > 0
    assert_problem(send(api), 503, "unavailable")
    assert not folder.exists()
    assert sessions(api) == []


def test_without_a_landing_folder_all_else_is_answered(stages: Stages) -> None:
    stages.home.settings.landing_dir.rmdir()
    with listening(stages.home.settings) as api:
        assert api.get("/me").status_code == 200


def test_what_cannot_be_put_on_record_is_not_taken_in(api: Api) -> None:
    shutil.rmtree(api.services.home.audit_folder, ignore_errors=True)
    api.services.home.audit_folder.write_text("in the way")
    assert_problem(send(api), 503, "unavailable")
    assert_nothing_stays(api)


def test_what_cannot_be_registered_is_not_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: Any) -> None:
        raise TransientError("the catalog is busy")

    with monkeypatch.context() as patch:
        patch.setattr(type(api.services.catalog), "register", busy)
        assert_problem(send(api), 503, "unavailable")
    assert_nothing_stays(api)


@pytest.fixture
def disk_api(stages: Stages) -> Iterator[tuple[Api, Any]]:
    """With a landing folder on a disk of 4 MiB."""
    with small_disk(stages.home.settings.landing_dir, 4 * MIB) as disk, listening(stages.home.settings) as api:
        yield api, disk


def test_what_does_not_fit_on_the_disk_is_refused_before_it_comes(disk_api: tuple[Api, Any]) -> None:
    api, _ = disk_api
    with sending(api, f"Content-Length: {5 * MIB}") as connection:
        assert status_on(connection) == 507
    assert_nothing_stays(api)


def test_a_disk_that_is_full_in_the_midst_of_it_is_as_empty_as_before(disk_api: tuple[Api, Any]) -> None:
    api, disk = disk_api
    before = os.statvfs(disk.folder).f_bavail
    assert_problem(send(api, pieces(*[noise(MIB)] * 5)), 507, "no-room")
    assert_nothing_stays(api)
    assert os.statvfs(disk.folder).f_bavail == before
    assert sent(api, noise(3 * MIB)).name == "session.cast"


def test_where_nobody_may_write_nothing_is_received(disk_api: tuple[Api, Any]) -> None:
    api, disk = disk_api
    subprocess.run(["mount", "-o", "remount,ro", disk.folder], check=True)
    assert_problem(send(api), 503, "unavailable")
    assert_nothing_stays(api)
