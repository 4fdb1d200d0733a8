"""From a catalog's URL to the adapter for it."""

from pathlib import Path

from lucid_pipeline.errors import UsageError
from lucid_pipeline.paths import is_there
from lucid_pipeline.stores.catalog import Catalog
from lucid_pipeline.stores.catalog_sqlite import SqliteCatalog


def open_catalog(url: str) -> Catalog:
    """The catalog at a URL: `sqlite:///relative/path` or `sqlite:////absolute/path`.

    All that follows the third slash is the path, as it is: nothing in it is escaped.

    Raises:
        UsageError: the URL names no such place, or the catalog cannot be opened. Never quotes the URL: one of a
            database server may hold a password.
        TransientError, PermanentError: as any call of the catalog.
    """
    return SqliteCatalog(catalog_file(url))


def catalog_exists(url: str) -> bool:
    """Whether a catalog is there already, which `open_catalog` would open and not make.

    Raises:
        UsageError: as `open_catalog`, and where this user may not look.
    """
    return is_there(catalog_file(url), "catalog")


def catalog_file(url: str) -> Path:
    """The file that a catalog's URL names.

    Raises:
        UsageError: as `open_catalog`.
    """
    scheme, _, path = url.partition("://")
    if scheme in ("mongodb", "mongodb+srv"):
        raise UsageError("this version has the SQLite catalog only; MongoDB comes later", _HINT)
    if scheme != "sqlite" or path[:1] != "/" or path == "/" or "\0" in path:
        raise UsageError("the catalog's URL is not one that Lucid knows", _HINT)
    return Path(path[1:])


_HINT = "use sqlite:///relative/path or sqlite:////absolute/path"
