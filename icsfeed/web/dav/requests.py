"""The bodies of PROPFIND and REPORT (RFC 4918, 4791, 6578) as values.

All raise DavError for what cannot be used.
"""

from typing import Literal, TypeAlias
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import Struct

from icsfeed.dav.names import (
    CALDAV,
    DATA,
    DAV,
    EXPAND,
    HREF,
    MULTIGET,
    PROP,
    PROPFIND,
    QUERY,
    SYNC,
    SYNC_TOKEN,
)
from icsfeed.ics.read import read
from icsfeed.web.dav.filters import CalendarFilter, read_filter
from icsfeed.web.dav.outcomes import DavError

MAX_HREFS = 10_000
"""Objects in a multiget: vdirsyncer asks for all that it does not have at once."""
REPORTS = (QUERY, MULTIGET, SYNC)
"""Those about calendars."""

Wanted: TypeAlias = Literal["named", "all", "names"]


class Asked(Struct, frozen=True):
    """The properties that are asked for: those of these `names`, all usual ones, or which there are.

    `data`: how much of an object, where calendar-data says so.
    """

    names: tuple[str, ...] = ()
    wanted: Wanted = "named"
    data: Element | None = None


class Multiget(Struct, frozen=True):
    """A calendar-multiget."""

    asked: Asked
    hrefs: tuple[str, ...]


class CalendarQuery(Struct, frozen=True):
    """A calendar-query."""

    asked: Asked
    filter: CalendarFilter


class SyncRequest(Struct, frozen=True):
    """A sync-collection. `token`: empty for everything. `limit`: the most results that the client takes."""

    asked: Asked
    token: str
    limit: int | None = None


class Expansion(Struct, frozen=True):
    """A property of an expand-property (RFC 3253, 3.8), and what is asked of those that its hrefs name."""

    name: str
    inner: tuple["Expansion", ...] = ()


class ExpandProperty(Struct, frozen=True):
    """An expand-property."""

    wanted: tuple[Expansion, ...]


Report: TypeAlias = Multiget | CalendarQuery | SyncRequest | ExpandProperty


def read_propfind(root: Element | None) -> Asked:
    """Return what a PROPFIND asks for. Without a body it asks for everything (RFC 4918, 9.1)."""
    if root is None:
        return Asked(wanted="all")
    if root.tag != PROPFIND:
        raise DavError(400, text="The body of a PROPFIND must be DAV:propfind.")
    return _asked(root)


def read_report(root: Element | None, zone: ZoneInfo) -> Report:
    """Return a report. `zone`: in which days begin, unless the report brings one."""
    if root is None:
        raise DavError(400, text="A REPORT needs a body.")
    if root.tag == MULTIGET:
        hrefs = tuple((one.text or "").strip() for one in root.findall(HREF))
        if len(hrefs) > MAX_HREFS:
            raise DavError(507, f"{DAV}number-of-matches-within-limits")
        return Multiget(_asked(root), hrefs)
    if root.tag == QUERY:
        return CalendarQuery(_asked(root), read_filter(root.find(f"{CALDAV}filter"), _zone(root, zone)))
    if root.tag == SYNC:
        return _sync(root)
    if root.tag == EXPAND:
        return ExpandProperty(_expansions(root))
    raise DavError(403, f"{DAV}supported-report")


def _sync(root: Element) -> SyncRequest:
    token, level = root.find(SYNC_TOKEN), root.findtext(f"{DAV}sync-level", "1").strip()
    if token is None or level not in ("1", "infinite"):
        raise DavError(400, text="A sync-collection needs a sync-token, and a sync-level of 1 or infinite.")
    limit = root.findtext(f"{DAV}limit/{DAV}nresults")
    number = int(limit) if limit and limit.strip().isdecimal() and len(limit) < 10 else None
    return SyncRequest(_asked(root), (token.text or "").strip(), number)


def _expansions(root: Element) -> tuple[Expansion, ...]:
    return tuple(
        Expansion(f"{{{one.get('namespace', 'DAV:')}}}{one.get('name', '')}", _expansions(one))
        for one in root.findall(f"{DAV}property")
    )


def _asked(root: Element) -> Asked:
    if root.find(f"{DAV}propname") is not None:
        return Asked(wanted="names")
    prop = root.find(PROP)
    if prop is None:  # RFC 4791, 7.8: as with allprop
        more = tuple(one.tag for one in root.findall(f"{DAV}include/*"))
        return Asked(more, "all")
    data = prop.find(DATA)
    if data is not None:
        kind, version = data.get("content-type", "text/calendar"), data.get("version", "2.0")
        if kind.lower() != "text/calendar" or version != "2.0":
            raise DavError(403, f"{CALDAV}supported-calendar-data")
    return Asked(tuple(dict.fromkeys(one.tag for one in prop)), data=data)


def _zone(root: Element, configured: ZoneInfo) -> ZoneInfo:
    """Return the zone of a query's VTIMEZONE, if its name is known here."""
    for calendar in read(root.findtext(f"{CALDAV}timezone", "")).components:
        for part in calendar.parts:
            try:
                return ZoneInfo(part.value("TZID").strip())
            except (ZoneInfoNotFoundError, ValueError, OSError):
                continue
    return configured
