"""Finding the calendar that a target means (RFC 4791, 6.2; RFC 6764), and making it."""

import re
from collections.abc import Mapping
from html import unescape
from http import HTTPStatus
from urllib.parse import urljoin

from msgspec import Struct

from icsfeed.config.schema import ComponentKind, Feed, PushTarget
from icsfeed.errors import InsufficientStorage, NoCollection, NoPermission, NoServer, NotCalDav
from icsfeed.ics.write import Header
from icsfeed.push import xml
from icsfeed.push.collection import XML_TYPE, Collection, ListedObject, find_properties, no_calendar, propfind
from icsfeed.push.session import DavServer
from icsfeed.text import one_line

PROPERTIES = (xml.TYPE, xml.NAME, xml.PRINCIPAL, xml.HOME, xml.KINDS)
WELL_KNOWN = "/.well-known/caldav"
MAX_REDIRECTS = 5


class DiscoveredCalendar(Struct, frozen=True):
    """The address of a calendar, and whether there is one yet."""

    url: str
    exists: bool


async def open_collection(
    server: DavServer, target: PushTarget, known_url: str, feed: Feed, header: Header, *, dry_run: bool
) -> tuple[Collection, Mapping[str, ListedObject]]:
    """The collection of a target, and what it lists; looked for or made where that is needed.

    `known_url`: where it was at the last push; empty: not known. Nothing is made in a dry run.
    """
    url = known_url or ("" if target.collection else target.url)
    if url:
        try:
            collection = Collection(server, url)
            return collection, await collection.list()
        except NoCollection as error:
            if not (known_url or (target.create and error.gone)):
                raise
    found = await find_calendar(server, target, feed.component)
    collection = Collection(server, found.url)
    if not found.exists:
        if not target.create:
            raise no_calendar(found.url)
        if dry_run:
            return collection, {}
        title = one_line(target.collection or header.name)
        await make_calendar(server, collection.url, title, header.color_hex, feed.component)
    return collection, await collection.list()


async def find_calendar(server: DavServer, target: PushTarget, kind: ComponentKind) -> DiscoveredCalendar:
    """The calendar of a target: at its url, or by the name `collection` among those of the account.

    Raises NoCollection where several have the name, where it is for the other kind of component,
    or where nothing at the url leads to calendars.
    """
    try:
        own = await find_properties(server, target.url, target.url, *PROPERTIES)
    except (NoCollection, NoPermission, NotCalDav):
        # A server's address may redirect, or be another program's (DAViCal's and SOGo's is Apache's own,
        # which answers 405): well-known knows better.
        if target.collection is None:
            raise
        own = None
    if own is not None and xml.CALENDAR in own.holds(xml.TYPE):
        _check_kind(own, kind, target.url)
        return DiscoveredCalendar(target.url, exists=True)
    if target.collection is None:
        if own is not None:
            raise NoCollection(target.url, "it is not a calendar: name the calendar in `collection`")
        return DiscoveredCalendar(target.url, exists=False)
    home = await _calendar_home(server, target.url, own)
    return await _calendar_named(server, home, target.collection, kind)


async def _calendar_home(server: DavServer, url: str, own: xml.MultistatusResponse | None) -> str:
    """Where the account's calendars are: said by the address itself, by the account's, or by well-known."""
    for start in (own, None) if own is not None else (None,):
        answer, at = (start, url) if start is not None else await _follow_well_known(server, url)
        if answer is None:
            continue
        if not answer.href_in(xml.HOME) and answer.href_in(xml.PRINCIPAL):
            at = _same_server(at, answer.href_in(xml.PRINCIPAL))
            answer = await find_properties(server, at, at, *PROPERTIES) or answer
        if answer.href_in(xml.HOME):
            return _same_server(at, answer.href_in(xml.HOME))
    raise NoCollection(
        url, "nothing there says where the account's calendars are: give the calendar's address"
    )


async def _follow_well_known(server: DavServer, url: str) -> tuple[xml.MultistatusResponse | None, str]:
    """What /.well-known/caldav leads to, on this server."""
    at = urljoin(url, WELL_KNOWN)
    for _ in range(MAX_REDIRECTS):
        heard = await server.ask(
            "PROPFIND", at, at, body=xml.propfind(*PROPERTIES), headers={**XML_TYPE, "Depth": "0"}
        )
        if 300 <= heard.status < 400 and heard.headers.get("location"):
            at = _same_server(at, heard.headers["location"])
        else:
            break
    return await find_properties(
        server, at, at, *PROPERTIES
    ) if heard.status == HTTPStatus.MULTI_STATUS else None, at


def _same_server(base: str, href: str) -> str:
    """An address that the server gave. Raises NoCollection for one of another host: the login is for one."""
    path = xml.canonical_path(base, href)
    if path is None:
        there = xml.shown_address(base, href)
        raise NoCollection(base, f"it leads to {there}: if that is right, give its address in `url`")
    return xml.absolute_url(base, path)


async def _calendar_named(server: DavServer, home: str, name: str, kind: ComponentKind) -> DiscoveredCalendar:
    """The calendar of this name in a calendar home, or the address at which it can be made."""
    heard = await propfind(server, home, home, 1, *PROPERTIES)
    try:
        answers = xml.read_multistatus(heard.body, heard.url)
    except ValueError as error:
        raise NotCalDav(home, str(error)) from None
    calendars = [one for one in answers if xml.CALENDAR in one.holds(xml.TYPE)]
    same = [
        one
        for one in calendars
        # DAViCal keeps the `&` of a name as `&amp;`.
        if name in (shown := one.text(xml.NAME), unescape(shown), one.path.rstrip("/").rpartition("/")[2])
    ]
    fitting = [one for one in same if not _kinds(one) or kind.upper() in _kinds(one)]
    if len(fitting) > 1:
        paths = ", ".join(one.path for one in fitting)
        raise NoCollection(home, f"several calendars are called {name!r}: give the address of one ({paths})")
    if same and not fitting:
        _check_kind(same[0], kind, home)
    if fitting:
        return DiscoveredCalendar(xml.absolute_url(home, fitting[0].path), exists=True)
    taken = {one.path.rstrip("/") for one in answers}
    base = home if home.endswith("/") else f"{home}/"
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "plane"
    segments = (word, *(f"{word}-{number}" for number in range(2, len(taken) + 3)))
    urls = (urljoin(base, f"{segment}/") for segment in segments)
    free = next(url for url in urls if (xml.canonical_path(url, "") or "").rstrip("/") not in taken)
    return DiscoveredCalendar(free, exists=False)


def _kinds(answer: xml.MultistatusResponse) -> frozenset[str]:
    """The kinds of component that a calendar takes; none: it does not say."""
    element = answer.found.get(xml.KINDS)
    return frozenset() if element is None else frozenset(one.get("name", "").upper() for one in element)


def _check_kind(answer: xml.MultistatusResponse, kind: ComponentKind, url: str) -> None:
    kinds = _kinds(answer)
    if kinds and kind.upper() not in kinds:
        takes = ", ".join(sorted(kinds))
        raise NoCollection(url, f"the calendar takes {takes} only: the feed's `component` is {kind}")


async def make_calendar(
    server: DavServer, url: str, title: str, color: str | None, kind: ComponentKind
) -> None:
    """Make a calendar, unless it is there by now. Raises PushError. `color`: #RRGGBB."""
    what = f"the making of {url}"
    body = xml.mkcalendar(title, color, "VTODO" if kind == "vtodo" else "VEVENT")
    heard = await server.ask("MKCALENDAR", url, what, body=body, headers=XML_TYPE)
    if heard.status in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
        return
    found = await find_properties(server, url, what, xml.TYPE)
    if found is not None and xml.CALENDAR in found.holds(xml.TYPE):
        return
    if heard.status == HTTPStatus.FORBIDDEN:
        raise NoPermission(what, "the account may not make calendars there: make it by hand")
    if heard.status == HTTPStatus.INSUFFICIENT_STORAGE:
        raise InsufficientStorage(what, "the account is full")
    if heard.status in (429, 500, 502, 503, 504):
        raise NoServer(what, f"the server failed with {heard.status}, every time")
    raise NoCollection(what, f"the server does not make it ({heard.status}): make it by hand")
