"""What every keystore has to do, wherever it keeps its slots. An adapter's tests are a subclass."""

import pytest

from lucid_pipeline.archive.damage import DamageCode, DamageError
from lucid_pipeline.archive.keys import Dek, Identity, KeySlot
from lucid_pipeline.archive.ports import KeySlotStore, ObjectExists, ObjectStore
from lucid_pipeline.archive.session_id import new_session_id

SESSION, OTHER_SESSION = new_session_id(), new_session_id()
COMMITMENT, OTHER_COMMITMENT = b"\x01" * 32, b"\x02" * 32


def slot(recipient: str = "reader", wrapped: bytes = b"wrapped") -> KeySlot:
    return KeySlot(recipient, wrapped)


class KeystoreContract:
    """The contract; a subclass gives a `keystore` that is empty, in a `store`."""

    def test_a_slot_comes_back_as_it_was_put(self, keystore: KeySlotStore) -> None:
        keystore.put(SESSION, COMMITMENT, slot())
        assert keystore.get(SESSION, COMMITMENT, "reader") == slot()

    def test_a_slot_opens_for_whom_it_was_made(self, keystore: KeySlotStore) -> None:
        identity, dek = Identity.generate(), Dek.generate()
        commitment = dek.commitment(SESSION)
        keystore.put(SESSION, commitment, identity.recipient.wrap(dek, SESSION))
        found = keystore.get(SESSION, commitment, identity.recipient.id)
        assert found
        assert identity.unwrap(found, SESSION, commitment).secret == dek.secret

    def test_what_is_not_there_is_none(self, keystore: KeySlotStore) -> None:
        keystore.put(SESSION, COMMITMENT, slot())
        assert keystore.get(OTHER_SESSION, COMMITMENT, "reader") is None
        assert keystore.get(SESSION, OTHER_COMMITMENT, "reader") is None
        assert keystore.get(SESSION, COMMITMENT, "other") is None

    def test_a_slot_is_never_replaced(self, keystore: KeySlotStore) -> None:
        keystore.put(SESSION, COMMITMENT, slot())
        with pytest.raises(ObjectExists):
            keystore.put(SESSION, COMMITMENT, slot(wrapped=b"another"))
        assert keystore.get(SESSION, COMMITMENT, "reader") == slot()

    def test_another_attempt_leaves_the_slots_of_the_first(self, keystore: KeySlotStore) -> None:
        keystore.put(SESSION, COMMITMENT, slot())
        keystore.put(SESSION, OTHER_COMMITMENT, slot(wrapped=b"another"))
        keystore.delete(SESSION, OTHER_COMMITMENT)
        assert keystore.get(SESSION, COMMITMENT, "reader") == slot()
        assert keystore.get(SESSION, OTHER_COMMITMENT, "reader") is None

    def test_shredding_a_session_leaves_no_slot_of_it_and_all_of_others(self, keystore: KeySlotStore) -> None:
        for recipient in ("reader", "other"):
            for commitment in (COMMITMENT, OTHER_COMMITMENT):
                keystore.put(SESSION, commitment, slot(recipient))
        keystore.put(OTHER_SESSION, COMMITMENT, slot())
        for _ in range(2):
            keystore.delete(SESSION)
            found = [
                keystore.get(SESSION, which, who)
                for which in (COMMITMENT, OTHER_COMMITMENT)
                for who in ("reader", "other")
            ]
            assert found == [None] * 4
        assert keystore.get(OTHER_SESSION, COMMITMENT, "reader") == slot()

    @pytest.mark.parametrize("bytes_there", [b"", b"{}", b"\xff", b"[" * 100_000])
    def test_what_is_no_slot_is_damage(self, keystore: KeySlotStore, store: ObjectStore, bytes_there: bytes) -> None:
        store.put(f"keyslots/{SESSION}/{COMMITMENT.hex()[:32]}.reader.json", bytes_there)
        with pytest.raises(DamageError) as raised:
            keystore.get(SESSION, COMMITMENT, "reader")
        assert raised.value.damage.code is DamageCode.DECRYPT_FAILED

    def test_a_slot_of_another_session_is_damage(self, keystore: KeySlotStore, store: ObjectStore) -> None:
        keystore.put(OTHER_SESSION, COMMITMENT, slot())
        name = f"{COMMITMENT.hex()[:32]}.reader.json"
        store.put(f"keyslots/{SESSION}/{name}", store.get(f"keyslots/{OTHER_SESSION}/{name}", 16 * 1024))
        with pytest.raises(DamageError):
            keystore.get(SESSION, COMMITMENT, "reader")
