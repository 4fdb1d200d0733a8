"""Verifying what is sealed, where the catalog has to remember what was found."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.archive.ports import ObjectStore, Progress
from lucid_pipeline.archive.reader import Keys
from lucid_pipeline.archive.signing import PublicKey
from lucid_pipeline.archive.verify import VerificationReport, verify_session
from lucid_pipeline.stores.catalog import Catalog, SessionRecord


@dataclass(frozen=True, slots=True)
class Verifier:
    """What it takes to verify a session; with keys, down to the plaintext."""

    archive: ObjectStore
    trusted: Sequence[PublicKey]
    workers: int
    keys: Keys | None

    def verify(
        self, record: SessionRecord, catalog: Catalog, progress: Progress = lambda _bytes: None
    ) -> tuple[VerificationReport, Sequence[str]]:
        """Verify a session that the catalog has as sealed, here and now.

        Args:
            record: what the catalog knows of it.
            catalog: is told of what is found.
            progress: told of the stored bytes of each chunk that is done.

        Returns:
            What was found, and the damage codes that the catalog remembers of the session from now on: they can be
            more, since what was once found with a key is not forgotten for a verification without.

        Raises:
            TransientError: the archive cannot be read, or the catalog not be written to.
        """
        report = verify_session(
            record.session_id,
            self.archive,
            self.trusted,
            workers=self.workers,
            keys=self.keys,
            known=record.seal.known if record.seal else None,
            progress=progress,
        )
        codes = report.to_record(record.damages)
        catalog.record_verification(record.session_id, codes, timestamp(datetime.now(UTC)))
        return report, codes
