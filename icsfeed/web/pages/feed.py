"""/feeds/{token}/{feed}: the page of a feed: subscribe, look, narrow, embed."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import segno
from litestar import Request, Response
from markupsafe import Markup, escape
from msgspec import Struct

from icsfeed.errors import BadParameter, FeedError, NoCopy
from icsfeed.feeds.query import FIELDS, URL_LIMIT, parse_query, query_string, with_query
from icsfeed.feeds.service import FeedService
from icsfeed.web.pages.agenda import overdue, upcoming
from icsfeed.web.pages.calendar_view import CalendarView, calendar_view_of, parse_date
from icsfeed.web.pages.errors import refusal, trouble
from icsfeed.web.pages.feed_view import FeedView, FeedViews
from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.link_builder import FilterChoices, filter_choices_of, parts_asked, unoffered
from icsfeed.web.pages.render import PageRenderer, PageRequest, Pairs, page_answer, page_request

APPS = (
    *("google", "outlook-web", "outlook", "apple", "ios"),
    *("thunderbird", "android", "nextcloud", "home-assistant"),
)
"""In the order of the page; each has its words: a name, steps, how often it asks, what it leaves out."""

ALARMS = ("-P7D", "-P2D", "-P1D", "-PT15H", "PT9H")
NEXT_SHOWN = 6
FRAME_HEIGHT = 960
"""Pixels: a month of six weeks, without a scroll bar."""


class FeedAddresses(Struct, frozen=True):
    """Where a feed, narrowed, is for apps, people and frames. `too_long`: some apps would cut it.

    `subscribe`: by app, what opens it with the feed.
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

    `others`: what is asked for beside what the form offers.
    """

    sheet: FeedView
    scene: CalendarView
    total: int
    late: Sequence[PageItem]
    next: Sequence[PageItem]
    addresses: FeedAddresses
    qr: Markup | None
    choices: FilterChoices
    checked: Mapping[str, frozenset[str]]
    others: Pairs
    narrowed: bool
    kept: Pairs
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
    """The page that a feed's link without `.ics` is for."""
    try:
        name, grant = await service.access(name, token)
    except NoCopy as error:
        return trouble(pages, page_request(request, service.config), error)
    if grant is None or grant.revoked:
        return refusal(request, service, pages, grant)
    feed = service.config.feeds.get(name)
    ask = page_request(request, service.config, feed.language if feed else None)
    try:
        seen = await narrowed_feed_of(sheets, ask, name)
        # All of it that a page depends on, beside the sheets.
        key = ("page", name, grant.subscriber, ask.base, ask.parameters, ask.l10n.tag, ask.theme)
        html = await pages.once(
            key,
            (seen.whole, seen.sheet),
            len(seen.whole.items),
            lambda: feed_page_html(pages, ask, feed_page_of(service, ask, seen, grant.subscriber), service),
        )
    except (FeedError, BadParameter) as error:
        return trouble(pages, ask, error)
    return feed_page_answer(html, seen)


async def narrowed_feed_of(sheets: FeedViews, ask: PageRequest, name: str) -> NarrowedFeed:
    """Feed `name` as its parameters narrow it; the whole feed where they cannot be used. Raises FeedError."""
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
    """The page of a page. `values` are what /me adds."""
    return pages.html(
        "feed.html",
        ask,
        **{"person": None, "mine": (), **values},
        page=page,
        sheet=page.sheet,
        scene=page.scene,
        apps=APPS,
        alarms=ALARMS,
        framed=bool(service.config.embed.frame_ancestors),
    )


def feed_page_answer(html: str, seen: NarrowedFeed) -> Response[str]:
    """The page, as an error where its parameters cannot be used."""
    return page_answer(html, HTTPStatus.BAD_REQUEST if seen.wrong else HTTPStatus.OK)


def feed_page_of(service: FeedService, ask: PageRequest, seen: NarrowedFeed, subscriber: str) -> FeedPage:
    """What the page shows to a subscriber. Raises BadParameter for a `date` that is none."""
    whole, sheet, narrowing = seen.whole, seen.sheet, seen.narrowing
    day = parse_date(ask.get("date"), sheet.today)
    choices = filter_choices_of(whole.items, whole.feed)
    kept = [(key, value) for key, value in ask.parameters if key not in FIELDS and value]
    addresses = _addresses(service, ask.base, whole.name, subscriber, narrowing, sheet.title)
    return FeedPage(
        sheet=sheet,
        scene=calendar_view_of(sheet.items, "month", day, sheet.today, ask.l10n.first_weekday),
        total=len(whole.items),
        late=overdue(sheet.items, sheet.today),
        next=upcoming(sheet.items, sheet.today, NEXT_SHOWN),
        addresses=addresses,
        qr=None if addresses.too_long else qr_code(addresses.page),
        choices=choices,
        checked=_checked(ask.parameters),
        others=() if seen.wrong else unoffered(ask.parameters, choices, ALARMS),
        narrowed=bool(narrowing),
        kept=kept,
        reset="?" + urlencode(kept),
        snippet=snippet_of(addresses.embed, sheet.title),
        wrong=seen.wrong,
    )


def snippet_of(embed: str, title: str) -> str:
    """The HTML that shows a calendar in another page."""
    return (
        f'<iframe src="{escape(embed)}" title="{escape(title)}" width="100%" height="{FRAME_HEIGHT}" '
        'loading="lazy" referrerpolicy="no-referrer" style="border:0"></iframe>'
    )


def qr_code(text: str) -> Markup:
    """A QR code of it as SVG without a size of its own."""
    code = segno.make(text, error="m", micro=False)
    return Markup(code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None))  # noqa: S704 - segno's own


def _addresses(
    service: FeedService, base: str, name: str, subscriber: str, narrowing: str, title: str
) -> FeedAddresses:
    own = {
        what: with_query(url, narrowing)
        for what, url in service.links.addresses(name, base, subscriber).items()
    }
    ics = own["ics"]
    return FeedAddresses(
        ics=ics,
        page=own["page"],
        embed=own["embed"],
        subscribe=_subscribe(ics, title),
        too_long=len(ics) > URL_LIMIT,
    )


def _subscribe(ics: str, title: str) -> Mapping[str, str]:
    """What opens each app with a feed's link.

    Thunderbird and Android turn webcal: into plain http, and webcals: into https (clients.md). Apple and
    Google's cid know webcal: alone, and try https first.
    """
    scheme, _, rest = ics.partition("://")
    webcal, named = f"webcal://{rest}", f"url={quote(ics, safe='')}&name={quote(title, safe='')}"
    return {
        "apple": webcal,
        "google": f"https://calendar.google.com/calendar/r?cid={quote(webcal, safe='')}",
        "outlook-365": f"https://outlook.office.com/calendar/0/addfromweb?{named}",
        "outlook-com": f"https://outlook.live.com/calendar/0/addfromweb?{named}",
        "other": f"webcals://{rest}" if scheme == "https" else webcal,
    }


def _checked(parameters: Pairs) -> Mapping[str, frozenset[str]]:
    """The values given for each narrowing parameter, whole and in their parts."""
    given: dict[str, set[str]] = {name: set() for name in FIELDS}
    for name, value in parameters:
        if name in given:
            given[name].update((value.strip(), *(() if name == "alarm" else parts_asked(value))))
    return {name: frozenset(value.casefold() for value in values) for name, values in given.items()}
