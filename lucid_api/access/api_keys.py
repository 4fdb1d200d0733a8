"""API keys: `lucid_<id>_<secret>`, of which only a digest is kept."""

import json
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from lucid_api.access.random_secrets import digest_of, new_secret
from lucid_api.access.scopes import Scope
from lucid_api.state import StateDatabase
from lucid_pipeline.archive.manifest import timestamp
from lucid_pipeline.errors import TransientError, UsageError
from lucid_pipeline.stores.catalog import from_microseconds, microseconds

PREFIX = "lucid_"
MOST_KEYS = 1000
_ID_BYTES = 8
_ID = re.compile(rf"[0-9a-f]{{{2 * _ID_BYTES}}}")
_USE_IS_NOTED_EVERY = timedelta(hours=1)


class NoSuchKey(UsageError):
    """No key has this id."""


class TooManyKeys(UsageError):
    """There are as many keys as there may be."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; its secret is not. When it was used last is known to the hour."""

    key_id: str
    label: str
    scopes: frozenset[Scope]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None = None

    @property
    def subject(self) -> str:
        """What logs and the audit record know its holder by."""
        return f"key:{self.key_id}"

    @property
    def document(self) -> dict[str, object]:
        """All of it, for machines."""
        return {
            "key_id": self.key_id,
            "subject": self.subject,
            "label": self.label,
            "scopes": sorted(self.scopes),
            "created_by": self.created_by,
            "created_at": timestamp(self.created_at),
            "expires_at": timestamp(self.expires_at) if self.expires_at else None,
            "used_at": timestamp(self.used_at) if self.used_at else None,
        }

    @property
    def may(self) -> str:
        """Its scopes in one line."""
        return " ".join(sorted(self.scopes))

    def is_valid_at(self, moment: datetime) -> bool:
        """Whether it has not expired."""
        return self.expires_at is None or moment < self.expires_at


def create(
    state: StateDatabase,
    label: str,
    scopes: Iterable[Scope],
    *,
    created_by: str,
    expires_at: datetime | None = None,
    record: Callable[[ApiKey], None],
) -> tuple[ApiKey, str]:
    """A new key, and the text that its holder sends; that is told this once and kept nowhere.

    Args:
        state: where keys are kept.
        label: what people call it.
        scopes: what its holder may do.
        created_by: the subject who makes it.
        expires_at: until when it is valid.
        record: puts it on record; if that fails, there is no such key.

    Raises:
        TooManyKeys: there are too many.
    """
    secret = new_secret()
    key = ApiKey(secrets.token_hex(_ID_BYTES), label, frozenset(scopes), created_by, datetime.now(UTC), expires_at)
    row = (
        key.key_id,
        digest_of(secret),
        label,
        json.dumps(sorted(key.scopes)),
        created_by,
        microseconds(key.created_at),
        microseconds(expires_at) if expires_at else None,
    )
    with state.writing() as connection:
        [count] = connection.execute("SELECT COUNT(*) FROM api_keys").fetchone()
        if count >= MOST_KEYS:
            raise TooManyKeys(f"there are {MOST_KEYS} keys already", "delete those that nobody needs")
        connection.execute("INSERT INTO api_keys VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", row)
        record(key)
    return key, f"{PREFIX}{key.key_id}_{secret}"


def delete(state: StateDatabase, key_id: str, record: Callable[[ApiKey], None]) -> None:
    """Delete a key; from now on it is not known, and browsers that signed in with it are signed out.

    Raises:
        NoSuchKey: there is no such key.
    """
    with state.writing() as connection:
        key = _get(connection, key_id)
        connection.execute("DELETE FROM api_keys WHERE key_id = ?", (key_id,))
        record(key)


def get(state: StateDatabase, key_id: str) -> ApiKey:
    """A key by its id, expired or not.

    Raises:
        NoSuchKey: there is no such key.
    """
    with state.reading() as connection:
        return _get(connection, key_id)


def get_all(state: StateDatabase) -> list[ApiKey]:
    """All keys, the newest first; at most `MOST_KEYS`."""
    with state.reading() as connection:
        rows = connection.execute("SELECT * FROM api_keys ORDER BY created_us DESC, key_id").fetchall()
    return [_key(row) for row in rows]


def find(state: StateDatabase, text: str) -> ApiKey | None:
    """The key that somebody sent, if there is such a one, and it has not expired."""
    key_id, _, secret = text.removeprefix(PREFIX).partition("_")
    with state.reading() as connection:
        row = connection.execute("SELECT * FROM api_keys WHERE key_id = ?", (key_id,)).fetchone()
    right = compare_digest(digest_of(secret), row["secret_sha256"] if row else bytes(sha256().digest_size))
    if row is None or not right or not text.startswith(PREFIX):
        return None
    key, now = _key(row), datetime.now(UTC)
    if not key.is_valid_at(now):
        return None
    if key.used_at is None or now - key.used_at > _USE_IS_NOTED_EVERY:
        _note_use(state, key_id, now)
    return key


def claimed_id(text: str) -> str | None:
    """The id in what somebody sent as a key, if there is one: whatever else it is could be a secret."""
    key_id = text.removeprefix(PREFIX).partition("_")[0]
    return key_id if _ID.fullmatch(key_id) else None


def _note_use(state: StateDatabase, key_id: str, now: datetime) -> None:
    with suppress(TransientError), state.writing() as connection:  # a full disk keeps nobody out
        connection.execute("UPDATE api_keys SET used_us = ? WHERE key_id = ?", (microseconds(now), key_id))


def _get(connection: sqlite3.Connection, key_id: str) -> ApiKey:
    row = connection.execute("SELECT * FROM api_keys WHERE key_id = ?", (key_id,)).fetchone()
    if row is None:
        raise NoSuchKey(f"there is no key {key_id[:64]!r}", "lucid api-key list shows those that there are")
    return _key(row)


def _key(row: sqlite3.Row) -> ApiKey:
    created_at = from_microseconds(row["created_us"])
    assert created_at is not None
    return ApiKey(
        row["key_id"],
        row["label"],
        frozenset(map(Scope, json.loads(row["scopes"]))),
        row["created_by"],
        created_at,
        from_microseconds(row["expires_us"]),
        from_microseconds(row["used_us"]),
    )
