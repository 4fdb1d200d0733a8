"""A recording as a file that is read where it lies, and that must not change meanwhile."""

import fcntl
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid_pipeline.archive.recording import FileIdentity, RecordingFile, open_recording
from lucid_pipeline.errors import PermanentError, TransientError
from tests.support import noise

ROOT = Path(__file__).parents[2]
DATA = noise(100_000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "recording.bin"
    path.write_bytes(DATA)
    return path


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, 100_100), length=st.integers(0, 100_100))
def test_any_part_is_read_at_its_place(path: Path, offset: int, length: int) -> None:
    with open_recording(path) as recording:
        assert recording.read(offset, length) == DATA[offset : offset + length]


def test_it_reads_into_the_callers_buffer(path: Path) -> None:
    buffer = bytearray(b"\xff" * 1000)
    with open_recording(path) as recording:
        assert len(recording) == len(DATA)
        recording.read_into(memoryview(buffer)[100:900], 50_000)
    assert buffer == b"\xff" * 100 + DATA[50_000:50_800] + b"\xff" * 100


def test_short_reads_are_continued(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, offset: preadv(fd, [buffers[0][:777]], offset))
    with open_recording(path) as recording:
        assert recording.read(3, 50_000) == DATA[3:50_003]


def test_an_unchanged_file_is_unchanged(path: Path) -> None:
    with open_recording(path) as recording:
        recording.read(0, len(DATA))
        recording.check_unchanged()
        recording.check_unchanged(FileIdentity.of(path.stat()))


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite(path: Path) -> None:
    status = path.stat()
    with path.open("r+b") as file:
        file.write(b"other bytes")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def touch(path: Path) -> None:
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize("change", [append, rewrite, empty, touch])
def test_a_file_that_changes_is_noticed(change: object, path: Path) -> None:
    with open_recording(path) as recording:
        recording.read(0, 10)
        change(path)
        with pytest.raises(TransientError, match="changed while it was read") as refused:
            recording.check_unchanged()
    assert str(path) in refused.value.message
    assert refused.value.hint is not None


def test_another_file_in_its_place_is_not_what_was_planned(path: Path, tmp_path: Path) -> None:
    """Chunks are planned and encrypted by two stages, each of which opens the file."""
    with open_recording(path) as recording:
        planned = recording.identity
    other = tmp_path / "other"
    other.write_bytes(DATA)
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    with open_recording(path) as recording, pytest.raises(TransientError, match="changed"):
        recording.check_unchanged(planned)


def test_a_file_that_becomes_shorter_is_noticed_by_the_read(path: Path) -> None:
    with open_recording(path) as recording:
        os.truncate(path, 50_000)
        assert recording.read(0, 50_000) == DATA[:50_000]
        with pytest.raises(TransientError, match="changed"):
            recording.read(49_999, 2)


def test_a_file_that_vanishes_can_be_read_to_its_end(path: Path) -> None:
    with open_recording(path) as recording:
        path.unlink()
        assert recording.read(0, len(DATA)) == DATA
        recording.check_unchanged()


def test_a_file_that_has_gone_cannot_be_opened(path: Path) -> None:
    path.unlink()
    with pytest.raises(PermanentError, match="No such file") as refused, open_recording(path):
        pass
    assert str(path) in refused.value.message


@pytest.mark.timeout(20)
def test_a_fifo_is_refused_and_does_not_hang(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(PermanentError, match="not a regular file"), open_recording(fifo):
        pass


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="not a regular file"), open_recording(tmp_path):
        pass


def test_a_device_is_refused() -> None:
    with pytest.raises(PermanentError, match="not a regular file"), open_recording(Path("/dev/zero")):
        pass


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        with pytest.raises(PermanentError, match="not a regular file"), open_recording(tmp_path / "socket"):
            pass


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    for name, target in (
        ("to a file", path.name),
        ("nowhere", "missing"),
        ("circle", "circle"),
        ("out", "/etc/passwd"),
    ):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(PermanentError, match="is a link"), open_recording(tmp_path / name):
            pass


def test_a_link_in_the_way_is_not_followed_either(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").symlink_to(path.parent)
    with pytest.raises(PermanentError, match="cannot open"), open_recording(tmp_path / "elsewhere" / path.name):
        pass


@pytest.mark.parametrize("mode", ["rb", "ab", "r+b"])
def test_whether_somebody_has_it_open_for_writing_can_be_told(mode: str, path: Path) -> None:
    with open_recording(path) as recording:
        for _ in range(3):
            with path.open(mode):
                assert recording.is_being_written() is (mode != "rb")
            assert not recording.is_being_written()


OPEN_BETWEEN = """
import fcntl, os, sys
from pathlib import Path
from lucid_pipeline.archive.recording import open_recording

path = Path(sys.argv[1])
ask = fcntl.fcntl

def ask_and_be_interrupted(descriptor, command, argument):
    answer = ask(descriptor, command, argument)
    if (command, argument) == (fcntl.F_SETLEASE, fcntl.F_RDLCK):
        try:
            os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except BlockingIOError:
            print("the writer has to wait", flush=True)
    return answer

fcntl.fcntl = ask_and_be_interrupted
with open_recording(path) as recording:
    print(recording.is_being_written(), flush=True)
    os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
"""


def test_a_writer_that_comes_while_it_is_asked_ends_nobody(path: Path) -> None:
    """Whoever holds a lease that is in the way is sent a signal, which ends a process by itself."""
    command = [sys.executable, "-c", OPEN_BETWEEN, str(path)]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (ended.returncode, ended.stdout) == (0, "the writer has to wait\nFalse\n"), ended.stderr


def test_where_it_cannot_be_told_nobody_has(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fcntl, "F_SETLEASE")
    with path.open("ab"), open_recording(path) as recording:
        assert not recording.is_being_written()


def test_a_full_table_of_descriptors_is_no_fault_of_the_recording(path: Path) -> None:
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(TransientError, match="Too many open files"), open_recording(path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def test_a_read_that_fails_may_succeed_later(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        with pytest.raises(TransientError, match="cannot read"):
            RecordingFile(path, descriptor).read(0, 10)
    finally:
        os.close(descriptor)


def test_no_descriptor_stays_open(path: Path, tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = descriptors()
    for _ in range(20):
        with open_recording(path):
            pass
        with pytest.raises(PermanentError), open_recording(tmp_path):
            pass
    assert descriptors() == before


def test_an_empty_file_is_a_recording(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with open_recording(tmp_path / "empty") as recording:
        assert len(recording) == 0
        assert recording.read(0, 10) == b""
        recording.check_unchanged()


def test_a_file_from_before_1970_is_a_recording(path: Path) -> None:
    os.utime(path, ns=(-(10**18), -(10**18)))
    with open_recording(path) as recording:
        recording.check_unchanged()
        assert FileIdentity.model_validate_json(recording.identity.model_dump_json()) == recording.identity
