"""Slows down the guessing of links: a few wrong ones are answered at once, more slowly, too many with 429.

A flood waits for itself: somebody who guesses holds connections open and does not load the server. Good
links never come here, so that readers behind the same address are served as usual: a token has 130 bits, and
one app that keeps an old link must not take the calendars of a whole office away.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from litestar.exceptions import TooManyRequestsException

from icsfeed.web.limits import Limiter
from icsfeed.web.proxies import rate_limit_key

AT_ONCE_PER_MINUTE, PER_MINUTE = 20, 100
"""Wrong links of one address in a minute: how many are answered at once, and how many with a 404."""
TOTAL_AT_ONCE_PER_MINUTE = 300
"""How many of all addresses in a minute are answered at once: a flood may come from everywhere."""
PAUSE_SECONDS = 2.0
"""How long each of the others waits for its answer."""
MAX_WAITING = 1000
"""How many wait at a time; beyond that, a connection is closed with its answer."""

TOO_MANY = "Too many links from this address are wrong. A valid link still works."

log = logging.getLogger("icsfeed.links")


class TokenThrottle:
    """Counts wrong links by address, in memory, and delays their answers. `sleep` waits so many seconds."""

    def __init__(self, timer: Callable[[], float], sleep: Callable[[float], Awaitable[None]]) -> None:
        self.counts: Counter[str] = Counter()
        self._by_address = Limiter(PER_MINUTE, 60.0, timer)
        self._total = Limiter(TOTAL_AT_ONCE_PER_MINUTE, 60.0, timer)
        self._sleep = sleep
        self._waiting = 0

    async def delay(self, address: str) -> None:
        """Count a wrong link, and wait where there are many. Raise TooManyRequestsException for too many."""
        key = rate_limit_key(address)
        allowance, total = self._by_address.take(key), self._total.take("")
        self.counts["wrong" if allowance.granted else "refused"] += 1
        if allowance.granted and not allowance.remaining:
            log.warning("too many wrong links from %s: refusing more of them", key)
        # A person with an old link should not wait: only floods come to more.
        if total.granted and allowance.remaining >= PER_MINUTE - AT_ONCE_PER_MINUTE:
            return
        log.warning("many wrong links: answering slowly. `log_addresses: true` logs their addresses")
        if self._waiting < MAX_WAITING:
            self._waiting += 1
            try:
                await self._sleep(PAUSE_SECONDS)
            finally:
                # Also when the client goes away, which cancels the request.
                self._waiting -= 1
            if allowance.granted:
                return
        headers = {"Retry-After": str(allowance.reset), "Connection": "close"}
        raise TooManyRequestsException(TOO_MANY, headers=headers)
