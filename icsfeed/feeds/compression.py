"""Feeds as gzip: a body is compressed when first asked for, once for all who wait and all equal feeds."""

import asyncio

from cachetools import LRUCache

from icsfeed.feeds.rendered import Rendered
from icsfeed.single_flight import SingleFlight

CACHE_BYTES = 64 * 1024 * 1024
"""Compressed bodies kept at most; the least recently asked for goes first."""
SMALL = 16 * 1024
"""Bytes of a body that take less than half a millisecond: hardly more than the way to a thread and back."""
MAX_CONCURRENT = 2
"""Bodies compressed at a time: renderings and files need threads too, and other requests the processors."""


class Compressor:
    """Keeps compressed bodies by the feeds' ETags. `limit`: bytes that it keeps at most."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self._bodies: LRUCache[str, bytes] = LRUCache(limit, len)
        self._making: SingleFlight[bytes] = SingleFlight()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT)

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return int(self._bodies.currsize)

    async def body(self, rendered: Rendered) -> bytes:
        """The feed as a gzip stream."""
        body = self._bodies.get(rendered.etag)
        if body is None:
            body = await self._making.result(rendered.etag, lambda: self._make(rendered))
        return body

    def drop(self, rendered: Rendered) -> None:
        """Forget the compressed body of a feed that has changed."""
        self._bodies.pop(rendered.etag, None)

    async def _make(self, rendered: Rendered) -> bytes:
        if rendered.size <= SMALL:
            body = rendered.compressed()
        else:
            async with self._slots:
                body = await asyncio.to_thread(rendered.compressed)
        if len(body) <= self._bodies.maxsize:
            self._bodies[rendered.etag] = body
        return body
