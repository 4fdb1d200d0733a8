"""What other web sites can make a browser do, and must not: to send this service what its user never wanted.

Browsers say where a request comes from in `Sec-Fetch-Site`, or, where the connection is neither encrypted nor local, in
`Origin`. What is no browser says neither, and has no cookies that somebody else could use.
"""

import ipaddress
import re

from fastapi import Request

from lucid_api.problems import Forbidden

_HOST = re.compile(r"([^:\[\]]+|\[[^\[\]]+\])(:[0-9]+)?")
_SAFE_METHODS = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))


def is_safe(request: Request) -> bool:
    """Whether a request changes nothing (RFC 9110, section 9.2.1)."""
    return request.method in _SAFE_METHODS


def refuse_cross_site(request: Request) -> None:
    """Let no other site send this request.

    Raises:
        Forbidden: a browser sends it, and not from a page of this service.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is not None:
        own = site in ("same-origin", "none")
    else:
        # The scheme is left out, since a proxy may speak another one to the browser than to this service.
        own = origin is None or origin.partition("://")[2] == request.headers.get("Host")
    if not own:
        raise Forbidden("another web site has sent this")


def refuse_other_names(request: Request) -> None:
    """Answer to names of this machine only, where nobody is asked who they are.

    Any web site can have a name that leads here, and its pages then pass for pages of this service.

    Raises:
        Forbidden: the request is for another name.
    """
    found = _HOST.fullmatch(request.headers.get("Host", ""))
    if not (found and _is_of_this_machine(found[1].strip("[]"))):
        raise Forbidden("without authentication this service answers to localhost only")


def _is_of_this_machine(name: str) -> bool:
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
