"""Compress feeds with gzip: when first asked for, once for all who wait and for all equal feeds."""

import asyncio

from cachetools import LRUCache

from icsfeed.feeds.rendered import Rendered
from icsfeed.single_flight import SingleFlight

CACHE_BYTES = 64 * 1024 * 1024
"""The most that cached bodies take; the least recently used go first."""
SMALL_BYTES = 16 * 1024
"""A body of this size takes less than half a millisecond, hardly more than a thread costs."""
MAX_CONCURRENT = 2
"""Bodies compressed at a time: rendering and files need threads, too, and other requests the processors."""


class Compressor:
    """Caches compressed bodies by the feeds' ETags. `limit`: bytes of all bodies together."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._bodies: LRUCache[str, bytes] = LRUCache(limit, len)
        self._making: SingleFlight[bytes] = SingleFlight()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    @property
    def size(self) -> int:
        """Bytes of all cached bodies."""
        return int(self._bodies.currsize)

    async def body(self, rendered: Rendered) -> bytes:
        """Return the feed as a gzip stream."""
        # ETags are digests of bodies, so that equal feeds of different names share one.
        body = self._bodies.get(rendered.etag)
        if body is None:
            body = await self._making.result(rendered.etag, lambda: self._make(rendered))
        return body

    def drop(self, rendered: Rendered) -> None:
        """Remove the body of a feed that has changed."""
        self._bodies.pop(rendered.etag, None)

    async def _make(self, rendered: Rendered) -> bytes:
        if rendered.size <= SMALL_BYTES:
            body = rendered.compressed()
        else:
            async with self._slots:
                body = await asyncio.to_thread(rendered.compressed)
        if len(body) <= self._bodies.maxsize:
            self._bodies[rendered.etag] = body
        return body
