"""/feeds: the page of a feed: subscribe, see the calendar, filter, embed (feed_response.py: the calendar)."""

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import segno
from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup, escape
from msgspec import Struct

from icsfeed.errors import BadParameter
from icsfeed.feeds.query import FIELDS, URL_LIMIT, Query, both, parse_query, query_string, with_query
from icsfeed.own_links.model import embed_token
from icsfeed.web.feed_response import calendar_or_page
from icsfeed.web.openapi import CALENDAR_PAGE, CONDITIONS, FEED, described
from icsfeed.web.pages.agenda import overdue, upcoming
from icsfeed.web.pages.calendar_view import calendar_view_of
from icsfeed.web.pages.errors import open_link
from icsfeed.web.pages.feed_view import FeedView
from icsfeed.web.pages.link_builder import NONE_FIELDS, filter_choices_of, parts_asked, unoffered
from icsfeed.web.pages.parameters import parse_date
from icsfeed.web.pages.render import PageRequest, Pairs, page_answer
from icsfeed.web.responses import READ
from icsfeed.web.state import Site

APPS = (
    *("google", "outlook-web", "outlook", "apple", "ios"),
    *("thunderbird", "android", "nextcloud", "home-assistant"),
)
"""In the order of the page; each has its words: a name, steps, how often it updates, what it leaves out."""

ALARMS = ("-P7D", "-P2D", "-P1D", "-PT15H", "PT9H")
MAX_UPCOMING = 6
WHOLE = Query()
FRAME_HEIGHT = 960
"""In pixels: a month of six weeks without a scroll bar."""


class FeedAddresses(Struct, frozen=True):
    """The addresses of a feed, narrowed, for apps, people and frames.

    `subscribe`: by app, the link that opens it with the feed. `too_long`: some apps would cut the address.
    """

    ics: str
    page: str
    embed: str
    subscribe: Mapping[str, str]
    too_long: bool


class NarrowedFeed(Struct, frozen=True):
    """A feed, whole and as parameters narrow it. `wrong`: the one that could not be used, if any."""

    whole: FeedView
    feed: FeedView
    narrowing: str = ""
    wrong: str | None = None


@route(
    ["/feeds/{token:str}/{file:str}", "/feeds/{file:str}"],
    http_method=READ,
    middleware=[calendar_or_page],
    operation_class=described(FEED, CALENDAR_PAGE, CONDITIONS),
    summary="A calendar, by its secret link or public",
)
async def feed_page(
    request: Request[Any, Any, Any],
    site: NamedDependency[Site],
    file: FromPath[str],
    token: FromPath[str] = "",
) -> Response[str]:
    """The calendar that a link is for. Parameters narrow it; unknown ones are ignored.

    The same address without `.ics` is the page for people. Without a token, only calendars that are public
    by the configuration are found.
    """
    ask, name, grant = await open_link(request, file, token or None, "feed")
    seen = await narrowed_feed_of(site, ask, name, grant.query)
    urls = site.service.links.addresses(name, ask.base, grant.subscriber)
    if grant.link:
        urls = own_addresses(ask.base, token, name)
    html = await site.pages.once(
        # The addresses of a person's own link are in nobody else's page.
        ("page", name, grant.subscriber, urls["ics"], ask.key),
        (seen.whole, seen.feed),
        len(seen.whole.items),
        lambda: feed_page_html(site, ask, seen, urls),
    )
    return feed_page_answer(html, seen)


async def narrowed_feed_of(site: Site, ask: PageRequest, name: str, stored: Query = WHOLE) -> NarrowedFeed:
    """Return the feed as its parameters narrow it; whole where they cannot be used. Raise FeedError.

    `stored`: how the link narrows it already; what that leaves is then the whole.
    """
    whole, narrowing = await site.views.view(name, stored), query_string(ask.parameters)
    if not narrowing:
        return NarrowedFeed(whole, whole)
    try:
        query = both(stored, parse_query(ask.parameters))
        return NarrowedFeed(whole, await site.views.view(name, query), narrowing)
    except BadParameter as error:
        return NarrowedFeed(whole, whole, wrong=error.field)


def feed_page_html(
    site: Site, ask: PageRequest, seen: NarrowedFeed, urls: Mapping[str, str], **values: object
) -> str:
    """Render the page with these addresses. `values`: what /me adds. Raise BadParameter for a bad `date`."""
    whole, feed = seen.whole, seen.feed
    day = parse_date(ask.get("date"), feed.today)
    choices = filter_choices_of(whole.items, whole.feed)
    hidden = tuple((key, value) for key, value in ask.parameters if key not in FIELDS and value)
    addresses = addresses_of(urls, seen.narrowing, feed.title)
    return site.pages.html(
        "feed.html",
        ask,
        **{"person": None, "mine": (), **values},
        feed=feed,
        total=len(whole.items),
        narrowed=bool(seen.narrowing),
        wrong=seen.wrong,
        calendar=calendar_view_of(feed.items, "month", day, feed.today, ask.l10n.first_weekday),
        late=overdue(feed.items, feed.today),
        next=upcoming(feed.items, feed.today, MAX_UPCOMING),
        addresses=addresses,
        qr=None if addresses.too_long else qr_code(addresses.page),
        choices=choices,
        checked=checked_values(ask.parameters),
        # Parameters that the form has no field for.
        others=() if seen.wrong else unoffered(ask.parameters, choices, ALARMS),
        hidden=hidden,
        reset="?" + urlencode(hidden),
        snippet=snippet_of(addresses.embed, feed.title),
        apps=APPS,
        alarms=ALARMS,
        none_fields=NONE_FIELDS,
        framed=bool(site.config.embed.frame_ancestors),
    )


def own_addresses(base: str, token: str, name: str) -> dict[str, str]:
    """Return the addresses of a link that a person has made. The token decides what they open."""
    page, embed = f"{base}/feeds/{token}/{name}", f"{base}/embed/{embed_token(token)}/{name}"
    return {"ics": f"{page}.ics", "page": page, "embed": embed}


def feed_page_answer(html: str, seen: NarrowedFeed) -> Response[str]:
    """Return the page, with status 400 where its parameters cannot be used."""
    return page_answer(html, HTTPStatus.BAD_REQUEST if seen.wrong else HTTPStatus.OK)


def checked_values(parameters: Pairs) -> Mapping[str, Collection[str]]:
    """Return the values that the form shows as chosen, in lower case, by parameter."""
    checked: dict[str, set[str]] = {name: set() for name in FIELDS}
    for name, value in parameters:
        if name in checked:
            # A label's own name may hold commas, so that the whole value counts too.
            parts = () if name == "alarm" else parts_asked(value)
            checked[name].update(part.casefold() for part in (value.strip(), *parts))
    return checked


def snippet_of(embed: str, title: str) -> str:
    """Return the HTML that shows a calendar in another page."""
    return (
        f'<iframe src="{escape(embed)}" title="{escape(title)}" width="100%" height="{FRAME_HEIGHT}" '
        'loading="lazy" referrerpolicy="no-referrer" style="border:0"></iframe>'
    )


def qr_code(text: str) -> Markup:
    """Return a QR code of this text as SVG without a size of its own."""
    code = segno.make(text, error="m", micro=False)
    return Markup(code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None))  # noqa: S704 - segno's own


def addresses_of(urls: Mapping[str, str], narrowing: str, title: str) -> FeedAddresses:
    """Return these addresses of a feed, narrowed, and the links by which apps subscribe to it."""
    ics, page, embed = (with_query(urls[what], narrowing) for what in ("ics", "page", "embed"))
    scheme, _, rest = ics.partition("://")
    # Thunderbird and Android turn webcal: into plain http, and webcals: into https. Apple and Google's cid
    # know webcal: alone, and try https first (docs/clients.md).
    webcal = f"webcal://{rest}"
    named = f"url={quote(ics, safe='')}&name={quote(title, safe='')}"
    subscribe = {
        "apple": webcal,
        "google": f"https://calendar.google.com/calendar/r?cid={quote(webcal, safe='')}",
        "outlook-365": f"https://outlook.office.com/calendar/0/addfromweb?{named}",
        "outlook-com": f"https://outlook.live.com/calendar/0/addfromweb?{named}",
        "other": f"webcals://{rest}" if scheme == "https" else webcal,
    }
    return FeedAddresses(ics, page, embed, subscribe, too_long=len(ics) > URL_LIMIT)
