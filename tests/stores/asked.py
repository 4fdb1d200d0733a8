"""What tests of listings ask a catalog for, and do to it: every condition there is, every order, every change."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from random import Random
from uuid import UUID

from lucid_pipeline.archive.sealed import SessionMetadata
from lucid_pipeline.archive.session_id import new_session_id
from lucid_pipeline.stores.catalog import (
    Arrival,
    Catalog,
    Failure,
    Order,
    Proof,
    SessionFilter,
    Sort,
    Source,
    Stage,
    State,
    Status,
    microseconds,
)
from tests.bench import catalogs
from tests.stores.catalog_contract import SEAL

SESSIONS = 3_000
"""How many sessions the catalog has that is asked; in one of another size the conditions hold as well."""

SINCE, UNTIL = datetime(2025, 1, 1, tzinfo=UTC), datetime(2025, 9, 1, tzinfo=UTC)
MIDDLE: dict[Sort, int | str] = {
    Sort.STARTED: microseconds(datetime(2025, 3, 1, tzinfo=UTC)),
    Sort.REGISTERED: "",
    Sort.SEALED: microseconds(datetime(2025, 3, 1, tzinfo=UTC)),
    Sort.LENGTH: 2_000_000,
    Sort.DURATION: 1_000_000,
    Sort.USER: "user100",
}
SESSION_ID = UUID("01955000-0000-7000-8000-000000000000")

NOTHING_SAID = SessionFilter()
PLAIN = {
    "user": SessionFilter(user="user001"),
    "host": SessionFilter(host="ssh-001.example.org"),
    "protocol": SessionFilter(protocol="ssh"),
    "media_type": SessionFilter(media_type="video/mp4"),
    "status": SessionFilter(statuses=[Status.SEALED]),
    "proof": SessionFilter(proof=Proof.INTACT),
}
CONDITIONS = [
    *PLAIN.values(),
    SessionFilter(since=SINCE, until=UNTIL),
    SessionFilter(statuses=[Status.FAILED, Status.QUARANTINED]),
    SessionFilter(tags=[("env", "prod")]),
    SessionFilter(text="user cast"),
    SessionFilter(text="OPS 1"),
    SessionFilter(text=str(next(catalogs.sessions(SESSIONS)).session_id)[:8]),
    SessionFilter(user="user001", tags=[("env", "prod")], statuses=[Status.SEALED]),
]
NEVER_TOGETHER = [
    SessionFilter(user="nobody"),
    SessionFilter(text="nothing"),
    SessionFilter(tags=[("env", "nowhere")]),
    SessionFilter(protocol="ssh", media_type="video/mp4"),
    SessionFilter(proof=Proof.INTACT, statuses=[Status.QUARANTINED, Status.DAMAGED]),
    SessionFilter(text="ssh rdp"),
    SessionFilter(text="rdp", protocol="ssh"),
    SessionFilter(tags=[("env", "prod")], text="staging"),
]
FILTERS = [NOTHING_SAID, *CONDITIONS]
ORDERS = [Order(by, descending) for by, descending in product(Sort, (True, False))]


def name_of(case: object) -> str:
    """What a filter or an order is called among the parameters of a test."""
    if isinstance(case, Order):
        return f"{'-' if case.descending else ''}{case.by}"
    return str(case).removeprefix("SessionFilter").replace(" ", "")


def do_something(catalog: Catalog, random: Random, session_id: UUID, number: int) -> None:
    """Change a session, or add one."""
    later = SessionMetadata(user=f"user {number}", tags={"number": str(number)}, started_at="2020-01-01T00:00:00Z")
    landed = Source(Path("/landing/a"), str(number), landed=True)
    failure = Failure("chunks", "no", permanent=False, retry_at=random.choice([None, UNTIL]))
    record = catalog.get(session_id)
    seal = replace(next(catalogs.sessions(1)).seal or SEAL, sequence=record.seal.sequence + 1 if record.seal else 1)
    actions: list[Callable[[], object]] = [
        lambda: catalog.register(new_session_id(), landed, f"{number}.cast", later),
        lambda: catalog.register_all([Arrival(new_session_id(), landed, "a", random.choice([None, failure]))]),
        lambda: catalog.hand_over(session_id, Stage.CHUNKS, b"", random.choice(list(State)[:5])),
        lambda: catalog.describe(session_id, number, None, "2020-01-01T00:00:00Z"),
        lambda: catalog.complete(session_id, later),
        lambda: catalog.record_content(session_id, random.choice([b"x", b"y"]) * 32),
        lambda: catalog.record_seal(session_id, seal),
        lambda: catalog.record_failure(session_id, failure),
        lambda: catalog.retry(session_id),
        lambda: catalog.record_verification(
            session_id, random.choice([(), ("root_mismatch",)]), "2026-04-01T00:00:00Z"
        ),
        lambda: catalog.restore(replace(record, metadata=later, length=None)),
    ]
    random.choice(actions)()
