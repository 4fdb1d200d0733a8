"""Sessions that are being played: unlocked once, and not again for each of the hundreds of ranges that a player wants.

What is kept here is good for `CHECKED_FOR` seconds. Then the manifest is read and the key slot opened once more, so
that a session that has been shredded, or sealed anew, is gone from here as well.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from types import MappingProxyType
from uuid import UUID

from lucid_api.playback.casts import Cast
from lucid_api.problems import Conflict, damage_member
from lucid_api.proofs.proven import ProvenSessions
from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.manifest import SignedManifest
from lucid_pipeline.archive.ports import ObjectStore
from lucid_pipeline.archive.reader import Keys, SessionReader
from lucid_pipeline.stores.catalog import SessionRecord

CHECKED_FOR = 5.0
_KEPT_FOR = 600.0
_MOST_SESSIONS = 16
_MOST_CHUNKS = 50_000
"""Of all sessions that are kept; a chunk takes about two kilobytes."""


class NoKeySlot(Conflict):
    """There is no key for the session here: it was shredded, or this service is not among those who may read it."""

    kind, title = "no-key-slot", "Nothing here opens it"
    example = MappingProxyType(
        {
            "damage": {
                "code": "keyslot_missing",
                "where": "session 01a207bc-8e81-7370-a993-4daf2ca01f8c",
                "detail": "no key slot for any identity at hand",
            }
        }
    )


class OpenSession:
    """An unlocked session."""

    def __init__(self, signed: SignedManifest, reader: SessionReader) -> None:
        self.signed = signed
        self.reader = reader

    @cached_property
    def cast(self) -> Cast:
        """The recording as a terminal cast.

        Raises:
            NotATerminal: it is none.
            DamageError: its first chunk is damaged.
        """
        return Cast(self.reader)


class _Kept:
    def __init__(self, session: OpenSession, seal_sha256: bytes | None) -> None:
        self.session = session
        self.seal_sha256 = seal_sha256
        self.turn = threading.Lock()
        self.checked = self.used = time.monotonic()


class OpenSessions:
    """The sessions of an archive, opened with the keys at hand. Any thread may ask."""

    def __init__(self, archive: ObjectStore, keys: Keys, proven: ProvenSessions) -> None:
        self._archive = archive
        self._keys = keys
        self._proven = proven
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._kept: OrderedDict[UUID, _Kept] = OrderedDict()

    def session(self, record: SessionRecord) -> OpenSession:
        """A session, unlocked.

        Raises:
            NotSealed: there is nothing to open yet.
            NoKeySlot: none of the identities at hand has a key slot.
            DamageError: manifest, key slot or sealed metadata are damaged.
        """
        found = self._recall(record)
        if found is None:
            with self._opening:  # a player asks for several ranges at once, and one of them opens for all
                found = self._recall(record) or self._open(record)
        return found

    def _recall(self, record: SessionRecord) -> OpenSession | None:
        now = time.monotonic()
        with self._lock:
            for session_id in [key for key, kept in self._kept.items() if now - kept.used > _KEPT_FOR]:
                del self._kept[session_id]
            kept = self._kept.get(record.session_id)
            if kept is None or kept.seal_sha256 != _seal_of(record):
                return None
            kept.used = now
            self._kept.move_to_end(record.session_id)
        with kept.turn:
            if now - kept.checked <= CHECKED_FOR or self._is_still_so(record, kept.session):
                kept.checked = max(kept.checked, now)
                return kept.session
        return None

    def _is_still_so(self, record: SessionRecord, session: OpenSession) -> bool:
        try:
            signed = self._proven.manifest(record)
            with _slot_needed():
                self._keys.unlock(signed.manifest)
        except Exception:
            with self._lock:
                self._kept.pop(record.session_id, None)
            raise
        return signed.envelope_sha256 == session.signed.envelope_sha256

    def _open(self, record: SessionRecord) -> OpenSession:
        signed = self._proven.manifest(record)
        with _slot_needed():
            session = OpenSession(signed, SessionReader.open(signed.manifest, self._archive, self._keys))
        with self._lock:
            self._kept[record.session_id] = _Kept(session, _seal_of(record))
            self._make_room()
        return session

    def _make_room(self) -> None:
        chunks = sum(len(kept.session.reader.metadata.chunks) for kept in self._kept.values())
        while len(self._kept) > 1 and (len(self._kept) > _MOST_SESSIONS or chunks > _MOST_CHUNKS):
            _, dropped = self._kept.popitem(last=False)
            chunks -= len(dropped.session.reader.metadata.chunks)


@contextmanager
def _slot_needed() -> Iterator[None]:
    try:
        yield
    except DamageError as error:
        if error.damage.code is DamageCode.KEYSLOT_MISSING:
            raise NoKeySlot(
                "the session was shredded, or is for other identities than this service has",
                damage=damage_member(error.damage),
            ) from error
        raise


def _seal_of(record: SessionRecord) -> bytes | None:
    return record.seal.envelope_sha256 if record.seal else None
