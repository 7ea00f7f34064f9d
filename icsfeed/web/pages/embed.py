"""/embed: a feed's calendar for a frame in another page, as month, week, agenda or day."""

from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from icsfeed.feeds.query import parse_query
from icsfeed.feeds.service import FeedService
from icsfeed.web.openapi import CALENDAR_PAGE, EMBED, PUBLIC_EMBED, described
from icsfeed.web.pages.calendar_view import calendar_view_of
from icsfeed.web.pages.errors import open_link
from icsfeed.web.pages.feed_view import FeedViews
from icsfeed.web.pages.parameters import parse_date, parse_skip, parse_view
from icsfeed.web.pages.render import PageRenderer, page_answer
from icsfeed.web.responses import READ

REFRESH_SECONDS, RELOAD_SECONDS = 300, 900
"""How often an open page looks for changes; without scripts it is reloaded whole, less often."""


@route(
    "/embed/{token:str}/{name:str}",
    http_method=READ,
    operation_class=described(EMBED, CALENDAR_PAGE),
    summary="A calendar for a frame, by its secret link",
)
async def private_embed(
    token: FromPath[str],
    name: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    pages: NamedDependency[PageRenderer],
    sheets: NamedDependency[FeedViews],
) -> Response[str]:
    """A page for a frame: `view`, `date`, `lang`, `theme`, and what narrows the feed."""
    return await _embed(request, service, pages, sheets, name, token)


@route(
    "/embed/{name:str}",
    http_method=READ,
    operation_class=described(PUBLIC_EMBED, CALENDAR_PAGE),
    summary="A public calendar for a frame",
)
async def public_embed(
    name: FromPath[str],
    request: Request[Any, Any, Any],
    service: NamedDependency[FeedService],
    pages: NamedDependency[PageRenderer],
    sheets: NamedDependency[FeedViews],
) -> Response[str]:
    """The same for a calendar that is public by the configuration."""
    return await _embed(request, service, pages, sheets, name, None)


async def _embed(
    request: Request[Any, Any, Any],
    service: FeedService,
    pages: PageRenderer,
    sheets: FeedViews,
    name: str,
    token: str | None,
) -> Response[str]:
    ask, name, _ = await open_link(request, name, token, "embed")
    sheet = await sheets.sheet(name, parse_query(ask.parameters))

    def render() -> str:
        day = parse_date(ask.get("date"), sheet.today)
        view, skip = parse_view(ask.get("view")), parse_skip(ask.get("skip"))
        calendar = calendar_view_of(sheet.items, view, day, sheet.today, ask.l10n.first_weekday, skip)
        return pages.html(
            "embed.html",
            ask,
            sheet=sheet,
            calendar=calendar,
            refresh="" if ask.get("refresh") == "off" else str(REFRESH_SECONDS),
            without_script=RELOAD_SECONDS,
        )

    # All of it that a page depends on, apart from the sheet.
    key = ("embed", name, ask.parameters, ask.l10n.tag, ask.theme)
    html = await pages.once(key, (sheet,), len(sheet.items), render)
    return page_answer(html, framed_by=service.config.embed.frame_ancestors)
