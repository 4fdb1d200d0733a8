"""What one stage hands to the next in a MongoDB catalog, in parts: no document of the database may have 16 MiB."""

from secrets import token_hex
from uuid import UUID

from pymongo.errors import DuplicateKeyError

from lucid_pipeline.stores.mongo_schema import DOCUMENTS
from lucid_pipeline.stores.mongo_server import MongoServer
from lucid_pipeline.stores.mongo_session import Place

_PART = 4 * 1024 * 1024


class MongoParts:
    """The parts of all documents; the sessions say which of them count."""

    def __init__(self, server: MongoServer) -> None:
        self._server = server
        self._collection = server.database[DOCUMENTS]

    def store(self, session_id: UUID, document: bytes) -> Place:
        """Store a document of a session, where nobody looks until the session says so."""
        place = Place(token_hex(8), -(-len(document) // _PART))
        for number, name in enumerate(place.names(session_id)):
            part = document[number * _PART : (number + 1) * _PART]
            self._server.run(lambda name=name, part=part: self._insert(name, part))  # type: ignore[misc]
        return place

    def load(self, session_id: UUID, place: Place) -> bytes | None:
        """A document; None if it has been removed."""
        parts = []
        for name in place.names(session_id):
            found = self._server.run(lambda name=name: self._collection.find_one({"_id": name}))  # type: ignore[misc]
            if found is None:
                return None
            parts.append(found["part"])
        return b"".join(parts)

    def drop(self, session_id: UUID, place: Place) -> None:
        """Remove a document."""
        for name in place.names(session_id):
            self._server.run(lambda name=name: self._collection.delete_one({"_id": name}))  # type: ignore[misc]

    def drop_all(self, session_id: UUID) -> None:
        """Remove all documents of a session, and what somebody who died left of one."""
        within = {"_id": {"$gte": f"{session_id}/", "$lt": f"{session_id}0"}}
        self._server.run(lambda: self._collection.delete_many(within))

    def _insert(self, name: str, part: bytes) -> None:
        try:
            self._collection.insert_one({"_id": name, "part": part})
        except DuplicateKeyError:
            return  # only the answer got lost
