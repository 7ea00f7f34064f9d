"""Answers to PROPFIND and REPORT: from a request and calendars to a multistatus (RFC 4918, 13)."""

from collections.abc import Iterable, Iterator, Sequence
from xml.etree.ElementTree import Element

from icsfeed.dav.names import DAV, HREF, PROP, PROPSTAT, RESPONSE, SYNC_TOKEN
from icsfeed.dav.tree import element
from icsfeed.web.dav.outcomes import NOT_FOUND, OK, DavError, gone, multistatus
from icsfeed.web.dav.properties import (
    SYNC_URI,
    Found,
    Values,
    found,
    of_account,
    of_calendar,
    of_object,
    of_root,
)
from icsfeed.web.dav.requests import Asked, CalendarQuery, Expansion, Multiget, SyncRequest
from icsfeed.web.dav.resources import Account, DavCalendar
from icsfeed.web.dav.sync_log import SyncChanges


class Writer:
    """Writes the responses about one account. `minimal`: without what a resource does not have (RFC 8144)."""

    def __init__(self, account: Account, asked: Asked, *, minimal: bool = False) -> None:
        self._account, self._asked, self._minimal = account, asked, minimal
        self._unknown: dict[tuple[str, ...], Element] = {}

    def root(self) -> Element:
        """Return the response about the root."""
        return self._response(self._account.root, of_root(self._account))

    def account(self) -> Element:
        """Return the response about the account."""
        return self._response(self._account.home, of_account(self._account))

    def calendar(self, calendar: DavCalendar) -> Element:
        """Return the response about a calendar itself."""
        return self._response(self._account.path(calendar.name), of_calendar(self._account, calendar))

    def objects(self, calendar: DavCalendar, names: Iterable[str]) -> Iterator[Element]:
        """Yield the responses about objects: 404 for each that is not there."""
        values, folder = of_object(self._account, calendar), self._account.path(calendar.name)
        for name in names:
            one = calendar.objects.get(name)
            yield (
                gone(folder + name)
                if one is None
                else self._response(folder + name, values(one, self._asked))
            )

    def expanded(self, path: str, values: Values, wanted: Iterable[Expansion]) -> Element:
        """Return the response about something, with what its hrefs name instead of the hrefs."""
        inner = {one.name: one.inner for one in wanted}
        given = found(values, Asked(tuple(inner)))
        whole = tuple(self._with_inner(value, inner[value.tag]) for value in given.values)
        return element(RESPONSE, element(HREF, text=path), *self._propstats(Found(whole, given.missing)))

    def _with_inner(self, value: Element, wanted: Sequence[Expansion]) -> Element:
        """Return a property with what its hrefs name, if that is the root or the account."""
        places = {self._account.root: of_root, self._account.home: of_account}
        if not wanted or value.find(HREF) is None:
            return value
        paths = [(child, child.text or "") for child in value]
        inner = [
            self.expanded(path, places[path](self._account), wanted) if path in places else child
            for child, path in paths
        ]
        return element(value.tag, *inner)

    def _response(self, path: str, values: Values) -> Element:
        return element(RESPONSE, element(HREF, text=path), *self._propstats(found(values, self._asked)))

    def _propstats(self, properties: Found) -> Iterator[Element]:
        shows_missing = bool(properties.missing) and not self._minimal
        if properties.values or not shows_missing:
            yield element(PROPSTAT, element(PROP, *properties.values), OK)
        if shows_missing:
            # The objects of a calendar lack the same ones: one element for all.
            if properties.missing not in self._unknown:
                names = element(PROP, *map(element, properties.missing))
                self._unknown[properties.missing] = element(PROPSTAT, names, NOT_FOUND)
            yield self._unknown[properties.missing]


def answer_multiget(account: Account, calendar: DavCalendar, asked: Multiget, writer: Writer) -> Element:
    """Return the objects at the hrefs of a multiget, each once."""
    named = {href: account.item(calendar.name, href) for href in asked.hrefs}
    responses = writer.objects(calendar, filter(None, named.values()))
    return multistatus(next(responses) if name else gone(href) for href, name in named.items())


def answer_query(calendar: DavCalendar, asked: CalendarQuery, writer: Writer) -> Element:
    """Return the objects that pass the filter of a calendar-query."""
    passing = [one.name for one in calendar.objects.values() if asked.filter.holds(one.part.octets)]
    return multistatus(writer.objects(calendar, passing))


def answer_sync(
    calendar: DavCalendar, asked: SyncRequest, changes: SyncChanges | None, writer: Writer
) -> Element:
    """Return what has changed since the token of a sync-collection; raise DavError where it is not known."""
    if changes is None:
        raise DavError(403, f"{DAV}valid-sync-token")
    names = (*changes.changed, *changes.removed)
    if asked.limit is not None and len(names) > asked.limit:
        raise DavError(507, f"{DAV}number-of-matches-within-limits")
    token = element(SYNC_TOKEN, text=SYNC_URI + calendar.token)
    return multistatus(writer.objects(calendar, names), token)
