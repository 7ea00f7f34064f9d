"""HTTP connections with limits: on headers, on the time that a client takes, and on how many there are.

uvicorn's protocol (0.54) has none: no time-out for headers, for bodies and for clients that do not read
their answer, any number of headers, and connections until no descriptor is left for files and for Plane. It
also drops the answers under way when a later request on the connection cannot be parsed.
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

MAX_PER_ADDRESS = 1000
"""Connections of one address: more than all clients behind one NAT have."""
MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 100
CHECK_SECONDS = 1.0
"""Interval between two searches for slow connections."""

_REQUEST_LINE = re.compile(
    rb"(?:^|\n|\})(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+) [^\s]+ HTTP/1\.[0-9]\r?\n"
    rb"|([A-Z]+(?:-[A-Z]+)*)(?: [^\r\n]*)?\r?$)"
)
"""A whole request line with its method, also behind a JSON body; or the beginning of one in capitals."""
_STANDARD_METHODS = frozenset(method.encode() for method in HTTPMethod)


class Phase(Enum):
    """What a connection waits for: the end of the headers, the end of the body, or the end of the answer.

    An answer has ended when the client has received all of it.
    """

    HEADER = auto()
    BODY = auto()
    ANSWER = auto()


MAX_SECONDS = {Phase.HEADER: 10.0, Phase.BODY: 10.0, Phase.ANSWER: 60.0}
"""For each phase, however steadily something arrives. Bodies are those of webhooks, forms and CalDAV
requests, of 1 MiB at most, which are sent at once."""


class TooManyHeaders(Exception):
    """The headers are over their limits. httptools makes it an HttpParserError, and uvicorn that a 400."""


class UnknownMethod(Exception):
    """A method that this server implements for no path; becomes a 501 in the same way."""


class Admission:
    """Limits connections: `capacity` in all, and a share of it for each address.

    `is_proxy` tells the addresses that many clients share: they may have all connections.
    """

    def __init__(self, capacity: int, is_proxy: Callable[[str], bool]) -> None:
        self._capacity, self._is_proxy = capacity, is_proxy
        self._share = max(1, min(MAX_PER_ADDRESS, capacity // 4))
        self._count = 0
        self._count_by_key: Counter[str] = Counter()

    def admit(self, address: str) -> bool:
        """Count one more connection and return True, or return False if there are too many."""
        key = rate_limit_key(address)
        if self._count >= self._capacity:
            log.warning("%d connections are open: more are refused", self._capacity)
            return False
        if self._count_by_key[key] >= self._share and not self._is_proxy(address):
            log.warning(
                "%d connections are open from %s: more of them are refused. If it is your proxy, name it in "
                "trusted_proxies",
                self._share,
                key,
            )
            return False
        self._count_by_key[key] += 1
        self._count += 1
        return True

    def release(self, address: str) -> None:
        """Uncount a connection that was admitted."""
        key = rate_limit_key(address)
        self._count_by_key[key] -= 1
        self._count -= 1
        if not self._count_by_key[key]:
            del self._count_by_key[key]


class BoundedProtocol(HttpToolsProtocol):
    """A connection that is closed when it exceeds a limit; `close_slow_connections` watches its time."""

    _refusal: bytes | None = None
    """The answer to the request that could not be parsed; nothing is read once it is set."""

    def __init__(self, *arguments: Any, admission: Admission, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._admission = admission

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._enter(Phase.HEADER)
        # uvicorn knows no client of a Unix socket. Only processes of this machine can connect to one, so it
        # is treated as a connection from loopback, by `trusted_proxies` too.
        self.client = self.client or ("127.0.0.1", 0)
        self._address = self.client[0]
        self._admitted = self._admission.admit(self._address)
        if not self._admitted:
            self._refusal = _refusal_bytes(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections are open.")
            self._send_refusal()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._admitted:
            self._admission.release(self._address)

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._data = data
        self._unread += len(data)
        super().data_received(data)
        # httptools (0.9) keeps a header in memory until its end: `on_headers_complete` is too late for one
        # that never ends.
        if self._phase is Phase.HEADER and self._unread > MAX_HEADER_BYTES:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._enter(Phase.HEADER)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEADER_BYTES or len(self.headers) > MAX_HEADERS:
            raise TooManyHeaders
        if self.parser.get_method() == b"CONNECT":
            # Its target is a host and a port, which uvicorn (0.54) would call an invalid request: a 400.
            raise UnknownMethod
        self._enter(Phase.BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._enter(Phase.ANSWER)

    def send_400_response(self, msg: str) -> None:
        """Refuse what could not be parsed, after the answers to the requests before it.

        uvicorn's own (0.54) writes into the middle of an answer under way and closes the connection.
        """
        status = _status_of(sys.exception(), self._data)
        text = msg if status == HTTPStatus.BAD_REQUEST else "This method is unknown."
        self._refusal = _refusal_bytes(status, text)
        self._enter(Phase.ANSWER)
        last = self.cycle
        if last is None or last.response_complete:
            self._send_refusal()
        elif last.more_body and self.pipeline:
            # The body of the last request is what could not be parsed. uvicorn has queued the request at the
            # left, behind others that can still be answered.
            self.pipeline.popleft()
        elif last.more_body:
            self._send_refusal(started=last.response_started)

    def on_response_complete(self) -> None:
        was_last = not self.pipeline
        super().on_response_complete()
        self._enter(Phase.ANSWER)
        if self._refusal is not None and was_last:
            self._send_refusal()

    def _send_refusal(self, *, started: bool = False) -> None:
        if self._refusal is not None and not started and not self.transport.is_closing():
            self.transport.write(self._refusal)
        self.transport.close()

    def _enter(self, phase: Phase) -> None:
        self._unread, self._phase, self._since = 0, phase, self.loop.time()

    def close_if_slow(self, now: float) -> None:
        """Abort the connection if its client has taken too long. `now`: the event loop's time."""
        idle = (
            self.cycle is not None
            and self.cycle.response_complete
            and not self.cycle.more_body
            and not self.pipeline
            and self._phase is Phase.ANSWER
            and not self.transport.get_write_buffer_size()
        )
        if idle:
            self._since = now  # idle between requests: uvicorn's own keep-alive time-out applies
        elif now - self._since > MAX_SECONDS[self._phase]:
            self.transport.abort()


def _status_of(error: BaseException | None, data: bytes) -> HTTPStatus:
    """Return 501 if only the method of a request line is wrong (RFC 9110, 9.1), else 400."""
    unknown = isinstance(error and error.__context__, UnknownMethod)
    if isinstance(error, HttpParserInvalidMethodError):
        # httptools (0.9) has a fixed list of methods, and calls broken lines an invalid method as well.
        unknown = any({*match} - {b"", *_STANDARD_METHODS} for match in _REQUEST_LINE.findall(data))
    return HTTPStatus.NOT_IMPLEMENTED if unknown else HTTPStatus.BAD_REQUEST


def _refusal_bytes(status: HTTPStatus, text: str) -> bytes:
    headers = f"date: {http_date(datetime.now(UTC))}\r\nconnection: close\r\ncache-control: no-store\r\n"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers += f"retry-after: {MAX_SECONDS[Phase.ANSWER]:.0f}\r\n"
    content = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(text)}\r\n"
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{headers}{content}\r\n{text}".encode()


async def close_slow_connections(connections: Iterable[Any]) -> None:
    """Close slow connections until cancelled. `connections`: uvicorn's set, which changes meanwhile."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        for connection in tuple(connections):
            if isinstance(connection, BoundedProtocol):
                connection.close_if_slow(loop.time())


def with_date(app: ASGIApp, clock: Callable[[], datetime]) -> ASGIApp:
    """Return the app with a Date header of the second in which each answer begins.

    uvicorn's own (0.54) is made once a second, and taken when a request begins: it may be older than the
    Last-Modified of a feed that was rendered for the request, which RFC 9110, 8.8.2.1 forbids.
    """
    since = until = datetime.min.replace(tzinfo=UTC)
    header = b"date", b""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_date(message: Message) -> None:
            nonlocal since, until, header
            if message["type"] == "http.response.start":
                now = clock()
                if not since <= now < until:
                    since = now.replace(microsecond=0)
                    until = since + timedelta(seconds=1)
                    header = b"date", http_date(now).encode()
                message["headers"] = [*message["headers"], header]
            await send(message)

        await app(scope, receive, send_with_date)

    return handle
