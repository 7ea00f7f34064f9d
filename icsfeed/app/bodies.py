"""The bodies of feeds as they are sent: small ones whole, large ones in pieces, or as one gzip stream."""

import asyncio
from collections.abc import Iterator

from cachetools import LRUCache

from icsfeed.app.threads import Joined
from icsfeed.core.feed import PIECE, Rendered

WHOLE = 256 * 1024
"""Bytes of a body that is put together for all who ask for it; of a larger one only pieces are."""
CACHE_BYTES = 32 * 1024 * 1024
"""Bytes of bodies that are kept at most; the longest unasked goes first."""


class Bodies:
    """Makes each body once while many ask for it; feeds that are equal share it. `gzip`: whether to."""

    def __init__(self, *, gzip: bool) -> None:
        self.gzip = gzip
        self._made: LRUCache[tuple[str, bool], bytes] = LRUCache(CACHE_BYTES, len)
        self._packing: Joined[bytes] = Joined()

    async def of(self, rendered: Rendered, *, zipped: bool) -> "Body":
        """The body to send. Long ones are compressed in a thread: nobody else waits for it."""
        if not zipped:
            return Body(rendered, self._whole(rendered))
        key = (rendered.etag, True)
        octets = self._made.get(key)
        if octets is None:
            octets = await self._packing.result(key, lambda: _packed(rendered))
            self._remember(key, octets)
        return Body(rendered, octets)

    def _whole(self, rendered: Rendered) -> bytes | None:
        if rendered.size > WHOLE:
            return None
        key = (rendered.etag, False)
        octets = self._made.get(key)
        if octets is None:
            octets = rendered.body
            self._remember(key, octets)
        return octets

    def _remember(self, key: tuple[str, bool], octets: bytes) -> None:
        if len(octets) <= self._made.maxsize:
            self._made[key] = octets


async def _packed(rendered: Rendered) -> bytes:
    return rendered.gzipped() if rendered.size <= PIECE else await asyncio.to_thread(rendered.gzipped)


class Body:
    """One body. `size`: its bytes."""

    def __init__(self, rendered: Rendered, octets: bytes | None) -> None:
        self._rendered = rendered
        self._octets = octets
        self.size = rendered.size if octets is None else len(octets)

    def pieces(self) -> Iterator[bytes]:
        """It, in pieces that a slow reader may hold; one where it is short."""
        if self._octets is None:
            yield from self._rendered.pieces()
        elif self.size <= WHOLE:
            yield self._octets
        else:
            for start in range(0, self.size, PIECE):
                yield self._octets[start : start + PIECE]
