"""Whoever can write cannot read, whoever can read cannot forge: what each holder of keys can do to a sealed session.

Everything here is done with genuine keys; the attacker also writes the archive, and where it says so the keystore.
"""

from lucid_pipeline.archive.damage import DamageCode
from lucid_pipeline.archive.keys import Dek
from lucid_pipeline.archive.layout import manifest_key
from lucid_pipeline.archive.signing import SigningKey
from tests.attacks.support import (
    Outcome,
    Session,
    archive_again,
    build_frame,
    codes,
    damaged,
    inspect,
    intact,
    recording_of,
    refused,
    verify,
)


def _forge(session: Session, frame: bytes) -> bytes:
    return session.encrypt(session.header(1), frame)


# A reader: holds an identity, and so the DEK.


def test_a_reader_cannot_change_a_chunk(session: Session) -> None:
    """It decrypts under the right key, in the right place; it is only not what was signed."""
    session.archive.objects[session.chunk_name(1)] = _forge(session, build_frame(bytes(1 << 20)))
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)


def test_a_reader_cannot_change_a_chunk_for_one_of_the_same_length(session: Session) -> None:
    frame = bytearray(session.frame(1))
    frame[1_000] ^= 1
    forged = _forge(session, bytes(frame))
    assert len(forged) == len(session.chunks[1])
    session.archive.objects[session.chunk_name(1)] = forged
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)


def test_not_even_the_same_chunk_encrypted_again_is_the_one_that_was_signed(session: Session) -> None:
    session.archive.objects[session.chunk_name(1)] = _forge(session, session.frame(1))
    assert inspect(session) == damaged(session, DamageCode.OBJECT_DIGEST_MISMATCH, 1)


def test_a_reader_cannot_change_what_is_said_of_the_recording(session: Session) -> None:
    metadata = session.metadata.model_copy(
        update={"recording": session.metadata.recording.model_copy(update={"user": "mallory"})}
    )
    session.archive.objects[session.sealed_name] = session.encrypt_metadata(metadata.encode())
    mismatch = DamageCode.SEALED_MISMATCH
    assert inspect(session) == Outcome((mismatch,), (mismatch,), (mismatch,) * 3, mismatch)


def test_a_reader_cannot_sign(session: Session) -> None:
    """Chunk, table and manifest fit together; the signature is by a key that nobody trusts."""
    mine = session.copy()
    mine.signing_key = SigningKey.generate()
    mine.archive.objects[mine.manifest_name] = session.manifest.sign(mine.signing_key)
    mine.store_chunk(1, _forge(session, build_frame(bytes(1 << 20))))
    assert codes(verify(mine)) == ()
    session.archive.objects = mine.archive.objects
    assert inspect(session) == refused(session, DamageCode.UNKNOWN_SIGNER)


def test_a_reader_cannot_seal_once_more(session: Session) -> None:
    manifest = session.manifest.model_copy(update={"sequence": 2, "previous": session.known.envelope_sha256})
    session.archive.put(manifest_key(session.session_id, 2), manifest.sign(SigningKey.generate()))
    assert inspect(session) == refused(session, DamageCode.UNKNOWN_SIGNER)


# A sealer: holds the signing key, and no DEK.


def test_a_sealer_learns_nothing_from_signing(session: Session) -> None:
    """What it sees is the same size for another recording, and no digest of the plaintext is among it."""
    plaintext_digest = session.metadata.recording.sha256
    public = b"".join(session.archive.objects.values()) + session.manifest.encode() + session.table.encode()
    assert plaintext_digest not in public
    assert plaintext_digest.hex().encode() not in public
    assert session.metadata.recording.name.encode() not in public
    assert session.dek.secret not in public


def test_a_sealer_cannot_give_the_session_another_key(session: Session) -> None:
    """Even who writes the keystore as well, and knows every recipient: the chunks are still under the old key."""
    dek = Dek.generate()
    commitment = dek.commitment(session.session_id)
    session.sign(dek_commitment=commitment)
    session.store_slot(session.identity.recipient.wrap(dek, session.session_id), commitment)
    mismatch = DamageCode.COMMITMENT_MISMATCH
    assert inspect(session) == Outcome((), (mismatch,), (mismatch,) * 3, mismatch)


def test_a_sealer_who_writes_both_stores_can_forge_a_session_and_only_who_remembers_can_tell(session: Session) -> None:
    """The limit of what a signature proves: whoever signs can say anything, and cannot unsay what others know."""
    known = session.known
    mine = session.copy()
    mine.recording = recording_of(3)[::-1]
    for store in (mine.archive, mine.keystore):
        store.objects.clear()
    archive_again(mine)
    session.archive.objects.update(mine.archive.objects)
    session.keystore.objects.update(mine.keystore.objects)
    session.recording = mine.recording
    assert inspect(session) == intact(session)
    assert inspect(session, known) == refused(session, DamageCode.OBJECT_DIGEST_MISMATCH)
