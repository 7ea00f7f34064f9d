"""The calendars and news of feeds over HTTP (docs/clients.md): access, preconditions, headers, body.

litestar routes requests for calendars to `FeedEndpoint`, an ASGI app, and not to a handler of its own: a
handler costs twice as much (Request, dependencies, Response; litestar 2.25), and sends a body in one piece.
"""

import logging
from collections.abc import Hashable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NamedTuple

from cachetools import LRUCache
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotFoundException
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from icsfeed.errors import BadParameter, FeedError, NoCopy, UnknownFeed
from icsfeed.feeds.links import Grant, split_file
from icsfeed.feeds.query import both, parse_query
from icsfeed.feeds.rendered import PIECE, Rendered
from icsfeed.feeds.service import FeedService
from icsfeed.web.feeds.headers import ResponseChoice, choose, feed_headers, read_headers
from icsfeed.web.feeds.repeated import Answer, RepeatedRequests
from icsfeed.web.feeds.streamed import AnyResponse, BodiesInFlight, CalendarResponse, Head
from icsfeed.web.reader_log import family
from icsfeed.web.responses import (
    ERROR_RETRY_SECONDS,
    MEDIA_TYPES,
    NOT_FOUND,
    error_answer,
    plain_answer,
    send_response,
    server_address,
)

if TYPE_CHECKING:
    from icsfeed.feeds.news.publisher import NewsFeeds
    from icsfeed.web.state import ServerState

MAX_CACHED_HEADS = 2_000
BUSY_RETRY_SECONDS = 30

log = logging.getLogger("icsfeed.web")


class FeedRequest(NamedTuple):
    """A request for a file of a feed: by a public link or a secret one, the headers that matter, its query.

    `page` is the address of the feed's page. `extension` is one of `MEDIA_TYPES`.
    """

    name: str
    extension: str
    page: str
    is_public: bool
    headers: Mapping[str, str]
    is_head: bool
    query: Sequence[tuple[str, str]]


class FeedEndpoint:
    """Answers GET and HEAD requests for the calendars of one configuration: an ASGI app.

    The path parameters are `file`, the name of a feed with an extension, and for secret links `token`.
    `vary`: the request headers that all answers of the server depend on.
    """

    def __init__(self, service: FeedService, news: "NewsFeeds", server: "ServerState", vary: str) -> None:
        self._service = service
        self._news = news
        self._server = server
        self._vary = vary
        self._in_flight = BodiesInFlight()
        self.repeated = RepeatedRequests(service, server.reader_log)
        self._heads: LRUCache[Hashable, Head] = LRUCache(MAX_CACHED_HEADS)

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        token = scope["path_params"].get("token")
        name, extension = split_file(scope["path_params"]["file"])
        headers, grant = read_headers(scope["headers"]), None
        response: AnyResponse
        links = self._service.links.version
        try:
            name, grant = await self._service.access(name, token)
            # One answer, in the same time, whether the feed is unknown or only the token is wrong.
            if grant is None:
                await self._server.token_throttle.delay(scope["client"][0] if scope["client"] else "")
                raise NotFoundException(NOT_FOUND)
            # Most requests have no query, and to build a Request is not free.
            query = (
                [*Request[Any, Any, Any](scope).query_params.multi_items()] if scope["query_string"] else []
            )
            page = "" if extension == "ics" else self._page(scope, name, token)
            is_head = scope["method"] == "HEAD"
            request = FeedRequest(name, extension, page, token is None, headers, is_head, query)
            response = await self._calendar(request, grant)
        except HTTPException as error:
            response = plain_answer(error.status_code, error.detail, error.headers)
        except BadParameter as error:
            details = {"field": error.field, "reason": error.reason}
            now = self._server.clock()
            response = error_answer(400, "INVALID_PARAMETER", str(error), now=now, details=details)
        except FeedError as error:
            response = feed_failure(error)
        with self._in_flight.reserve(response) as has_room:
            if not has_room:
                text = "Too many calendars of other styles are being read. Try again in a while."
                retry = {"Retry-After": str(BUSY_RETRY_SECONDS)}
                response = plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, text, retry)
            status = response.status_code or HTTPStatus.OK
            self._server.reader_log.answered(status)
            # 404 by a good link: the feed is gone, as its project or person is.
            if grant is not None and status != HTTPStatus.NOT_FOUND:
                agent = headers.get("user-agent")
                self._server.reader_log.read(name, grant.subscriber, agent, status)
                if grant.link:
                    self._service.own.read(grant.link, family(agent), status)
                elif isinstance(response, CalendarResponse) and response.whole is not None:
                    again = Answer(
                        *(response.whole, links, name, grant.subscriber, agent, status),
                        *(scope["path_template"], response.head, b"".join(response.pieces)),
                    )
                    self.repeated.remember(scope, again)
            await send_response(response, scope, receive, send)

    async def _calendar(self, request: FeedRequest, grant: Grant) -> AnyResponse:
        """Return the response to a good link. Raise BadParameter or FeedError."""
        query, service, is_whole = grant.query, self._service, False
        if request.extension != "ics":
            rendered = await self._news.rendered(
                request.name, request.extension, request.page, request.query, grant
            )
        elif grant.revoked:
            # Not 410: apps would keep showing the old dates without a word (docs/clients.md).
            rendered = service.revoked(request.name, query.since)
        elif request.query or grant.narrows:
            query = both(grant.query, parse_query(request.query))
            rendered = await service.own_access.rendered(request.name, grant, query)
        else:
            # Most requests by far: apps poll all day. What was current a moment ago is not looked up again.
            rendered = service.at_hand(request.name) or await service.rendered(request.name)
            is_whole = not grant.link
        compressor = service.compressor
        restyled = rendered.etag if query.restyles else None
        choice = choose(rendered, request.headers, gzip=compressor is not None)
        if choice is None:
            text = "Accept-Encoding leaves no way to send this calendar."
            return plain_answer(HTTPStatus.NOT_ACCEPTABLE, text)
        whole = rendered if is_whole and rendered.last_modified <= self._server.clock() else None
        if choice.is_unchanged:
            head = self._head(request, rendered, choice, None)
            return CalendarResponse(HTTPStatus.NOT_MODIFIED, head, whole=whole)
        body = await compressor.body(rendered) if compressor and choice.is_gzip else None
        size = rendered.size if body is None else len(body)
        head = self._head(request, rendered, choice, size)
        # HEAD has the Content-Length of GET, and no body (RFC 9110, 9.3.2).
        if request.is_head:
            return CalendarResponse(HTTPStatus.OK, head, whole=whole)
        pieces = rendered.pieces()
        if body is not None:
            pieces = (body[start : start + PIECE] for start in range(0, size, PIECE))
        if size <= PIECE:
            return CalendarResponse(HTTPStatus.OK, head, size, tuple(pieces), restyled, whole)
        return CalendarResponse(HTTPStatus.OK, head, size, pieces, restyled)

    def _page(self, scope: HTTPScope, name: str, token: str | None) -> str:
        """Return the address of a feed's page by this link."""
        base = server_address(Request[Any, Any, Any](scope), self._service.config)
        return f"{base}/feeds/{token}/{name}" if token else f"{base}/feeds/{name}"

    def _head(
        self, request: FeedRequest, rendered: Rendered, choice: ResponseChoice, size: int | None
    ) -> Head:
        """Return the headers, the same list for all who get this response. `size`: of the body, if any."""
        file = f"{request.name}.{request.extension}"
        # News may become again what they were before: with the same ETag, and later.
        key = (rendered.etag, rendered.last_modified, file, request.is_public, choice)
        now = self._server.clock()
        head = self._heads.get(key)
        if head is None or rendered.last_modified > now:
            max_age = int(self._service.config.cache.issues) if request.is_public else None
            headers = {**feed_headers(rendered, choice, file, max_age, now), "Vary": self._vary}
            if size is not None:
                headers |= {
                    "Content-Type": f"{MEDIA_TYPES[request.extension]}; charset=utf-8",
                    "Content-Length": str(size),
                }
            head = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
            # Otherwise Last-Modified is `now`, which another response must not repeat.
            if rendered.last_modified <= now:
                self._heads[key] = head
        return head


def feed_failure(error: FeedError) -> Response[str]:
    """Return the response where a feed cannot be served. `error`: other than BadParameter."""
    if isinstance(error, UnknownFeed):
        return plain_answer(HTTPStatus.NOT_FOUND, NOT_FOUND)
    if isinstance(error, NoCopy):
        # 503, never an empty calendar: apps keep the dates they have, and ask again (docs/clients.md).
        text = "This calendar cannot be read yet. It will be there when the server has read Plane."
        text += f" Now {error.waiting}." if error.waiting else ""
        retry = {"Retry-After": str(error.retry_after)}
        return plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, text, retry)
    # A mistake in the configuration. Not 404: apps keep the dates they have until it is corrected.
    log.error("%s", error)
    text = "This calendar is not set up correctly. Ask the people who run this server."
    retry = {"Retry-After": str(ERROR_RETRY_SECONDS)}
    return plain_answer(HTTPStatus.SERVICE_UNAVAILABLE, text, retry)


def calendar_or_page(app: ASGIApp) -> ASGIApp:
    """Route calendars and news to the app's FeedEndpoint, and all else to the handler: feeds' pages.

    Pages, which no calendar app reads, count among the answers and for no reader.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        # Not by dependency injection, which litestar (2.25) has for handlers only.
        state = scope["litestar_app"].state
        if split_file(scope["path_params"]["file"])[1]:
            await state.endpoint(scope, receive, send)
            return

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                state.site.server.reader_log.answered(message["status"])
            await send(message)

        await app(scope, receive, count)

    return handle
