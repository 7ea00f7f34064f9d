"""/embed: a feed's calendar for a frame in another page, as month, week, agenda or day."""

from typing import Any

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from icsfeed.feeds.query import both, parse_query
from icsfeed.web.openapi import CALENDAR_PAGE, EMBED, described
from icsfeed.web.pages.errors import open_link
from icsfeed.web.pages.parameters import FRAME_VIEWS, parse_date, parse_skip, parse_view
from icsfeed.web.pages.render import frame_ancestors, page_answer
from icsfeed.web.pages.views.calendar_view import calendar_view_of
from icsfeed.web.pages.views.legend import legend_of
from icsfeed.web.responses import READ
from icsfeed.web.state import Site

REFRESH_SECONDS, RELOAD_SECONDS = 300, 900
"""How often an open page looks for changes; without scripts it is reloaded whole, less often."""


@route(
    ["/embed/{token:str}/{name:str}", "/embed/{name:str}"],
    http_method=READ,
    operation_class=described(EMBED, CALENDAR_PAGE),
    summary="A calendar for a frame, by its secret link or public",
)
async def embed(
    request: Request[Any, Any, Any],
    site: NamedDependency[Site],
    name: FromPath[str],
    token: FromPath[str] = "",
) -> Response[str]:
    """A page for a frame: `view`, `date`, `lang`, `theme`, `week`, and what narrows the feed."""
    ask, name, grant = await open_link(request, name, token or None, "embed")
    query = both(grant.query, parse_query(ask.parameters))
    feed = await site.views.view(name, query)
    # Of a link that narrows the feed itself, what that leaves is the whole.
    whole = await site.views.view(name, grant.query)

    def render() -> str:
        day = parse_date(ask.get("date"), feed.today)
        view, skip = parse_view(ask.get("view")), parse_skip(ask.get("skip"))
        calendar = calendar_view_of(feed.items, view, day, feed.today, ask.l10n.first_weekday, skip)
        return site.pages.html(
            "embed.html",
            ask,
            feed=feed,
            total=len(whole.items),
            calendar=calendar,
            views=FRAME_VIEWS,
            legend=legend_of(whole.items, whole.feed, ask.parameters),
            refresh="" if ask.get("refresh") == "off" else str(REFRESH_SECONDS),
            without_script=RELOAD_SECONDS,
        )

    html = await site.pages.once(("embed", name, query, ask.key), (feed, whole), len(whole.items), render)
    return page_answer(html, framed_by=frame_ancestors(site.config))
