"""The files that a page refers to: Lucid's own, and those of npm packages that are named here.

All are served under one name, which is made from what they say: a browser may keep them for ever, and modules that
import each other are always of one version.
"""

import logging
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse
from starlette.responses import Response

from lucid_api.problems import NotFound

_STATIC = Path(__file__).parent / "static"
_PACKAGES = Path(__file__).parent / "node_modules"
_FROM_PACKAGES = {
    "asciinema-player.css": "asciinema-player/dist/bundle/asciinema-player.css",
    "asciinema-player.js": "asciinema-player/dist/bundle/asciinema-player.min.js",
    "swagger-ui.css": "swagger-ui-dist/swagger-ui.css",
    "swagger-ui.js": "swagger-ui-dist/swagger-ui-bundle.js",
}
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)


def asset_url(name: str) -> str:
    """Where a browser gets a file."""
    return f"/assets/{_version()}/{name}"


@router.get("/assets/{version}/{name}")
def get_asset(version: str, name: str) -> Response:
    """A file; there is none of this name and version: `NotFound`."""
    path = _files().get(name)
    if path is None or version != _version():
        raise NotFound("there is no such file")
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return FileResponse(path, media_type=_MEDIA_TYPES[path.suffix], headers=headers)


@cache
def _files() -> Mapping[str, Path]:
    """Where they lie, by name."""
    files = {path.name: path for path in _STATIC.iterdir()}
    files |= {name: _PACKAGES / place for name, place in _FROM_PACKAGES.items()}
    there = {name: path for name, path in files.items() if path.is_file()}
    if missing := sorted(files.keys() - there.keys()):
        _log.warning("the page lacks %s: run make, which fetches them", ", ".join(missing))
    return there


@cache
def _version() -> str:
    digest = sha256()
    for name, path in sorted(_files().items()):
        digest.update(sha256(name.encode()).digest() + sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
