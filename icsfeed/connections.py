"""Connections with bounds: a client that sends too slowly, too much, or does not read, is let go.

uvicorn's own protocol waits without end for headers, takes any number of them, and waits without end
for a client to read its answer.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Iterable

HEADER_BYTES = 64 * 1024
HEADER_COUNT = 100
HEADER_SECONDS, EXCHANGE_SECONDS = 10.0, 60.0
"""From the first moment to the last header, and from there until the client has the last of the answer."""
LOOK = 1.0
"""Seconds between looks for clients that are late."""


class TooMuch(Exception):
    """More headers than any client of ours sends; the parser makes a 400 of it."""


class Bounded(HttpToolsProtocol):
    """One connection. What it waits for, and since when, is looked at by `let_go_of_the_late`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin(HEADER_SECONDS)

    def data_received(self, data: bytes) -> None:
        self._unread += len(data)
        super().data_received(data)
        # A header that does not end is not handed on by the parser, which keeps it.
        if self._patience == HEADER_SECONDS and self._unread > HEADER_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin(HEADER_SECONDS)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEADER_BYTES or len(self.headers) > HEADER_COUNT:
            raise TooMuch
        self._begin(EXCHANGE_SECONDS)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._begin(EXCHANGE_SECONDS)

    def _begin(self, patience: float) -> None:
        self._unread, self._patience, self._since = 0, patience, self.loop.time()

    def let_go_if_late(self, now: float) -> None:
        """End the connection when its client has taken too long.

        Between requests, when all is sent, uvicorn's own time-out applies.
        """
        if self._is_idle():
            self._since = now
        elif now - self._since > self._patience:
            self.transport.abort()

    def _is_idle(self) -> bool:
        answered = self.cycle is not None and self.cycle.response_complete and not self.pipeline
        return answered and self._patience != HEADER_SECONDS and not self.transport.get_write_buffer_size()


async def let_go_of_the_late(connections: Iterable[Any]) -> None:
    """Look at all connections again and again, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK)
        for connection in tuple(connections):
            if isinstance(connection, Bounded):
                connection.let_go_if_late(loop.time())
