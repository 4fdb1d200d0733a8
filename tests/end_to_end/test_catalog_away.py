"""The server of the catalog is killed while Lucid works: nothing is lost or sealed twice, and work goes on."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lucid_api.access.scopes import Scope
from tests.api.support import running_api
from tests.cli.support import Lucid, objects_like
from tests.processes import eventually
from tests.servers.mongodb import WITH_A_USER, Process, or_skip, own_ferretdb, own_server
from tests.support import text

RECORDINGS = 12


@pytest.fixture
def server() -> Iterator[Process]:
    with or_skip(own_server()) as server:
        yield server


@pytest.fixture
def in_mongodb(lucid: Lucid, server: Process) -> Lucid:
    """A home with its catalog on that server."""
    home = lucid.having(catalog_url=f"{server.url}/lucid")
    home.ok("init")
    return home


def manifests(lucid: Lucid) -> list[str]:
    return [path.parent.name for path in objects_like(lucid.archive_folder, "manifest.*")]


def test_a_server_that_is_killed_in_the_middle_of_a_batch_holds_it_up_and_no_more(
    in_mongodb: Lucid, server: Process
) -> None:
    lucid, landing = in_mongodb, in_mongodb.folder / "recordings"
    landing.mkdir()
    for number in range(RECORDINGS):
        (landing / f"{number}.log").write_bytes(text(200_000, seed=number))
    with lucid.start("archive", "--json", landing) as process:
        eventually(lambda: len(manifests(lucid)) > 2 or process.poll() is not None)
        server.stop(kill=True)
        is_midway = process.poll() is None
        time.sleep(2)  # as a server takes that is started again
        server.start()
        out, err = process.communicate(timeout=120)
    assert is_midway
    assert process.returncode == 0, (out, err)
    assert [entry["state"] for entry in lucid.json("list")] == ["sealed"] * RECORDINGS
    assert len(manifests(lucid)) == len(set(manifests(lucid))) == RECORDINGS
    lucid.ok("verify", "--all", "--deep")


def test_a_server_that_is_away_is_told_in_one_line_and_by_health(in_mongodb: Lucid, server: Process) -> None:
    url = f"{server.url}/lucid"
    with running_api(in_mongodb.home, catalog_url=url) as api:

        def health() -> tuple[int, dict[str, str | None]]:
            answer = api.client.get("/health", headers=api.headers(Scope.SESSIONS_READ))
            return answer.status_code, {part["name"]: part["detail"] for part in answer.json()["components"]}

        assert health()[1]["catalog"] is None
        server.stop()
        status, details = eventually(lambda: found if (found := health())[1]["catalog"] else None, every=0.5)
        assert status == 503
        assert "does not answer" in details["catalog"] or "no answer" in details["catalog"]
        for command in (["list"], ["init"], ["archive", "/etc/hostname"]):
            assert "does not answer" in in_mongodb.refused(*command, status=1)
        server.start()
        eventually(lambda: health()[0] == 200, every=0.5)


def test_where_the_catalog_is_is_shown_without_its_password(lucid: Lucid, tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    with or_skip(own_ferretdb(folder, *WITH_A_USER)) as server:
        host, port = server.address
        told = lucid.having(catalog_url=f"mongodb://ann:hunter2@{host}:{port}/lucid").json("init")
    assert told["catalog"] == f"mongodb://{host}:{port}/lucid"
