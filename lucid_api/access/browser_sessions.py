"""Browsers that are signed in: a secret in a cookie, of which only a digest is kept.

It ends when nobody has used it for half a day, after a week at the latest, and with the key that it was signed in by.
"""

import base64
import json
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import compare_digest

from lucid_api.access.random_secrets import digest_of, new_secret
from lucid_api.access.scopes import Scope
from lucid_api.state import StateDatabase
from lucid_pipeline.errors import TransientError
from lucid_pipeline.stores.catalog import microseconds

IDLE_FOR = timedelta(hours=12)
LASTS_FOR = timedelta(days=7)

_MOST_SESSIONS = 10_000
_USE_IS_NOTED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class BrowserSession:
    """Who has signed in, and the text that their pages have and those of others do not."""

    subject: str
    scopes: frozenset[Scope]
    csrf_token: str = field(repr=False)

    def is_csrf_token(self, text: str | None) -> bool:
        """Whether a page of this session has sent this."""
        return text is not None and compare_digest(text.encode(), self.csrf_token.encode())


def start(
    connection: sqlite3.Connection, subject: str, scopes: Iterable[Scope], *, key_id: str | None, replaces: str | None
) -> str:
    """Start a session in a transaction; returns what goes into the cookie.

    Args:
        connection: to the state database.
        subject: who has signed in.
        scopes: what they may do.
        key_id: the key that they signed in with, if it was one.
        replaces: the secret of the session that the browser had before, which ends.
    """
    now, secret = datetime.now(UTC), new_secret()
    connection.execute("DELETE FROM browser_sessions WHERE expires_us <= ?", (microseconds(now),))
    connection.execute(
        """DELETE FROM browser_sessions WHERE expires_us <= (
            SELECT expires_us FROM browser_sessions ORDER BY expires_us DESC LIMIT 1 OFFSET ?)""",
        (_MOST_SESSIONS - 1,),
    )
    if replaces:
        end(connection, replaces)
    expires_us = microseconds(now + LASTS_FOR)
    row = (digest_of(secret), subject, json.dumps(sorted(scopes)), key_id, expires_us, microseconds(now))
    connection.execute("INSERT INTO browser_sessions VALUES (?, ?, ?, ?, ?, ?)", row)
    return secret


def end(connection: sqlite3.Connection, secret: str) -> None:
    """End a session in a transaction, if there is such a one."""
    connection.execute("DELETE FROM browser_sessions WHERE secret_sha256 = ?", (digest_of(secret),))


def find(state: StateDatabase, secret: str) -> BrowserSession | None:
    """The session of a cookie, if it has not ended."""
    now = datetime.now(UTC)
    now_us = microseconds(now)
    with state.reading() as connection:
        row = connection.execute(
            """SELECT session.* FROM browser_sessions AS session LEFT JOIN api_keys AS key USING (key_id)
            WHERE session.secret_sha256 = ? AND session.expires_us > ? AND session.used_us > ?
                AND (key.expires_us IS NULL OR key.expires_us > ?)""",
            (digest_of(secret), now_us, microseconds(now - IDLE_FOR), now_us),
        ).fetchone()
    if row is None:
        return None
    if row["used_us"] <= microseconds(now - _USE_IS_NOTED_EVERY):
        with suppress(TransientError), state.writing() as connection:  # a full disk signs nobody out
            connection.execute(
                "UPDATE browser_sessions SET used_us = ? WHERE secret_sha256 = ?", (now_us, row["secret_sha256"])
            )
    return BrowserSession(row["subject"], frozenset(map(Scope, json.loads(row["scopes"]))), _csrf_token(secret))


def _csrf_token(secret: str) -> str:
    """It follows from the secret, so it ends with the session, and whoever has it cannot tell the secret."""
    return base64.urlsafe_b64encode(sha256(b"lucid/csrf-token@v1\0" + secret.encode()).digest()).decode().rstrip("=")
