"""The ports through which the archive library reaches what is stored. Adapters live in `lucid_pipeline.stores`."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from lucid_pipeline.archive.keys import KeySlot

Progress = Callable[[int], None]
"""Called from any thread with the number of bytes just finished."""


class ObjectMissing(Exception):
    """The store has no object under this key."""

    def __init__(self, key: str) -> None:
        super().__init__(f"no object {key}")
        self.key = key


class ObjectExists(Exception):
    """The store has an object under this key already; it was left as it is."""

    def __init__(self, key: str) -> None:
        super().__init__(f"object {key} exists")
        self.key = key


@dataclass(frozen=True, slots=True)
class ObjectStatus:
    """How long an object is, in bytes, and when it was stored, by the clock of the store."""

    length: int
    stored_at: datetime


class ObjectStore(Protocol):
    """The archive: objects by key, put if absent and never changed. Every call may come from any thread.

    Keys are paths of ASCII text that Lucid made. All calls raise `TransientError` where the store does not answer, is
    full, or refuses.
    """

    def check(self, *, writing: bool) -> None:
        """Find out soon whether the store is there and answers, and, for whoever will write, whether it lets one write.

        Raises:
            TransientError: it does not, and why.
            UsageError: it can never be used: it would replace objects.
        """

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        """Store a whole object, or nothing. Raises `ObjectExists`.

        A durable object is there only when it would survive a loss of power; of another one that holds after `flush`.
        A store that cannot tell whether it was the first to store these very bytes may say that it was.
        """

    def get(self, key: str, limit: int) -> memoryview:
        """The bytes of an object, but at most the first `limit` of them. Raises `ObjectMissing`."""

    def status(self, key: str) -> ObjectStatus:
        """What is known of an object without reading it. Raises `ObjectMissing`."""

    def list(self, prefix: str) -> Iterator[str]:
        """The keys directly below a prefix that ends in `/`, in ascending order."""

    def list_folders(self, prefix: str) -> Iterator[str]:
        """The prefixes directly below a prefix, each ending in `/` as well, in ascending order."""

    def delete(self, key: str) -> None:
        """Remove an object; one that is missing is no error."""

    def flush(self, keys: Iterable[str]) -> None:
        """Return when these objects, put before and not durable then, would survive a loss of power."""


class KeySlotStore(Protocol):
    """The keystore: key slots by session and by the commitment of the DEK that they wrap.

    A new attempt to encrypt a session has a new DEK, so its slots never replace those of a sealed one.
    """

    def check(self, *, writing: bool) -> None:
        """As `ObjectStore.check`."""

    def put(self, session_id: UUID, commitment: bytes, slot: KeySlot) -> None:
        """Store a slot, so that it would survive a loss of power."""

    def get(self, session_id: UUID, commitment: bytes, recipient_id: str) -> KeySlot | None:
        """A recipient's slot for this DEK, or None if there is none, or the session has been shredded.

        Raises `DamageError` with `decrypt_failed` if what is there is no key slot.
        """

    def delete(self, session_id: UUID, commitment: bytes | None = None) -> None:
        """Delete the slots of a session for one DEK, or all: nobody can read it any more."""
