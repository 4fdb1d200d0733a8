"""An object store in memory, for tests that change behind Lucid's back what is stored."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock

from lucid_pipeline.archive.ports import ObjectExists, ObjectMissing, ObjectStatus


@dataclass
class MemoryStore:
    """An object store whose objects an attacker can reach, and that notes what it was asked for."""

    objects: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    served: int = 0
    _stored_at: dict[str, datetime] = field(default_factory=dict)
    _made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    _turn: Lock = field(default_factory=Lock, repr=False)

    def check(self, *, writing: bool) -> None:
        """It is always there."""

    def put(self, key: str, data: bytes | memoryview, *, durable: bool = True) -> None:
        with self._turn:
            if key in self.objects:
                raise ObjectExists(key)
            self.objects[key] = bytes(data)
            self._stored_at[key] = datetime.now(UTC)

    def get(self, key: str, limit: int) -> memoryview:
        self.asked.append(key)
        if key not in self.objects:
            raise ObjectMissing(key)
        data = memoryview(self.objects[key])[:limit]
        self.served += len(data)
        return data

    def status(self, key: str) -> ObjectStatus:
        if key not in self.objects:
            raise ObjectMissing(key)
        return ObjectStatus(len(self.objects[key]), self._stored_at.get(key, self._made_at))

    def list(self, prefix: str) -> Iterator[str]:
        return iter(sorted(key for key in self.objects if key.startswith(prefix) and "/" not in key[len(prefix) :]))

    def list_folders(self, prefix: str) -> Iterator[str]:
        below = (key[len(prefix) :].partition("/") for key in self.objects if key.startswith(prefix))
        return iter(sorted({f"{prefix}{folder}/" for folder, slash, _ in below if slash}))

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def flush(self, keys: Iterable[str]) -> None:
        """All that is stored here survives as long as the test."""
