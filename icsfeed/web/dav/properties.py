"""The properties of what an account holds (RFC 4918, 4791, 3744, 5397, 6578); parts of an object."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeAlias
from xml.etree.ElementTree import Element

from msgspec import Struct

from icsfeed.dav.names import (
    CALDAV,
    CALENDAR,
    CALENDAR_SERVER,
    COLLECTION,
    COLOR,
    COMPONENT,
    CONTENT_TYPE,
    DATA,
    DAV,
    ETAG,
    EXPAND,
    HOME,
    HREF,
    KINDS,
    NAME,
    PRINCIPAL,
    SYNC_TOKEN,
    TYPE,
)
from icsfeed.dav.tree import element
from icsfeed.http_headers import http_date
from icsfeed.ics.read import ParsedComponent, read
from icsfeed.ics.write import fold
from icsfeed.web.dav.filters import COLLATIONS
from icsfeed.web.dav.requests import REPORTS, Asked
from icsfeed.web.dav.resources import Account, CalendarObject, DavCalendar

SYNC_URI = "urn:icsfeed:sync:"
"""A sync-token must be a URI (RFC 6578, 3.2)."""

CTAG = f"{CALENDAR_SERVER}getctag"
_DESCRIPTION = f"{CALDAV}calendar-description"
_LENGTH, _MODIFIED = f"{DAV}getcontentlength", f"{DAV}getlastmodified"
_USUAL = frozenset({TYPE, NAME, ETAG, CONTENT_TYPE, _LENGTH, _MODIFIED})
"""What allprop gives: the rest is only for those who ask for it by name (RFC 4791, 5.2; RFC 6578, 4)."""

_RIGHTS = [
    element(f"{DAV}privilege", element(f"{DAV}{name}"))
    for name in ("read", "read-current-user-privilege-set")
]
_COLLATIONS = [element(f"{CALDAV}supported-collation", text=name) for name in COLLATIONS]
_ICALENDAR = element(DATA, attributes={"content-type": "text/calendar", "version": "2.0"})
_EXPANDED, *_ABOUT_CALENDARS = (
    element(f"{DAV}supported-report", element(f"{DAV}report", element(name))) for name in (EXPAND, *REPORTS)
)
_CALENDAR_REPORTS = (*_ABOUT_CALENDARS, _EXPANDED)

Values: TypeAlias = Mapping[str, Callable[[], Element | None]]


class Found(Struct, frozen=True):
    """A resource's properties that were asked for, and the names of those that it does not have."""

    values: tuple[Element, ...]
    missing: tuple[str, ...] = ()


def found(values: Values, asked: Asked) -> Found:
    """Return what was asked for. A property whose value is not known counts as missing."""
    if asked.wanted == "names":
        return Found(tuple(element(name) for name in values))
    names = (
        (*(name for name in values if name in _USUAL), *asked.names) if asked.wanted == "all" else asked.names
    )
    made, missing = [], []
    for name in dict.fromkeys(names):
        make = values.get(name)
        value = make() if make is not None else None
        if value is not None:
            made.append(value)
        elif asked.wanted == "named":
            missing.append(name)
    return Found(tuple(made), tuple(missing))


def of_root(account: Account) -> Values:
    """Return the properties of the root: where an app begins when it knows nothing but the server."""
    return {TYPE: lambda: element(TYPE, element(COLLECTION)), **_shared(account, _EXPANDED)}


def of_account(account: Account) -> Values:
    """Return the properties of an account, which is the person's principal and the home of the calendars."""
    own = element(HREF, text=account.home)
    mail = [element(HREF, text=f"mailto:{account.user}")] if "@" in account.user else []
    return {
        TYPE: lambda: element(TYPE, element(COLLECTION), element(f"{DAV}principal")),
        NAME: lambda: element(NAME, text=account.user),
        HOME: lambda: element(HOME, own),
        f"{CALDAV}calendar-user-address-set": lambda: element(
            f"{CALDAV}calendar-user-address-set", *mail, own
        ),
        f"{DAV}principal-URL": lambda: element(f"{DAV}principal-URL", own),
        **_shared(account, _EXPANDED),
    }


def of_calendar(account: Account, calendar: DavCalendar) -> Values:
    """Return the properties of a calendar. While it has not been read, nothing says in which state it is."""

    def state(name: str, text: str) -> Element | None:
        return element(name, text=text) if calendar.token else None

    def optional(name: str, text: str) -> Element | None:
        return element(name, text=text) if text else None

    return {
        TYPE: lambda: element(TYPE, element(COLLECTION), element(CALENDAR)),
        NAME: lambda: element(NAME, text=calendar.title),
        KINDS: lambda: element(KINDS, element(COMPONENT, attributes={"name": calendar.kind})),
        CTAG: lambda: state(CTAG, calendar.token),
        SYNC_TOKEN: lambda: state(SYNC_TOKEN, SYNC_URI + calendar.token),
        COLOR: lambda: optional(COLOR, calendar.color and f"{calendar.color}FF"),
        f"{CALDAV}calendar-description": lambda: optional(
            f"{CALDAV}calendar-description", calendar.description
        ),
        f"{CALDAV}supported-calendar-data": lambda: element(f"{CALDAV}supported-calendar-data", _ICALENDAR),
        f"{CALDAV}supported-collation-set": lambda: element(f"{CALDAV}supported-collation-set", *_COLLATIONS),
        **_shared(account, *_CALENDAR_REPORTS),
    }


def of_object(account: Account, calendar: DavCalendar) -> Callable[[CalendarObject, Asked], Values]:
    """Return what gives the properties of one object: what all have in common is made once."""
    kind = element(CONTENT_TYPE, text=content_type(calendar))
    shared = {TYPE: lambda: element(TYPE), CONTENT_TYPE: lambda: kind, **_shared(account)}

    def values(one: CalendarObject, asked: Asked) -> Values:
        return {
            **shared,
            ETAG: lambda: element(ETAG, text=one.etag),
            _LENGTH: lambda: element(_LENGTH, text=str(len(one.data))),
            _MODIFIED: lambda: element(_MODIFIED, text=http_date(one.part.revised)),
            DATA: lambda: element(DATA, text=part_of(one.data, asked.data)),
        }

    return values


def content_type(calendar: DavCalendar) -> str:
    """Return the media type of a calendar's objects."""
    return f"text/calendar; charset=utf-8; component={calendar.kind}"


def _shared(account: Account, *reports: Element) -> dict[str, Callable[[], Element | None]]:
    """Return the properties that everything in an account has: whose it is, and that it can only be read."""

    def own(name: str) -> Element:
        return element(name, element(HREF, text=account.home))

    return {
        PRINCIPAL: lambda: own(PRINCIPAL),
        f"{DAV}owner": lambda: own(f"{DAV}owner"),
        f"{DAV}current-user-privilege-set": lambda: element(f"{DAV}current-user-privilege-set", *_RIGHTS),
        f"{DAV}principal-collection-set": lambda: element(
            f"{DAV}principal-collection-set", element(HREF, text=account.root)
        ),
        f"{DAV}supported-report-set": lambda: element(f"{DAV}supported-report-set", *reports),
    }


def part_of(data: bytes, asked: Element | None) -> str:
    """Return an object as text: whole, or the components and properties that calendar-data names.

    `expand` and the limits of recurrences change nothing: no event of ours recurs.
    """
    wanted = asked.find(COMPONENT) if asked is not None else None
    if wanted is None:
        return data.decode()
    parts = [part for part in read(data.decode()).components if part.name == wanted.get("name", "").upper()]
    return "".join(f"{fold(line)}\r\n" for part in parts for line in _selected(part, wanted))


def _selected(part: ParsedComponent, wanted: Element) -> Iterator[str]:
    """Yield the lines of a component that are asked for: all where nothing inside it is named."""
    properties = wanted.findall(f"{CALDAV}prop")
    without_value = {one.get("name", "").upper(): one.get("novalue") == "yes" for one in properties}
    yield f"BEGIN:{part.name}"
    for line in part.lines:
        if not properties or line.name in without_value:
            yield line.text.removesuffix(line.value) if without_value.get(line.name) else line.text
    for inner in part.parts:
        if not len(wanted) or wanted.find(f"{CALDAV}allcomp") is not None:
            yield from inner.texts()
        else:
            yield from _named(inner, wanted.findall(COMPONENT))
    yield f"END:{part.name}"


def _named(part: ParsedComponent, components: Iterable[Element]) -> Iterator[str]:
    for one in components:
        if one.get("name", "").upper() == part.name:
            yield from _selected(part, one)
