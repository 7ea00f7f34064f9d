"""The routes of calendars and their pages: by a secret link, or public."""

from http import HTTPStatus
from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from icsfeed.feeds.service import FeedService
from icsfeed.web.client_address import client_of
from icsfeed.web.feed_response import FeedEndpoint
from icsfeed.web.openapi import CALENDAR_PAGE, CONDITIONS, FEED, PUBLIC_FEED, described
from icsfeed.web.pages.feed import feed_page
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.pages.render import PageRenderer
from icsfeed.web.responses import READ
from icsfeed.web.state import ServerState


@route(
    "/feeds/{token:str}/{file:str}",
    http_method=READ,
    operation_class=described(FEED, CALENDAR_PAGE, CONDITIONS),
    summary="A calendar, by its secret link",
)
async def private_feed(
    token: FromPath[str],
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pages: NamedDependency[PageRenderer],
    sheets: NamedDependency[FeedViews],
    endpoint: NamedDependency[FeedEndpoint],
) -> Response[Any]:
    """The calendar that a link is for. Parameters narrow it; unknown ones are ignored.

    The same address without `.ics` is the page for people.
    """
    if not file.endswith(".ics"):
        return await _counted(server, request, await feed_page(request, service, pages, sheets, file, token))
    return await endpoint.response(request, file, token)


@route(
    "/feeds/{file:str}",
    http_method=READ,
    operation_class=described(PUBLIC_FEED, CALENDAR_PAGE, CONDITIONS),
    summary="A public calendar",
)
async def public_feed(
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    server: NamedDependency[ServerState],
    pages: NamedDependency[PageRenderer],
    sheets: NamedDependency[FeedViews],
    endpoint: NamedDependency[FeedEndpoint],
) -> Response[Any]:
    """A calendar that the configuration calls public, or its page."""
    if not file.endswith(".ics"):
        return await _counted(server, request, await feed_page(request, service, pages, sheets, file, None))
    return await endpoint.response(request, file, None)


async def _counted(
    server: ServerState, request: Request[Any, Any, Any], page: Response[str]
) -> Response[str]:
    """A page, which no app reads, counts among the answers and for no reader."""
    page = await server.token_throttle.slowly(page, client_of(request))
    server.reader_log.answered(page.status_code or HTTPStatus.OK)
    return page
