"""Rate limits: a fixed window for each key, and its headers.

litestar's RateLimitMiddleware (2.25) sends no Retry-After, and two of them share their counts.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from math import ceil

from cachetools import TTLCache
from msgspec import Struct

from icsfeed.web.proxies import rate_limit_key

log = logging.getLogger("icsfeed.limits")


class Allowance(Struct, frozen=True):
    """What is left of a window. `reset`: whole seconds until it ends. `granted`: this request may pass."""

    limit: int
    remaining: int
    reset: int
    granted: bool

    def headers(self) -> Mapping[str, str]:
        """Return the X-RateLimit headers, and Retry-After where the request was refused."""
        headers = {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }
        return headers if self.granted else {**headers, "Retry-After": str(self.reset)}


class _Window:
    def __init__(self, ends: float) -> None:
        self.ends, self.count = ends, 0


class Limiter:
    """At most `limit` in any window of `seconds` that begins with a key's first request."""

    def __init__(self, limit: int, seconds: float, timer: Callable[[], float]) -> None:
        self._limit, self._seconds, self._timer = limit, seconds, timer
        # Bounded: a flood from many addresses drops the oldest windows instead of filling the memory.
        self._windows: TTLCache[str, _Window] = TTLCache(maxsize=10_000, ttl=seconds, timer=timer)

    def take(self, key: str) -> Allowance:
        """Count one request of a key."""
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(self._timer() + self._seconds)
        window.count += 1
        return self._allowance(window)

    def look(self, key: str) -> Allowance:
        """Return what is left to a key, without counting a request."""
        return self._allowance(self._windows.get(key) or _Window(self._timer() + self._seconds))

    def _allowance(self, window: _Window) -> Allowance:
        left, seconds = self._limit - window.count, window.ends - self._timer()
        return Allowance(self._limit, max(0, left), max(1, ceil(seconds)), left >= 0)


class GuessLimiter:
    """Limits wrong guesses of a secret by address, whether the next guess is right or wrong.

    `what` names the secret in the log. `counts`: guesses that were `wrong`, and those `refused` unchecked.
    """

    def __init__(self, what: str, limiter: Limiter) -> None:
        self._what, self._limiter = what, limiter
        self.counts: Counter[str] = Counter()

    def refused(self, address: str) -> Allowance | None:
        """Return the refusal while an address is limited; None: its guess may be checked."""
        key = rate_limit_key(address)
        if self._limiter.look(key).remaining:
            return None
        self.counts["refused"] += 1
        return self._limiter.take(key)

    def wrong(self, address: str) -> Allowance:
        """Count a wrong guess. The one that uses up the allowance is logged with its address."""
        key = rate_limit_key(address)
        allowance = self._limiter.take(key)
        self.counts["wrong"] += 1
        if not allowance.remaining:
            log.warning("too many wrong %s from %s", self._what, key)
        return allowance
