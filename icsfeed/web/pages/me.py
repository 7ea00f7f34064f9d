"""/me: the calendars of a person whom the sign-in proxy has authenticated."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.exceptions import NotFoundException
from msgspec import Struct

from icsfeed.errors import FeedError
from icsfeed.feeds.calendar import title_of
from icsfeed.feeds.people.personal import PersonalFeed
from icsfeed.feeds.service import FeedService
from icsfeed.model import View
from icsfeed.single_flight import run_in_thread
from icsfeed.web.client_address import signed_in
from icsfeed.web.openapi import CALENDAR_PAGE, ME, described
from icsfeed.web.pages.errors import message_page
from icsfeed.web.pages.feed import feed_page_answer, feed_page_html, narrowed_feed_of, page_link
from icsfeed.web.pages.render import PageRequest, page_request
from icsfeed.web.responses import NEVER_STORED, READ
from icsfeed.web.state import Site

Key = tuple[str, str]

log = logging.getLogger("icsfeed.pages")


class OwnCalendar(Struct, frozen=True):
    """One of the person's calendars: its name on the page and its link."""

    title: str
    href: str
    current: bool


@route(
    "/me",
    http_method=READ,
    operation_class=described(ME, ("feed", *CALENDAR_PAGE)),
    summary="The calendars of the person who is signed in",
)
async def me(request: Request[Any, Any, Any], site: NamedDependency[Site]) -> Response[str]:
    """The page of the person's own calendar; `feed` names another one of theirs."""
    if site.config.auth_proxy is None:
        raise NotFoundException
    email = signed_in(request, site.config.auth_proxy, site.server.proxy_guesses)
    if email is None:
        return message_page(request, "me out", HTTPStatus.FORBIDDEN)
    mine = (await site.service.own_access.feeds_of(email)).feeds
    if not mine:
        return message_page(request, "me none", HTTPStatus.OK, who=email)
    ask = page_request(request, site.config)
    chosen = next((calendar for calendar in mine if calendar.name == ask.get("feed")), mine[0])
    seen = await narrowed_feed_of(site, ask, chosen.name)
    calendars = await _own_calendars(site.service, ask, mine, chosen)
    link = page_link(site, ask, chosen.name, chosen.subscriber)
    html = await run_in_thread(
        len(seen.whole.items), lambda: feed_page_html(site, ask, seen, link, person=email, mine=calendars)
    )
    response = feed_page_answer(html, seen)
    response.headers.update(NEVER_STORED)
    return response


async def _own_calendars(
    service: FeedService, ask: PageRequest, mine: Sequence[PersonalFeed], chosen: PersonalFeed
) -> Sequence[OwnCalendar]:
    """Return each calendar with its link. Where two have the same title, the feed's name is added."""
    rosters = await service.rosters()
    # Titles come from the rosters: to list the calendars, no issues are read.
    titles = [await _title(service, rosters, calendar) for calendar in mine]
    theme_and_language = [(name, value) for name in ("lang", "theme") if (value := ask.get(name))]
    return [
        OwnCalendar(
            title=title if titles.count(title) == 1 else f"{title} ({calendar.name})",
            href="?" + urlencode([("feed", calendar.name), *theme_and_language]),
            current=calendar == chosen,
        )
        for calendar, title in zip(mine, titles, strict=True)
    ]


async def _title(service: FeedService, rosters: Mapping[str, View], calendar: PersonalFeed) -> str:
    """Return a calendar's title without reading its issues; the feed's name where that fails."""
    try:
        feed = await service.feed(calendar.name)
        name = service.workspace_of(feed)
        workspace = service.config.workspaces[name].title or name
        return title_of(
            calendar.name, feed, feed.language or service.config.language, rosters[name], workspace
        )
    except FeedError:
        return calendar.name
