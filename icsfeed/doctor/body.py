"""Read a calendar file as it is, valid or not.

Nothing is rejected here: `read_body` reports what it finds, doctor/verdict.py what follows from it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

LONGEST = 75
"""Octets in a content line without its line break (RFC 5545, 3.1)."""

_BREAK = re.compile(r"\r\n|\n|\r")
_PARAMETER = r';[A-Za-z0-9-]+=(?:"[^"\x00-\x1f]*"|[^";:,\x00-\x08\x0a-\x1f]*)(?:,(?:"[^"]*"|[^";:,]*))*'
_LINE = re.compile(rf"([A-Za-z0-9-]+)((?:{_PARAMETER})*):([^\x00-\x08\x0a-\x1f\x7f]*)")
_ZONE = re.compile(r';TZID=("?)([^";:]*)\1', re.IGNORECASE)
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
    """The contents of a file. `malformed` and `overlong`: line numbers, from 1; `zones`: those it defines."""

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


class _Line(NamedTuple):
    number: int
    name: str
    parameters: str
    value: str


class _OpenComponent:
    """A component while its lines are read."""

    def __init__(self, name: str) -> None:
        self.name, self.alarms = name, 0
        self.values: dict[str, str] = {}
        self.lines: list[str] = []

    def add(self, line: _Line) -> None:
        self.values[line.name] = f"{line.parameters}:{line.value}"
        self.lines.append(f"{line.name}{line.parameters}:{line.value}")

    def item(self) -> ParsedItem:
        content = frozenset(line for line in self.lines if re.split("[;:]", line)[0] not in _VOLATILE)
        return ParsedItem(self.name, self.values, content, self.alarms)


class _ComponentParser:
    """Goes through the lines of a calendar and collects its components."""

    def __init__(self) -> None:
        self.open: list[_OpenComponent] = []
        self.closed: list[_OpenComponent] = []
        self.malformed: list[int] = []

    def take(self, line: _Line) -> None:
        if line.name == "BEGIN":
            self.open.append(_OpenComponent(line.value.strip().upper()))
        elif line.name == "END":
            self._end(line)
        elif self.open:
            self.open[-1].add(line)
        else:
            self.malformed.append(line.number)

    def _end(self, line: _Line) -> None:
        if not self.open or self.open[-1].name != line.value.strip().upper():
            self.malformed.append(line.number)
            return
        part = self.open.pop()
        if part.name == "VALARM" and self.open:
            self.open[-1].alarms += 1
        self.closed.append(part)


def read_body(data: bytes) -> CalendarFile:
    """Return the contents of a calendar file; `is_calendar` is False for anything else."""
    text = data.decode("utf-8-sig", "replace")
    raw = _BREAK.split(text)
    walk = _ComponentParser()
    for number, content in _unfolded(raw):
        match = _LINE.fullmatch(content)
        if match:
            walk.take(_Line(number, match[1].upper(), match[2], match[3]))
        else:
            walk.malformed.append(number)
    calendars = [part for part in walk.closed if part.name == "VCALENDAR"]
    lines = [line for part in walk.closed for line in part.lines]
    return CalendarFile(
        is_calendar=text.lstrip()[:15].upper() == "BEGIN:VCALENDAR",
        is_utf8=_is_utf8(data),
        is_whole=bool(calendars) and not walk.open,
        has_crlf=data.count(b"\n") == data.count(b"\r\n") == data.count(b"\r"),
        malformed=tuple(sorted(walk.malformed)),
        overlong=tuple(n for n, line in enumerate(raw, 1) if len(line.encode()) > LONGEST),
        values=calendars[0].values if calendars else {},
        items=tuple(part.item() for part in walk.closed if part.name in ("VEVENT", "VTODO")),
        zones=frozenset(_zone_ids(walk.closed)),
        used_zones=frozenset(match[2] for line in lines if (match := _ZONE.search(line.partition(":")[0]))),
    )


def _unfolded(raw: list[str]) -> Iterator[tuple[int, str]]:
    """Whole content lines with the number of their first piece; empty ones are passed over."""
    number, content = 0, ""
    for at, piece in enumerate(raw, 1):
        if piece[:1] in (" ", "\t") and content:
            content += piece[1:]
            continue
        if content:
            yield number, content
        number, content = at, piece
    if content:
        yield number, content


def _zone_ids(parts: list[_OpenComponent]) -> Iterator[str]:
    for part in parts:
        if part.name == "VTIMEZONE":
            yield part.values.get("TZID", "").partition(":")[2]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
