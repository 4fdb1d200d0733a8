"""Verifications as they lie in the service's database."""

import json
from uuid import UUID

from lucid_api.problems import NotFound
from lucid_api.proofs.documents import DamageDocument, Verification, VerificationDetail, VerificationStatus
from lucid_api.state import StateDatabase

MOST_OF_A_SESSION = 100
"""Of one session the newest ones are kept."""


class VerificationStore:
    """Every verification that was asked for, until newer ones of its session take its place."""

    def __init__(self, state: StateDatabase) -> None:
        self._state = state

    def add(self, verification: Verification) -> None:
        """Keep a new one."""
        session_id = str(verification.session_id)
        with self._state.writing() as connection:
            connection.execute(
                """DELETE FROM verifications WHERE session_id = ? AND has_ended AND verification_id <= (
                    SELECT verification_id FROM verifications WHERE session_id = ?
                    ORDER BY verification_id DESC LIMIT 1 OFFSET ?)""",
                (session_id, session_id, MOST_OF_A_SESSION - 1),
            )
            row = (session_id, str(verification.verification_id), False, verification.model_dump_json(), "[]")
            connection.execute("INSERT INTO verifications VALUES (?, ?, ?, ?, ?)", row)

    def change(self, verification: Verification, damages: list[DamageDocument] | None = None) -> None:
        """Keep a new state of one, and what it found."""
        found = json.dumps([damage.model_dump() for damage in damages or ()])
        key = (str(verification.session_id), str(verification.verification_id))
        with self._state.writing() as connection:
            connection.execute(
                """UPDATE verifications SET has_ended = ?, document = ?, damages = ?
                WHERE session_id = ? AND verification_id = ?""",
                (verification.status.has_ended, verification.model_dump_json(), found, *key),
            )

    def interrupt_all(self, now: str) -> None:
        """All that have not ended have been interrupted."""
        with self._state.reading() as connection:
            rows = connection.execute("SELECT document FROM verifications WHERE NOT has_ended").fetchall()
        interrupted = {"status": VerificationStatus.INTERRUPTED, "ended_at": now}
        for row in rows:
            self.change(Verification.model_validate_json(row["document"]).model_copy(update=interrupted))

    def get(self, session_id: UUID, verification_id: UUID) -> VerificationDetail:
        """One of a session.

        Raises:
            NotFound: there is none, or not any more.
        """
        query = "SELECT document, damages FROM verifications WHERE session_id = ? AND verification_id = ?"
        with self._state.reading() as connection:
            row = connection.execute(query, (str(session_id), str(verification_id))).fetchone()
        if row is None:
            raise NotFound(f"the session has no verification {verification_id}; of each, the newest are kept")
        return VerificationDetail(**json.loads(row["document"]), damages=json.loads(row["damages"]))

    def newest(self, session_id: UUID, before: UUID | None, limit: int) -> list[Verification]:
        """At most so many of a session, newest first, of those that were asked for before another one."""
        query = """SELECT document FROM verifications WHERE session_id = ? AND verification_id < ?
            ORDER BY verification_id DESC LIMIT ?"""
        with self._state.reading() as connection:
            rows = connection.execute(query, (str(session_id), str(before or "~"), limit)).fetchall()
        return [Verification.model_validate_json(row["document"]) for row in rows]
