"""What endpoints work with: opened once, when the service starts, and given up when it ends."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from threading import Event
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Path, Request
from pydantic import BeforeValidator

from lucid_api.access.audit_record import AuditRecord
from lucid_api.access.authentication import Authenticator
from lucid_api.health.components import Health
from lucid_api.health.metrics import Metrics
from lucid_api.http.idempotency import IdempotentRequests
from lucid_api.http.shares import Shares
from lucid_api.playback.playing import Playing
from lucid_api.proofs.proven import ProvenSessions
from lucid_api.proofs.sending import ObjectsInMemory
from lucid_api.proofs.verifications import Verifications
from lucid_api.runs.dagster import Dagster
from lucid_api.runs.events import MOST_OF_A_CALLER, MOST_STREAMS
from lucid_api.runs.problems import TooManyStreams
from lucid_api.runs.requests import RunRequests
from lucid_api.sessions.uploads import Uploads
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.errors import UsageError
from lucid_pipeline.home import Home
from lucid_pipeline.locks import try_lock
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.catalog import Catalog, SessionRecord
from lucid_pipeline.stores.verification import Verifier


@dataclass(frozen=True, slots=True)
class Services:
    """All of it. `keys` is None on a host that holds no identity: it proves sessions, and plays none."""

    home: Home
    catalog: Catalog
    archive: ObjectStore
    trusted: Sequence[PublicKey]
    keys: Keys | None
    proven: ProvenSessions
    objects: ObjectsInMemory
    verifications: Verifications
    playing: Playing | None
    uploads: Uploads
    state: StateDatabase
    idempotent: IdempotentRequests
    audit: AuditRecord
    authenticator: Authenticator
    dagster: Dagster
    streams: Shares
    run_requests: RunRequests
    health: Health
    metrics: Metrics
    stopping: Event
    """Set when the service has been asked to end, and responses that would go on for long should end as well."""

    @property
    def settings(self) -> Settings:
        """How the service is set up."""
        return self.home.settings


@contextmanager
def opened_services(settings: Settings) -> Iterator[Services]:
    """Open everything.

    Raises:
        LucidError: archive or keystore cannot be used.
        UsageError: a setting is wrong, a store is not there, a key file is missing or damaged, or another process
            serves this home.
    """
    home = Home(settings)
    with (
        home.catalog(create=True) as catalog,
        closing(StateDatabase(settings.home)) as state,
        closing(AuditRecord(home)) as audit,
        _only_one(home),
        ExitStack() as stack,
    ):
        home.check_stores(writing=False)
        verifier, stopping = Verifier(home.archive(), home.trusted_keys(), settings.workers, keys=None), Event()
        keys = home.keys_at_hand()
        deep = replace(verifier, keys=keys) if keys else None
        at_once = settings.api_verifications
        verifications = Verifications(state, catalog, verifier, deep, at_once=at_once, stopping=stopping)
        stack.enter_context(closing(verifications))
        proven = ProvenSessions(verifier.archive, verifier.trusted)
        at_once = settings.api_playbacks
        playing = (
            Playing.of(verifier.archive, keys, proven, at_once=at_once, workers=settings.workers) if keys else None
        )
        dagster = Dagster(settings.dagster_url)
        yield Services(
            home=home,
            catalog=catalog,
            archive=verifier.archive,
            trusted=verifier.trusted,
            keys=keys,
            proven=proven,
            objects=ObjectsInMemory(),
            verifications=verifications,
            playing=playing,
            uploads=Uploads(home, catalog),
            state=state,
            idempotent=IdempotentRequests(state),
            audit=audit,
            authenticator=Authenticator(settings, state),
            dagster=dagster,
            streams=Shares(MOST_STREAMS, TooManyStreams, of_one=MOST_OF_A_CALLER),
            run_requests=RunRequests(),
            health=Health(home, catalog, dagster, plays=keys is not None),
            metrics=Metrics(catalog),
            stopping=stopping,
        )


@contextmanager
def _only_one(home: Home) -> Iterator[None]:
    """One process serves a home: what is being done just now is known to it alone."""
    lock = try_lock(home.settings.home / "api.lock")
    if lock is None:
        raise UsageError(f"another session API serves {home.settings.home} already", "stop it first")
    try:
        yield
    finally:
        os.close(lock)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(_services)]
"""What an endpoint works with."""


def _session_id(text: object) -> object:
    try:
        session_id = UUID(text) if isinstance(text, str) else None
    except ValueError:
        session_id = None
    if session_id is None or str(session_id) != text:
        raise ValueError("this is no session id")  # without quoting it: whatever it is, it was sent here
    return session_id  # of whatever version: there is no session with any but a UUIDv7


SessionIdText = Annotated[UUID, BeforeValidator(_session_id)]
"""The id of a session as callers write it."""

SessionId = Annotated[
    SessionIdText,
    Path(description="Id of a session: a UUIDv7.", examples=["01a207bc-8e81-7370-a993-4daf2ca01f8c"]),
]
"""The id in the path of a request."""


def _record(session_id: SessionId, services: ServicesDep) -> SessionRecord:
    return services.catalog.get(session_id)


RecordDep = Annotated[SessionRecord, Depends(_record)]
"""What the catalog knows of the session in the path; there is none: `NotFound`."""
