"""The sidecar: what it says of a session is taken in whole, or refused by name; nothing else can come of it."""

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.reader import SessionReader, load_manifest
from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.course.stages import MANIFEST, RECORDING
from lucid_pipeline.errors import PermanentError
from lucid_pipeline.intake.sidecar import (
    LARGEST_MARKER,
    LARGEST_SIDECAR,
    is_marker,
    is_taken_in,
    read_sidecar,
    recording_of,
)
from lucid_pipeline.stores.catalog import State
from tests.lineage.support import CAST, Stages

SECRET = "correct horse battery staple"
WHOLE = {
    "user": "zoë",
    "host": "db-1",
    "protocol": "ssh",
    "started_at": "2026-03-01T09:30:00.125+01:00",
    "ended_at": "2026-03-01T10:00:00Z",
    "tags": {"case": "4711", "empty": ""},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recording.cast"
    path.write_bytes(CAST)
    return path


def sidecar_of(recording: Path) -> Path:
    return recording.with_name(f"{recording.name}.meta.json")


def put(recording: Path, said: Any) -> Path:
    """Put a sidecar beside a recording: bytes as they are, all else as JSON."""
    path = sidecar_of(recording)
    path.write_bytes(said if isinstance(said, bytes) else json.dumps(said).encode())
    return path


def refusal(recording: Path) -> str:
    with pytest.raises(PermanentError) as refused:
        read_sidecar(recording)
    assert str(sidecar_of(recording)) in refused.value.message
    assert SECRET not in str(refused.value)
    return refused.value.message


# What it says.


def test_all_that_it_says_is_read(path: Path) -> None:
    put(path, WHOLE)
    assert read_sidecar(path) == SessionMetadata.model_validate(WHOLE)


def test_all_that_it_may_say_is_optional(path: Path) -> None:
    assert read_sidecar(path) is None
    put(path, {})
    assert read_sidecar(path) == SessionMetadata()
    put(path, {"user": None, "tags": {}})
    assert read_sidecar(path) == SessionMetadata()


def test_a_sidecar_as_large_as_one_may_be_is_read(path: Path) -> None:
    tags = {f"{n}": "ä" * 300 for n in range(100)}
    data = json.dumps({"tags": tags}, ensure_ascii=False).encode()
    put(path, data.ljust(LARGEST_SIDECAR))
    assert read_sidecar(path) == SessionMetadata(tags=tags)


def test_a_name_that_leaves_no_room_for_one_has_none(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    path.write_bytes(CAST)
    assert read_sidecar(path) is None


# What is refused.

BAD = [
    ({"user": 7}, "'user'"),
    ({"user": [SECRET]}, "'user'"),
    ({"host": {"name": SECRET}}, "'host'"),
    ({"protocol": True}, "'protocol'"),
    ({"user": SECRET * 40}, "'user': longer than 1024 bytes"),
    ({"user": "ä" * 513}, "'user': longer than 1024 bytes"),
    (b'{"user": "\\ud800 correct horse battery staple"}', "'user': not Unicode text"),
    ({"started_at": SECRET}, "'started_at': not an RFC 3339 time"),
    ({"started_at": "2026-01-31T12:00:00"}, "'started_at': not an RFC 3339 time"),
    ({"ended_at": "2026-13-31T12:00:00Z"}, "'ended_at': not an RFC 3339 time"),
    ({"ended_at": 1767225600}, "'ended_at'"),
    ({"tags": [SECRET]}, "'tags'"),
    ({"tags": {SECRET: 1}}, "'tags'"),
    ({"tags": {SECRET: None}}, "'tags'"),
    ({"tags": {"": SECRET}}, "'tags'"),
    ({"tags": {SECRET * 40: ""}}, "'tags': longer than 1024 bytes"),
    ({"tags": {f"{n}": SECRET for n in range(101)}}, "'tags'"),
    ({"tags": None}, "'tags'"),
    ({"password": SECRET}, "has no field 'password'"),
    ({"session_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b"}, "has no field 'session_id'"),
    ({"\x1b[31m" + "x" * 2000: SECRET}, "has no field '\\x1b[31m" + "x" * 35 + "'"),
    (b'{"user": "a", "user": "correct horse battery staple"}', "the field 'user' stands twice"),
    (b'{"tags": {"a": "", "a": ""}}', "the field 'a' stands twice"),
    (b'{"user": NaN}', "not JSON"),
    (b'{"user": Infinity}', "not JSON"),
    (b'{"user": ' + b"9" * 5000 + b"}", "not JSON"),
    (b'["correct horse battery staple"]', "not a JSON object"),
    (b"null", "not a JSON object"),
    (b"", "not JSON"),
    (b"{", "not JSON"),
    (b"correct horse battery staple", "not JSON"),
    (b'{"user": "\xff"}', "not JSON in UTF-8"),
    ('{"user": "a"}'.encode("utf-16"), "not JSON in UTF-8"),
    (b"\0" * 1000, "not JSON"),
    (b"[" * 60_000, "not JSON"),
    (b'{"tags": ' * 6000, "not JSON"),
    (b" " * (LARGEST_SIDECAR + 1), "more than 64 KiB"),
    (b"{}" + b" " * LARGEST_SIDECAR, "more than 64 KiB"),
]


@pytest.mark.parametrize(("said", "reason"), BAD, ids=[str(n) for n in range(len(BAD))])
def test_what_is_wrong_is_told_by_the_name_of_the_field_and_no_value(said: Any, reason: str, path: Path) -> None:
    put(path, said)
    assert reason in refusal(path)


def a_link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text(json.dumps({"user": SECRET}))
    path.symlink_to(target)


def a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK)


SPECIAL = [
    (a_link, "link"),
    (os.mkfifo, "not a regular file"),
    (Path.mkdir, "not a regular file"),
    (a_socket, "opened"),
]


@pytest.mark.parametrize(("make", "reason"), SPECIAL, ids=["link", "fifo", "folder", "socket"])
def test_only_a_file_is_read(make: Callable[[Path], object], reason: str, path: Path) -> None:
    make(sidecar_of(path))
    assert reason in refusal(path)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
documents = st.dictionaries(st.sampled_from([*WHOLE, "tag", ""]), values | st.sampled_from(list(WHOLE.values())))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | documents.map(lambda value: json.dumps(value).encode()))
def test_nothing_but_metadata_or_a_refusal_comes_of_any_bytes(data: bytes, path: Path) -> None:
    put(path, data)
    reason = ""
    try:
        said = read_sidecar(path)
    except PermanentError as error:
        reason = error.message
    if reason:
        assert str(path) in reason
        assert len(reason) < len(str(path)) + 300
        return
    assert said is not None
    given_again = {name: value for name, value in json.loads(data).items() if value is not None}
    assert said == SessionMetadata.model_validate(given_again)


# What comes of it.


def test_it_gives_a_session_its_metadata_down_to_the_archive(stages: Stages) -> None:
    session_id = stages.land(CAST)
    put(stages.path(session_id), WHOLE)
    stages.archive(session_id)
    assert stages.record(session_id).metadata == SessionMetadata.model_validate(WHOLE)
    signed = load_manifest(session_id, stages.home.archive(), stages.home.trusted_keys())
    recording = SessionReader.open(signed.manifest, stages.home.archive(), stages.home.keys()).metadata.recording
    assert recording.model_dump(include=WHOLE.keys()) == WHOLE


def test_what_was_said_on_the_command_line_outweighs_it(stages: Stages) -> None:
    session_id = stages.land(CAST, metadata=SessionMetadata(user="ann", tags={"case": "1"}))
    put(stages.path(session_id), {**WHOLE, "tags": {"case": "4711", "ticket": "9"}})
    assert stages.call(RECORDING, session_id) is None
    metadata = stages.record(session_id).metadata
    assert (metadata.user, metadata.host, metadata.tags) == ("ann", "db-1", {"case": "1", "ticket": "9"})


def test_a_bad_one_quarantines_its_session_alone_until_it_is_mended(stages: Stages) -> None:
    bad, good = stages.land(CAST), stages.land(CAST)
    put(stages.path(bad), {"user": SECRET, "user_id": 7})
    put(stages.path(good), {"user": "ann"})
    failed = stages.call(RECORDING, bad, good)
    assert failed
    record = stages.record(bad)
    assert record.failure
    assert (record.failure.permanent, record.failure.retry_at) == (True, None)
    assert "has no field 'user_id'" in record.failure.reason
    assert str(sidecar_of(stages.path(bad))) in record.failure.reason
    assert stages.record(good).state is State.RECORDED

    put(stages.path(bad), {"user": "zoë"})
    stages.catalog.retry(bad)
    stages.archive(bad)
    assert stages.record(bad).metadata.user == "zoë"
    assert stages.record(bad).state is State.SEALED


def test_it_changes_nothing_in_which_recording_it_is(stages: Stages) -> None:
    session_id = stages.land(CAST)
    put(stages.path(session_id), WHOLE)
    stages.archive(session_id)
    put(stages.path(session_id), {"user": "another"})
    assert stages.call(MANIFEST, session_id) is None
    assert stages.record(session_id).metadata.user == "zoë"


def test_whether_a_session_has_all_that_it_says(path: Path) -> None:
    known = SessionMetadata(user="zoë", host="db-1", tags={"case": "4711"})
    assert not is_taken_in(path, known)
    for said, expected in (({"user": "bob"}, True), ({"protocol": "ssh"}, False), ({"tags": {"x": ""}}, False)):
        put(path, said)
        assert is_taken_in(path, known) is expected
    put(path, b"no JSON")
    assert not is_taken_in(path, known)


# What is one.

NAMES = [
    ("a.cast.meta.json", "a.cast"),
    ("a.cast.done", "a.cast"),
    ("a.meta.json.done", "a.meta.json"),
    (".done", None),
    (".meta.json", None),
    ("a.json", None),
    ("done", None),
    ("a.DONE", None),
]


@pytest.mark.parametrize(("name", "recording"), NAMES)
def test_it_is_known_by_its_name(name: str, recording: str | None) -> None:
    assert recording_of(name) == recording


def test_only_a_small_file_is_a_marker(tmp_path: Path) -> None:
    path = tmp_path / "a.done"
    for size, expected in ((0, True), (LARGEST_MARKER, True), (LARGEST_MARKER + 1, False)):
        path.write_bytes(bytes(size))
        assert is_marker(path.lstat()) is expected
    path.unlink()
    path.symlink_to("nowhere")
    assert not is_marker(path.lstat())
