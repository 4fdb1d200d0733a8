"""What is told of the service's health: to whom how much, and what a part that fails means for the whole."""

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lucid_api.access.scopes import Scope
from lucid_api.health import components
from tests.api.conftest import SealedHome
from tests.api.live import Live
from tests.api.support import Api, assert_problem, copy_of, running_api
from tests.processes import eventually
from tests.servers.archives import files_only
from tests.servers.catalogs import about_the_file
from tests.servers.s3 import SECRET, credentials, gateway_or_skip

OF_DAGSTER = ["dagster", "daemon", "session-recorder", "chunk-processor", "session-storage"]


def health(api: Api, *scopes: Scope, **arguments: Any) -> tuple[int, dict[str, Any]]:
    answer = api.client.get("/health", headers=api.headers(*scopes) if scopes else None, **arguments)
    return answer.status_code, answer.json()


def statuses(document: dict[str, Any]) -> dict[str, str]:
    return {part["name"]: part["status"] for part in document["components"]}


def test_it_lives_whoever_asks(api: Api) -> None:
    answer = api.client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_all_parts_are_well(live: Live) -> None:
    document = eventually(
        lambda: found if (found := health(live.api, Scope.SESSIONS_READ)[1])["status"] == "ok" else None, every=0.5
    )
    assert list(statuses(document)) == ["catalog", "archive", "keystore", *OF_DAGSTER]
    assert set(statuses(document).values()) == {"ok"}
    assert all(part["milliseconds"] >= 0 and part["detail"] is None for part in document["components"])
    assert document["version"]


def test_without_dagster_the_service_is_ready_and_does_less(api: Api) -> None:
    status, document = health(api, Scope.SESSIONS_READ)
    assert (status, document["status"]) == (200, "degraded")
    assert statuses(document) == {
        "catalog": "ok",
        "archive": "ok",
        "keystore": "ok",
        **dict.fromkeys(OF_DAGSTER, "failing"),
    }


@files_only
@pytest.mark.parametrize("scopes", [(), (Scope.AUDIT_READ, Scope.RUNS_WRITE)])
def test_who_may_not_read_sessions_sees_statuses_alone(own_api: Api, scopes: tuple[Scope, ...]) -> None:
    shutil.rmtree(own_api.services.settings.home / "archive")
    status, document = health(own_api, *scopes)
    assert status == 503
    assert document["version"] is None
    assert all(part["detail"] is part["milliseconds"] is None for part in document["components"])
    assert str(own_api.services.settings.home) not in str(document)


def test_a_key_that_is_not_known_is_told_so(api: Api) -> None:
    answer = api.client.get("/health", headers={"Authorization": "Bearer lucid_0123456789abcdef_nothing"})
    assert_problem(answer, 401, "unauthorized")


def test_a_parameter_that_is_none_is_refused(api: Api) -> None:
    for path in ("/health?verbose=1", "/health/live?x=1", "/metrics?name=x"):
        assert_problem(api.client.get(path, headers=api.headers(Scope.SESSIONS_READ)), 422, "invalid")


def no_archive(home: Path) -> None:
    shutil.rmtree(home / "archive")


def no_keystore(home: Path) -> None:
    shutil.rmtree(home / "keystore")


def no_catalog(home: Path) -> None:
    (home / "catalog.sqlite3").write_bytes(b"no database at all" * 1000)


@pytest.mark.parametrize(
    ("harm", "part", "ready"),
    [
        pytest.param(no_archive, "archive", False, marks=files_only),
        pytest.param(no_keystore, "keystore", True, marks=files_only),
        pytest.param(no_catalog, "catalog", False, marks=about_the_file),
    ],
)
def test_a_part_that_fails_is_named_and_the_service_is_ready_if_it_can_do_without(
    own_api: Api, harm: Callable[[Path], None], part: str, ready: bool
) -> None:
    home = own_api.services.settings.home
    harm(home)
    status, document = health(own_api, Scope.SESSIONS_READ)
    assert (status, document["status"]) == ((200, "degraded") if ready else (503, "failing"))
    [failing] = [found for found in document["components"][:3] if found["status"] == "failing"]
    assert failing["name"] == part
    assert failing["detail"]


def test_a_bucket_that_fails_is_named_with_what_it_said_and_well_again_when_it_is(
    sealed_home: SealedHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gateway_or_skip(tmp_path / "buckets") as gateway:
        for name, value in credentials(gateway.url).items():
            monkeypatch.setenv(name, value)
        home = copy_of(sealed_home.folder, tmp_path)
        stores = f"s3://{gateway.link_bucket(tmp_path)}/{home.name}"
        with running_api(home, archive_url=f"{stores}/archive", keystore_url=f"{stores}/keystore") as api:
            assert health(api)[0] == 200
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter3")
            document = eventually(lambda: found if (found := failing(api)) else None, every=0.1)
            assert {name: "SignatureDoesNotMatch" in said for name, said in document.items()} == {
                "archive": True,
                "keystore": True,
            }
            assert "hunter" not in str(document)
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
            eventually(lambda: not failing(api), every=0.1)


def failing(api: Api) -> dict[str, str]:
    """What is told of the parts that fail, but for Dagster's."""
    parts = health(api, Scope.SESSIONS_READ)[1]["components"]
    return {part["name"]: part["detail"] for part in parts[:3] if part["status"] == "failing"}


def test_where_there_is_no_identity_the_keystore_is_not_needed(sealed_home: SealedHome, tmp_path: Path) -> None:
    home = copy_of(sealed_home.folder, tmp_path)
    (home / "keys" / "identity.txt").unlink()
    no_keystore(home)
    with running_api(home) as api:
        assert statuses(health(api)[1])["keystore"] == "unused"


def test_a_part_that_hangs_holds_up_neither_the_answer_nor_more_than_one_thread(
    own_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()
    monkeypatch.setattr(components, "_SECONDS_FOR_AN_ANSWER", 0.2)
    monkeypatch.setattr(components, "_SECONDS_THAT_IT_COUNTS", 0)
    monkeypatch.setattr(components, "_ask_store", lambda _url: goes_on.wait(60))
    for _ in range(5):
        document = health(own_api, Scope.SESSIONS_READ)[1]
        assert statuses(document) | {"archive": "failing", "keystore": "failing"} == statuses(document)
    assert sum(thread.name == "health" for thread in threading.enumerate()) == 2
    goes_on.set()
    eventually(lambda: statuses(health(own_api)[1])["archive"] == "ok", every=0.05)


def test_many_who_ask_at_once_share_one_look(own_api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    monkeypatch.setattr(components, "_ask_store", looks.append)
    for _ in range(20):
        health(own_api)
    assert len(looks) in (2, 4), "archive and keystore, once a second"
