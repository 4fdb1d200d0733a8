"""Who asks: a subject, and what it may do."""

from dataclasses import dataclass

from lucid_api.access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    `subject` is what logs, the audit record and rate limits know them by: never a secret.
    """

    subject: str
    scopes: frozenset[Scope]


NOBODY_IN_PARTICULAR = Caller("anybody", frozenset(Scope))
"""Who asks where authentication is turned off."""
