"""Find the calendar of a target (RFC 4791, 6.2; RFC 6764), create it if needed, and open it."""

import re
from collections.abc import Mapping
from html import unescape
from http import HTTPStatus
from urllib.parse import urljoin

from msgspec import Struct

from icsfeed.config.schema import ComponentKind, Feed, PushTarget
from icsfeed.dav import names, xml
from icsfeed.errors import InsufficientStorage, NoCollection, NoPermission, NoServer, NotCalDav
from icsfeed.ics.write import Header
from icsfeed.push.collection import XML_TYPE, Collection, ListedObject, find_properties, no_calendar, propfind
from icsfeed.push.session import DavServer
from icsfeed.text import one_line

PROPERTIES = (names.TYPE, names.NAME, names.PRINCIPAL, names.HOME, names.KINDS)
WELL_KNOWN = "/.well-known/caldav"
"""RFC 6764, 5."""
MAX_REDIRECTS = 5


class DiscoveredCalendar(Struct, frozen=True):
    """The URL of a calendar, or the one at which it can be created."""

    url: str
    exists: bool


async def open_collection(
    server: DavServer, target: PushTarget, known_url: str, feed: Feed, header: Header, *, dry_run: bool
) -> tuple[Collection, Mapping[str, ListedObject]]:
    """Return the collection of a target and its listing; discover or create it if necessary.

    `known_url`: from the last push, saves the discovery; empty: not known. A dry run creates nothing, and
    returns an empty listing instead. Raise NoCollection if there is none and it must not be created.
    """
    url = known_url or ("" if target.collection else target.url)
    if url:
        try:
            collection = Collection(server, url)
            return collection, await collection.list()
        except NoCollection as error:
            # A remembered address may be outdated: discover the calendar again.
            if not (known_url or (target.create and error.gone)):
                raise
    discovered = await find_calendar(server, target, feed.component)
    collection = Collection(server, discovered.url)
    if not discovered.exists:
        if not target.create:
            raise no_calendar(discovered.url)
        if dry_run:
            return collection, {}
        title = one_line(target.collection or header.name)
        await make_calendar(server, collection.url, title, header.color_hex, feed.component)
    return collection, await collection.list()


async def find_calendar(server: DavServer, target: PushTarget, kind: ComponentKind) -> DiscoveredCalendar:
    """Find the calendar of a target: at its url, or by the name `collection` in the account.

    Raise NoCollection if several calendars have the name, if it is for the other kind of component, or if
    nothing at the url leads to the account's calendars.
    """
    try:
        resource = await find_properties(server, target.url, target.url, *PROPERTIES)
    except (NoCollection, NoPermission, NotCalDav):
        # The root of a server may redirect or belong to another program (Apache answers 405 in front of
        # DAViCal 1.1 and SOGo 5.8): /.well-known/caldav leads to the right place.
        if target.collection is None:
            raise
        resource = None
    if resource is not None and resource.is_calendar:
        _check_kind(resource, kind, target.url)
        return DiscoveredCalendar(target.url, exists=True)
    if target.collection is None:
        if resource is not None:
            raise NoCollection(target.url, "it is not a calendar: name the calendar in `collection`")
        return DiscoveredCalendar(target.url, exists=False)
    home = await _calendar_home(server, target.url, resource)
    return await _calendar_named(server, home, target.collection, kind)


async def _calendar_home(server: DavServer, url: str, resource: xml.MultistatusResponse | None) -> str:
    """Return the URL of the account's calendars, found through the url, its principal or well-known."""
    for start in (resource, None) if resource is not None else (None,):
        answer, base = (start, url) if start is not None else await _follow_well_known(server, url)
        if answer is None:
            continue
        if not answer.href_in(names.HOME) and answer.href_in(names.PRINCIPAL):
            base = _same_server(base, answer.href_in(names.PRINCIPAL))
            answer = await find_properties(server, base, base, *PROPERTIES) or answer
        if answer.href_in(names.HOME):
            return _same_server(base, answer.href_in(names.HOME))
    raise NoCollection(url, "cannot find the account's calendars from there: give the calendar's address")


async def _follow_well_known(server: DavServer, url: str) -> tuple[xml.MultistatusResponse | None, str]:
    """Return the properties and the URL that /.well-known/caldav redirects to, on this server only."""
    target = urljoin(url, WELL_KNOWN)
    for _ in range(MAX_REDIRECTS):
        response = await server.request(
            "PROPFIND", target, target, body=xml.propfind(*PROPERTIES), headers={**XML_TYPE, "Depth": "0"}
        )
        if not (300 <= response.status < 400 and response.headers.get("location")):
            break
        target = _same_server(target, response.headers["location"])
    if response.status != HTTPStatus.MULTI_STATUS:
        return None, target
    return await find_properties(server, target, target, *PROPERTIES), target


def _same_server(base: str, href: str) -> str:
    """Return the URL of a href. Raise NoCollection if it is on another host: the login must not go there."""
    path = xml.canonical_path(base, href)
    if path is None:
        other = xml.shown_address(base, href)
        raise NoCollection(base, f"it leads to {other}: if that is right, use that address as `url`")
    return xml.absolute_url(base, path)


async def _calendar_named(server: DavServer, home: str, name: str, kind: ComponentKind) -> DiscoveredCalendar:
    """Return the calendar with this name in a calendar home, or the URL at which it can be created."""
    answers = await propfind(server, home, home, 1, *PROPERTIES)
    calendars = [answer for answer in answers if answer.is_calendar]
    same = [
        calendar
        for calendar in calendars
        # DAViCal 1.1 stores the `&` of a name as `&amp;`.
        if name
        in (shown := calendar.text(names.NAME), unescape(shown), calendar.path.rstrip("/").rpartition("/")[2])
    ]
    fitting = [calendar for calendar in same if not _kinds(calendar) or kind.upper() in _kinds(calendar)]
    if len(fitting) > 1:
        paths = ", ".join(calendar.path for calendar in fitting)
        raise NoCollection(
            home, f"several calendars are named {name!r}: use the address of one as `url` ({paths})"
        )
    if same and not fitting:
        _check_kind(same[0], kind, home)
    if fitting:
        return DiscoveredCalendar(xml.absolute_url(home, fitting[0].path), exists=True)
    taken = {answer.path.rstrip("/") for answer in answers}
    base = home if home.endswith("/") else f"{home}/"
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "plane"
    segments = (word, *(f"{word}-{number}" for number in range(2, len(taken) + 3)))
    urls = (urljoin(base, f"{segment}/") for segment in segments)
    free = next(url for url in urls if (xml.canonical_path(url, "") or "").rstrip("/") not in taken)
    return DiscoveredCalendar(free, exists=False)


def _kinds(answer: xml.MultistatusResponse) -> frozenset[str]:
    """Return the kinds of component that a calendar accepts (VEVENT, VTODO); none if it does not say."""
    element = answer.properties.get(names.KINDS)
    return frozenset() if element is None else frozenset(child.get("name", "").upper() for child in element)


def _check_kind(answer: xml.MultistatusResponse, kind: ComponentKind, url: str) -> None:
    kinds = _kinds(answer)
    if kinds and kind.upper() not in kinds:
        accepted = ", ".join(sorted(kinds))
        raise NoCollection(url, f"the calendar accepts only {accepted}: the feed's `component` is {kind}")


async def make_calendar(
    server: DavServer, url: str, title: str, color: str | None, kind: ComponentKind
) -> None:
    """Create a calendar, unless it exists by now. Raise PushError. `color`: #RRGGBB."""
    what = f"the creation of {url}"
    body = xml.mkcalendar(title, color, "VTODO" if kind == "vtodo" else "VEVENT")
    response = await server.request("MKCALENDAR", url, what, body=body, headers=XML_TYPE)
    if response.status in (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT):
        return
    # For a calendar that exists, Radicale answers 409, xandikos and Cyrus 403, the others 405: look there.
    answer = await find_properties(server, url, what, names.TYPE)
    if answer is not None and answer.is_calendar:
        return
    if response.status == HTTPStatus.FORBIDDEN:
        raise NoPermission(what, "the account may not create calendars there: create it by hand")
    if response.status == HTTPStatus.INSUFFICIENT_STORAGE:
        raise InsufficientStorage(what, "the account is full")
    if response.status in (429, 500, 502, 503, 504):
        raise NoServer(what, f"the server failed with {response.status} at every attempt")
    raise NoCollection(what, f"the server does not create it ({response.status}): create it by hand")
