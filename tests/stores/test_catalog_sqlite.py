import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from uuid import UUID

import pytest

from lucid_pipeline.errors import LucidError, PermanentError, TransientError, UsageError
from lucid_pipeline.stores import catalog_sqlite, sqlite_file, sqlite_listing
from lucid_pipeline.stores.catalog import Catalog, SessionFilter, Stage, State
from lucid_pipeline.stores.catalog_sqlite import SqliteCatalog
from lucid_pipeline.stores.catalog_url import open_catalog
from tests.stores.catalog_contract import CatalogContract, register

MIB = 1024 * 1024
NOBODY = 65534


class TestSqliteCatalog(CatalogContract):
    @pytest.fixture
    def new_url(self, tmp_path: Path) -> Callable[[], str]:
        numbers = count()
        return lambda: f"sqlite:///{tmp_path}/{next(numbers)}.sqlite3"


class TestSqliteCatalogOnWalks:
    """What a large catalog does, with a small one."""

    new_url = TestSqliteCatalog.new_url
    test_what_fits = CatalogContract.test_what_fits_is_found_in_order_on_pages_of_any_size_and_nothing_else

    @pytest.fixture(autouse=True)
    def small_bounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, most in (("_FEW", 1), ("_MOST_WALKED", 3), ("_MOST_READ", 2)):
            monkeypatch.setattr(sqlite_listing, name, most)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "catalog.sqlite3"


@pytest.fixture
def catalog(path: Path) -> Iterator[Catalog]:
    with closing(SqliteCatalog(path)) as catalog:
        yield catalog


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root can mount a small file system")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions count, also where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def fill(file: Path) -> None:
    """Take all the space that is left."""
    with suppress(OSError), file.open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass


def pragma(path: Path, name: str) -> object:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"PRAGMA {name}").fetchone()[0]


def assert_clear(error: LucidError, path: Path) -> None:
    assert str(path) in error.message
    assert "\n" not in str(error)
    assert error.hint


def register_without_end(catalog: Catalog, sessions: list[UUID]) -> None:
    while len(sessions) < 5000:
        sessions.append(register(catalog))


def test_readers_do_not_wait_for_a_writer(path: Path, catalog: Catalog) -> None:
    session_id = register(catalog)
    assert pragma(path, "journal_mode") == "wal"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert catalog.get(session_id).session_id == session_id
        with closing(SqliteCatalog(path)) as opened_meanwhile:
            assert opened_meanwhile.get(session_id).session_id == session_id


def test_a_catalog_that_stays_busy_is_one_clear_line(
    path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.1)
    session_id = register(catalog)
    with closing(SqliteCatalog(path)) as impatient, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientError, match="is busy") as refused:
            impatient.describe(session_id, 1, None)
        assert_clear(refused.value, path)
        other.execute("ROLLBACK")
        impatient.describe(session_id, 1, None)
        assert catalog.get(session_id).length == 1


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list open files")
def test_threads_share_a_bounded_number_of_connections(path: Path, catalog: Catalog) -> None:
    session_id, together = register(catalog), Barrier(64)

    def ask(_: int) -> UUID:
        together.wait(60)
        return catalog.get(session_id).session_id

    with ThreadPoolExecutor(64) as threads:
        assert set(threads.map(ask, range(64))) == {session_id}
    opened = [descriptor for descriptor in list(Path("/proc/self/fd").iterdir()) if descriptor.resolve() == path]
    assert 1 <= len(opened) <= 8


def test_a_thread_that_waits_too_long_for_others_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_file, "_BUSY_SECONDS", 0.1)
    with closing(SqliteCatalog(path)) as catalog:
        session_id = register(catalog)
        with catalog._file.writing(), pytest.raises(TransientError, match="too many threads") as refused:
            catalog.describe(session_id, 1, None)
        assert_clear(refused.value, path)
        with ExitStack() as others:
            for _ in range(8):
                others.enter_context(catalog._file.reading())
            with pytest.raises(TransientError, match="too many threads"):
                catalog.get(session_id)
        catalog.describe(session_id, 1, None)
        assert catalog.get(session_id).length == 1


def test_a_closed_catalog_leaves_one_file_and_refuses_work(path: Path) -> None:
    catalog = SqliteCatalog(path)
    session_id = register(catalog)
    catalog.close()
    catalog.close()
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(ValueError, match="closed"):
        catalog.get(session_id)


def test_a_catalog_that_is_closed_while_it_works_closes_after_that(path: Path) -> None:
    catalog = SqliteCatalog(path)
    with catalog._file.writing():
        catalog.close()
        assert len(list(path.parent.iterdir())) > 1
    assert list(path.parent.iterdir()) == [path]


def test_only_its_owner_may_read_a_new_catalog(path: Path, catalog: Catalog) -> None:
    register(catalog)
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_permissions_that_were_given_are_kept(path: Path) -> None:
    path.touch()
    path.chmod(0o640)
    SqliteCatalog(path).close()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_relative_path_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(open_catalog("sqlite:///below/catalog.sqlite3")) as catalog:
        monkeypatch.chdir("/")
        session_id = register(catalog)
    with closing(open_catalog(f"sqlite:///{tmp_path}/below/catalog.sqlite3")) as catalog:
        assert catalog.get(session_id).session_id == session_id


@pytest.mark.parametrize("name", ["a b?mode=memory#c%41.sqlite3", ":memory:", "\udcff.sqlite3"])
def test_a_path_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    with closing(open_catalog(f"sqlite:///{tmp_path}/{name}")) as catalog:
        register(catalog)
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "catalog.sqlite3",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/catalog",
        "sqlite:///a\0b",
        "SQLITE:///catalog",
        "postgresql://user:hunter2@host/catalog",
    ],
)
def test_a_url_that_is_no_catalogs_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UsageError, match="sqlite:////absolute/path") as refused:
        open_catalog(url)
    assert "hunter2" not in str(refused.value)


def test_a_path_that_cannot_be_a_catalog_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "file" / "catalog.sqlite3"):
        with pytest.raises(UsageError, match="cannot open the catalog") as refused:
            SqliteCatalog(path)
        assert "\n" not in str(refused.value)


def test_a_folder_without_permission_is_wrong_usage() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        with unprivileged(), pytest.raises(UsageError, match="cannot open the catalog"):
            SqliteCatalog(folder / "catalog.sqlite3")
        with unprivileged(), pytest.raises(UsageError, match="cannot open the catalog"):
            SqliteCatalog(folder / "below" / "catalog.sqlite3")


def test_a_catalog_that_must_not_be_read_is_wrong_usage() -> None:
    with TemporaryDirectory() as name:
        folder, path = Path(name), Path(name, "catalog.sqlite3")
        SqliteCatalog(path).close()
        folder.chmod(0o755)
        path.chmod(0o000)
        with unprivileged(), pytest.raises(UsageError, match="catalog") as refused:
            SqliteCatalog(path)
        assert_clear(refused.value, path)


@pytest.fixture
def shelf() -> Iterator[Path]:
    """A folder that others can get to, and only its owner can write to."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


def put_away(path: Path) -> None:
    path.chmod(0o444)
    path.parent.chmod(0o555)


def test_a_catalog_that_nobody_can_write_to_can_be_read(shelf: Path) -> None:
    path = shelf / "catalog.sqlite3"
    with closing(SqliteCatalog(path)) as catalog:
        records = [catalog.get(register(catalog)) for _ in range(3)]
    put_away(path)
    with unprivileged(), closing(SqliteCatalog(path)) as catalog:
        assert catalog.find(SessionFilter()) == records[::-1]
        assert catalog.get(records[0].session_id) == records[0]
        with pytest.raises(UsageError, match="must not be written to"):
            catalog.release_source(records[0].session_id)
    assert list(shelf.iterdir()) == [path]


def test_a_catalog_in_use_by_its_owner_is_read_with_what_was_just_written(shelf: Path) -> None:
    path = shelf / "catalog.sqlite3"
    with closing(SqliteCatalog(path)) as owners:
        record = owners.get(register(owners))
        for file in shelf.iterdir():
            file.chmod(0o644)
        with unprivileged(), closing(SqliteCatalog(path)) as catalog:
            assert catalog.find(SessionFilter()) == [record]


def test_a_catalog_is_not_read_without_what_was_written_beside_it(shelf: Path, tmp_path: Path) -> None:
    """As a copy made while it was in use has it: what was written last lies in the log."""
    path = shelf / "catalog.sqlite3"
    with closing(SqliteCatalog(tmp_path / "catalog.sqlite3")) as catalog:
        register(catalog)
        for ending in ("", "-wal"):
            shutil.copy(f"{tmp_path}/catalog.sqlite3{ending}", f"{path}{ending}")
    put_away(path)
    with unprivileged(), pytest.raises(UsageError, match="the catalog"):
        SqliteCatalog(path)


def test_an_empty_file_becomes_a_catalog(path: Path) -> None:
    path.touch()
    with closing(SqliteCatalog(path)) as catalog:
        register(catalog)


def test_a_file_that_is_no_database_is_one_clear_line_and_stays_as_it_is(path: Path) -> None:
    path.write_bytes(b"not a database " * 1000)
    with pytest.raises(UsageError, match="not a catalog") as refused:
        SqliteCatalog(path)
    assert_clear(refused.value, path)
    assert path.read_bytes() == b"not a database " * 1000


def test_a_database_of_another_program_is_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (id TEXT)")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="another program") as refused:
        SqliteCatalog(path)
    assert_clear(refused.value, path)
    assert path.read_bytes() == before


def test_a_damaged_catalog_is_one_clear_line(path: Path) -> None:
    with closing(SqliteCatalog(path)) as catalog:
        for _ in range(50):
            register(catalog)
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + bytes(len(whole) - 4096))
    with pytest.raises(PermanentError, match="is damaged") as refused, closing(SqliteCatalog(path)) as catalog:
        catalog.find(SessionFilter())
    assert_clear(refused.value, path)


def test_a_catalog_that_was_cut_short_is_one_clear_line(path: Path) -> None:
    with closing(SqliteCatalog(path)) as catalog:
        for _ in range(50):
            register(catalog)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(PermanentError, match="is damaged") as refused, closing(SqliteCatalog(path)) as catalog:
        catalog.find(SessionFilter())
    assert_clear(refused.value, path)


def test_a_catalog_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    SqliteCatalog(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(UsageError, match="newer version of Lucid") as refused:
        SqliteCatalog(path)
    assert_clear(refused.value, path)
    assert "99" in str(refused.value)
    assert path.read_bytes() == before


def test_a_catalog_of_an_earlier_version_is_brought_up_to_date(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteCatalog(path)) as catalog:
        session_id = register(catalog)
    later = (*catalog_sqlite._MIGRATIONS, ("CREATE TABLE later (n INTEGER)", "INSERT INTO later VALUES (1)"))
    monkeypatch.setattr(catalog_sqlite, "_SCHEMA", replace(catalog_sqlite._SCHEMA, migrations=later))
    together = Barrier(8)

    def open_at_once(_: int) -> SqliteCatalog:
        together.wait(60)
        return SqliteCatalog(path)

    with ThreadPoolExecutor(8) as threads:
        for opened in threads.map(open_at_once, range(8)):
            with closing(opened):
                assert opened.get(session_id).session_id == session_id
    assert pragma(path, "user_version") == len(later)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT n FROM later").fetchall() == [(1,)]


def test_sessions_sealed_under_the_first_version_are_scrubbed_and_swept_as_well(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in catalog_sqlite._MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {catalog_sqlite._SCHEMA.application_id}")
        connection.execute("PRAGMA user_version = 1")
        for session_id, sealed_at, verified_at in (
            ("01a20837-ced2-739e-b6b0-63f19b0caa07", "2026-03-01T00:00:00.000Z", "2026-03-04T00:00:00.000Z"),
            ("01a20837-ced2-739e-b6b0-63f19b0caa08", "2026-03-02T00:00:00.000Z", None),
        ):
            columns = "session_id, state, registered_at, verified_at, damages"
            values = (session_id, "sealed", sealed_at, verified_at, "[]")
            connection.execute(f"INSERT INTO sessions ({columns}) VALUES (?, ?, ?, ?, ?)", values)
            seal = (session_id, 1, b"", "", b"", "", "", 1, 1, sealed_at)
            connection.execute("INSERT INTO seals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", seal)
    with closing(SqliteCatalog(path)) as catalog:
        assert [record.session_id.hex[-2:] for record in catalog.longest_unverified(9)] == ["08", "07"]
        assert len(catalog.unswept(datetime.now(UTC), None, 9)) == 2


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(SqliteCatalog(path)) as catalog:
        session_id = register(catalog)
    with monkeypatch.context() as patched:
        broken = ("DROP TABLE failures", "CREATE TABLE failures (")
        broken_schema = replace(catalog_sqlite._SCHEMA, migrations=(*catalog_sqlite._MIGRATIONS, broken))
        patched.setattr(catalog_sqlite, "_SCHEMA", broken_schema)
        with pytest.raises(PermanentError, match="incomplete input"):
            SqliteCatalog(path)
    with closing(SqliteCatalog(path)) as catalog:
        assert catalog.find(SessionFilter()) == [catalog.get(session_id)]


def test_a_full_disk_loses_nothing_and_ends_when_there_is_space_again(small_disk: Path) -> None:
    path, ballast = small_disk / "catalog.sqlite3", small_disk / "ballast"
    ballast.write_bytes(bytes(MIB // 4))
    sessions: list[UUID] = []
    with closing(SqliteCatalog(path)) as catalog:
        with pytest.raises(TransientError, match="is full") as refused:
            register_without_end(catalog, sessions)
        assert_clear(refused.value, path)
        assert {record.session_id for record in catalog.find(SessionFilter())} == set(sessions)
        ballast.unlink()
        sessions.append(register(catalog))
    with closing(SqliteCatalog(path)) as catalog:
        assert {record.session_id for record in catalog.find(SessionFilter())} == set(sessions)


def test_a_document_that_finds_no_space_leaves_the_session_as_it_was(small_disk: Path) -> None:
    with closing(SqliteCatalog(small_disk / "catalog.sqlite3")) as catalog:
        session_id = register(catalog)
        known = catalog.get(session_id)
        with pytest.raises(TransientError, match="is full"):
            catalog.hand_over(session_id, Stage.CHUNKS, bytes(2 * MIB), State.CHUNKED)
        assert catalog.get(session_id) == known
        catalog.hand_over(session_id, Stage.CHUNKS, bytes(1000), State.CHUNKED)
        assert catalog.handed_over(session_id, Stage.CHUNKS) == bytes(1000)


def test_a_catalog_that_finds_no_space_at_all_can_be_made_later(small_disk: Path) -> None:
    path, ballast = small_disk / "catalog.sqlite3", small_disk / "ballast"
    fill(ballast)
    with pytest.raises(TransientError) as refused:
        SqliteCatalog(path)
    assert "\n" not in str(refused.value)
    ballast.unlink()
    with closing(SqliteCatalog(path)) as catalog:
        assert len(catalog.find(SessionFilter())) == 0
        register(catalog)


@pytest.mark.usefixtures("catalog")
@pytest.mark.parametrize(
    ("condition", "values"),
    [
        (catalog_sqlite._REMOVABLE, ("sealed", "duplicate", 0, 9)),
        (catalog_sqlite._LONGEST_UNVERIFIED, (9,)),
        (catalog_sqlite._UNSWEPT, ("", "", 9)),
        ("WHERE sessions.content_id = ?", (b"",)),
    ],
)
def test_what_sensors_and_schedules_ask_is_answered_from_an_index(
    path: Path, condition: str, values: tuple[object, ...]
) -> None:
    with closing(sqlite3.connect(path)) as connection:
        statement = f"EXPLAIN QUERY PLAN {catalog_sqlite._SELECT} {condition}"
        plan = [row[3] for row in connection.execute(statement, values)]
    assert not any(step.startswith("SCAN") for step in plan)
