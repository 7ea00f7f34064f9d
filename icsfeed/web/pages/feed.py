"""/feeds: the page of a feed: subscribe, see the calendar, filter, embed (web/feeds/: the calendar)."""

from collections.abc import Collection, Mapping
from functools import lru_cache
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import segno
from litestar import Request, Response, route
from litestar.di import NamedDependency
from litestar.params import FromPath
from markupsafe import Markup
from msgspec import Struct

from icsfeed.errors import BadParameter
from icsfeed.feeds.links import Grant
from icsfeed.feeds.query import FIELDS, URL_LIMIT, Query, both, parse_query, query_string, with_query
from icsfeed.own_links.model import embed_token
from icsfeed.web.feeds.endpoint import calendar_or_page
from icsfeed.web.openapi import CONDITIONS, FEED, FEED_PAGE, described
from icsfeed.web.pages.embed_code import EMBED_CHOICES, HEIGHTS, embed_code_of
from icsfeed.web.pages.errors import open_link
from icsfeed.web.pages.feed_view import FeedView
from icsfeed.web.pages.link_builder import NONE_FIELDS, filter_choices_of, parts_asked, unoffered
from icsfeed.web.pages.parameters import EMBED_PARAMETERS, WEEK_STARTS, parse_date
from icsfeed.web.pages.render import PageRequest, Pairs, page_answer, page_request
from icsfeed.web.pages.views.agenda import overdue, upcoming
from icsfeed.web.pages.views.calendar_view import calendar_view_of
from icsfeed.web.responses import READ
from icsfeed.web.state import Site
from icsfeed.web.subscribe.choices import (
    PROFILE_SUFFIX,
    Device,
    account_link,
    for_device,
    profile_address,
    subscriptions_of,
)
from icsfeed.web.subscribe.profile import profile_of
from icsfeed.web.subscribe.response import profile_answer, profile_text

APPS: Mapping[str, tuple[Device, ...]] = {
    "outlook-web": ("windows",),
    "outlook": ("windows",),
    "apple": ("mac",),
    "ios": ("iphone",),
    "thunderbird": ("linux",),
    "android": ("android",),
    "google": ("android", "windows", "linux"),
    "nextcloud": (),
    "home-assistant": (),
}
"""In the order of the page, with the devices whose readers find them first.

Each has its words: a name, steps, how often it updates, what it leaves out.
"""
ACCOUNT_PROFILE = f"account{PROFILE_SUFFIX}"
"""The profile of a person's CalDAV account, by the link to that; otherwise that of a feed with this name."""
PHONES: tuple[Device, ...] = ("iphone", "android")

ALARMS = ("-P7D", "-P2D", "-P1D", "-PT15H", "PT9H")
MAX_UPCOMING = 6
WHOLE = Query()


class FeedAddresses(Struct, frozen=True):
    """The addresses of a feed, narrowed, for apps, people, feed readers and frames.

    `too_long`: some apps would cut the address.
    """

    ics: str
    page: str
    atom: str
    json: str
    embed: str
    too_long: bool


class PageLink(Struct, frozen=True):
    """The addresses that a page shows, and the login name of the CalDAV account that the link opens.

    `own`: the id of a link that a person has made.
    """

    urls: Mapping[str, str]
    user: str
    own: str = ""


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
    operation_class=described(FEED, (*FEED_PAGE, "account"), CONDITIONS),
    summary="A calendar, by its secret link or public",
)
async def feed_page(
    request: Request[Any, Any, Any],
    site: NamedDependency[Site],
    file: FromPath[str],
    token: FromPath[str] = "",
) -> Response[str] | Response[bytes]:
    """The calendar that a link is for. Parameters narrow it; unknown ones are ignored.

    With `.atom` or `.json` instead of `.ics` it is the news of the calendar: what became due or changed.
    The same address without `.ics` is the page for people, and with `.mobileconfig` the profile by which an
    iPhone or iPad subscribes; with `account=caldav` the profile of the CalDAV account, which is all that the
    link of a person's account has here. Without a token, only calendars that are public by the configuration
    are found.
    """
    name = file.removesuffix(PROFILE_SUFFIX)
    if file == ACCOUNT_PROFILE and (account := person_profile(request, site, token)):
        return await profile_answer(account, name, site.config.profile_signing)
    ask, name, grant = await open_link(request, name, token or None, "feed")
    seen = await narrowed_feed_of(site, ask, name, grant.query)
    link = page_link(site, ask, name, grant.subscriber)
    if grant.link:
        link = own_page_link(ask.base, token, name, grant)
    if file.endswith(PROFILE_SUFFIX):
        profile = feed_profile(ask, seen, link, request.query_params.get("account"))
        return await profile_answer(profile, name, site.config.profile_signing)
    html = await site.pages.once(
        # Each link has its own addresses on the page.
        ("page", name, link.urls["ics"], ask.device, ask.key),
        (seen.whole, seen.feed),
        len(seen.whole.items),
        lambda: feed_page_html(site, ask, seen, link),
    )
    return feed_page_answer(site, html, seen)


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


def feed_page_html(site: Site, ask: PageRequest, seen: NarrowedFeed, link: PageLink, **values: object) -> str:
    """Render the page with these addresses. `values`: what /me adds. Raise BadParameter for a bad `date`."""
    whole, feed = seen.whole, seen.feed
    day = parse_date(ask.get("date"), feed.today)
    choices = filter_choices_of(whole.items, whole.feed)
    addresses = addresses_of(link.urls, seen.narrowing)
    # What the form has a field for is not hidden in it.
    fields = {*FIELDS, *EMBED_PARAMETERS}
    return site.pages.html(
        "feed.html",
        ask,
        **{"person": None, "mine": (), "link_bar": None, **values},
        **subscribing(ask, addresses, feed.title, link),
        feed=feed,
        total=len(whole.items),
        narrowed=bool(seen.narrowing),
        wrong=seen.wrong,
        calendar=calendar_view_of(feed.items, "month", day, feed.today, ask.l10n.first_weekday),
        late=overdue(feed.items, feed.today),
        next=upcoming(feed.items, feed.today, MAX_UPCOMING),
        addresses=addresses,
        choices=choices,
        checked=checked_values(ask.parameters),
        # Parameters that the form has no field for.
        others=() if seen.wrong else unoffered(ask.parameters, choices, ALARMS),
        hidden=tuple((key, value) for key, value in ask.parameters if key not in fields and value),
        reset="?" + urlencode([(key, value) for key, value in ask.parameters if key not in FIELDS and value]),
        alarms=ALARMS,
        none_fields=NONE_FIELDS,
        framed=bool(site.config.embed.frame_ancestors),
        embed_code=embed_code_of(addresses.embed, feed.title, ask.parameters),
        embed_choices=EMBED_CHOICES,
        heights=HEIGHTS,
        week_starts=WEEK_STARTS,
    )


def subscribing(
    ask: PageRequest, addresses: FeedAddresses, title: str, link: PageLink
) -> Mapping[str, object]:
    """Return what the page needs to subscribe: links and apps, and codes for phones where it is on none."""
    choices = subscriptions_of(addresses.ics, title, link.user)
    own, others = for_device(choices, ask.device)
    at_desk = ask.device not in PHONES
    has_codes = at_desk and not addresses.too_long
    return {
        "own_subscriptions": own,
        "other_subscriptions": others,
        "own_apps": [app for app, devices in APPS.items() if ask.device in devices],
        "other_apps": [app for app, devices in APPS.items() if ask.device not in devices],
        "at_desk": at_desk,
        "qr": qr_code(addresses.page) if has_codes else None,
        "profile_qr": qr_code(profile_address(addresses.ics)) if has_codes else None,
    }


def page_link(site: Site, ask: PageRequest, name: str, subscriber: str) -> PageLink:
    """Return the addresses of a feed's link, or of a subscriber's."""
    return PageLink(site.service.links.addresses(name, ask.base, subscriber), subscriber or name)


def own_page_link(base: str, token: str, name: str, grant: Grant) -> PageLink:
    """Return the addresses of a link that a person has made. The token decides what they open."""
    page, embed = f"{base}/feeds/{token}/{name}", f"{base}/embed/{embed_token(token)}/{name}"
    urls = {"ics": f"{page}.ics", "page": page, "embed": embed}
    return PageLink(urls, name, grant.link)


def feed_profile(ask: PageRequest, seen: NarrowedFeed, link: PageLink, account: str | None) -> bytes:
    """Return the profile of the feed, with the address that its page shows. Raise BadParameter."""
    if seen.wrong:
        raise BadParameter(seen.wrong, "is not valid")
    ics = addresses_of(link.urls, seen.narrowing).ics
    return profile_of(ics, link.user, account, profile_text(ask.l10n, seen.feed.title, ics), link.own)


def person_profile(request: Request[Any, Any, Any], site: Site, token: str) -> bytes | None:
    """Return the profile of a person's CalDAV account; None: the token is not that of one.

    Without a look at the store, which configured links must not need. Raise BadParameter over plain http.
    """
    opened = site.service.own.opened_by(token, "account")
    if opened is None or opened.ended_at is not None:
        return None
    ask = page_request(request, site.config)
    text = profile_text(ask.l10n, ask.l10n.say("my calendars"), ask.base)
    return profile_of(account_link(ask.base, token), opened.link.person, "caldav", text)


def feed_page_answer(site: Site, html: str, seen: NarrowedFeed) -> Response[str]:
    """Return the page, with status 400 where its parameters cannot be used."""
    status = HTTPStatus.BAD_REQUEST if seen.wrong else HTTPStatus.OK
    # The links for the reader's own device come first.
    headers = {"Vary": "User-Agent, Sec-CH-UA-Platform"}
    return page_answer(html, status, previews=bool(site.config.embed.frame_ancestors), headers=headers)


def checked_values(parameters: Pairs) -> Mapping[str, Collection[str]]:
    """Return the values that the form shows as chosen, in lower case, by parameter."""
    checked: dict[str, set[str]] = {name: set() for name in FIELDS}
    for name, value in parameters:
        if name in checked:
            # A label's own name may hold commas, so that the whole value counts too.
            parts = () if name == "alarm" else parts_asked(value)
            checked[name].update(part.casefold() for part in (value.strip(), *parts))
    return checked


@lru_cache(maxsize=256)
def qr_code(text: str) -> Markup:
    """Return a QR code of this text as SVG without a size of its own: 5 ms of work, and 5 KB."""
    code = segno.make(text, error="m", micro=False)
    return Markup(code.svg_inline(border=2, omitsize=True, svgclass="qr", lineclass=None))  # noqa: S704 - segno's own


def addresses_of(urls: Mapping[str, str], narrowing: str) -> FeedAddresses:
    """Return these addresses of a feed, narrowed."""
    ics, page, embed = (with_query(urls[what], narrowing) for what in ("ics", "page", "embed"))
    atom, json = (with_query(f"{urls['page']}.{extension}", narrowing) for extension in ("atom", "json"))
    return FeedAddresses(ics, page, atom, json, embed, too_long=len(ics) > URL_LIMIT)
