"""From what a request brings along to who asks."""

from lucid_api.access import api_keys
from lucid_api.access.callers import NOBODY_IN_PARTICULAR, Caller
from lucid_api.problems import Unauthorized
from lucid_api.services import Services


def authenticate(services: Services, bearer: str | None) -> Caller:
    """Who asks.

    Args:
        services: know the keys.
        bearer: the token that was sent, if any.

    Raises:
        Unauthorized: nobody that is known; what was wrong with a token is not told.
    """
    if not services.settings.api_authentication:
        return NOBODY_IN_PARTICULAR
    if bearer is None:
        raise Unauthorized("send a key as a bearer token", headers={"WWW-Authenticate": 'Bearer realm="lucid"'})
    key = api_keys.find(services.state, bearer)
    if key is None:
        challenge = 'Bearer realm="lucid", error="invalid_token"'
        raise Unauthorized("this key is not known, or not any more", headers={"WWW-Authenticate": challenge})
    return Caller(key.subject, key.scopes)
