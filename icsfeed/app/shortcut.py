"""The short way to a feed: what calendar apps ask for all day is answered before anything is routed.

It takes a plain GET or HEAD of a calendar whose bytes are at hand, and leaves all else to the server: what
must be read or rendered first, queries, other origins, whatever is refused. What it says is decided where the
long way decides it (Links, answers.py), and a test holds the two against each other.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from cachetools import LRUCache
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseBodyEvent, HTTPScope, Receive, Scope, Send

from icsfeed.app.answers import CALENDAR, Choice, choice, feed_headers
from icsfeed.app.feed_routes import public_age, report
from icsfeed.app.feeds import FeedService
from icsfeed.app.links import Grant
from icsfeed.app.server_state import ServerState
from icsfeed.core.feed import Rendered

AT_ONCE = 256 * 1024
"""Bytes of a body that are sent in one piece; larger ones are never put together whole."""

HEADERS = {
    name.encode(): name
    for name in ("accept-encoding", "if-none-match", "if-modified-since", "user-agent", "origin")
}

KEPT = 16 * 1024 * 1024
"""Bytes of bodies in one piece that are kept at most; the longest unasked goes first."""

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
        self._bodies: LRUCache[tuple[str, bool], bytes] = LRUCache(KEPT, len)
        self._heads: dict[tuple[str, bool], tuple[str, dict[Choice, Head]]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = self._asked(scope) if scope["type"] == ScopeType.HTTP else None
        chosen = choice(asked.rendered, asked.headers) if asked else None
        if asked is None or chosen is None:
            await self._app(scope, receive, send)
            return
        status = 304 if chosen.unchanged else 200
        report(self._server, asked.name, asked.grant, asked.headers.get("user-agent"), status)
        await send({"type": "http.response.start", "status": status, "headers": self._head(asked, chosen)})
        if chosen.unchanged or asked.is_head:
            await send(_body(b""))
        elif asked.rendered.size <= AT_ONCE:
            await send(_body(self._whole(asked.rendered, zipped=chosen.zipped)))
        else:
            for piece in asked.rendered.packed_pieces() if chosen.zipped else asked.rendered.pieces():
                await send(_body(piece, more=True))
            await send(_body(b""))

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

    def _whole(self, rendered: Rendered, *, zipped: bool) -> bytes:
        """A body in one piece: put together once while many ask for it."""
        body = self._bodies.get((rendered.etag, zipped))
        if body is None:
            body = (rendered.gzipped if zipped else None) or rendered.body
            self._bodies[rendered.etag, zipped] = body
        return body

    def _head(self, asked: Asked, chosen: Choice) -> Head:
        """The headers: made once for all who get this answer."""
        now = self._server.clock()
        if asked.rendered.last_modified > now:
            return self._new_head(asked, chosen, now)
        etag, heads = self._heads.get((asked.name, asked.is_public), ("", {}))
        if etag != asked.rendered.etag:
            heads = {}
            self._heads[asked.name, asked.is_public] = asked.rendered.etag, heads
        if chosen not in heads:
            heads[chosen] = self._new_head(asked, chosen, now)
        return heads[chosen]

    def _new_head(self, asked: Asked, chosen: Choice, now: datetime) -> Head:
        age = public_age(self._service) if asked.is_public else None
        sent = feed_headers(asked.rendered, chosen, asked.name, age, now)
        if not chosen.unchanged:
            size = asked.rendered.packed_size if chosen.zipped else asked.rendered.size
            sent |= {"Content-Type": f"{CALENDAR}; charset=utf-8", "Content-Length": str(size)}
        sent["Vary"] = self._vary
        return [(key.lower().encode(), value.encode("latin-1")) for key, value in sent.items()]


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


def _body(octets: bytes, *, more: bool = False) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": octets, "more_body": more}
