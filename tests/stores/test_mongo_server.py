"""A MongoDB catalog that cannot be opened: one clear line that says what to do, and never a password."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pymongo import MongoClient
from pymongo.errors import WriteError

from lucid_pipeline.errors import LucidError, TransientError, UsageError
from lucid_pipeline.stores import mongo_server
from lucid_pipeline.stores.catalog import SessionFilter
from lucid_pipeline.stores.catalog_mongo import MongoCatalog
from lucid_pipeline.stores.catalog_url import catalog_exists, open_catalog, shown_url
from tests.end_to_end.small_disk import small_disk
from tests.processes import eventually
from tests.servers.mongo_proxy import Command, Rule, mongo_proxy, name_of, refuse
from tests.servers.mongodb import WITH_A_USER, MongoDb, Process, or_skip, own_ferretdb
from tests.stores.catalog_contract import SEAL, register

NOBODY_LISTENS = "mongodb://ann:hunter2@127.0.0.1:9/lucid"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server that knows one user, ann."""
    with or_skip(own_ferretdb(tmp_path_factory.mktemp("guarded"), *WITH_A_USER)) as server:
        yield server


def assert_clear(error: LucidError) -> None:
    assert "\n" not in str(error)
    assert "hunter2" not in str(error)
    assert error.hint
    assert error.__cause__ is None, "what the driver says may quote more"


@pytest.mark.parametrize(
    "url",
    [
        "mongodb://",
        "mongodb://ann:hunter2",
        "mongodb://ann:hunter2@host:x/lucid",
        "mongodb://ann:hun@ter2@host/lucid",
        "mongodb://ann:hunter2@host/lucid?w=hunter2&no such option",
        "mongodb://ann:hunter2@host/lucid?nosuchoption=hunter2",
        "mongodb://ann:hunter2@host/lu$cid",
    ],
)
def test_a_url_that_is_none_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(UsageError, match="is none that a MongoDB server has") as refused:
        open_catalog(url)
    assert_clear(refused.value)
    assert refused.value.hint == mongo_server.HINT


def test_a_url_is_shown_without_what_is_secret_in_it() -> None:
    shown = "mongodb://one:1,two:2/lucid"
    assert shown_url("mongodb://ann:hunter%402@one:1,two:2/lucid?tlsCertificateKeyFilePassword=x") == shown
    assert shown_url("sqlite:////srv/a@b?c") == "sqlite:////srv/a@b?c"


def test_a_server_that_is_not_there_is_told_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mongo_server, "_CALL_SECONDS", 0.5)
    for look in (open_catalog, catalog_exists):
        began = time.monotonic()
        with pytest.raises(TransientError, match=r"127\.0\.0\.1:9 does not answer") as refused:
            look(NOBODY_LISTENS)
        assert time.monotonic() - began < 10
        assert_clear(refused.value)


@pytest.mark.parametrize("user", ["ann:wrong@", "bob:hunter2@"])
def test_a_user_or_password_that_is_wrong_is_told(guarded: Process, user: str) -> None:
    host, port = guarded.address
    with pytest.raises(UsageError, match="does not accept this user and password") as refused:
        open_catalog(f"mongodb://{user}{host}:{port}/lucid")
    assert_clear(refused.value)


def test_a_server_that_wants_to_know_who_is_there_is_told_by_the_url(guarded: Process) -> None:
    host, port = guarded.address
    with pytest.raises(UsageError, match="does not let this user do what a catalog needs") as refused:
        open_catalog(f"mongodb://{host}:{port}/lucid")
    assert_clear(refused.value)
    url = f"mongodb://ann:hunter2@{host}:{port}/lucid"
    assert not catalog_exists(url)
    with closing(open_catalog(url)) as catalog:
        session_id = register(catalog)
        assert catalog.get(session_id).session_id == session_id
    assert catalog_exists(url)


def of_version(version: str) -> Rule:
    """A stand-in for a server of another version."""
    numbers = [int(part) for part in version.split(".")]

    def answer(command: Command, forward: Callable[[], bytes]) -> bytes | Command:
        is_asked = name_of(command) == "buildinfo"
        return {"ok": 1.0, "version": version, "versionArray": [*numbers, 0]} if is_asked else forward()

    return answer


def test_a_server_that_is_too_old_is_told_with_what_is_needed(mongodb: MongoDb) -> None:
    url = mongodb.new_url()
    with mongo_proxy(url) as proxy:
        proxy.rule = of_version("4.2.24")
        with pytest.raises(UsageError, match=r"is MongoDB 4\.2\.24 \(Lucid needs MongoDB 4\.4 or newer\)") as refused:
            open_catalog(proxy.database_url(url))
        assert_clear(refused.value)
        proxy.rule = of_version("4.4.0")
        open_catalog(proxy.database_url(url)).close()


def test_a_database_of_another_program_is_left_alone(mongodb: MongoDb) -> None:
    url = mongodb.new_url()
    with closing(MongoClient[dict[str, Any]](url)) as client:
        database = client.get_default_database()
        database["sessions"].insert_one({"of": "a shop"})
        with pytest.raises(UsageError, match="is that of another program") as refused:
            open_catalog(url)
        assert_clear(refused.value)
        assert not catalog_exists(url)
        assert database.list_collection_names() == ["sessions"]


def test_a_catalog_that_a_newer_version_wrote_is_left_alone(mongodb: MongoDb) -> None:
    url = mongodb.new_url()
    with closing(open_catalog(url)) as catalog:
        register(catalog)
    with closing(MongoClient[dict[str, Any]](url)) as client:
        client.get_default_database()["about"].update_one({"_id": "schema"}, {"$set": {"version": 99}})
    with pytest.raises(UsageError, match="newer version of Lucid") as refused:
        open_catalog(url)
    assert_clear(refused.value)


def test_a_user_who_may_not_write_can_read(mongodb: MongoDb) -> None:
    """FerretDB has no roles: the proxy says what MongoDB says to such a user."""
    url = mongodb.new_url()
    with closing(open_catalog(url)) as catalog:
        session_id = register(catalog)
    reading = {"find", "aggregate", "buildinfo", "ping"}
    with mongo_proxy(url) as proxy:
        proxy.rule = lambda command, forward: (
            forward() if name_of(command) in reading else refuse(13, "Unauthorized")(command, forward)
        )
        with closing(open_catalog(proxy.database_url(url))) as catalog:
            assert [record.session_id for record in catalog.find(SessionFilter())] == [session_id]
            with pytest.raises(UsageError, match="readWrite on the database"):
                catalog.record_seal(session_id, SEAL)


def test_the_database_lets_in_nothing_that_is_no_session(mongodb: MongoDb) -> None:
    if not mongodb.is_real:
        pytest.skip("FerretDB 1.x validates no documents; MongoDB's own server does")
    url = mongodb.new_url()
    open_catalog(url).close()
    with closing(MongoClient[dict[str, Any]](url)) as client, pytest.raises(WriteError):
        client.get_default_database()["sessions"].insert_one({"_id": "nobody", "state": "lost"})


def test_a_full_disk_is_told_and_when_there_is_room_again_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mongo_server, "_PATIENCE_SECONDS", 0.5)
    with (
        small_disk(tmp_path / "disk", 4 * 2**20) as disk,
        or_skip(own_ferretdb(disk.folder)) as server,
        closing(MongoCatalog(f"{server.url}/lucid")) as catalog,
    ):
        known = [register(catalog)]
        disk.leave(64 * 1024)
        refused = eventually(lambda: refusal(catalog, known), every=0)
        assert_clear(refused)
        assert catalog.get(known[0]).session_id == known[0]
        disk.make_room()
        catalog.record_seal(known[0], SEAL)
        assert catalog.sealed() == known[:1]
        assert {record.session_id for record in catalog.find(SessionFilter())} >= set(known)


def refusal(catalog: MongoCatalog, known: list[UUID]) -> TransientError | None:
    """What a catalog says that cannot register one more session, if it cannot."""
    try:
        known.append(register(catalog))
    except TransientError as error:
        return error
    return None
