"""Read a calendar file as it is, valid or not.

Nothing is rejected here: `read_body` reports what it finds, doctor/verdict.py what follows from it.
"""

import re
from collections.abc import Mapping

from msgspec import Struct

from icsfeed.ics.read import ParsedComponent, read

MAX_LINE_OCTETS = 75
"""Octets in a content line without its line break (RFC 5545, 3.1)."""

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_VOLATILE = frozenset({"DTSTAMP", "LAST-MODIFIED", "CREATED", "UID"})
"""Properties that sync programs ignore when they compare events."""


class ParsedItem(Struct, frozen=True):
    """An event or a task: `values` by name (the last of a name, with its parameters before a colon).

    `content` is what a reader would notice; `alarms` counts its reminders.
    """

    kind: str
    values: Mapping[str, str]
    content: frozenset[str]
    alarms: int

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it: its UID and, for a changed occurrence, its RECURRENCE-ID."""
        return (self.value("UID"), self.value("RECURRENCE-ID"))

    def value(self, name: str) -> str:
        """Return a property's value without its parameters; empty where it is missing."""
        return self.values.get(name, "").partition(":")[2]


class CalendarFile(Struct, frozen=True, kw_only=True):
    """What was found. `malformed` and `overlong` are line numbers, from 1.

    `zones` are the time zones that it defines, `used_zones` those that its lines name.
    """

    is_calendar: bool
    is_utf8: bool
    is_whole: bool
    has_crlf: bool
    malformed: tuple[int, ...]
    overlong: tuple[int, ...]
    values: Mapping[str, str]
    items: tuple[ParsedItem, ...]
    zones: frozenset[str]
    used_zones: frozenset[str]

    def of(self, kind: str) -> tuple[ParsedItem, ...]:
        """Return the items of a kind: VEVENT or VTODO."""
        return tuple(item for item in self.items if item.kind == kind)


def read_body(data: bytes) -> CalendarFile:
    """Return what a calendar file shows; of something else only that it is not one."""
    # A lone CR ends a line for some apps and not for others: here it does, so that what follows is looked at.
    text = data.decode("utf-8-sig", "replace").replace("\r\n", "\n").replace("\r", "\n")
    parsed = read(text)
    malformed = [*parsed.malformed, *parsed.unpaired]
    parts = [part for outermost in parsed.components for part in outermost.walk()]
    for part in parts:
        # Strict apps drop the whole file for a control character, which our own reader tolerates.
        malformed += [line.number for line in part.lines if _CONTROL.search(line.text)]
        part.lines = [line for line in part.lines if not _CONTROL.search(line.text)]
    closed = [part for part in parts if part.is_closed]
    calendars = [part for part in closed if part.name == "VCALENDAR"]
    lines = [line for part in closed for line in part.lines]
    return CalendarFile(
        is_calendar=text.lstrip()[:15].upper() == "BEGIN:VCALENDAR",
        is_utf8=_is_utf8(data),
        is_whole=bool(calendars) and not parsed.is_cut_off,
        has_crlf=data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r"),
        malformed=tuple(sorted(malformed)),
        overlong=tuple(
            number for number, line in enumerate(text.split("\n"), 1) if len(line.encode()) > MAX_LINE_OCTETS
        ),
        values=_values(calendars[0]) if calendars else {},
        items=tuple(_item(part) for part in closed if part.name in ("VEVENT", "VTODO")),
        zones=frozenset(part.value("TZID") for part in closed if part.name == "VTIMEZONE"),
        used_zones=frozenset(line.parameters["TZID"] for line in lines if "TZID" in line.parameters),
    )


def _values(part: ParsedComponent) -> Mapping[str, str]:
    return {line.name: line.text[len(line.name) :] for line in part.lines}


def _item(part: ParsedComponent) -> ParsedItem:
    lines = [line for line in part.lines if line.name not in _VOLATILE]
    content = frozenset(line.name + line.text[len(line.name) :] for line in lines)
    alarms = sum(inner.name == "VALARM" and inner.is_closed for inner in part.parts)
    return ParsedItem(part.name, _values(part), content, alarms)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
