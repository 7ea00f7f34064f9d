"""Responses that are sent in pieces, at the pace of their readers, and how many bytes of them at a time."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

from litestar import Response
from litestar.types import Receive, Scope, Send
from msgspec import Struct

if TYPE_CHECKING:
    from icsfeed.feeds.rendered import Rendered

MAX_RESTYLED_BYTES = 64 * 1024 * 1024
"""Bytes of restyled bodies that are sent at a time; more readers are asked to come back."""

Head: TypeAlias = list[tuple[bytes, bytes]]


class BodiesInFlight:
    """The restyled bodies that are being sent: at most `limit` bytes, equal ones counted once.

    Anybody with a link can ask for any number of styles (`?alarm=-PT1H`), and read them slowly.
    """

    def __init__(self, limit: int = MAX_RESTYLED_BYTES) -> None:
        self._limit = limit
        self._readers: Counter[tuple[str, int]] = Counter()

    @contextmanager
    def reserve(self, response: "AnyResponse") -> Iterator[bool]:
        """Return whether there is room for the body of a response; hold it until the end of the block."""
        if not isinstance(response, CalendarResponse) or response.restyled is None:
            yield True
            return
        body, total = (response.restyled, response.size), sum(held for _, held in self._readers)
        if self._readers and body not in self._readers and total + response.size > self._limit:
            yield False
            return
        self._readers[body] += 1
        try:
            yield True
        finally:
            self._readers[body] -= 1
            if not self._readers[body]:
                del self._readers[body]


class CalendarResponse(Struct, frozen=True):
    """200 or 304, an ASGI app. A body of `size` bytes is sent in pieces, each when there is room for it:
    the server's `send` waits for slow readers.

    `restyled`: the ETag of a calendar in a style of its own. `whole`: the feed, where others who ask in the
    same words get the same response, in two messages, for as long as the feed is the same.
    """

    status_code: int
    head: Head
    size: int = 0
    pieces: Iterable[bytes] = ()
    restyled: str | None = None
    whole: "Rendered | None" = None

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        # A copy: litestar's CORS middleware adds its headers to the list, which other responses share.
        await send({"type": "http.response.start", "status": self.status_code, "headers": [*self.head]})
        left = self.size
        for piece in self.pieces:
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            if left > 0:
                # uvicorn's `send` returns at once when the reader has gone: let other requests run first.
                await asyncio.sleep(0)
        if not self.size:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


AnyResponse: TypeAlias = CalendarResponse | Response[Any]
