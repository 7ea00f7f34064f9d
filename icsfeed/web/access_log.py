"""One log line for each request: which feed, what was answered, how fast, to which app.

Never a token, a query or a header; the address only where the configuration asks for it.
"""

import logging
from collections.abc import Callable
from typing import Any

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from icsfeed.feeds.links import split_file
from icsfeed.logs import about
from icsfeed.web.reader_log import family
from icsfeed.web.subscribe.choices import PROFILE_SUFFIX

MONITORED_ROUTES = ("/health", "/health/ready", "/api/v1/health", "/metrics", "/robots.txt")
"""Routes that monitors ask for all day: they are logged at DEBUG only."""
LINK_ROUTES = ("/feeds/", "/embed/")
FEED_KEY = "icsfeed.feed"
"""In the ASGI scope: the feed, where the path does not end in its name."""
GOOD_LINK_STATUSES = (200, 304, 400, 406, 410, 503)
"""Statuses of these routes that only a good link gets: with them, the name in the path is a feed's."""

log = logging.getLogger("icsfeed.request")


class AccessLog:
    """`timer`: monotonic seconds. `addresses`: whether the client's address is logged."""

    def __init__(self, timer: Callable[[], float], *, addresses: bool) -> None:
        self._timer, self._addresses = timer, addresses

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return the app; each of its responses is logged when it is complete."""

        async def handle(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP or not log.isEnabledFor(logging.INFO):
                await app(scope, receive, send)
                return
            started, status, size = self._timer(), 0, 0

            async def send_and_count(message: Message) -> None:
                nonlocal status, size
                if message["type"] == "http.response.start":
                    status = message["status"]
                elif message["type"] == "http.response.body" and scope.get("method") != "HEAD":
                    size += len(message.get("body", b""))
                await send(message)

            # Logged also when the client goes away and the request is cancelled: status 0.
            try:
                await app(scope, receive, send_and_count)
            finally:
                self._write(scope, status, size, self._timer() - started)

        return handle

    def _write(self, scope: Scope, status: int, size: int, seconds: float) -> None:
        # Without a template nothing was routed: the path is then whatever somebody has made up.
        route, path = str(scope.get("path_template") or "none"), scope["path"]
        level = logging.DEBUG if route in MONITORED_ROUTES else logging.INFO
        if not log.isEnabledFor(level):
            return
        fields: dict[str, Any] = {"method": scope.get("method"), "route": route}
        if route.startswith(LINK_ROUTES) and status in GOOD_LINK_STATUSES:
            file = path.rpartition("/")[2]
            fields["feed"] = split_file(file)[0].removesuffix(PROFILE_SUFFIX)
        elif FEED_KEY in scope:
            fields["feed"] = scope[FEED_KEY]  # type: ignore[literal-required]
        agent = next((value for name, value in scope["headers"] if name == b"user-agent"), b"")
        fields |= {
            "status": status,
            "bytes": size,
            "ms": round(seconds * 1000, 1),
            "app": family(agent.decode("latin-1")),
        }
        if self._addresses:
            fields["address"] = scope["client"][0] if scope["client"] else "unknown"
        log.log(level, "answered", extra=about(**fields))
