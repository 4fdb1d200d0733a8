"""The error tree: every failure that Lucid foresees, with the one line that a person reads.

Here: errors that carry a message, a hint and the exit status of the command line. Not here: damage codes, which are
part of the format (`lucid_pipeline.archive.damage`).
"""

from typing import ClassVar


class LucidError(Exception):
    """A foreseen failure.

    `message` says what is wrong and `hint` what to do about it; neither ever holds a key or a plaintext digest.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class UsageError(LucidError):
    """The caller asked for something that cannot be: a wrong path, a bad id, a missing key, a bad setting."""

    exit_status = 2


class SessionNotFound(UsageError):
    """No session has this id."""


class PermanentError(LucidError):
    """Trying again cannot help: malformed input, a recording that has gone, damaged data."""


class TransientError(LucidError):
    """Trying again may help: a full disk, a store that does not answer, a recording that was still being written."""
