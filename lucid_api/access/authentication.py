"""From what a request brings along to who asks."""

from lucid_api.access import api_keys, browser_sessions, sign_in_links
from lucid_api.access.auditing import Audit
from lucid_api.access.callers import NOBODY_IN_PARTICULAR, OWNER, Caller
from lucid_api.access.cross_site import is_safe, refuse_cross_site, refuse_other_names
from lucid_api.access.failed_sign_ins import FailedSignIns
from lucid_api.access.scopes import Scope
from lucid_api.access.session_cookie import session_secret
from lucid_api.access.tokens import InvalidToken, TokenVerifier
from lucid_api.http.access_log import note_subject
from lucid_api.http.rate_limits import RateLimit, limit_requests, too_many
from lucid_api.problems import Forbidden, Unauthorized
from lucid_api.state import StateDatabase
from lucid_pipeline.settings import Settings
from lucid_pipeline.stores.audit_event import Action

_NOBODY = 'Bearer realm="lucid"'
_INVALID = f'{_NOBODY}, error="invalid_token"'


class Authenticator:
    """Knows callers by an API key, by a bearer token of the issuer that the settings name, or by a browser's cookie.

    Raises:
        UsageError: the settings for bearer tokens are not right.
    """

    def __init__(self, settings: Settings, state: StateDatabase) -> None:
        self._required = settings.api_authentication
        self._state = state
        self._tokens = TokenVerifier.of_settings(settings)
        self._failed = FailedSignIns()
        self._requests = RateLimit(settings.api_requests_per_minute, window=60)

    def caller(self, audit: Audit, bearer: str | None, csrf_token: str | None) -> Caller:
        """Who asks.

        Args:
            audit: the record, for the request.
            bearer: the key or token that was sent, if any; it outweighs a cookie.
            csrf_token: what pages send along.

        Raises:
            Unauthorized: nobody that is known; what was wrong with a key or token is not told.
            Forbidden: another web site has sent it.
            TooManyRequests: this caller asks too often.
        """
        caller = self._known_caller(audit, bearer, csrf_token)
        self._let_in(audit, caller.subject)
        return caller

    def sign_in_by_key(self, audit: Audit, text: str) -> str:
        """Sign a browser in by an API key; returns what goes into its cookie.

        Raises:
            Unauthorized: there is no such key.
            TooManyRequests: too many attempts fail.
        """
        refuse_cross_site(audit.request)
        key = api_keys.find(self._state, text)
        if key is None:
            if wait := self._note_wrong_key(audit, text):
                raise too_many(wait)
            raise _unknown_key()
        self._let_in(audit, key.subject)
        with self._state.writing() as connection:
            secret = browser_sessions.start(
                connection,
                key.subject,
                key.scopes,
                key_id=key.key_id,
                replaces=session_secret(audit.request),
            )
            audit.record(Action.SIGN_IN_SUCCEEDED, way="api_key")
        return secret

    def sign_in_by_link(self, audit: Audit, token: str) -> str:
        """Sign a browser in by a link, which is used up; returns what goes into its cookie.

        Raises:
            Unauthorized: the link has been used, has expired, or there never was such a one.
            TooManyRequests: too many attempts fail.
        """
        refuse_cross_site(audit.request)
        with self._state.writing() as connection:
            if sign_in_links.use(connection, token):
                self._let_in(audit, OWNER)
                secret = browser_sessions.start(
                    connection, OWNER, Scope, key_id=None, replaces=session_secret(audit.request)
                )
                audit.record(Action.SIGN_IN_SUCCEEDED, way="link")
                return secret
        if wait := self._failed.note(audit, "link", "unknown"):
            raise too_many(wait)
        raise Unauthorized(
            "this link has been used or has expired; start the service again, or sign in by a key",
            headers={"WWW-Authenticate": _NOBODY},
        )

    def sign_out(self, audit: Audit) -> None:
        """End the session of a browser, if it has one."""
        if secret := session_secret(audit.request):
            with self._state.writing() as connection:
                browser_sessions.end(connection, secret)
                audit.record(Action.SIGN_OUT)

    def _known_caller(self, audit: Audit, bearer: str | None, csrf_token: str | None) -> Caller:
        request = audit.request
        if not self._required:
            refuse_other_names(request)
            if not is_safe(request):
                refuse_cross_site(request)
            return NOBODY_IN_PARTICULAR
        if bearer is not None:
            return self._bearer(audit, bearer)
        secret = session_secret(request)
        session = browser_sessions.find(self._state, secret) if secret else None
        if session is None:
            raise Unauthorized("sign in, or send a key as a bearer token", headers={"WWW-Authenticate": _NOBODY})
        if not is_safe(request):
            refuse_cross_site(request)
            if not session.is_csrf_token(csrf_token):
                raise Forbidden("send the token of the page along, as X-CSRF-Token")
        return Caller(session.subject, session.scopes, session.csrf_token)

    def _let_in(self, audit: Audit, subject: str) -> None:
        note_subject(audit.request.scope, subject)
        limit_requests(self._requests, audit.request.scope, subject)

    def _bearer(self, audit: Audit, bearer: str) -> Caller:
        if self._tokens is None or bearer.startswith(api_keys.PREFIX):
            key = api_keys.find(self._state, bearer)
            if key is None:
                self._note_wrong_key(audit, bearer)
                raise _unknown_key()
            return Caller(key.subject, key.scopes)
        try:
            return self._tokens.caller(bearer)
        except InvalidToken as error:
            self._failed.note(audit, "token", str(error))
        raise Unauthorized("this token is not valid", headers={"WWW-Authenticate": _INVALID})

    def _note_wrong_key(self, audit: Audit, text: str) -> float:
        return self._failed.note(audit, "api_key", "unknown or expired", api_keys.claimed_id(text))


def _unknown_key() -> Unauthorized:
    return Unauthorized("this key is not known, or not any more", headers={"WWW-Authenticate": _INVALID})
