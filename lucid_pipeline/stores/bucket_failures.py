"""What a bucket's server answered, in one line that says what to mend, and repeats no secret."""

import re
from xml.sax.saxutils import unescape

_CODE = re.compile(r"<Code>(\w+)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_STATUS = re.compile(r"status code: (\d{3})")
_LONGEST = 200
_NEVER_CONNECTED = "kind: Connect,"
_QUOTES = {"&#34;": '"', "&quot;": '"', "&#39;": "'", "&apos;": "'"}

CREDENTIALS = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
_PERMISSIONS = "may the key in AWS_ACCESS_KEY_ID use this bucket? docs/object-stores.md has what it needs"
_REGION = "set AWS_REGION to the region of the bucket"
_HINTS = {
    "NoSuchBucket": "make the bucket first, or mend the URL",
    "InvalidAccessKeyId": "the server knows no such key: is AWS_ACCESS_KEY_ID right, and the endpoint?",
    "XAdminUserNotFound": "the server knows no such key: is AWS_ACCESS_KEY_ID right, and the endpoint?",
    "SignatureDoesNotMatch": "is AWS_SECRET_ACCESS_KEY right?",
    "ExpiredToken": "get new credentials",
    "InvalidToken": "is AWS_SESSION_TOKEN that of this key?",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "AuthorizationHeaderMalformed": _REGION,
    "PermanentRedirect": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "AccessDenied": _PERMISSIONS,
    "QuotaExceeded": "make room there",
}
_BY_STATUS = {"401": _PERMISSIONS, "403": _PERMISSIONS, "507": "make room there"}


def is_absence(error: Exception) -> bool:
    """Whether an answer 404 means that there is no such object, and not that something else is missing.

    An answer to a HEAD has no body, so nobody knows.
    """
    code = _CODE.search(str(error))
    return code is None or code[1] == "NoSuchKey"


def may_have_taken_effect(error: Exception) -> bool:
    """Whether the connection was lost while a request was under way, so that asking again is for the caller."""
    return " - HTTP error: " in _first_line(error) and _NEVER_CONNECTED not in str(error)


def explain(error: Exception) -> tuple[str, str | None]:
    """What is wrong, and what to do about it."""
    text, line = str(error), _first_line(error)
    if "/latest/api/token" in line or "/latest/meta-data/" in line:
        return "there are no credentials for it", CREDENTIALS
    if line.endswith("builder error"):
        return "the endpoint has no TLS", "an endpoint without TLS needs AWS_ALLOW_HTTP=true"
    if "normally indicates an incorrectly configured region" in line:
        return "the bucket is in another region", _REGION
    if code := _CODE.search(text):
        said = _MESSAGE.search(text)
        message = unescape(said[1], _QUOTES) if said else ""
        return f"{code[1]}: {message}"[:_LONGEST], _HINTS.get(code[1])
    if " - HTTP error: " in line:
        return _transport(text), "does the server run, and is AWS_ENDPOINT_URL right?"
    status = _STATUS.search(line)
    reason = line.partition(" - ")[2] or line  # before that stands the whole address once more
    return reason[:_LONGEST], _BY_STATUS.get(status[1]) if status else None


def _transport(text: str) -> str:
    """Why there was no answer, as far as the client knows; its first line never says."""
    reasons = {
        "Connection refused": "the server refuses connections",
        "failed to lookup address": "there is no server of this name",
        "InvalidContentType": "the endpoint has no TLS, write http:// for it",
        "invalid peer certificate": "the server has a certificate that is not trusted here",
        "kind: Timeout": "the server did not answer in time",
        "TimedOut": "the server did not answer in time",
    }
    return next((reason for sign, reason in reasons.items() if sign in text), "the connection was lost")


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip()
