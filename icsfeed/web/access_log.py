"""One log line for each request: which feed, what was answered, how fast, to which app.

Never a token, a query or a header; the address only where the configuration says so.
"""

import logging
from collections.abc import Callable
from typing import Any

from cachetools import LRUCache
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from icsfeed.logs import about
from icsfeed.web.reader_log import family

ASKED_BY_MACHINES = ("/health", "/health/ready", "/api/v1/health", "/metrics", "/robots.txt")
"""Routes that monitors ask all day: their lines come at DEBUG only."""
OPEN = (200, 304, 400, 503)
"""Answers of a feed's route that only a good link gets: then the name in the path is a feed's."""

log = logging.getLogger("icsfeed.request")


class AccessLog:
    """`timer`: seconds that only grow. `addresses`: whether the reader's address is in the line."""

    def __init__(self, timer: Callable[[], float], *, addresses: bool) -> None:
        self._timer, self._addresses = timer, addresses
        self._families: LRUCache[bytes, str] = LRUCache(500)

    def around(self, app: ASGIApp) -> ASGIApp:
        """The app, each of whose answers is logged when it is complete."""

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP or not log.isEnabledFor(logging.INFO):
                await app(scope, receive, send)
                return
            started, status, size = self._timer(), 0, 0

            async def counting(message: Message) -> None:
                nonlocal status, size
                if message["type"] == "http.response.start":
                    status = message["status"]
                elif message["type"] == "http.response.body" and scope.get("method") != "HEAD":
                    size += len(message.get("body", b""))
                await send(message)

            try:
                await app(scope, receive, counting)
            finally:
                self._write(scope, status, size, self._timer() - started)

        return handle

    def _write(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        template = scope.get("path_template")
        name = _feed(scope["path"], status) if template else ""
        route = str(template or "none")
        level = logging.DEBUG if route in ASKED_BY_MACHINES else logging.INFO
        if log.isEnabledFor(level):
            fields: dict[str, Any] = {"method": scope.get("method"), "route": route}
            if name:
                fields["feed"] = name
            fields |= {
                "status": status,
                "bytes": size,
                "ms": round(seconds * 1000, 1),
                "app": self._app(scope),
            }
            if self._addresses:
                fields["address"] = scope["client"][0] if scope["client"] else "unknown"
            log.log(level, "answered", extra=about(**fields))

    def _app(self, scope: Scope) -> str:
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        if agent not in self._families:
            self._families[agent] = family(agent.decode("latin-1"))
        return self._families[agent]


def _feed(path: str, status: int) -> str:
    """The name of the feed that was answered with; empty where none was."""
    is_feed = "/feeds/" in path and path.endswith(".ics") and status in OPEN
    return path.rpartition("/")[2].removesuffix(".ics") if is_feed else ""
