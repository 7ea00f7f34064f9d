"""The calendars over HTTP (clients.md, "Status of a feed URL"): access, preconditions, headers, body.

One way of answering and of sending for all of them, whole or narrowed, plain or gzip. litestar's routes come
here, and so does the shortcut (shortcut.py), which saves the routing.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any, NamedTuple

from cachetools import LRUCache
from litestar import Request, Response
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send
from msgspec import Struct

from icsfeed.errors import BadParameter, FeedError, NoCopy, UnknownFeed
from icsfeed.feeds.links import Grant
from icsfeed.feeds.query import Query, parse_query
from icsfeed.feeds.rendered import PIECE, Rendered
from icsfeed.feeds.service import FeedService
from icsfeed.web.responses import NOT_FOUND, ResponseChoice, choice, error_answer, feed_headers, plain_answer
from icsfeed.web.state import ServerState

HEADERS = {
    name.encode(): name for name in ("accept-encoding", "if-none-match", "if-modified-since", "user-agent")
}
CACHED_HEADS = 2_000
UNDER_WAY = 64 * 1024 * 1024
"""Bytes of bodies that are sent and shared with nobody; more readers are asked to come again."""
FULL_AGAIN = 30
"""Seconds after which there may be room."""

_WHOLE = Query()

Head = list[tuple[bytes, bytes]]

log = logging.getLogger("icsfeed.web")


class FeedRequest(NamedTuple):
    """A request for the calendar `name`. `grant`: to whom its link opens it, if to anybody.

    `public`: the link has no token. `query`: the parameters. `rendered`: the calendar, where it is at hand.
    """

    name: str
    grant: Grant | None
    public: bool
    headers: Mapping[str, str]
    address: str
    is_head: bool
    query: Iterable[tuple[str, str]] = ()
    rendered: Rendered | None = None


class BodiesInFlight:
    """The bodies of other styles that are being sent: at most `limit` bytes, those of equal ones once.

    Whoever has a link can ask for any number of styles (`?alarm=-PT1H`), and read them slowly.
    """

    def __init__(self, limit: int = UNDER_WAY) -> None:
        self._limit = limit
        self._readers: Counter[tuple[str, int]] = Counter()

    @contextmanager
    def holding(self, etag: str, size: int) -> Iterator[bool]:
        """Whether there is room for this body, until the end of the block."""
        body, total = (etag, size), sum(held for _, held in self._readers)
        if self._readers and body not in self._readers and total + size > self._limit:
            yield False
            return
        self._readers[body] += 1
        try:
            yield True
        finally:
            self._readers[body] -= 1
            if not self._readers[body]:
                del self._readers[body]


class RestyledResponse(Struct, frozen=True):
    """An answer in a style of its own: 503 while other such bodies take all the room. An ASGI app."""

    answer: "CalendarResponse"
    etag: str
    under_way: BodiesInFlight

    @property
    def status_code(self) -> int:
        """That of the answer."""
        return self.answer.status_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self.under_way.holding(self.etag, self.answer.size) as has_room:
            if has_room:
                await self.answer(scope, receive, send)
                return
        text = "Too many calendars of other styles are being read. Try again in a while."
        full = plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": str(FULL_AGAIN)})
        await full.to_asgi_response(app=None, request=None)(scope, receive, send)  # type: ignore[arg-type]


class CalendarResponse(Struct, frozen=True):
    """200 or 304, an ASGI app. A body of `size` bytes is sent in pieces, each when there is room for it:
    the server's `send` waits for slow readers.
    """

    status_code: int
    head: Head
    size: int = 0
    pieces: Iterable[bytes] = ()

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.head})
        left = self.size
        for piece in self.pieces:
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            if left > 0:
                # uvicorn's `send` returns at once when the reader has gone: others come first nevertheless.
                await asyncio.sleep(0)
        if not self.size:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class AsgiResponse(Response[None]):
    """An ASGI app where litestar wants a response of its own."""

    def __init__(self, answer: ASGIApp) -> None:
        super().__init__(None)
        self._answer = answer

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]
        """The app as it is."""
        return self._answer


class FeedEndpoint:
    """Answers requests for the calendars of one configuration.

    `vary`: the request headers that all answers of the server depend on.
    """

    def __init__(self, service: FeedService, server: ServerState, vary: str) -> None:
        self._service = service
        self._server = server
        self._vary = vary
        self._under_way = BodiesInFlight()
        self._heads: LRUCache[tuple[str, str, bool, ResponseChoice], Head] = LRUCache(CACHED_HEADS)

    async def response(self, request: Request[Any, Any, Any], file: str, token: str | None) -> Response[Any]:
        """The answer for a route of litestar's; `file` is the feed's name with `.ics`."""
        try:
            name, grant = await self._service.access(file.removesuffix(".ics"), token)
        except NoCopy as error:
            self._server.reader_log.answered(HTTPStatus.SERVICE_UNAVAILABLE)
            return _not_yet(error.retry_after, error.waiting)
        asked = feed_request(request.scope, name, grant, public=token is None)
        return AsgiResponse(await self.answer(asked._replace(query=request.query_params.multi_items())))

    async def answer(self, asked: FeedRequest) -> ASGIApp:
        """The answer, counted; and remembered who read by a good link."""
        grant = asked.grant
        if grant is None:
            missing = plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
            answer: (
                CalendarResponse | RestyledResponse | Response[Any]
            ) = await self._server.token_throttle.slowly(missing, asked.address)
        else:
            answer = await self._granted(asked, grant)
        status = answer.status_code or HTTPStatus.OK
        self._server.reader_log.answered(status)
        if grant is not None and status != HTTPStatus.NOT_FOUND:
            self._server.reader_log.read(
                asked.name, grant.subscriber, asked.headers.get("user-agent"), status
            )
        if isinstance(answer, CalendarResponse | RestyledResponse):
            return answer
        answer.headers["Vary"] = self._vary
        return answer.to_asgi_response(app=None, request=None)  # type: ignore[arg-type]

    async def _granted(
        self, asked: FeedRequest, grant: Grant
    ) -> CalendarResponse | RestyledResponse | Response[Any]:
        try:
            query = parse_query(asked.query) if asked.query and not grant.revoked else _WHOLE
            rendered = await self._rendered(asked, grant, query)
            answer = await self._calendar(asked, rendered)
            if query.restyles and isinstance(answer, CalendarResponse):
                return RestyledResponse(answer, rendered.etag, self._under_way)
            return answer
        except BadParameter as error:
            details = {"field": error.field, "reason": error.reason}
            now = self._server.clock()
            return error_answer(400, "INVALID_PARAMETER", str(error), now=now, details=details)
        except UnknownFeed:
            return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
        except NoCopy as error:
            return _not_yet(error.retry_after, error.waiting)
        except FeedError as error:
            log.error("%s", error)
            return _not_yet(300)

    async def _rendered(self, asked: FeedRequest, grant: Grant, query: Query) -> Rendered:
        if grant.revoked:
            return self._service.revoked(asked.name)
        return asked.rendered or await self._service.rendered(asked.name, query)

    async def _calendar(self, asked: FeedRequest, rendered: Rendered) -> CalendarResponse | Response[str]:
        compressor = self._service.compressor
        chosen = choice(rendered, asked.headers, gzip=compressor is not None)
        if chosen is None:
            text = "Accept-Encoding leaves no way to send this calendar."
            return plain_answer(HTTPStatus.NOT_ACCEPTABLE, text)
        if chosen.unchanged:
            return CalendarResponse(HTTPStatus.NOT_MODIFIED, self._head(asked, rendered, chosen, None))
        body = await compressor.body(rendered) if compressor and chosen.zipped else None
        size = rendered.size if body is None else len(body)
        pieces = rendered.pieces() if body is None else _pieces(body)
        head = self._head(asked, rendered, chosen, size)
        if asked.is_head:
            return CalendarResponse(HTTPStatus.OK, head)
        return CalendarResponse(HTTPStatus.OK, head, size, pieces)

    def _head(self, asked: FeedRequest, rendered: Rendered, chosen: ResponseChoice, size: int | None) -> Head:
        """The headers, made once for all who get this answer. `size`: of the body, where there is one."""
        key = (rendered.etag, asked.name, asked.public, chosen)
        now = self._server.clock()
        head = self._heads.get(key)
        if head is None or rendered.last_modified > now:
            age = int(self._service.config.cache.issues) if asked.public else None
            sent = {**feed_headers(rendered, chosen, asked.name, age, now), "Vary": self._vary}
            if size is not None:
                sent |= {"Content-Type": "text/calendar; charset=utf-8", "Content-Length": str(size)}
            head = [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items()]
            if rendered.last_modified <= now:
                self._heads[key] = head
        return head


def feed_request(scope: HTTPScope, name: str, grant: Grant | None, *, public: bool) -> FeedRequest:
    """What a request for the calendar `name` says of itself."""
    address = scope["client"][0] if scope["client"] else ""
    return FeedRequest(name, grant, public, _headers(scope["headers"]), address, scope["method"] == "HEAD")


def _headers(given: Iterable[tuple[bytes, bytes]]) -> Mapping[str, str]:
    """The headers that answers depend on. A list may stand on several lines (RFC 9110, 5.3); a second date
    leaves none that can be read.
    """
    found: dict[str, str] = {}
    for key, value in given:
        if key in HEADERS:
            name, line = HEADERS[key], value.decode("latin-1")
            if name in found:
                line = "" if name == "if-modified-since" else f"{found[name]}, {line}"
            found[name] = line
    return found


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + PIECE] for at in range(0, len(body), PIECE))


def _not_yet(retry_after: int, waiting: str | None = None) -> Response[str]:
    text = "This calendar cannot be read yet. It will be there when the server has read Plane."
    text += f" Now {waiting}." if waiting else ""
    return plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, text, {"Retry-After": str(retry_after)})
