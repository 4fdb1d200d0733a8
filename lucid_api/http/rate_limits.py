"""How much one caller may ask: a bucket of tokens each, of which every request takes one and time gives back.

Written by hand, since there is little of it: the packages for it count in windows, which lets through twice the limit
at their seams, and remember callers without a bound or need a server of their own.
"""

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lucid_api.problems import Problem

_KEY = "lucid.rate_limit"
_MOST_BUCKETS = 10_000


class TooManyRequests(Problem):
    """This caller asks too often; `Retry-After` says when to ask again."""

    status, kind, title = HTTPStatus.TOO_MANY_REQUESTS, "too-many-requests", "Too many requests"


@dataclass(frozen=True, slots=True)
class Quota:
    """What a caller has left: of `limit` in `window` seconds so many, and all of it again in so many seconds."""

    limit: int
    window: float
    left: int
    wait: float
    """Seconds until there is one again; 0 if there is."""

    full_in: float

    @property
    def headers(self) -> dict[str, str]:
        """What tells the caller (draft-ietf-httpapi-ratelimit-headers)."""
        return {
            "RateLimit-Policy": f'"default";q={self.limit};w={math.ceil(self.window)}',
            "RateLimit": f'"default";r={self.left};t={math.ceil(self.full_in)}',
        }


class RateLimit:
    """So many in so many seconds, for each name; all at once, or one after the other.

    Where there are too many names, the one that has not asked for longest is forgotten: its bucket is full again, or
    nearly.
    """

    def __init__(self, limit: int, window: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._window, self._clock = limit, window, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> Quota:
        """Take one, if there is one."""
        rate = self._limit / self._window
        with self._lock:
            now = self._clock()
            tokens, since = self._buckets.pop(name, (float(self._limit), now))
            tokens = min(float(self._limit), tokens + (now - since) * rate)
            taken = tokens >= 1
            self._buckets[name] = (tokens - taken, now)
            if len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        left = tokens - taken
        wait = 0.0 if taken else (1 - tokens) / rate
        return Quota(self._limit, self._window, int(left), wait, (self._limit - left) / rate)


def limit_requests(limit: RateLimit, scope: MutableMapping[str, Any], subject: str) -> None:
    """Count a request of a caller, who is told in its response how many are left.

    Raises:
        TooManyRequests: there are none.
    """
    quota = limit.take(subject)
    scope[_KEY] = quota.headers
    if quota.wait:
        raise too_many(quota.wait)


def too_many(seconds: float) -> TooManyRequests:
    """The problem of one who has to wait so long."""
    wait = math.ceil(seconds)
    return TooManyRequests(f"ask again in {wait} s", headers={"Retry-After": str(wait)})


class RateLimitHeaders:
    """Tells callers what they have left."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_quota(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(scope.get(_KEY, {}))
            await send(message)

        await self._app(scope, receive, send_with_quota)
