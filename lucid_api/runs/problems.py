"""What can go wrong where Dagster has to do something. What it says of itself goes to the log, and not to callers."""

from http import HTTPStatus

from lucid_api.problems import Problem

_RETRY_SECONDS = "5"


class DagsterAway(Problem):
    """Dagster's webserver does not answer, or a code location does not; what needs neither still works."""

    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "dagster-away", "Dagster does not answer"

    def __init__(self, detail: str = "Dagster's webserver does not answer; try again later") -> None:
        super().__init__(detail, headers={"Retry-After": _RETRY_SECONDS})


class OutcomeUnknown(DagsterAway):
    """Dagster was asked to do something, and the answer got lost: it may have been done."""


class DagsterFailed(Problem):
    """Dagster answers, and could not do what it was asked to."""

    status, kind, title = HTTPStatus.BAD_GATEWAY, "dagster-failed", "Dagster could not do it"


class RunHasEnded(Problem):
    """A run that has ended cannot be canceled."""

    status, kind, title = HTTPStatus.CONFLICT, "run-has-ended", "The run has ended"


class NotCancelable(Problem):
    """A run that is just starting, or that another process runs itself, cannot be canceled."""

    status, kind, title = HTTPStatus.CONFLICT, "run-not-cancelable", "The run cannot be canceled"


class TooManyStreams(Problem):
    """So many streams of events are open that there is no place for another one."""

    status, kind, title = HTTPStatus.TOO_MANY_REQUESTS, "too-many-streams", "Too many streams"

    def __init__(self, detail: str = "too many streams of events are open; close one") -> None:
        super().__init__(detail, headers={"Retry-After": _RETRY_SECONDS})


class TooManyRunRequests(Problem):
    """So many requests for runs are being worked on that there is no place for another one; try again."""

    status, kind, title = HTTPStatus.SERVICE_UNAVAILABLE, "too-many-run-requests", "Too many requests for runs"

    def __init__(self, detail: str = "other requests for runs are being worked on; try again") -> None:
        super().__init__(detail, headers={"Retry-After": _RETRY_SECONDS})


class NothingToRun(Problem):
    """All sessions that were named have ended; `sessions` says how."""

    status, kind, title = HTTPStatus.CONFLICT, "nothing-to-run", "There is nothing to run"
