"""Who asks: a subject, and what it may do."""

from dataclasses import dataclass, field

from lucid_api.access.scopes import Scope


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    `subject` is what logs, the audit record and rate limits know them by: never a secret. `csrf_token` is what pages of
    a browser that is signed in send along, in the header `X-CSRF-Token` or the form field `csrf_token`, with whatever
    changes something; None for callers that have no such pages.
    """

    subject: str
    scopes: frozenset[Scope]
    csrf_token: str | None = field(default=None, repr=False)


NOBODY_IN_PARTICULAR = Caller("anybody", frozenset(Scope))
"""Who asks where authentication is turned off."""

OWNER = "owner"
"""The subject who has signed in by the link that the service printed: whoever started it."""
