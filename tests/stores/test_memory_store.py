"""The store that other tests keep in memory is one: the contract."""

import pytest

from lucid_pipeline.archive.ports import KeySlotStore, ObjectStore
from lucid_pipeline.stores.keystore import Keystore
from tests.stores.keystore_contract import KeystoreContract
from tests.stores.memory_store import MemoryStore
from tests.stores.object_store_contract import ObjectStoreContract


@pytest.fixture
def store() -> ObjectStore:
    """An empty store."""
    return MemoryStore()


class TestMemoryStore(ObjectStoreContract):
    """The contract."""

    @pytest.fixture
    def same_place(self, store: ObjectStore) -> ObjectStore:
        """There is no other way to it."""
        return store


class TestKeystoreInMemory(KeystoreContract):
    """The contract of a keystore."""

    @pytest.fixture
    def keystore(self, store: ObjectStore) -> KeySlotStore:
        """An empty keystore."""
        return Keystore(store)
