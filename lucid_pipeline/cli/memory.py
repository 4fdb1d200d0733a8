"""What the catalog remembers, for commands that profit from a catalog and do not need one."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from uuid import UUID

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.reader import Known
from lucid_pipeline.archive.verify import VerificationReport
from lucid_pipeline.cli.output import warn
from lucid_pipeline.errors import LucidError, SessionNotFound
from lucid_pipeline.home import Home
from lucid_pipeline.stores.catalog import Catalog, SessionRecord


class Memory:
    """The catalog, if it can be used: one that fails is told of in one warning, and is not asked again."""

    def __init__(self, catalog: Catalog | None) -> None:
        self._catalog = catalog
        self._records = catalog is not None

    def sealed(self) -> list[UUID]:
        """The sessions that are remembered as sealed."""
        if self._catalog is None:
            return []
        try:
            return self._catalog.sealed()
        except LucidError as error:
            self._lose(error)
            return []

    def get(self, session_id: UUID) -> SessionRecord | None:
        """What is remembered of a session."""
        if self._catalog is None:
            return None
        try:
            return self._catalog.get(session_id)
        except SessionNotFound:
            return None
        except LucidError as error:
            self._lose(error)
            return None

    def known(self, session_id: UUID) -> Known | None:
        """What is remembered of a session's newest manifest."""
        record = self.get(session_id)
        return record.seal.known if record and record.seal else None

    def record(self, report: VerificationReport) -> None:
        """Remember the outcome of a verification, just made, of a session that is remembered as sealed."""
        remembered = self.get(report.session_id)
        if self._catalog is None or not self._records or remembered is None or remembered.seal is None:
            return
        codes = report.to_record(remembered.damages)
        try:
            self._catalog.record_verification(report.session_id, codes, timestamp(datetime.now(UTC)))
        except LucidError as error:
            self._records = False
            warn(f"the catalog does not learn of what is found: {error}")

    def _lose(self, error: LucidError) -> None:
        self._catalog = None
        if self._records:
            _warn_of(error)


@contextmanager
def open_memory(home: Home) -> Iterator[Memory]:
    """What the catalog of a home remembers: nothing, where there is no catalog or it cannot be opened."""
    with ExitStack() as stack:
        catalog = None
        try:
            catalog = stack.enter_context(home.catalog()) if home.has_catalog() else None
        except LucidError as error:
            _warn_of(error)
        yield Memory(catalog)


def _warn_of(error: LucidError) -> None:
    warn(f"the catalog cannot be used: {error}; an older manifest would not be noticed")
