"""The landing folder: what is finished is taken in, once; what is not is left alone; nothing stops the others."""

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lucid_pipeline.course.stages import RECORDING
from lucid_pipeline.errors import TransientError
from lucid_pipeline.home import Home
from lucid_pipeline.intake.names import IN_PROGRESS
from lucid_pipeline.recorder.landing import Intake, LandingFolder
from lucid_pipeline.recorder.walk import walk
from lucid_pipeline.stores.catalog import Catalog, SessionFilter, SessionRecord, State, Status
from tests.lineage.support import CAST, Stages, home_in
from tests.lineage.test_definitions import environment
from tests.processes import eventually, ordinary_user
from tests.servers.catalogs import IN_MONGODB

ROOT = Path(__file__).parents[2]
DAY = 86_400
SETTLED = 5


@dataclass
class Landing:
    """A landing folder, and clocks that stand still until somebody waits."""

    home: Home
    catalog: Catalog
    steady: float = 1000.0
    ahead: float = field(default_factory=lambda: time.time() - 1000.0)
    folder: Any = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """As when the code server has died, and another looks into the folder."""
        self.folder = LandingFolder(self.home, clock=lambda: self.steady)

    @property
    def path(self) -> Path:
        return self.home.settings.landing_dir

    def look(self, *, after: float = 0) -> Intake:
        self.steady += after
        taken: Intake = self.folder.take_in(self.catalog, datetime.fromtimestamp(self.steady + self.ahead, UTC))
        return taken

    def settle(self) -> list[SessionRecord]:
        """Look, and look again when that what did not change is finished; returns what was registered."""
        registered = [*self.look().registered, *self.look(after=SETTLED).registered]
        return [self.catalog.get(session_id) for session_id in registered]

    def names(self) -> set[str]:
        return {record.name or "" for record in self.catalog.find(SessionFilter())}

    def drop(self, name: str | bytes, data: bytes = CAST) -> Path:
        path = Path(os.fsdecode(os.fsencode(self.path) + b"/" + os.fsencode(name)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


@pytest.fixture
def landing(stages: Stages) -> Landing:
    return Landing(stages.home, stages.catalog)


# What is finished.


def test_a_recording_is_taken_in_when_it_has_been_unchanged_for_long_enough(landing: Landing) -> None:
    path = landing.drop("shift/monday/a.cast")
    assert landing.look() == Intake([], [])
    assert landing.look(after=SETTLED - 0.1) == Intake([], [])
    [session_id] = landing.look(after=0.1).registered
    record = landing.catalog.get(session_id)
    assert (record.name, record.state, record.failure) == ("a.cast", State.REGISTERED, None)
    assert record.source
    assert (record.source.path, record.source.release) == (path, True)
    assert (record.source.landed, record.source.abandoned) == (True, False)


def test_what_is_taken_in_is_taken_in_once_whoever_looks(landing: Landing) -> None:
    landing.drop("a.cast")
    assert len(landing.settle()) == 1
    assert landing.settle() == []
    landing.restart()
    assert landing.settle() == []
    assert len(landing.catalog.find(SessionFilter())) == 1


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def rewrite_and_set_back(path: Path) -> None:
    status = path.stat()
    path.write_bytes(bytes(status.st_size))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def put_another_in_its_place(path: Path) -> None:
    other = path.with_name(".other")
    other.write_bytes(path.read_bytes())
    other.replace(path)


def put_a_sidecar_beside_it(path: Path) -> None:
    path.with_name(f"{path.name}.meta.json").write_text("{}")


CHANGES = [append, rewrite_and_set_back, put_another_in_its_place, put_a_sidecar_beside_it]


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_any_kind_begins_the_wait_anew(change: Callable[[Path], None], landing: Landing) -> None:
    path = landing.drop("a.cast")
    landing.look()
    landing.steady += SETTLED - 0.1
    change(path)
    assert landing.look(after=0.1).registered == []
    assert landing.look(after=SETTLED - 0.1).registered == []
    assert len(landing.look(after=0.1).registered) == 1


def test_a_recording_that_changes_again_and_again_is_left_alone(landing: Landing) -> None:
    path = landing.drop("a.cast")
    for _ in range(20):
        append(path)
        assert landing.look(after=SETTLED - 1).registered == []


@pytest.mark.parametrize("jump", [-400 * DAY, -60, 60, 400 * DAY])
def test_a_clock_that_is_set_neither_hurries_nor_delays_it(jump: float, landing: Landing) -> None:
    landing.drop("a.cast")
    landing.look()
    landing.ahead += jump
    assert landing.look(after=SETTLED - 0.1).registered == []
    assert len(landing.look(after=0.1).registered) == 1


@pytest.mark.parametrize("modified", [0, time.time() + 400 * DAY], ids=["long ago", "in the future"])
def test_times_that_a_copying_tool_sets_say_nothing(modified: float, landing: Landing) -> None:
    os.utime(landing.drop("a.cast"), (modified, modified))
    assert landing.look().registered == []
    assert len(landing.look(after=SETTLED).registered) == 1


def test_a_marked_recording_is_finished_at_once(landing: Landing) -> None:
    landing.drop("a.cast")
    landing.drop("a.cast.done", b"")
    assert len(landing.look().registered) == 1
    assert landing.names() == {"a.cast"}


def test_a_marker_that_comes_later_ends_the_wait(landing: Landing) -> None:
    landing.drop("a.cast")
    landing.drop("b.cast")
    landing.look()
    landing.drop("a.cast.done", b"")
    assert len(landing.look(after=1).registered) == 1
    assert landing.names() == {"a.cast"}


def test_a_marker_finishes_what_has_a_name_in_progress(landing: Landing) -> None:
    landing.drop("a.cast.part")
    landing.drop("a.cast.part.done", b"")
    [session_id] = landing.look().registered
    source = landing.catalog.get(session_id).source
    assert source
    assert not source.abandoned


def test_the_oldest_recording_comes_first(landing: Landing) -> None:
    for name, modified in (("c", 300), ("a", 100), ("d", 400), ("b", 200)):
        os.utime(landing.drop(name), (modified, modified))
    registered = landing.settle()
    assert [record.name for record in registered] == ["a", "b", "c", "d"]
    assert sorted(registered, key=lambda record: record.session_id) == registered


def test_neither_sidecar_nor_marker_is_a_recording(landing: Landing) -> None:
    for name in ("a.cast", "a.cast.meta.json", "a.cast.done", "b.meta.json", "c.done"):
        landing.drop(name, b"{}")
    landing.settle()
    assert landing.settle() == []
    assert landing.names() == {"a.cast"}


def test_what_is_too_large_for_a_marker_is_a_recording(landing: Landing) -> None:
    landing.drop("a.cast.done")
    landing.settle()
    assert landing.names() == {"a.cast.done"}


def test_a_sidecar_or_marker_that_lies_beside_nothing_is_told_in_the_end(landing: Landing) -> None:
    landing.drop("a.cast.meta.json", b"{}")
    landing.drop("b.cast.done", b"")
    landing.drop("c.cast.done", b"")
    landing.drop("c.cast")
    assert landing.look().messages == []
    messages = landing.look(after=DAY + 60).messages
    assert len(messages) == 2
    assert all("lies there without its recording" in message for message in messages)
    assert landing.look(after=1).messages == []


def test_a_landing_folder_that_keeps_its_recordings_does(stages: Stages) -> None:
    home = Home(stages.home.settings.model_copy(update={"keep_landing": True}))
    landing = Landing(home, stages.catalog)
    landing.drop("a.cast")
    [record] = landing.settle()
    assert record.source
    assert not record.source.release
    assert landing.settle() == []
    # Until it no longer keeps them.
    landing = Landing(stages.home, stages.catalog)
    [same] = landing.settle()
    assert same.session_id == record.session_id
    assert same.source
    assert same.source.release
    assert landing.settle() == []


# What is in progress.

PARTIAL = [".a.cast", *(f"a.cast{ending}" for ending in IN_PROGRESS), "A.PART", ".staging/a.cast", "b.partial/a.cast"]


@pytest.mark.parametrize("name", PARTIAL)
def test_a_name_in_progress_is_left_alone_until_it_is_changed(name: str, landing: Landing) -> None:
    path = landing.drop(name)
    assert landing.settle() == []
    assert landing.look(after=DAY / 2).registered == []
    path.rename(landing.path / "final.cast")
    [record] = landing.settle()
    assert record.name == "final.cast"
    assert record.source
    assert not record.source.abandoned


def test_a_partial_file_that_nobody_goes_on_with_is_taken_in_as_abandoned(landing: Landing) -> None:
    landing.drop("a.cast.part")
    assert landing.settle() == []
    [record] = [*landing.look(after=DAY).registered, *landing.look(after=SETTLED).registered]
    source = landing.catalog.get(record).source
    assert source
    assert (source.abandoned, source.landed, source.release) == (True, True, True)


def test_how_long_it_has_been_abandoned_is_remembered_by_the_file(landing: Landing) -> None:
    landing.drop("a.cast.part")
    landing.steady += DAY + 60
    landing.restart()
    [record] = landing.settle()
    assert record.source
    assert record.source.abandoned


@pytest.mark.parametrize("jump", [-400 * DAY, DAY, 400 * DAY])
def test_a_clock_that_is_set_abandons_nothing(jump: float, landing: Landing) -> None:
    landing.drop("a.cast.part")
    landing.look()
    landing.ahead += jump
    assert landing.settle() == []
    assert landing.look(after=DAY - 2 * SETTLED - 1).registered == []
    landing.look(after=SETTLED + 1)
    assert len(landing.look(after=SETTLED).registered) == 1, "but not for ever"


def test_a_partial_file_that_is_still_open_for_writing_is_not_abandoned(landing: Landing) -> None:
    path = landing.drop("a.cast.part")
    with being_written(path):
        landing.look(after=DAY)
        assert landing.look(after=SETTLED).registered == []
    assert len(landing.look(after=SETTLED).registered) == 1


# Writers.

WRITER = """
import mmap, os, sys
file = open(sys.argv[1], "ab")
if sys.argv[2] == "mapped":
    file.close()
    file = open(sys.argv[1], "r+b")
    mapped = mmap.mmap(file.fileno(), 0)
    file.close()
print("ready", flush=True)
for line in sys.stdin:
    file.write(line.encode())
    file.flush()
    print("written", flush=True)
"""


@contextmanager
def being_written(path: Path, how: str = "appended") -> Iterator["subprocess.Popen[str]"]:
    """Another process that has a file open for writing, and writes what it is told."""
    command = [sys.executable, "-c", WRITER, str(path), how]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield process
        process.stdin.close()
        process.wait()


@pytest.mark.parametrize("how", ["appended", "mapped"])
def test_a_recording_whose_writer_is_idle_for_minutes_is_not_taken(how: str, landing: Landing) -> None:
    path = landing.drop("a.cast")
    with being_written(path, how):
        for _ in range(30):
            assert landing.look(after=60).registered == []
    assert len(landing.look(after=60).registered) == 1


def test_what_an_idle_writer_adds_is_in_the_recording(landing: Landing) -> None:
    path = landing.drop("a.cast")
    with being_written(path) as writer:
        assert writer.stdin
        assert writer.stdout
        for _ in range(3):
            assert landing.look(after=600).registered == []
            writer.stdin.write("late\n")
            writer.stdin.flush()
            assert writer.stdout.readline() == "written\n"
    landing.look(after=600)
    [record] = [landing.catalog.get(one) for one in landing.look(after=SETTLED).registered]
    assert record.source
    assert record.source.path.read_bytes() == CAST + b"late\n" * 3
    assert len(landing.catalog.find(SessionFilter())) == 1


def test_readers_keep_nothing_from_being_taken_in(landing: Landing) -> None:
    with landing.drop("a.cast").open("rb"):
        assert len(landing.settle()) == 1


def test_a_writer_that_opens_the_file_at_any_moment_is_neither_kept_out_nor_fatal(landing: Landing) -> None:
    """To ask for writers has them wait for a moment, and whoever asks is sent a signal."""
    path = landing.drop("a.cast")
    ended = threading.Event()

    def write() -> None:
        while not ended.is_set():
            os.close(os.open(path, os.O_WRONLY))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline and not landing.look(after=SETTLED).registered:
            pass
    finally:
        ended.set()
        writer.join()
    landing.look()
    landing.look(after=SETTLED)
    assert landing.names() == {"a.cast"}


# What else lies there.


def a_link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def a_link_to_another(path: Path) -> None:
    path.symlink_to("good.cast")


def a_link_to_a_folder(path: Path) -> None:
    path.symlink_to("/etc")


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere")


def a_circle(path: Path) -> None:
    path.symlink_to(path)


def a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def a_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


SPECIAL = [
    (a_link_out, "is a link"),
    (a_link_to_another, "is a link"),
    (a_link_to_a_folder, "is a link"),
    (a_dangling_link, "is a link"),
    (a_circle, "is a link"),
    (os.mkfifo, "is not a regular file"),
    (a_socket, "is not a regular file"),
    (a_device, "is not a regular file"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("make", "reason"), SPECIAL, ids=[str(make.__name__) for make, _ in SPECIAL])
def test_what_cannot_be_archived_is_put_into_quarantine_once(
    make: Callable[[Path], object], reason: str, landing: Landing, stages: Stages
) -> None:
    make(landing.path / "thing")
    landing.drop("good.cast")
    landing.look()
    taken = landing.look(after=SETTLED)
    records = {record.name: record for record in map(landing.catalog.get, taken.registered)}
    assert records.keys() == {"thing", "good.cast"}
    assert records["good.cast"].failure is None
    record = records["thing"]
    assert record.failure
    assert reason in record.failure.reason
    assert (record.failure.stage, record.failure.permanent, record.failure.retry_at) == (RECORDING, True, None)
    assert record.attempts == 1
    [message] = taken.messages
    assert f"session {record.session_id} is in quarantine: " in message
    assert landing.settle() == []

    stages.catalog.retry(record.session_id)
    assert stages.call(RECORDING, record.session_id)
    assert reason in stages.record(record.session_id).failure.reason
    stages.archive(records["good.cast"].session_id)


ODD = [b"new\nline", b"\x1b[31mred", b"a\xff\xfeb.cast", "späť 🎥.webm".encode(), b"-rf *", b"%00..%2f", b"n" * 255]


@pytest.mark.parametrize("name", ODD, ids=[str(n) for n in range(len(ODD))])
def test_a_recording_may_have_any_name(name: bytes, landing: Landing, stages: Stages) -> None:
    landing.drop(name)
    [record] = landing.settle()
    assert record.name == name.decode("utf-8", "replace")
    stages.archive(record.session_id)
    assert stages.export(record.session_id) == CAST


@pytest.mark.parametrize("name", ODD, ids=[str(n) for n in range(len(ODD))])
def test_whatever_its_name_a_message_is_a_line_of_text(name: bytes, landing: Landing) -> None:
    Path(os.fsdecode(os.fsencode(landing.path) + b"/" + name)).symlink_to("nowhere")
    landing.look()
    [message] = landing.look(after=SETTLED).messages
    assert message.isprintable()
    message.encode()


def test_a_folder_that_is_exchanged_for_a_link_leads_nowhere(landing: Landing, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "a.cast").write_bytes(b"of somebody else")
    inside = landing.drop("inside/a.cast").parent
    landing.look()
    inside.rename(tmp_path / "moved")
    inside.symlink_to(secret)
    registered = [*landing.look(after=SETTLED).registered, *landing.look(after=SETTLED).registered]
    [record] = [landing.catalog.get(session_id) for session_id in registered]
    assert (record.name, record.failure is not None) == ("inside", True)


def test_a_folder_that_is_exchanged_just_before_it_is_opened_leads_nowhere(tmp_path: Path) -> None:
    inside = tmp_path / "landing" / "inside"
    inside.mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.cast").touch()
    refused = []

    def exchange(path: str) -> bool:
        inside.rmdir()
        inside.symlink_to(tmp_path / "secret")
        return True

    entries = list(walk(tmp_path / "landing", exchange, lambda path, reason: refused.append(path)))
    assert not any(entries)
    assert refused == [str(inside)]


def test_lucids_own_files_are_no_recordings(tmp_path: Path) -> None:
    """A landing folder around the home: keys must not end up in the archive, nor be removed."""
    home = home_in(tmp_path / "landing" / "home", landing_dir=tmp_path / "landing")
    home = Home(home.settings.model_copy(update={"identity_file": tmp_path / "landing" / "identity.txt"}))
    home.create()
    with home.catalog(create=True) as catalog:
        landing = Landing(home, catalog)
        landing.drop("a.cast")
        (home.settings.home / "archive" / "/".join("d" * 100)).mkdir(parents=True)
        assert landing.look().messages == [], "they are not even looked at"
        landing.settle()
        landing.settle()
        assert landing.names() == {"a.cast"}


def test_folders_of_folders_are_gone_through_as_deep_as_a_path_can_be_opened(landing: Landing) -> None:
    landing.drop("/".join("d" * 60) + "/a.cast")
    landing.drop("/".join("e" * 100) + "/b.cast")
    assert [record.name for record in landing.settle()] == ["a.cast"]
    landing.restart()
    [message] = landing.look().messages
    assert "it lies too deep" in message


def test_a_landing_folder_that_is_not_there_is_told_and_taken_up_when_it_is(landing: Landing) -> None:
    landing.path.rmdir()
    [message] = landing.look().messages
    assert "cannot look into" in message
    assert landing.look().messages == []
    landing.drop("a.cast")
    assert len(landing.settle()) == 1


def test_a_catalog_that_fails_loses_nothing(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise TransientError("the catalog is busy")

    landing.drop("a.cast")
    landing.drop("b.cast")
    for name in ("registered", "register_all"):
        with monkeypatch.context() as patched:
            patched.setattr(landing.catalog, name, fail)
            with pytest.raises(TransientError):
                landing.settle()
    assert len(landing.settle()) == 2


UNREADABLE = """
from datetime import UTC, datetime
from lucid_pipeline.home import Home
from lucid_pipeline.recorder.landing import LandingFolder
from lucid_pipeline.settings import load_settings

home = Home(load_settings())
steady = 0.0
with home.catalog() as catalog:
    folder = LandingFolder(home, clock=lambda: steady)
    for _ in range(2):
        for message in folder.take_in(catalog, datetime.now(UTC)).messages:
            print(message)
        steady += 5
"""


def test_what_may_not_be_read_is_told_and_stops_nothing(landing: Landing) -> None:
    landing.drop("good.cast")
    landing.drop("secret.cast").chmod(0)
    landing.drop("closed/a.cast").parent.chmod(0)
    listed = landing.drop("listed/a.cast").parent
    listed.chmod(0o400)
    told = subprocess.run(
        [sys.executable, "-c", UNREADABLE],
        env=environment(landing.home.settings.home),
        preexec_fn=ordinary_user(),
        capture_output=True,
        text=True,
        check=True,
    )
    for folder in ("closed", "listed"):
        (landing.path / folder).chmod(0o700)
    assert landing.names() == {"good.cast", "secret.cast"}
    [failed] = landing.catalog.find(SessionFilter(statuses=[Status.QUARANTINED]))
    assert failed.name == "secret.cast"
    assert failed.failure
    assert "Permission denied" in failed.failure.reason
    lines = told.stdout.splitlines()
    assert len(lines) == 3
    assert any(f"cannot look into {landing.path}/closed: Permission denied" in line for line in lines)
    assert any(f"cannot look into {landing.path}/listed/a.cast: Permission denied" in line for line in lines)
    # And when it may be read, that is another state of it.
    (landing.path / "secret.cast").chmod(0o600)
    landing.settle()
    registered = landing.catalog.find(SessionFilter(statuses=[Status.REGISTERED]))
    assert [record.name for record in registered].count("secret.cast") == 1


# However much lies there.


def looks(landing: Landing, until: Callable[[], object], every: float = 1) -> list[float]:
    """Look again and again until something has come to pass; returns how many seconds each look took."""
    took = []

    def look() -> object:
        start = time.perf_counter()
        landing.look(after=every)
        took.append(time.perf_counter() - start)
        return until()

    eventually(look, seconds=120)
    return took


def count(landing: Landing) -> int:
    return len(landing.catalog.find(SessionFilter()))


@pytest.mark.skipif(IN_MONGODB, reason="FerretDB looks through all sessions, whatever it is asked for")
def test_a_folder_of_many_entries_is_taken_in_a_little_at_a_time(landing: Landing) -> None:
    for n in range(20_000):
        os.mknod(landing.path / f"{n:05}.cast.part", stat.S_IFREG | 0o600)
    for n in range(2_000):
        os.mknod(landing.path / f"{n:04}.cast", stat.S_IFREG | 0o600)
    landing.look()
    before = descriptors()
    took = looks(landing, lambda: count(landing) == 2_000)
    assert max(took) < 2, "a machine that has much else to do needs longer than a second"
    assert descriptors() <= before + 2
    took = looks(landing, lambda: True)
    assert max(took) < 2
    assert count(landing) == 2_000


def test_what_never_ends_leaves_room_for_others(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lucid_pipeline.recorder.landing._MOST_WATCHED", 10)
    live = [landing.drop(f"live-{n}.cast") for n in range(30)]
    finished = {landing.drop(f"finished-{n}.cast").name for n in range(30)}

    def all_are_in() -> bool:
        for path in live:
            append(path)
        return landing.names() >= finished

    looks(landing, all_are_in, every=SETTLED)
    assert landing.names() == finished


def test_folders_without_files_do_not_make_a_look_longer(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(5_000):
        (landing.path / f"{n:04}").mkdir()
    monkeypatch.setattr("lucid_pipeline.recorder.landing._SCAN_SECONDS", 0.005)
    landing.drop("4999/a.cast")
    took = looks(landing, lambda: count(landing) == 1)
    assert len(took) > 5


def test_what_is_registered_is_not_asked_for_again(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(100):
        landing.drop(f"{n}.cast")
    assert len(landing.settle()) == 100
    landing.look()

    def asked(*_: object, **__: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(landing.catalog, "registered", asked)
    for _ in range(3):
        landing.look(after=SETTLED)


def test_two_looks_at_once_are_one(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.drop("a.cast")
    entered, go_on = threading.Event(), threading.Event()
    registered = landing.catalog.registered

    def wait(*arguments: Any, **named: Any) -> Any:
        entered.set()
        assert go_on.wait(30)
        return registered(*arguments, **named)

    monkeypatch.setattr(landing.catalog, "registered", wait)
    first = threading.Thread(target=landing.look)
    first.start()
    assert entered.wait(30)
    assert "not done yet" in landing.look().messages[0]
    go_on.set()
    first.join()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_walk_that_is_given_up_leaves_no_descriptor_open(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "a/b/c/file").touch()
    before = descriptors()
    entries = walk(tmp_path, lambda _path: True, lambda *_: None)
    assert any(entry and entry.name == "file" for entry in entries)
    assert descriptors() > before
    entries.close()
    assert descriptors() == before
