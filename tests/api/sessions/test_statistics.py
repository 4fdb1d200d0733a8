"""`GET /statistics`: what there is, counted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lucid_api.access.scopes import Scope
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.stores.catalog import Status
from tests.api.conftest import SealedHome
from tests.api.support import Api
from tests.bench import catalogs

READ = Scope.SESSIONS_READ


def test_only_those_who_may_read_sessions_get_statistics(api: Api) -> None:
    api.assert_guarded("GET", "/statistics", READ)


def test_every_session_is_counted_once_by_what_it_is_shown_as(own_api: Api, sealed_home: SealedHome) -> None:
    catalogs.fill(own_api.services.catalog, 500)
    found = own_api.get("/statistics", READ).json()
    sessions = own_api.get("/sessions?limit=500", READ).json()["sessions"]
    sessions += own_api.get("/sessions?limit=500&sort=started", READ).json()["sessions"]
    states = {one["session_id"]: one["state"] for one in sessions}
    assert found["sessions"] == len(states) == 500 + len(sealed_home.ids)
    assert found["states"] == {status: list(states.values()).count(status) for status in Status}


def test_what_is_sealed_is_summed_up(api: Api, sealed_home: SealedHome) -> None:
    found = api.get("/statistics", READ).json()
    sessions = api.get("/sessions", READ).json()["sessions"]
    sealed = {
        "sessions": len(sealed_home.ids),
        "stored_bytes": sum(session["seal"]["stored_bytes"] for session in sessions),
        "raw_bytes": sum(map(len, sealed_home.originals.values())),
    }
    assert found["sealed"] == sealed
    assert found["longest_unverified"] == min(session["seal"]["sealed_at"] for session in sessions)


def test_each_of_the_last_ninety_days_is_there(own_api: Api) -> None:
    now = datetime.now(UTC)
    record = next(record for record in catalogs.sessions(10) if record.seal)
    assert record.seal
    before = own_api.get("/statistics", READ).json()["days"]
    assert [day["day"] for day in before] == [str((now - timedelta(days=ago)).date()) for ago in reversed(range(90))]
    sealed_at = timestamp(now - timedelta(days=3))
    own_api.services.catalog.restore(replace(record, seal=replace(record.seal, sealed_at=sealed_at)))
    after = own_api.get("/statistics", READ).json()["days"]
    [changed] = [day for day, then in zip(after, before, strict=True) if day != then]
    assert changed == {
        "day": sealed_at[:10],
        "sessions": 1,
        "stored_bytes": record.seal.stored_bytes,
        "raw_bytes": record.length,
    }
