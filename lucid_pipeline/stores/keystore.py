"""The keystore: key slots as small objects in a place of their own, which has its own rules for backups.

A slot lies at `keyslots/<session id>/<first 32 hex digits of the DEK's commitment>.<recipient id>.json`.
"""

from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import Field
from typing_extensions import override

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.documents import Base64, Document
from lucid_pipeline.archive.keys import KeySlot
from lucid_pipeline.archive.ports import KeySlotStore, ObjectMissing, ObjectStore

_LARGEST_SLOT = 16 * 1024


class _SlotDocument(Document):
    versions: ClassVar = {"schema": ["lucid/keyslot@v1"]}

    schema_: Annotated[Literal["lucid/keyslot@v1"], Field(alias="schema")] = "lucid/keyslot@v1"
    session_id: UUID
    recipient_id: str
    wrapped: Base64


class Keystore(KeySlotStore):
    """Key slots in an object store."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @override
    def check(self, *, writing: bool) -> None:
        self._store.check(writing=writing)

    @override
    def put(self, session_id: UUID, commitment: bytes, slot: KeySlot) -> None:
        document = _SlotDocument(session_id=session_id, recipient_id=slot.recipient_id, wrapped=slot.wrapped)
        self._store.put(_key(session_id, commitment, slot.recipient_id), document.encode())

    @override
    def get(self, session_id: UUID, commitment: bytes, recipient_id: str) -> KeySlot | None:
        key = _key(session_id, commitment, recipient_id)
        try:
            data = bytes(self._store.get(key, _LARGEST_SLOT))
        except ObjectMissing:
            return None
        document = _SlotDocument.decode(data, DamageCode.DECRYPT_FAILED, key)
        if (document.session_id, document.recipient_id) != (session_id, recipient_id):
            raise DamageError(DamageCode.DECRYPT_FAILED, key, "it is the slot of another session or recipient")
        return KeySlot(document.recipient_id, document.wrapped)

    @override
    def delete(self, session_id: UUID, commitment: bytes | None = None) -> None:
        for key in self._store.list(_prefix(session_id)):
            if commitment is None or key.startswith(f"{_prefix(session_id)}{_short(commitment)}."):
                self._store.delete(key)


def _prefix(session_id: UUID) -> str:
    return f"keyslots/{session_id}/"


def _key(session_id: UUID, commitment: bytes, recipient_id: str) -> str:
    return f"{_prefix(session_id)}{_short(commitment)}.{recipient_id}.json"


def _short(commitment: bytes) -> str:
    return commitment.hex()[:32]
