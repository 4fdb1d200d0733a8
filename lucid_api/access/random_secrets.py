"""Secrets that are made here, and sent back later to be let in.

They have 256 random bits, so there is nothing to guess: a plain digest gives nothing away, with neither salt nor many
rounds, and a slow one would only be a way to keep the service busy.
"""

import secrets
from hashlib import sha256

_BYTES = 32


def new_secret() -> str:
    """A new one, of letters, digits, `-` and `_`."""
    return secrets.token_urlsafe(_BYTES)


def digest_of(secret: str) -> bytes:
    """What is kept of one, or of whatever else was sent as one."""
    return sha256(secret.encode("utf-8", "surrogatepass")).digest()
