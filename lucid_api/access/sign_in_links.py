"""Links that sign a browser in once: what the service prints when it starts. Of a link only a digest is kept."""

import sqlite3
from datetime import UTC, datetime, timedelta

from lucid_api.access.random_secrets import digest_of, new_secret
from lucid_api.state import StateDatabase
from lucid_pipeline.stores.catalog import microseconds

VALID_FOR = timedelta(minutes=10)


def create(state: StateDatabase) -> str:
    """The token of a new link, which takes the place of those before."""
    token = new_secret()
    row = (digest_of(token), microseconds(datetime.now(UTC) + VALID_FOR))
    with state.writing() as connection:
        connection.execute("DELETE FROM sign_in_links")
        connection.execute("INSERT INTO sign_in_links VALUES (?, ?)", row)
    return token


def use(connection: sqlite3.Connection, token: str) -> bool:
    """Use a link up in a transaction; returns whether it was valid."""
    row = (digest_of(token), microseconds(datetime.now(UTC)))
    found = connection.execute("SELECT 1 FROM sign_in_links WHERE token_sha256 = ? AND expires_us > ?", row).fetchone()
    connection.execute("DELETE FROM sign_in_links WHERE token_sha256 = ?", row[:1])
    return found is not None
