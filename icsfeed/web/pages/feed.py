"""/feeds/{token}/{feed}: the page of a feed: subscribe, see the calendar, filter, embed."""

from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import segno
from litestar import Request, Response
from markupsafe import Markup, escape
from msgspec import Struct

from icsfeed.errors import BadParameter
from icsfeed.feeds.query import FIELDS, URL_LIMIT, parse_query, query_string, with_query
from icsfeed.feeds.service import FeedService
from icsfeed.web.pages.agenda import overdue, upcoming
from icsfeed.web.pages.calendar_view import CalendarView, calendar_view_of
from icsfeed.web.pages.errors import open_link
from icsfeed.web.pages.feed_view import FeedView, FeedViews
from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.link_builder import (
    NONE_FIELDS,
    FilterChoices,
    filter_choices_of,
    parts_asked,
    unoffered,
)
from icsfeed.web.pages.parameters import parse_date
from icsfeed.web.pages.render import PageRenderer, PageRequest, Pairs, page_answer

APPS = (
    *("google", "outlook-web", "outlook", "apple", "ios"),
    *("thunderbird", "android", "nextcloud", "home-assistant"),
)
"""In the order of the page; each has its words: a name, steps, how often it updates, what it leaves out."""

ALARMS = ("-P7D", "-P2D", "-P1D", "-PT15H", "PT9H")
MAX_UPCOMING = 6
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
    sheet: FeedView
    narrowing: str = ""
    wrong: str | None = None


class FeedPage(Struct, frozen=True, kw_only=True):
    """All that the page of one feed shows. `wrong`: the parameter that could not be used, if any.

    `others`: parameters that the form has no field for.
    """

    sheet: FeedView
    calendar: CalendarView
    total: int
    late: Sequence[PageItem]
    next: Sequence[PageItem]
    addresses: FeedAddresses
    qr: Markup | None
    choices: FilterChoices
    checked: Mapping[str, Collection[str]]
    others: Pairs
    narrowed: bool
    hidden: Pairs
    reset: str
    snippet: str
    wrong: str | None


async def feed_page(
    request: Request[Any, Any, Any],
    service: FeedService,
    pages: PageRenderer,
    sheets: FeedViews,
    name: str,
    token: str | None,
) -> Response[str]:
    """Return the page at a feed's link without `.ics`."""
    ask, name, grant = await open_link(request, name, token, "feed")
    seen = await narrowed_feed_of(sheets, ask, name)
    # All of it that a page depends on, apart from the sheets.
    key = ("page", name, grant.subscriber, ask.base, ask.parameters, ask.l10n.tag, ask.theme)
    html = await pages.once(
        key,
        (seen.whole, seen.sheet),
        len(seen.whole.items),
        lambda: feed_page_html(pages, ask, feed_page_of(service, ask, seen, grant.subscriber), service),
    )
    return feed_page_answer(html, seen)


async def narrowed_feed_of(sheets: FeedViews, ask: PageRequest, name: str) -> NarrowedFeed:
    """Return the feed as its parameters narrow it; whole where they cannot be used. Raise FeedError."""
    whole, narrowing = await sheets.sheet(name), query_string(ask.parameters)
    if not narrowing:
        return NarrowedFeed(whole, whole)
    try:
        return NarrowedFeed(whole, await sheets.sheet(name, parse_query(ask.parameters)), narrowing)
    except BadParameter as error:
        return NarrowedFeed(whole, whole, wrong=error.field)


def feed_page_html(
    pages: PageRenderer, ask: PageRequest, page: FeedPage, service: FeedService, **values: object
) -> str:
    """Render the page of a feed. `values` are what /me adds."""
    return pages.html(
        "feed.html",
        ask,
        **{"person": None, "mine": (), **values},
        page=page,
        sheet=page.sheet,
        calendar=page.calendar,
        apps=APPS,
        alarms=ALARMS,
        none_fields=NONE_FIELDS,
        framed=bool(service.config.embed.frame_ancestors),
    )


def feed_page_answer(html: str, seen: NarrowedFeed) -> Response[str]:
    """Return the page, with status 400 where its parameters cannot be used."""
    return page_answer(html, HTTPStatus.BAD_REQUEST if seen.wrong else HTTPStatus.OK)


def feed_page_of(service: FeedService, ask: PageRequest, seen: NarrowedFeed, subscriber: str) -> FeedPage:
    """Return what the page shows to a subscriber. Raise BadParameter for a `date` that is not valid."""
    whole, sheet, narrowing = seen.whole, seen.sheet, seen.narrowing
    day = parse_date(ask.get("date"), sheet.today)
    choices = filter_choices_of(whole.items, whole.feed)
    hidden = [(key, value) for key, value in ask.parameters if key not in FIELDS and value]
    checked: dict[str, set[str]] = {name: set() for name in FIELDS}
    for name, value in ask.parameters:
        if name in checked:
            # A label's own name may hold commas, so that the whole value counts too.
            parts = () if name == "alarm" else parts_asked(value)
            checked[name].update(part.casefold() for part in (value.strip(), *parts))
    addresses = _addresses(service, ask.base, whole.name, subscriber, narrowing, sheet.title)
    return FeedPage(
        sheet=sheet,
        calendar=calendar_view_of(sheet.items, "month", day, sheet.today, ask.l10n.first_weekday),
        total=len(whole.items),
        late=overdue(sheet.items, sheet.today),
        next=upcoming(sheet.items, sheet.today, MAX_UPCOMING),
        addresses=addresses,
        qr=None if addresses.too_long else qr_code(addresses.page),
        choices=choices,
        checked=checked,
        others=() if seen.wrong else unoffered(ask.parameters, choices, ALARMS),
        narrowed=bool(narrowing),
        hidden=hidden,
        reset="?" + urlencode(hidden),
        snippet=snippet_of(addresses.embed, sheet.title),
        wrong=seen.wrong,
    )


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


def _addresses(
    service: FeedService, base: str, name: str, subscriber: str, narrowing: str, title: str
) -> FeedAddresses:
    urls = service.links.addresses(name, base, subscriber)
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
