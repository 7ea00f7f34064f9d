"""The short way to a feed: what calendar apps ask for all day is answered before anything is routed.

It passes a plain GET or HEAD of a calendar whose bytes are at hand to the endpoint that the routes use,
too (feed_endpoint.py). All else is left to litestar: what must be read or rendered first, queries, requests
of other origins, whose answers need its CORS headers, and links that open nothing, whose answers should take
the same time whether there is such a feed or not.
"""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from icsfeed.feeds.service import FeedService
from icsfeed.web.feed_response import FeedEndpoint, FeedRequest, feed_request


class FastPath:
    """An ASGI app before the server's own."""

    def __init__(self, service: FeedService, endpoint: FeedEndpoint, app: ASGIApp) -> None:
        self._service = service
        self._endpoint = endpoint
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope) if scope["type"] == ScopeType.HTTP else None
        answer = self._app if asked is None else await self._endpoint.answer(asked)
        await answer(scope, receive, send)

    def _asked(self, scope: HTTPScope) -> FeedRequest | None:
        """What is asked for; None where it must be routed."""
        method, path = scope["method"], scope["path"].split("/")
        if method not in ("GET", "HEAD") or scope["query_string"] or not path[-1].endswith(".ics"):
            return None
        if not (3 <= len(path) <= 4 and path[1] == "feeds"):
            return None
        name, token = path[-1].removesuffix(".ics"), path[2] if len(path) == 4 else None
        rendered = self._service.at_hand(name)
        if rendered is None or any(key == b"origin" for key, _ in scope["headers"]):
            return None
        grant = self._service.links.access(name, token)
        if grant is None or grant.revoked:
            return None
        return feed_request(scope, name, grant, public=token is None)._replace(rendered=rendered)
