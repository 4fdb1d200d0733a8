"""What the page of a session shows of it, beside what the operations say."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lucid_api.access.callers import Caller
from lucid_api.access.scopes import Scope
from lucid_api.pages.plots import Plot, Sizes, plot
from lucid_api.proofs.documents import VerificationPage
from lucid_api.proofs.proven import ProvenSession
from lucid_api.services import Services
from lucid_pipeline.archive.chunking import MIB
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.media import ASCIICAST, MP4, WEBM
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.catalog import SessionRecord
from lucid_pipeline.units import duration, size

DAMAGE_WORDS: Mapping[str, str] = {
    DamageCode.MISSING_OBJECT: "something that was stored is not there any more",
    DamageCode.OBJECT_DIGEST_MISMATCH: "something that was stored has been changed",
    DamageCode.CHUNK_TABLE_MISMATCH: "the list of chunks is not the one that was signed",
    DamageCode.ROOT_MISMATCH: "the chunks are not those that were signed",
    DamageCode.SIGNATURE_INVALID: "the signature is not that of the key that it names",
    DamageCode.UNKNOWN_SIGNER: "it is signed by a key that is not trusted here",
    DamageCode.MANIFEST_MALFORMED: "the manifest cannot be read",
    DamageCode.UNSUPPORTED_FORMAT: "a newer version of Lucid has written it",
    DamageCode.COMMITMENT_MISMATCH: "a key is not the one that the session was encrypted with",
    DamageCode.DECRYPT_FAILED: "something does not decrypt",
    DamageCode.FRAME_MALFORMED: "what was decrypted is no chunk",
    DamageCode.KEYSLOT_MISSING: "there is no key slot for this host",
    DamageCode.PLAINTEXT_DIGEST_MISMATCH: "the recording as a whole is not what was archived",
    DamageCode.SEALED_MISMATCH: "what describes the recording does not fit it",
}
_KINDS = {ASCIICAST: "terminal", MP4: "video", WEBM: "video"}
_LARGEST_CAST = 256 * MIB
"""A browser holds all of a cast that it plays."""

_MOST_CHUNKS = 2000
"""Of a longer session no plot of the chunks is drawn."""


@dataclass(frozen=True, slots=True)
class Player:
    """What plays a recording: `terminal`, `video`, or nothing, and then why not; and whether it has a transcript."""

    kind: str | None = None
    obstacle: str = ""
    transcript: bool = False


def player_of(session: SessionRecord, caller: Caller, services: Services) -> Player:
    """What plays the recording of a session for this caller."""
    if session.seal is None:
        return Player(obstacle="There is nothing to play before the session is sealed.")
    if Scope.CONTENT_PLAY not in caller.scopes:
        return Player(obstacle="You may not play recordings: that takes the scope content:play.")
    if services.playing is None:
        return Player(obstacle="This host holds no identity: it proves sessions, and plays none.")
    kind = _KINDS.get(session.seal.media_type)
    if kind is None:
        return Player(obstacle=f"This page plays no {session.seal.media_type}: download it.")
    if kind == "terminal" and (session.length or 0) > _LARGEST_CAST:
        return Player(obstacle="It is too large to be played in a browser: download it.", transcript=True)
    return Player(kind, transcript=kind == "terminal")


def facts_of(session: SessionRecord) -> Sequence[tuple[str, str]]:
    """What is known of a session, by names for people; what is not known is left out."""
    metadata, seal = session.metadata, session.seal
    facts: list[tuple[str, str | None]] = [
        ("User", metadata.user),
        ("Host", metadata.host),
        ("Protocol", metadata.protocol),
        ("Started", metadata.started_at),
        ("Ended", metadata.ended_at),
        ("Duration", duration(session.duration_ms)),
        ("Size", size(session.length)),
        ("Registered", session.registered_at),
    ]
    if seal:
        facts += [
            ("Media type", seal.media_type),
            ("Sealed", seal.sealed_at),
            ("Signed by", seal.key_id),
            ("Merkle root", seal.root.hex()),
            ("Encryption", seal.suite),
        ]
    return [(name, value) for name, value in facts if value]


def damaged_chunks(found: VerificationPage, services: Services) -> frozenset[str]:
    """The names of the chunk objects that the last finished verification found damaged."""
    for verification in found.verifications:
        if verification.result:
            detail = services.verifications.get(verification.session_id, verification.verification_id)
            return frozenset(damage.where for damage in detail.damages)
    return frozenset()


def proven_of(session: SessionRecord, services: Services) -> ProvenSession | None:
    """The chunks of a session, as they were signed; None where they are too many to be shown, or not provable now."""
    if session.seal is None or session.seal.chunk_count > _MOST_CHUNKS:
        return None
    try:
        return services.proven.session(session)
    except (DamageError, TransientError):
        return None


def sizes_of(proven: ProvenSession, length: int, damaged: frozenset[str]) -> Plot:
    """The chunks of a session before and after they were stored.

    Args:
        proven: the chunks.
        length: bytes of the recording.
        damaged: names of the chunk objects that were found damaged.
    """
    chunk_size = chunk_size_of(proven)
    chunks = [proven.chunk(index) for index in range(len(proven))]
    return plot(
        [
            Sizes(
                f"Chunk {chunk.index}",
                max(0, min(chunk_size, length - chunk.index * chunk_size)),
                chunk.length,
                chunk.key in damaged,
            )
            for chunk in chunks
        ]
    )


def chunk_size_of(proven: ProvenSession) -> int:
    """Raw bytes of each chunk but the last."""
    return proven.signed.manifest.recording.chunk_size
