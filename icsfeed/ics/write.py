"""The wire format of feeds: components to content lines (RFC 5545, 7986).

Written here and not with a library: calendar apps fail on details of escaping, folding and parameters.
icalendar 7.3 escapes neither NAME nor X- properties, omits the VALUE of REFRESH-INTERVAL, turns `C:\\News`
into `C:\\news`, and takes nine times as long. It reads all of this back in the tests.
"""

import re
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from msgspec import Struct

from icsfeed.ics.component import Component
from icsfeed.text import multi_line, one_line

PRODID = "-//icsfeed//icsfeed//EN"
MAX_LINE_OCTETS = 75
"""Octets in a content line without its line break (RFC 5545, 3.1)."""

OBJECT_OPENING = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:{PRODID}\r\nCALSCALE:GREGORIAN\r\n".encode()
"""What comes before the one component of a CalDAV object. METHOD is forbidden there (RFC 4791, 4.1)."""
CLOSING = b"END:VCALENDAR\r\n"
EMPTY = (
    "BEGIN:VTIMEZONE\r\nTZID:Etc/UTC\r\nBEGIN:STANDARD\r\nDTSTART:19700101T000000\r\n"
    "TZOFFSETFROM:+0000\r\nTZOFFSETTO:+0000\r\nTZNAME:UTC\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
).encode("ascii")
"""The content of an empty feed: RFC 5545 requires a component (3.6), and this one shows nothing."""

_DAY = timedelta(days=1)
_CONTINUATION = re.compile(rb".{1,74}(?![\x80-\xbf])", re.DOTALL)
"""What a line holds after its space, up to the beginning of a character."""


def escape(value: str) -> str:
    """Escape a TEXT value (RFC 5545, 3.3.11)."""
    return value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def fold(line: str) -> str:
    """Break a content line at 75 octets, never inside a character (RFC 5545, 3.1)."""
    octets = line.encode()
    if len(octets) <= MAX_LINE_OCTETS:
        return line
    end = MAX_LINE_OCTETS
    while octets[end] & 0xC0 == 0x80:  # inside a character of UTF-8
        end -= 1
    return b"\r\n ".join((octets[:end], *_CONTINUATION.findall(octets, end))).decode()


class Header(Struct, frozen=True, kw_only=True):
    """What a VCALENDAR says about itself. `refresh` is in whole seconds; `color_hex` is `#RRGGBB`.

    It has no UID (RFC 7986, 5.3): vdirsyncer 0.19 to 0.21 uses the first UID of a file as the UID of every
    item in it, and keeps one event of the feed (pimutils/vdirsyncer#1222).
    """

    name: str
    refresh: int
    description: str | None = None
    last_modified: datetime | None = None
    url: str | None = None
    color: str | None = None
    color_hex: str | None = None


def opening(header: Header) -> bytes:
    """Return a feed's content lines before its components; `CLOSING` comes after them."""
    # Each fact is written twice where apps differ: by RFC 7986, and as Apple, Google and Outlook read it.
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:{PRODID}", "CALSCALE:GREGORIAN"]
    name, refresh = escape(one_line(header.name)), _duration(timedelta(seconds=header.refresh))
    lines += [fold(f"NAME:{name}"), fold(f"X-WR-CALNAME:{name}")]
    if header.description:
        description = escape(multi_line(header.description))
        lines += [fold(f"DESCRIPTION:{description}"), fold(f"X-WR-CALDESC:{description}")]
    if header.last_modified:
        lines.append(f"LAST-MODIFIED:{_utc(header.last_modified)}")
    if header.url:
        lines.append(fold(f"URL:{one_line(header.url)}"))
    lines += [f"REFRESH-INTERVAL;VALUE=DURATION:{refresh}", f"X-PUBLISHED-TTL:{refresh}"]
    if header.color:
        lines.append(f"COLOR:{header.color}")
    if header.color_hex:
        lines.append(f"X-APPLE-CALENDAR-COLOR:{header.color_hex}")
    return ("\r\n".join(lines) + "\r\n").encode()


def write(component: Component) -> bytes:
    """Return one component's content lines, from BEGIN to END with the last line break.

    Raises ValueError for a VEVENT without its days, and OverflowError for one that ends on 9999-12-31:
    DTEND, the day after, cannot be written.
    """
    revised = _utc(component.revised)
    lines = [
        f"BEGIN:{component.kind}",
        fold(f"UID:{escape(one_line(component.uid))}"),
        f"DTSTAMP:{revised}",
        *_dates(component),
        fold(f"SUMMARY:{escape(one_line(component.summary))}"),
        f"STATUS:{component.status}",
    ]
    if component.description:
        lines.append(fold(f"DESCRIPTION:{escape(multi_line(component.description))}"))
    if component.categories:
        names = ",".join(escape(one_line(name)) for name in component.categories)
        lines.append(fold(f"CATEGORIES:{names}"))
    if component.color:
        lines.append(f"COLOR:{component.color}")
    if component.priority is not None:
        lines.append(f"PRIORITY:{component.priority}")
    if component.url:
        lines.append(fold(f"URL:{one_line(component.url)}"))
    if component.related_to:
        lines.append(fold(f"RELATED-TO:{escape(one_line(component.related_to))}"))
    if component.kind == "VEVENT":  # Outlook shows all-day events as free only for its own property.
        lines += ["TRANSP:TRANSPARENT", "X-MICROSOFT-CDO-BUSYSTATUS:FREE"]
    lines += [
        f"CREATED:{_utc(component.created)}",
        f"LAST-MODIFIED:{revised}",
        f"SEQUENCE:{component.sequence}",
    ]
    if component.alarms:
        lines += _alarms(component)
    lines.append(f"END:{component.kind}\r\n")
    return "\r\n".join(lines).encode()


def _dates(component: Component) -> Iterable[str]:
    if component.kind == "VEVENT":
        if component.first is None or component.last is None:
            raise ValueError(f"{component.uid}: an event needs its first and last day")
        yield f"DTSTART;VALUE=DATE:{_date(component.first)}"
        yield f"DTEND;VALUE=DATE:{_date(component.last + _DAY)}"  # exclusive (RFC 5545, 3.6.1)
        return
    if component.first is not None:
        yield f"DTSTART;VALUE=DATE:{_date(component.first)}"
    if component.last is not None:
        yield f"DUE;VALUE=DATE:{_date(component.last)}"
    if component.completed is not None:
        yield f"COMPLETED:{_utc(component.completed)}"
    if component.status == "COMPLETED":
        yield "PERCENT-COMPLETE:100"


def _alarms(component: Component) -> Iterable[str]:
    description = fold(f"DESCRIPTION:{escape(one_line(component.summary))}")
    for alarm in component.alarms:
        # An offset counts from the start of the last day: from DTSTART of a single day, DUE of a task, and
        # the day before DTEND of a span. Triggers count from DTSTART unless they say END (RFC 5545, 3.8.6.3).
        trigger = f"TRIGGER:{_duration(alarm)}"
        if component.kind == "VTODO":
            trigger = f"TRIGGER;RELATED=END:{_duration(alarm)}"
        elif component.first != component.last:
            trigger = f"TRIGGER;RELATED=END:{_duration(alarm - _DAY)}"
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", description, trigger, "END:VALARM")


def _date(day: date) -> str:
    # Not strftime: for years before 1000 its %Y has three digits on Linux.
    return f"{day.year:04}{day.month:02}{day.day:02}"


def _utc(moment: datetime) -> str:
    at = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return f"{at.year:04}{at.month:02}{at.day:02}T{at.hour:02}{at.minute:02}{at.second:02}Z"


def _duration(length: timedelta) -> str:
    """Return a DURATION (RFC 5545, 3.3.6): whole days as days, the rest as hours, minutes, seconds."""
    seconds = int(length.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    time = "".join(f"{n}{unit}" for n, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if n)
    if not days and not time:
        return f"{sign}PT0S"
    return f"{sign}P" + (f"{days}D" if days else "") + (f"T{time}" if time else "")
