"""Connections with bounds: a client that sends too slowly, too much, or does not read, is let go.

uvicorn's own protocol waits without end for headers, takes any number of them, and waits without end
for a client to read its answer. It drops the answers under way when what follows them cannot be parsed. It
takes connections until no descriptor is left for files and for Plane.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from http import HTTPMethod, HTTPStatus
from typing import TYPE_CHECKING, Any

from httptools import HttpParserInvalidMethodError
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from icsfeed.http_headers import http_date
from icsfeed.web.proxies import rate_limit_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from litestar.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("icsfeed.server.connections")

PER_ADDRESS = 1000
"""Connections of one address: more than all that share one have, where it is no proxy."""
HEADER_BYTES = 64 * 1024
HEADER_COUNT = 100
LOOK = 1.0
"""Seconds between looks for clients that are late."""

_REQUEST_LINE = re.compile(
    rb"(?:^|\n|\})(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+) [^\s]+ HTTP/1\.[0-9]\r?\n"
    rb"|([A-Z]+(?:-[A-Z]+)*)(?: [^\r\n]*)?\r?$)"
)
"""A whole one, also behind a body of JSON; or what has come of one in capitals."""
_STANDARD = frozenset(method.encode() for method in HTTPMethod)


class Phase(Enum):
    """What a connection is waiting for: the last header, the end of the body (a webhook's), or its answer.

    The answer ends when the client has the last of it.
    """

    HEADER = auto()
    BODY = auto()
    ANSWER = auto()


SECONDS = {Phase.HEADER: 10.0, Phase.BODY: 10.0, Phase.ANSWER: 60.0}
"""How long each may take: a webhook has 1 MiB at most, and Plane sends it at once."""


class TooManyHeaders(Exception):
    """More headers than any client of ours sends; the parser makes a 400 of it."""


class UnknownMethod(Exception):
    """A method that this server has for no address."""


class Admission:
    """How many connections there may be: `capacity` in all, and a share of it for an address.

    What `is_proxy` stands for many clients, and may have them all.
    """

    def __init__(self, capacity: int, is_proxy: Callable[[str], bool]) -> None:
        self._capacity, self._is_proxy = capacity, is_proxy
        self._share = max(1, min(PER_ADDRESS, capacity // 4))
        self._count = 0
        self._open: Counter[str] = Counter()

    def admit(self, address: str) -> bool:
        """Whether there is room for one more; `leave` gives it back."""
        key = rate_limit_key(address)
        if self._count >= self._capacity:
            log.warning("%d connections are open: more are refused", self._capacity)
            return False
        if self._open[key] >= self._share and not self._is_proxy(address):
            log.warning(
                "%d connections are open from %s: more of them are refused. If it is your proxy, name it in "
                "trusted_proxies",
                self._share,
                key,
            )
            return False
        self._open[key] += 1
        self._count += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was admitted has ended."""
        key = rate_limit_key(address)
        self._open[key] -= 1
        self._count -= 1
        if not self._open[key]:
            del self._open[key]


class BoundedProtocol(HttpToolsProtocol):
    """One connection. What it waits for, and since when, is looked at by `close_slow_connections`."""

    _refusal: bytes | None = None
    """The answer to what is not read: what could not be parsed, and all after it."""

    def __init__(self, *arguments: Any, admission: Admission, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._admission = admission

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin(Phase.HEADER)
        # Only a process of this machine can connect to a Unix socket: it is believed as one on loopback is.
        self.client = self.client or ("127.0.0.1", 0)
        self._address = self.client[0]
        self._admitted = self._admission.admit(self._address)
        if not self._admitted:
            self._refusal = _refused(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open.")
            self._refuse()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._admitted:
            self._admission.leave(self._address)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._data = data
        self._unread += len(data)
        super().data_received(data)
        # A header that does not end is not handed on by the parser, which keeps it.
        if self._phase is Phase.HEADER and self._unread > HEADER_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin(Phase.HEADER)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > HEADER_BYTES or len(self.headers) > HEADER_COUNT:
            raise TooManyHeaders
        if self.parser.get_method() == b"CONNECT":
            raise UnknownMethod
        self._begin(Phase.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._begin(Phase.ANSWER)

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be parsed, after the answers to the requests before it."""
        status = _status_of(sys.exception(), self._data)
        text = msg if status == HTTPStatus.BAD_REQUEST else "This method is unknown."
        self._refusal = _refused(status, text)
        self._begin(Phase.ANSWER)
        last = self.cycle
        if last is None or last.response_complete:
            self._refuse()
        elif last.more_body and self.pipeline:
            self.pipeline.popleft()  # its own body is what could not be parsed, and others wait before it
        elif last.more_body:
            self._refuse(started=last.response_started)

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        super().on_response_complete()
        self._begin(Phase.ANSWER)
        if self._refusal is not None and was_last:
            self._refuse()

    def _refuse(self, *, started: bool = False) -> None:
        if self._refusal is not None and not started and not self.transport.is_closing():
            self.transport.write(self._refusal)
        self.transport.close()

    def _begin(self, phase: Phase) -> None:
        self._unread, self._phase, self._since = 0, phase, self.loop.time()

    def close_if_slow(self, now: float) -> None:
        """End the connection when its client has taken too long.

        Between requests, when all is sent, uvicorn's own time-out applies.
        """
        if self._is_idle():
            self._since = now
        elif now - self._since > SECONDS[self._phase]:
            self.transport.abort()

    def _is_idle(self) -> bool:
        if self.cycle is None or not self.cycle.response_complete or self.cycle.more_body:
            return False
        answered = not self.pipeline and self._phase is Phase.ANSWER
        return answered and not self.transport.get_write_buffer_size()


def _status_of(error: BaseException | None, data: bytes) -> HTTPStatus:
    """501 for a request line that is one but for its method (RFC 9110, 9.1), else 400."""
    unknown = isinstance(error and error.__context__, UnknownMethod)
    if isinstance(error, HttpParserInvalidMethodError):
        unknown = any({*found} - {b"", *_STANDARD} for found in _REQUEST_LINE.findall(data))
    return HTTPStatus.NOT_IMPLEMENTED if unknown else HTTPStatus.BAD_REQUEST


def _refused(status: HTTPStatus, text: str) -> bytes:
    headers = f"date: {http_date(datetime.now(UTC))}\r\nconnection: close\r\ncache-control: no-store\r\n"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers += f"retry-after: {SECONDS[Phase.ANSWER]:.0f}\r\n"
    kind = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{headers}{kind}\r\n{text}".encode()


async def close_slow_connections(connections: Iterable[Any]) -> None:
    """Look at all connections again and again, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(LOOK)
        for connection in tuple(connections):
            if isinstance(connection, BoundedProtocol):
                connection.close_if_slow(loop.time())


def dated(app: ASGIApp, clock: Callable[[], datetime]) -> ASGIApp:
    """The app, each of whose answers says when it began to be sent.

    uvicorn's own Date is up to a second old, and as old as the request where that had to wait: older, then,
    than the Last-Modified of what was rendered meanwhile.
    """
    since = until = datetime.min.replace(tzinfo=UTC)
    header = b"date", b""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def dating(message: Message) -> None:
            nonlocal since, until, header
            if message["type"] == "http.response.start":
                now = clock()
                if not since <= now < until:
                    since = now.replace(microsecond=0)
                    until = since + timedelta(seconds=1)
                    header = b"date", http_date(now).encode()
                message["headers"] = [*message["headers"], header]
            await send(message)

        await app(scope, receive, dating)

    return handle
