"""The routes of calendars and their pages: by a secret link, or public."""

from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from icsfeed.feeds.service import FeedService
from icsfeed.web.openapi import CALENDAR_PAGE, CONDITIONS, FEED, PUBLIC_FEED, described
from icsfeed.web.pages.feed import feed_page
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.pages.render import PageRenderer
from icsfeed.web.responses import READ


def calendar_or_page(app: ASGIApp) -> ASGIApp:
    """Route calendars to the app's FeedEndpoint, and all else to the handler, which makes their pages.

    Pages, which no calendar app reads, count among the answers and for no reader.
    """

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        # Not by dependency injection, which litestar (2.25) has for handlers only.
        state = scope["litestar_app"].state
        if scope["path_params"]["file"].endswith(".ics"):
            await state.endpoint(scope, receive, send)
            return

        async def count(message: Message) -> None:
            if message["type"] == "http.response.start":
                state.server.reader_log.answered(message["status"])
            await send(message)

        await app(scope, receive, count)

    return handle


@route(
    "/feeds/{token:str}/{file:str}",
    http_method=READ,
    middleware=[calendar_or_page],
    operation_class=described(FEED, CALENDAR_PAGE, CONDITIONS),
    summary="A calendar, by its secret link",
)
async def private_feed(
    token: FromPath[str],
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    pages: NamedDependency[PageRenderer],
    sheets: NamedDependency[FeedViews],
) -> Response[Any]:
    """The calendar that a link is for. Parameters narrow it; unknown ones are ignored.

    The same address without `.ics` is the page for people.
    """
    return await feed_page(request, service, pages, sheets, file, token)


@route(
    "/feeds/{file:str}",
    http_method=READ,
    middleware=[calendar_or_page],
    operation_class=described(PUBLIC_FEED, CALENDAR_PAGE, CONDITIONS),
    summary="A public calendar",
)
async def public_feed(
    file: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    pages: NamedDependency[PageRenderer],
    sheets: NamedDependency[FeedViews],
) -> Response[Any]:
    """A calendar that is public by the configuration, or its page."""
    return await feed_page(request, service, pages, sheets, file, None)
