"""From a catalog's URL to the adapter for it."""

from pathlib import Path
from urllib.parse import urlsplit

from lucid_pipeline.errors import UsageError
from lucid_pipeline.paths import is_there
from lucid_pipeline.stores.catalog import Catalog
from lucid_pipeline.stores.catalog_sqlite import SqliteCatalog

_HINT = "use sqlite:///relative/path, sqlite:////absolute/path or mongodb://host/database"


def open_catalog(url: str) -> Catalog:
    """The catalog at a URL: `sqlite:///relative/path`, `sqlite:////absolute/path`, or one of MongoDB's.

    All that follows the third slash of `sqlite:///` is the path, as it is: nothing in it is escaped.

    Raises:
        UsageError: the URL names no such place, or the catalog cannot be opened. Never quotes the URL: one of a
            database server may hold a password.
        TransientError, PermanentError: as any call of the catalog.
    """
    file = catalog_file(url)
    if file:
        return SqliteCatalog(file)
    # Loaded where it is used: the driver takes a command that needs none longer to load than to run.
    from lucid_pipeline.stores.catalog_mongo import MongoCatalog

    return MongoCatalog(url)


def catalog_exists(url: str) -> bool:
    """Whether a catalog is there already, which `open_catalog` would open and not make.

    Raises:
        UsageError: as `open_catalog`, and where this user may not look.
        TransientError: a database server does not answer.
    """
    file = catalog_file(url)
    if file:
        return is_there(file, "catalog")
    from lucid_pipeline.stores import catalog_mongo

    return catalog_mongo.is_there(url)


def shown_url(url: str) -> str:
    """A catalog's URL as it can be shown to anybody: without user, password and options."""
    if catalog_file(url):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def catalog_file(url: str) -> Path | None:
    """The file that a catalog's URL names; None for that of a database server.

    Raises:
        UsageError: as `open_catalog`.
    """
    scheme, _, path = url.partition("://")
    if scheme in ("mongodb", "mongodb+srv"):
        return None
    if scheme != "sqlite" or path[:1] != "/" or path == "/" or "\0" in path:
        raise UsageError("the catalog's URL is not one that Lucid knows", _HINT)
    return Path(path[1:])
