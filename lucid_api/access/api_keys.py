"""API keys: `lucid_<id>_<secret>`, of which only a digest is kept.

The secret has 256 random bits, so a digest without salt or many rounds gives nothing away: there is nothing to guess.
"""

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from hmac import compare_digest

from lucid_api.access.scopes import Scope
from lucid_api.state import StateDatabase
from lucid_pipeline.stores.catalog import from_microseconds, microseconds

PREFIX = "lucid"
_ID_BYTES = 8
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; its secret is not."""

    key_id: str
    label: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None

    @property
    def subject(self) -> str:
        """What logs and the audit record know its holder by."""
        return f"key:{self.key_id}"


def create(
    state: StateDatabase, label: str, scopes: Iterable[Scope], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """A new key, and the text that its holder sends; that is told this once and kept nowhere."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    key = ApiKey(secrets.token_hex(_ID_BYTES), label, frozenset(scopes), datetime.now(UTC), expires_at)
    row = (
        key.key_id,
        _digest(secret),
        label,
        json.dumps(sorted(key.scopes)),
        microseconds(key.created_at),
        microseconds(expires_at) if expires_at else None,
    )
    with state.writing() as connection:
        connection.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?)", row)
    return key, f"{PREFIX}_{key.key_id}_{secret}"


def find(state: StateDatabase, text: str) -> ApiKey | None:
    """The key that somebody sent, if there is such a one, and it has not expired."""
    prefix, _, rest = text.partition("_")
    key_id, _, secret = rest.partition("_")
    with state.reading() as connection:
        row = connection.execute("SELECT * FROM api_keys WHERE key_id = ?", (key_id,)).fetchone()
    right = compare_digest(_digest(secret), row["secret_sha256"] if row else bytes(sha256().digest_size))
    if row is None or not right or prefix != PREFIX:
        return None
    expires_at = from_microseconds(row["expires_us"])
    if expires_at and expires_at <= datetime.now(UTC):
        return None
    scopes = frozenset(map(Scope, json.loads(row["scopes"])))
    created_at = from_microseconds(row["created_us"])
    assert created_at is not None
    return ApiKey(key_id, row["label"], scopes, created_at, expires_at)


def _digest(secret: str) -> bytes:
    return sha256(secret.encode()).digest()
