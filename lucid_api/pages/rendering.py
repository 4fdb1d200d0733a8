"""HTML from templates, and what a browser may do with it."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from lucid_api.access.callers import Caller
from lucid_api.access.scopes import Scope
from lucid_api.http.security_headers import POLICY
from lucid_api.pages.assets import asset_url
from lucid_pipeline.paths import printable
from lucid_pipeline.units import duration, minute, size


def _policy(scripts: str = "'self'", images: str = "'self'") -> str:
    return (
        "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
        f"connect-src 'self'; img-src {images}; media-src 'self'; script-src {scripts}; style-src 'self'"
    )


PLAIN = _policy()
"""What a page may load: what this service has, and nothing inline."""

WITH_PLAYER = _policy(scripts="'self' 'wasm-unsafe-eval'")
"""The same for one that plays terminal casts: asciinema-player has a terminal in WebAssembly."""

WITH_DRAWINGS = _policy(images="'self' data:")
"""The same for one whose style sheet has pictures in it, as that of Swagger UI."""


def _shown(value: object) -> object:
    """Text of users as it may stand in a page; what a template says is left as it is."""
    return printable(value) if type(value) is str else value


def _count(number: int, word: str) -> str:
    """`1 chunk`, `2 chunks`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals.update(asset=asset_url, Scope=Scope)
_templates.filters.update(size=size, duration=duration, minute=minute, count=_count)


def page(
    template: str, caller: Caller | None = None, *, status: int = 200, policy: str = PLAIN, **values: Any
) -> Response:
    """A page.

    Args:
        template: its file.
        caller: for whom it is, where that is known; it says what the way around the pages leads to.
        status: of the response.
        policy: what it may load.
        values: what the template shows.
    """
    text = _templates.get_template(template).render(caller=caller, **values)
    return HTMLResponse(text, status, {POLICY: policy})
