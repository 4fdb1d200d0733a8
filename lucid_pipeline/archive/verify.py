"""Verification: what of a session is provably unaltered, and what is damaged.

Without a secret: signature, chunk table, Merkle root, and every object against its digest and place. With an identity
(`deep`): every chunk is decrypted as well, and the plaintext compared with the digest taken when it was archived.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from lucid_pipeline.archive.chunk_table import ChunkTable
from lucid_pipeline.archive.damage import Damage, DamageCode, DamageError
from lucid_pipeline.archive.fetch import fetch_chunk
from lucid_pipeline.archive.manifest import Manifest, SignedManifest
from lucid_pipeline.archive.parallel import Turns, Work, for_each_chunk, worker_count
from lucid_pipeline.archive.ports import ObjectStore, Progress
from lucid_pipeline.archive.reader import (
    Keys,
    Known,
    SessionReader,
    load_chunk_table,
    load_manifest,
    load_sealed_object,
)
from lucid_pipeline.archive.signing import PublicKey

_FOUND_BY_KEY = frozenset(
    {
        DamageCode.UNSUPPORTED_FORMAT,
        DamageCode.COMMITMENT_MISMATCH,
        DamageCode.DECRYPT_FAILED,
        DamageCode.FRAME_MALFORMED,
        DamageCode.PLAINTEXT_DIGEST_MISMATCH,
        DamageCode.SEALED_MISMATCH,
    }
)
"""Codes that can mean what nobody sees without a key."""


@dataclass(slots=True)
class VerificationReport:
    """What was checked of one session, and every damage found. `signed` is None where no manifest verifies."""

    session_id: UUID
    deep: bool
    signed: SignedManifest | None = None
    chunks_checked: int = 0
    bytes_checked: int = 0
    damages: list[Damage] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether no damage was found."""
        return not self.damages

    def to_record(self, recorded: Sequence[str]) -> list[str]:
        """The codes to remember of the session, each once, given those that are remembered so far.

        What it can take a key to see stays remembered until a deep verification finds nothing wrong at all. That no
        slot is there for the identity at hand is no damage of the archive, and not remembered.
        """
        kept = [] if self.deep and self.intact else [code for code in recorded if code in _FOUND_BY_KEY]
        found = [damage.code for damage in self.damages if damage.code is not DamageCode.KEYSLOT_MISSING]
        return list(dict.fromkeys([*found, *kept]))


def verify_session(
    session_id: UUID,
    store: ObjectStore,
    trusted: Sequence[PublicKey],
    *,
    workers: int,
    keys: Keys | None = None,
    known: Known | None = None,
    progress: Progress = lambda _bytes: None,
) -> VerificationReport:
    """Check a session and collect all damage; never raises for damage.

    Args:
        session_id: the session.
        store: the archive.
        trusted: public keys whose signatures count.
        workers: how many threads read and hash.
        keys: with these, also decrypt everything.
        known: what the catalog knows of the newest manifest, so that an older one is not taken for it.
        progress: told of the stored bytes of each chunk that is done.
    """
    report = VerificationReport(session_id, deep=keys is not None)
    try:
        report.signed = load_manifest(session_id, store, trusted, known)
        table = load_chunk_table(report.signed.manifest, store)
    except DamageError as error:
        report.damages.append(error.damage)
        return report
    reader = _check_sealed(report, report.signed.manifest, store, keys)
    _check_chunks(report, report.signed.manifest, table, store, reader, workers, progress)
    return report


def _check_sealed(
    report: VerificationReport, manifest: Manifest, store: ObjectStore, keys: Keys | None
) -> SessionReader | None:
    try:
        load_sealed_object(manifest, store)
        return SessionReader.open(manifest, store, keys) if keys else None
    except DamageError as error:
        report.damages.append(error.damage)
        return None


def _check_chunks(
    report: VerificationReport,
    manifest: Manifest,
    table: ChunkTable,
    store: ObjectStore,
    reader: SessionReader | None,
    workers: int,
    progress: Progress,
) -> None:
    damages: dict[int, Damage] = {}
    plaintext = sha256()
    count = len(table.objects)

    def start_worker() -> Work:
        decrypt = reader.decryptor() if reader is not None else None

        def work(index: int, turns: Turns) -> None:
            chunk = table.objects[index]
            raw: memoryview | bytes = b""
            try:
                data = fetch_chunk(chunk, count, manifest.aead, manifest.session_id, store)
                raw = decrypt(chunk, data) if decrypt else b""
            except DamageError as error:
                damages[index] = error.damage
            with turns.turn(index):
                plaintext.update(raw)
            progress(chunk.length)

        return work

    for_each_chunk(count, worker_count(workers, manifest.recording.chunk_size, count), start_worker)
    report.chunks_checked = count - len(damages)
    report.bytes_checked = sum(chunk.length for chunk in table.objects if chunk.index not in damages)
    report.damages += [damages[index] for index in sorted(damages)]
    if reader is not None and not damages and plaintext.digest() != reader.metadata.recording.sha256:
        detail = "what was archived is not what decrypts"
        report.damages.append(Damage(DamageCode.PLAINTEXT_DIGEST_MISMATCH, "recording", detail))
