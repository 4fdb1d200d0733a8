"""In which catalog the homes of tests have their sessions: a SQLite file in the home, which is what a user has who sets
nothing; with `LUCID_TEST_CATALOG=mongodb` for all of the tests, a MongoDB database of its own for each home.
"""

import os
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.database import Database

from lucid_pipeline.stores.catalog_url import open_catalog
from tests.servers.mongodb import MongoDb
from tests.support import rows

IN_MONGODB = os.environ.get("LUCID_TEST_CATALOG", "sqlite") == "mongodb"

about_the_file = pytest.mark.skipif(IN_MONGODB, reason="LUCID_TEST_CATALOG=mongodb: this is about the SQLite file")

_FILE = "catalog.sqlite3"
_servers: list[MongoDb] = []


def keep_catalogs_on(server: MongoDb) -> None:
    """Have a server for the databases of all homes of this process."""
    _servers.append(server)


def catalog_settings(home: Path) -> dict[str, str]:
    """The settings, by their names in lower case, with which a home has its catalog where these tests want it."""
    return {"catalog_url": _servers[-1].database_url(_name(home))} if IN_MONGODB else {}


def copy_catalog(home: Path, copy: Path) -> None:
    """Give a copy of a home's folder a copy of its catalog as well."""
    if not IN_MONGODB:
        return  # it is in the folder
    with closing(_client()) as client:
        source, target = client[_name(home)], client[_name(copy)]
        names = source.list_collection_names()
        if names:
            open_catalog(catalog_settings(copy)["catalog_url"]).close()
        for name in names:
            _copy_collection(source, target, name)


def lose_catalog(home: Path) -> None:
    """Remove the catalog of a home."""
    if IN_MONGODB:
        with closing(_client()) as client:
            client.drop_database(_name(home))
    for path in home.glob(f"{_FILE}*"):
        path.unlink()


def has_catalog(home: Path) -> bool:
    """Whether a home has a catalog."""
    if IN_MONGODB:
        with closing(_client()) as client:
            return _name(home) in client.list_database_names()
    return bool(list(home.glob(f"{_FILE}*")))


def known_of_sessions(home: Path, field: str) -> list[Any]:
    """What the catalog of a home has in a field of all sessions, while others may be writing to it."""
    if IN_MONGODB:
        with closing(_client()) as client:
            return [found[field] for found in client[_name(home)]["sessions"].find({}, {field: 1})]
    return [value for (value,) in rows(home / _FILE, f"SELECT {field} FROM sessions")]


def _copy_collection(source: Database[Any], target: Database[Any], name: str) -> None:
    target[name].delete_many({})
    if documents := list(source[name].find()):
        target[name].insert_many(documents)


def _client() -> MongoClient[Any]:
    return MongoClient(_servers[-1].url)


def _name(home: Path) -> str:
    return f"{_servers[-1].name}_{sha256(bytes(home.resolve())).hexdigest()[:16]}"
