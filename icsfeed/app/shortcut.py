"""The short way to a feed: what calendar apps ask for all day is answered before anything is routed.

It takes a plain GET or HEAD of a calendar whose bytes are at hand, and leaves all else to the server: what
must be read or rendered first, queries, other origins, whatever is refused. What it says is decided where the
long way decides it (Links, answers.py), and a test holds the two against each other.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from icsfeed.app.answers import Choice, body_headers, choice, feed_headers, raw_headers, send_body
from icsfeed.app.bodies import Body
from icsfeed.app.feed_routes import public_age, report
from icsfeed.app.feeds import FeedService
from icsfeed.app.links import Grant
from icsfeed.app.server_state import ServerState
from icsfeed.core.feed import Rendered

HEADERS = {
    name.encode(): name
    for name in ("accept-encoding", "if-none-match", "if-modified-since", "user-agent", "origin")
}

Head = list[tuple[bytes, bytes]]


class Asked(NamedTuple):
    """A request that can be answered at once."""

    name: str
    grant: Grant
    is_public: bool
    rendered: Rendered
    headers: Mapping[str, str]
    is_head: bool


class Shortcut:
    """An ASGI app before the server's own. `vary`: what the server's answers say that they depend on."""

    def __init__(self, service: FeedService, server: ServerState, app: ASGIApp, vary: str) -> None:
        self._service = service
        self._server = server
        self._app = app
        self._vary = vary
        self._heads: dict[tuple[str, bool], tuple[str, dict[Choice, Head]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope) if scope["type"] == ScopeType.HTTP else None
        chosen = choice(asked.rendered, asked.headers, gzip=self._service.bodies.gzip) if asked else None
        if asked is None or chosen is None:
            await self._app(scope, receive, send)
            return
        status = 304 if chosen.unchanged else 200
        body = (
            None if chosen.unchanged else await self._service.bodies.of(asked.rendered, zipped=chosen.zipped)
        )
        report(self._server, asked.name, asked.grant, asked.headers.get("user-agent"), status)
        await send(
            {"type": "http.response.start", "status": status, "headers": self._head(asked, chosen, body)}
        )
        if body is None or asked.is_head:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await send_body(send, body)

    def _asked(self, scope: HTTPScope) -> Asked | None:
        """What is asked for; None where it is not for us."""
        method, path = scope["method"], scope["path"].split("/")
        if method not in ("GET", "HEAD") or scope["query_string"] or not path[-1].endswith(".ics"):
            return None
        if not (3 <= len(path) <= 4 and path[1] == "feeds"):
            return None
        name, token = path[-1].removesuffix(".ics"), path[2] if len(path) == 4 else None
        rendered = self._service.at_hand(name)
        headers = _headers(scope)
        if rendered is None or headers is None:
            return None
        grant = self._service.links.access(name, token)
        if grant is None or grant.revoked:
            return None
        return Asked(name, grant, token is None, rendered, headers, method == "HEAD")

    def _head(self, asked: Asked, chosen: Choice, body: Body | None) -> Head:
        """The headers: made once for all who get this answer."""
        now = self._server.clock()
        if asked.rendered.last_modified > now:
            return self._new_head(asked, chosen, body, now)
        etag, heads = self._heads.get((asked.name, asked.is_public), ("", {}))
        if etag != asked.rendered.etag:
            heads = {}
            self._heads[asked.name, asked.is_public] = asked.rendered.etag, heads
        if chosen not in heads:
            heads[chosen] = self._new_head(asked, chosen, body, now)
        return heads[chosen]

    def _new_head(self, asked: Asked, chosen: Choice, body: Body | None, now: datetime) -> Head:
        age = public_age(self._service) if asked.is_public else None
        sent = feed_headers(asked.rendered, chosen, asked.name, age, now)
        if body is not None:
            sent |= body_headers(body)
        sent["Vary"] = self._vary
        return raw_headers(sent)


def _headers(scope: HTTPScope) -> Mapping[str, str] | None:
    """Those that matter; None where one of them is there twice, or the answer depends on another one."""
    found: dict[str, str] = {}
    for key, value in scope["headers"]:
        if key in HEADERS:
            name = HEADERS[key]
            if name in found or name == "origin":
                return None
            found[name] = value.decode("latin-1")
    return found
