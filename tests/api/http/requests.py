"""Requests as endpoints get them, made of their headers alone."""

from fastapi import Request


def request_with(method: str = "GET", **headers: str) -> Request:
    """A request; `If_Match` is the header `If-Match`."""
    raw = [(name.replace("_", "-").lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "path": "/", "query_string": b"", "headers": raw})
