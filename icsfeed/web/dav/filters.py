"""The filter of a calendar-query (RFC 4791, 9.7): read from XML, and asked of one object.

Days have no time zone: a range of UTC times is compared with them as it reads in the query's zone, or in the
configured one (RFC 4791, 7.3).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Protocol, TypeAlias
from xml.etree.ElementTree import Element

from msgspec import Struct

from icsfeed.dav.names import CALDAV
from icsfeed.ics.read import ContentLine, read, read_line, unescape
from icsfeed.ics.write import CLOSING, OBJECT_OPENING
from icsfeed.web.dav.outcomes import DavError

MAX_CONDITIONS = 100
"""Elements of a filter: apps send up to five, and each is asked of every object."""

COLLATIONS: dict[str, Callable[[str], str]] = {
    "i;ascii-casemap": str.lower,
    "i;octet": str,
    "i;unicode-casemap": str.casefold,
}

_FILTER, _RANGE = f"{CALDAV}comp-filter", f"{CALDAV}time-range"
_PROP, _PARAM = f"{CALDAV}prop-filter", f"{CALDAV}param-filter"
_TEXT, _ABSENT = f"{CALDAV}text-match", f"{CALDAV}is-not-defined"
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)(\d\d)Z)?")
_DAY = timedelta(days=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_DATED = ("VEVENT", "VTODO")
_WITH_TIMES = ("DTSTART", "DTEND", "DUE", "COMPLETED", "CREATED", "DTSTAMP", "LAST-MODIFIED")

_FRAME = read((OBJECT_OPENING + CLOSING).decode()).components[0]
"""What all objects have around their component."""

Span: TypeAlias = tuple[datetime, datetime]


class SearchedComponent(Protocol):
    """A component whose lines can be asked for by name."""

    @property
    def name(self) -> str: ...
    @property
    def parts(self) -> Sequence["SearchedComponent"]: ...

    def value(self, name: str) -> str:
        """Return the value of the first of its own lines of this name; empty where there is none."""

    def named(self, name: str) -> Sequence[ContentLine]:
        """Return its own lines of this name."""


class WrittenComponent:
    """A component that we have written ourselves: of ten thousand, only what is asked for is read.

    Names in capitals and folds are as `ics.write` has them, and components inside it follow its own lines.
    """

    def __init__(self, octets: bytes) -> None:
        self._octets, self._own = octets, octets.partition(b"\r\nBEGIN:")[0]
        self.name = octets[len(b"BEGIN:") : octets.index(b"\r\n")].decode()

    @property
    def parts(self) -> Sequence[SearchedComponent]:
        """The components inside it: its alarms."""
        return read(self._octets.decode()).components[0].parts

    def value(self, name: str) -> str:
        """See SearchedComponent."""
        return next((line.value for line in self._read(name)), "")

    def named(self, name: str) -> Sequence[ContentLine]:
        """See SearchedComponent."""
        return [*self._read(name)]

    def _read(self, name: str) -> Iterator[ContentLine]:
        for folded in _lines_named(name).finditer(self._own):
            line = read_line(0, folded[1].replace(b"\r\n ", b"").decode())
            if line is not None:
                yield line


# Asked of every object in turn.
@lru_cache(MAX_CONDITIONS)
def _lines_named(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"\r\n(%b[:;][^\r]*(?:\r\n [^\r]*)*)" % re.escape(name.encode()))


class TextMatch(Struct, frozen=True):
    """A text, folded, that a value must contain, or with `negated` must not."""

    text: str
    fold: Callable[[str], str]
    negated: bool

    def holds(self, value: str) -> bool:
        """Return whether a value passes."""
        return (self.text in self.fold(value)) is not self.negated


class Condition(Struct, frozen=True):
    """What a component, property or parameter of this name must be like; `absent`: that there is none."""

    name: str
    absent: bool = False
    span: Span | None = None
    text: TextMatch | None = None
    components: tuple["Condition", ...] = ()
    properties: tuple["Condition", ...] = ()
    parameters: tuple["Condition", ...] = ()


class CalendarFilter(Struct, frozen=True):
    """The condition for the VCALENDAR, and the zone in which its days begin."""

    calendar: Condition
    zone: tzinfo

    def holds(self, octets: bytes) -> bool:
        """Return whether the object passes that holds this component, which we have written ourselves."""
        if self.calendar.absent or self.calendar.name != _FRAME.name:
            return self.calendar.absent and self.calendar.name != _FRAME.name
        component = WrittenComponent(octets)
        return all(_of_property(one, _FRAME, self.zone) for one in self.calendar.properties) and all(
            _of_component(one, [component], self.zone) for one in self.calendar.components
        )


def read_filter(root: Element | None, zone: tzinfo) -> CalendarFilter:
    """Return the filter. Raise DavError for one that is not valid, or asks for what is not supported."""
    if root is None or len(root) != 1 or root[0].tag != _FILTER:
        raise DavError(403, f"{CALDAV}valid-filter")
    if sum(1 for _ in root.iter()) > MAX_CONDITIONS:
        raise DavError(403, f"{CALDAV}supported-filter")
    return CalendarFilter(_condition(root[0], zone), zone)


def _condition(one: Element, zone: tzinfo) -> Condition:
    """Read a comp-filter, prop-filter or param-filter."""
    name, known = one.get("name", "").upper(), {_RANGE, _TEXT, _ABSENT, _FILTER, _PROP, _PARAM}
    span, text = one.find(_RANGE), one.find(_TEXT)
    can_span = name in (_DATED if one.tag == _FILTER else _WITH_TIMES)
    if any(child.tag not in known for child in one) or (span is not None and not can_span):
        raise DavError(403, f"{CALDAV}supported-filter")
    if not name or (one.find(_ABSENT) is not None and len(one) > 1):
        raise DavError(403, f"{CALDAV}valid-filter")
    return Condition(
        name,
        absent=one.find(_ABSENT) is not None,
        span=None if span is None else read_span(span, zone),
        text=None if text is None else _text(text),
        components=tuple(_condition(child, zone) for child in one.findall(_FILTER)),
        properties=tuple(_condition(child, zone) for child in one.findall(_PROP)),
        parameters=tuple(_condition(child, zone) for child in one.findall(_PARAM)),
    )


def _text(one: Element) -> TextMatch:
    fold = COLLATIONS.get(one.get("collation", "i;ascii-casemap"))
    if fold is None:
        raise DavError(403, f"{CALDAV}supported-collation")
    return TextMatch(fold("".join(one.itertext())), fold, one.get("negate-condition") == "yes")


def read_span(one: Element, zone: tzinfo) -> Span:
    """Return a time-range as times of that zone. A missing end is open."""
    start, end = (_times(one.get(name, ""), zone) for name in ("start", "end"))
    texts = [text for name in ("start", "end") if (text := one.get(name)) is not None]
    span = (start[0] if start else _FIRST, end[0] if end else _LAST)
    # Both must be times in UTC (RFC 4791, 9.9).
    if not texts or not all(_TIME.fullmatch(text) and "T" in text for text in texts):
        raise DavError(403, f"{CALDAV}valid-filter")
    if span[0] >= span[1] or len(texts) != (start is not None) + (end is not None):
        raise DavError(403, f"{CALDAV}valid-filter")
    return span


def _of_component(wanted: Condition, parts: Sequence[SearchedComponent], zone: tzinfo) -> bool:
    named = [part for part in parts if part.name == wanted.name]
    return not named if wanted.absent else any(_passes(wanted, part, zone) for part in named)


def _passes(wanted: Condition, part: SearchedComponent, zone: tzinfo) -> bool:
    return (
        (wanted.span is None or in_span(part.value, part.name, wanted.span, zone))
        and all(_of_property(one, part, zone) for one in wanted.properties)
        and all(_of_component(one, part.parts, zone) for one in wanted.components)
    )


def _of_property(wanted: Condition, part: SearchedComponent, zone: tzinfo) -> bool:
    named = part.named(wanted.name)
    return not named if wanted.absent else any(_line_passes(wanted, line, zone) for line in named)


def _line_passes(wanted: Condition, line: ContentLine, zone: tzinfo) -> bool:
    if wanted.span is not None:
        times = _times(line.value, zone)
        if times is None or not (times[0] < wanted.span[1] and times[1] >= wanted.span[0]):
            return False
    return (wanted.text is None or wanted.text.holds(unescape(line.value))) and all(
        _of_parameter(one, line) for one in wanted.parameters
    )


def _of_parameter(wanted: Condition, line: ContentLine) -> bool:
    value = line.parameters.get(wanted.name)
    if value is None or wanted.absent:
        return value is None and wanted.absent
    return wanted.text is None or wanted.text.holds(value)


def in_span(value: Callable[[str], str], kind: str, span: Span, zone: tzinfo) -> bool:
    """Return whether an event or task overlaps a range (RFC 4791, 9.9). `value` gives its properties.

    A task that is due on a day is due until the end of it.
    """
    start, end = span
    first = _times(value("DTSTART"), zone)
    if kind == "VEVENT":
        until = _times(value("DTEND"), zone) or (first and (first[1], first[1]))
        return first is not None and until is not None and first[0] < end and until[0] > start
    due = _times(value("DUE"), zone)
    if due is not None:
        return start < due[1] and end > (first or due)[0]
    moments = [times[0] for name in ("CREATED", "COMPLETED") if (times := _times(value(name), zone))]
    if len(moments) == 1:  # as long as it is not completed, it is to be done
        return end > moments[0]
    return not moments or (start <= max(moments) and end >= min(moments))


def _times(value: str, zone: tzinfo) -> Span | None:
    """Return the beginning and the end of a DATE or a time in UTC; None for anything else.

    They are as a clock in that zone shows them, and marked as UTC: all are compared with each other only.
    """
    found = _TIME.fullmatch(value)
    try:
        if found is None:
            return None
        numbers = [int(number) for number in found.groups() if number]
        moment = datetime(*numbers[:3], *numbers[3:], tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:  # no such day
        return None
    try:
        if len(numbers) == 3:
            return moment, moment + _DAY
        moment = moment.astimezone(zone).replace(tzinfo=UTC)
    except OverflowError:  # in the first or the last days that there are
        pass
    return moment, moment
