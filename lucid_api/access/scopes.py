"""What a caller may do, and the roles that people are given."""

from collections.abc import Mapping
from enum import StrEnum


class Scope(StrEnum):
    """One kind of thing that a caller may do."""

    SESSIONS_READ = "sessions:read"
    CONTENT_PLAY = "content:play"
    RUNS_WRITE = "runs:write"
    VERIFY_WRITE = "verify:write"
    AUDIT_READ = "audit:read"
    ADMIN = "admin"


DESCRIPTIONS: Mapping[Scope, str] = {
    Scope.SESSIONS_READ: "find sessions, read what is known of them, their manifests, ciphertext and proofs, and runs",
    Scope.CONTENT_PLAY: "read what was recorded",
    Scope.RUNS_WRITE: "bring recordings, start runs and cancel them",
    Scope.VERIFY_WRITE: "have sessions verified",
    Scope.AUDIT_READ: "read the audit record",
    Scope.ADMIN: "manage keys",
}


class Role(StrEnum):
    """What a person is to Lucid: a set of scopes with a name."""

    VIEWER = "viewer"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def scopes(self) -> frozenset[Scope]:
        """What the role may do."""
        return _SCOPES[self]


_SCOPES = {
    Role.VIEWER: frozenset({Scope.SESSIONS_READ, Scope.CONTENT_PLAY}),
    Role.AUDITOR: frozenset({Scope.SESSIONS_READ, Scope.VERIFY_WRITE, Scope.AUDIT_READ}),
    Role.OPERATOR: frozenset({Scope.SESSIONS_READ, Scope.RUNS_WRITE, Scope.VERIFY_WRITE}),
    Role.ADMIN: frozenset(Scope),
}
