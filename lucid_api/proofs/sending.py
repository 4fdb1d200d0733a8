"""Chunk objects on their way to callers: each is read whole to be checked, and so many bytes of them lie in memory."""

import threading
from http import HTTPStatus

from lucid_api.problems import Problem
from lucid_pipeline.archive.chunking import MIB

MOST_BYTES = 128 * MIB
_RETRY_SECONDS = "2"


class TooManyObjects(Problem):
    """As many chunk objects are being sent as this service holds in memory at once."""

    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-objects", "Too many chunk objects are being sent"


class ObjectsInMemory:
    """How many bytes of chunk objects are on their way. Any thread may ask."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = 0

    def take(self, length: int) -> "Place":
        """A place for an object of so many bytes.

        Raises:
            TooManyObjects: there is none, until others have been sent.
        """
        with self._lock:
            if self._bytes and self._bytes + length > MOST_BYTES:
                raise TooManyObjects("too many chunk objects are being sent", headers={"Retry-After": _RETRY_SECONDS})
            self._bytes += length
        return Place(self, length)

    def give_back(self, length: int) -> None:
        """So many bytes have been sent, or will not be."""
        with self._lock:
            self._bytes -= length


class Place:
    """The place of one object, as the one part that a response consists of. It has to be closed."""

    def __init__(self, objects: ObjectsInMemory, length: int) -> None:
        self._objects = objects
        self._length = length
        self._part: memoryview | None = None

    def put(self, part: memoryview) -> None:
        """What of it is to be sent."""
        self._part = part

    def next_part(self) -> memoryview | bytes:
        """That, and nothing afterwards."""
        part, self._part = self._part, None
        return b"" if part is None else part

    def close(self) -> None:
        """Give the place up."""
        length, self._length, self._part = self._length, 0, None
        self._objects.give_back(length)
