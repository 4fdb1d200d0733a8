"""The service's own database: what it has to remember beside the catalog. Each folder has its own queries.

Losing it loses keys and sign-ins, and no session.
"""

from pathlib import Path

from lucid_pipeline.stores.sqlite_file import Schema, SqliteFile

FILE_NAME = "api.sqlite3"

_MIGRATIONS = (
    (
        """CREATE TABLE api_keys (
            key_id        TEXT PRIMARY KEY,
            secret_sha256 BLOB NOT NULL,
            label         TEXT NOT NULL,
            scopes        TEXT NOT NULL,  -- a JSON array
            created_by    TEXT NOT NULL,
            created_us    INTEGER NOT NULL,
            expires_us    INTEGER,
            used_us       INTEGER  -- NULL: never
        ) WITHOUT ROWID""",
        """CREATE TABLE sign_in_links (
            token_sha256 BLOB PRIMARY KEY,
            expires_us   INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE browser_sessions (
            secret_sha256 BLOB PRIMARY KEY,
            subject       TEXT NOT NULL,
            scopes        TEXT NOT NULL,  -- a JSON array
            key_id        TEXT REFERENCES api_keys ON DELETE CASCADE,  -- NULL: signed in by a link
            expires_us    INTEGER NOT NULL,
            used_us       INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX browser_sessions_by_key ON browser_sessions (key_id)",
        "CREATE INDEX browser_sessions_by_end ON browser_sessions (expires_us)",
        """CREATE TABLE idempotent_requests (
            subject      TEXT NOT NULL,
            key          TEXT NOT NULL,
            request      BLOB NOT NULL,  -- a digest of what was asked
            answer       BLOB NOT NULL,
            created_us   INTEGER NOT NULL,
            PRIMARY KEY (subject, key)
        ) WITHOUT ROWID""",
        "CREATE INDEX idempotent_requests_by_age ON idempotent_requests (created_us)",
        "CREATE INDEX idempotent_requests_by_subject ON idempotent_requests (subject, created_us)",
        """CREATE TABLE verifications (
            session_id      TEXT NOT NULL,
            verification_id TEXT NOT NULL,  -- later ones sort behind
            has_ended       INTEGER NOT NULL,
            document        TEXT NOT NULL,
            damages         TEXT NOT NULL,  -- a JSON array
            PRIMARY KEY (session_id, verification_id)
        )""",
        "CREATE INDEX verifications_under_way ON verifications (verification_id) WHERE NOT has_ended",
    ),
)

_SCHEMA = Schema(
    "session API's database", b"LUCA", _MIGRATIONS, "LUCID_HOME", "move it away: keys and sign-ins are made anew"
)


class StateDatabase(SqliteFile):
    """The database in a data home, made where there is none.

    Raises:
        UsageError, TransientError, PermanentError: as `SqliteFile`.
    """

    def __init__(self, home: Path) -> None:
        super().__init__(home / FILE_NAME, _SCHEMA)
