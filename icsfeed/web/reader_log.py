"""Who reads the feeds: answers by status, and when which app last asked by which link."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

from cachetools import LRUCache
from msgspec import Struct

from icsfeed.web.user_agents import family

KEPT = 5_000
"""Readers remembered at most; who was not seen for the longest goes first."""


class Reader(Struct, frozen=True):
    """One app that read by one link. `subscriber` is empty for the feed's own link, and a public one."""

    feed: str
    subscriber: str
    app: str
    at: datetime
    status: int


class ReaderLog:
    """Counts answers, and remembers readers. It never learns a token or an address.

    `answers` counts those of feed addresses by status, since `since`.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.since = clock()
        self.answers: Counter[int] = Counter()
        self._readers: LRUCache[tuple[str, str, str], Reader] = LRUCache(KEPT)

    def answered(self, status: int) -> None:
        """A feed address was answered with this status."""
        self.answers[status] += 1

    def read(self, feed: str, subscriber: str, user_agent: str | None, status: int) -> None:
        """A good link was used. `status`: 200, 304, or 503 where there was no copy yet."""
        app = family(user_agent)
        self._readers[feed, subscriber, app] = Reader(feed, subscriber, app, self._clock(), status)

    def readers(self, feed: str) -> Sequence[Reader]:
        """Who read a feed, the last first."""
        found = (reader for reader in self._readers.values() if reader.feed == feed)
        return sorted(found, key=lambda reader: reader.at, reverse=True)
