"""What becomes of wrong links: the first few are told so at once, more are told slowly, too many are refused.

A flood waits for itself: whoever guesses holds connections and not the server. Good links never come
here, so that readers behind the same address are served as ever: a token has 130 bits, and one app that keeps
an old link must not take the calendars of a whole office away.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from litestar import Response

from icsfeed.web.limits import Limiter
from icsfeed.web.proxies import rate_limit_key
from icsfeed.web.responses import plain_answer

AT_ONCE, PER_MINUTE = 20, 100
"""Wrong links of one address in a minute: so many are answered at once, and so many with a 404."""
TOGETHER = 300
"""So many of all addresses in a minute are answered at once: a flood may come from everywhere."""
PAUSE = 2.0
"""Seconds that each of the others waits for its answer."""
WAITING = 1000
"""How many wait at a time; beyond, a connection is closed with its answer."""

TOO_MANY = "Too many links from this address are wrong. A good one still works."
CLOSE = {"Connection": "close"}

log = logging.getLogger("icsfeed.links")


class TokenThrottle:
    """Counts wrong links by address, in memory, and holds answers back. `sleep` waits so many seconds."""

    def __init__(self, timer: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self.counts: Counter[str] = Counter()
        self._each = Limiter(PER_MINUTE, 60.0, timer)
        self._all = Limiter(TOGETHER, 60.0, timer)
        self._sleep = sleep
        self._waiting = 0

    async def hold(self, address: str) -> Response[str] | None:
        """Wait, where there are many; what must be answered then, or None: what would have been at once."""
        own, together = self._each.take(rate_limit_key(address)), self._all.take("")
        self.counts["wrong" if own.granted else "refused"] += 1
        if own.granted and not own.remaining:
            log.warning("too many wrong links from %s: more of them are refused", rate_limit_key(address))
        if together.granted and own.remaining >= PER_MINUTE - AT_ONCE:
            return None
        log.warning(
            "many links are wrong: they are answered slowly. `log_addresses: true` tells whose they are"
        )
        if self._waiting >= WAITING:
            return _refused(own.reset)
        await self._pause()
        return None if own.granted else _refused(own.reset)

    async def slowly(self, answer: Response[str], address: str) -> Response[str]:
        """The answer to whoever has this address; a 404 as `hold` lets it out, or what comes in its place."""
        wrong = answer.status_code == HTTPStatus.NOT_FOUND
        return await self.hold(address) or answer if wrong else answer

    async def _pause(self) -> None:
        self._waiting += 1
        try:
            await self._sleep(PAUSE)
        finally:
            self._waiting -= 1


def _refused(retry_after: int) -> Response[str]:
    headers = {"Retry-After": str(retry_after), **CLOSE}
    return plain_answer(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY, headers)
