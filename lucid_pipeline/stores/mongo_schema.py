"""What a MongoDB catalog has in its database: collections, their indexes, and the version that they have.

A migration may be done twice, and by several processes at once, which a server without transactions asks of it.
"""

from collections.abc import Callable
from typing import Any

from pymongo import ASCENDING, IndexModel
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from lucid_pipeline.errors import UsageError
from lucid_pipeline.stores.catalog import Sort
from lucid_pipeline.stores.mongo_server import Document, MongoServer
from lucid_pipeline.stores.mongo_session import SCHEMA

SESSIONS = "sessions"
DOCUMENTS = "documents"
TALLIES = "tallies"
BATCHES = "batches"
_ABOUT = "about"
_NAMESPACE_EXISTS = 48
_MARK = {"_id": "schema", "of": "a catalog of Lucid"}

KEYS = {
    Sort.STARTED: "listed.started",
    Sort.REGISTERED: "_id",
    Sort.SEALED: "listed.sealed",
    Sort.LENGTH: "listed.length",
    Sort.DURATION: "listed.duration",
    Sort.USER: "listed.user",
}
"""The field by which an order sorts."""

FACETS = ("user", "host", "protocol", "media_type", "status", "proof")

_BY_ID = "_id_"


def order_index(sort: Sort) -> str:
    """The index that has all sessions in an order."""
    return _BY_ID if sort is Sort.REGISTERED else f"by_{sort}"


def facet_index(facet: str) -> str:
    """The index that has the sessions of each value of a facet in the order in which they started."""
    return f"of_{facet}"


INDEXES: dict[str, tuple[str, ...]] = {
    **{order_index(sort): (key, "_id") for sort, key in KEYS.items() if key != "_id"},
    **{facet_index(facet): (f"listed.{facet}", "listed.started", "_id") for facet in FACETS},
    "terms": ("listed.terms",),
    "standing": ("listed.standing", "_id", "failure.retry_us"),
    "removable": ("listed.removable", "_id", "source.tried_us"),
    "unswept": ("listed.unswept", "_id", "seal.sealed_at"),
    "proven_at": ("listed.proven_at", "_id"),
    "content_id": ("content_id", "_id"),
    "duplicate_of": ("duplicate_of",),
    "uncounted": ("uncounted.change",),
    "fingerprint": ("fingerprint",),
}
"""The indexes of the sessions, and their fields."""

_UNIQUE = {"fingerprint"}


def is_made(server: MongoServer) -> bool:
    """Whether the database has a catalog already.

    Raises:
        TransientError, UsageError: as any call.
    """
    return _version(_about(server)) > 0


def make_ready(server: MongoServer) -> None:
    """Make the catalog where there is none, and bring its schema up to date.

    Raises:
        UsageError: the database is of another program, or has been written by a newer version.
    """
    about = _about(server)
    version = _version(about)
    if version > len(_MIGRATIONS):
        raise UsageError(
            f"the catalog in the database {server.database.name} was written by a newer version of Lucid",
            f"its schema has version {version}, this Lucid knows {len(_MIGRATIONS)}: use the newer Lucid",
        )
    if about is None and _is_of_another(server):
        raise UsageError(
            f"the database {server.database.name} is that of another program", "choose another for the catalog"
        )
    if version < len(_MIGRATIONS):
        server.run(lambda: _mark(server))
        for number, migrate in enumerate(_MIGRATIONS[version:], version + 1):
            server.run(lambda migrate=migrate: migrate(server))  # type: ignore[misc]
            server.run(lambda number=number: _reach(server, number))  # type: ignore[misc]


def _make_collections(server: MongoServer) -> None:
    made = set(server.database.list_collection_names())
    if SESSIONS not in made:
        _make_sessions(server)
    for name in {DOCUMENTS, TALLIES, BATCHES} - made:
        _make_collection(server, name)
    sessions = server.database[SESSIONS]
    # Only what is missing: to make an index again needs more rights, and is more than every server can.
    known = sessions.index_information()
    missing = [
        IndexModel([(name, ASCENDING) for name in names], name=index, unique=index in _UNIQUE)
        for index, names in INDEXES.items()
        if index not in known
    ]
    if missing:
        sessions.create_indexes(missing)


def _make_sessions(server: MongoServer) -> None:
    try:
        _make_collection(server, SESSIONS, validator={"$jsonSchema": SCHEMA})
    except OperationFailure as error:
        if not server.lacks(error):
            raise
        _make_collection(server, SESSIONS)


def _make_collection(server: MongoServer, name: str, **options: Any) -> None:
    try:
        server.database.create_collection(name, check_exists=False, **options)
    except CollectionInvalid:
        return
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise


_MIGRATIONS: tuple[Callable[[MongoServer], None], ...] = (_make_collections,)


def _about(server: MongoServer) -> Document | None:
    return server.run(lambda: server.database[_ABOUT].find_one({"_id": _MARK["_id"]}))


def _is_of_another(server: MongoServer) -> bool:
    there = SESSIONS in server.run(server.database.list_collection_names)
    # Looked for last: another process may be making the catalog, and marks the database before that.
    return there and _about(server) is None


def _version(about: Document | None) -> int:
    return int(about["version"]) if about and about.get("of") == _MARK["of"] else 0


def _mark(server: MongoServer) -> None:
    """Say whose the database is, before anything is made in it."""
    try:
        server.database[_ABOUT].insert_one({**_MARK, "version": 0})
    except DuplicateKeyError:
        return


def _reach(server: MongoServer, version: int) -> None:
    server.database[_ABOUT].update_one({"_id": _MARK["_id"]}, {"$max": {"version": version}})
