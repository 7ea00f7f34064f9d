"""The wire format of single objects in a CalDAV collection: written with our marks, read back with them.

An object is one component in a VCALENDAR without METHOD, NAME and all else that belongs to a feed
(mapping.md, 4). Two X- properties say whose it is and what it was made of; alarms of ours carry the
first of them too, so that other people's can be told from them.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.feeds.mapping import is_our_uid
from icsfeed.ics.component import Component
from icsfeed.ics.read import ContentLine, ParsedComponent, read, split_texts, unescape
from icsfeed.ics.write import PRODID, fold, write
from icsfeed.text import one_line

OWNER, HASH = "X-ICSFEED-OWNER", "X-ICSFEED-HASH"
WRITTEN = frozenset({OWNER, HASH, "X-MICROSOFT-CDO-BUSYSTATUS"})
"""The X- properties that are ours: of others, what is in an object stays in it."""

_TEXTS = ("SUMMARY", "DESCRIPTION", "LOCATION", "URL")
_WORDS = ("STATUS", "TRANSP", "COLOR")
_VALUES = ("DTSTART", "DTEND", "DUE", "DURATION", "RRULE", "COMPLETED")
_NUMBERS = ("PRIORITY", "PERCENT-COMPLETE")
_REVISION = ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE")
_BACKSLASHED = re.compile(r"\\+[nN]")
_OPENING = f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:{PRODID}\r\nCALSCALE:GREGORIAN\r\n".encode()
_PROJECT = re.compile(r"/projects/([^/]+)/")
_ALARM, _ALARM_END = b"\r\nBEGIN:VALARM\r\n", b"\r\nEND:VALARM\r\n"


class ParsedObject(Struct, frozen=True):
    """What an object says of itself. Of one whose UID is not ours only `uids` are told.

    `owner` and `hash` are our marks, empty where they are missing. `facts` is a digest of what people
    see of it, the same however a server writes that. `revision` holds its times and sequence number.
    `extras` (content lines) and `alarms` (the lines of each) were added to it by others. `blank`: there is
    no calendar in it at all, as where SOGo has destroyed one. `project`: the id of its project in Plane, by
    its URL; empty where that does not say.
    """

    uids: tuple[str, ...] = ()
    owner: str = ""
    hash: str = ""
    facts: str = ""
    revision: str = ""
    extras: tuple[str, ...] = ()
    alarms: tuple[tuple[str, ...], ...] = ()
    blank: bool = False
    project: str = ""

    @property
    def uid(self) -> str:
        """Its UID where that is one of ours, else nothing."""
        return self.uids[0] if self.facts else ""

    @property
    def sequence(self) -> int:
        """Its sequence number; 0 where it has none that can be read."""
        number = self.revision.rpartition(" ")[2]
        return int(number) if number.isascii() and number.isdigit() else 0


def hash_of(component: Component) -> str:
    """The digest of all that a component says but its times of revision.

    So a comment in Plane rewrites nothing, and two of us that first saw a change at different moments agree.
    """
    return sha256(write(replace(component, revised=component.created, least_sequence=0))).hexdigest()


def write_object(component: Component, owner: str, old: ParsedObject | None = None) -> bytes:
    """The object's bytes. What others have added to the `old` one stays in it, and SEQUENCE goes on from it.

    SOGo raises SEQUENCE when a person invites somebody, and refuses an update with a lower one (409).
    """
    if old is not None and old.uid:
        component = replace(component, least_sequence=old.sequence + 1)
    end = f"END:{component.kind}\r\n".encode()
    lines, mark, alarms = write(component).removesuffix(end).partition(_ALARM)
    marked = (mark + alarms).replace(_ALARM_END, f"\r\n{OWNER}:{owner}{_ALARM_END.decode()}".encode())
    marks = _written([f"{OWNER}:{owner}", f"{HASH}:{hash_of(component)}"])
    extras, carried = _carried(old, alarms) if old is not None else (b"", b"")
    if marked:
        lines, marked = lines + b"\r\n", marked.removeprefix(b"\r\n")
    return b"".join((_OPENING, lines, marks, extras, marked, carried, end, b"END:VCALENDAR\r\n"))


def _carried(old: ParsedObject, own: bytes) -> tuple[bytes, bytes]:
    """The lines of others, and their alarms but those that do as one of our `own` does."""
    triggers = {line for line in own.decode().split("\r\n") if line.startswith("TRIGGER")}
    alarms = [alarm for alarm in old.alarms if triggers.isdisjoint(alarm)]
    return _written(old.extras), b"".join(_written(alarm) for alarm in alarms)


def _written(lines: Iterable[str]) -> bytes:
    return "".join(f"{fold(one_line(line))}\r\n" for line in lines).encode()


def read_object(data: bytes) -> ParsedObject:
    """What an object says of itself. One that cannot be read has no UID."""
    parsed = read(data.decode("utf-8", "replace"))
    if parsed.unpaired or parsed.is_cut_off:
        return ParsedObject()
    if not parsed.components:
        return ParsedObject(blank=True)
    parts = [part for calendar in parsed.components for part in calendar.parts if part.name != "VTIMEZONE"]
    uids = tuple(dict.fromkeys(unescape(part.value("UID")).strip() for part in parts))
    if len(uids) != 1 or not is_our_uid(uids[0]):
        return ParsedObject(uids)
    first = parts[0]
    return ParsedObject(
        uids,
        owner=first.value(OWNER).strip(),
        hash=first.value(HASH).strip(),
        facts=_facts(parts),
        revision=" ".join(first.value(name) for name in _REVISION),
        extras=tuple(line.text for line in first.lines if _is_foreign(line)),
        alarms=tuple(tuple(part.texts()) for part in first.parts if not part.value(OWNER)),
        project=unquote(found[1]) if (found := _PROJECT.search(first.value("URL"))) else "",
    )


def is_ours(stored: ParsedObject | None, owner: str) -> bool:
    """Whether an object may be replaced and removed by the feed `owner`."""
    return stored is not None and bool(stored.uid) and stored.owner == owner


def _is_foreign(line: ContentLine) -> bool:
    return line.name.startswith("X-") and line.name not in WRITTEN


def _facts(parts: Sequence[ParsedComponent]) -> str:
    """A digest of what people see, however a server escapes, orders and defaults it."""
    seen = [
        [
            part.name,
            *(_blurred(unescape(part.value(name))) for name in _TEXTS),
            *(part.value(name).strip().upper() for name in (*_WORDS, *_VALUES)),
            *(part.value(name).strip().lstrip("0") for name in _NUMBERS),
            *sorted(_categories(part)),
        ]
        for part in parts
    ]
    return sha256(repr(seen).encode("utf-8", "replace")).hexdigest()


def _blurred(text: str) -> str:
    """Without backslashes: some servers take a backslash before an N for a line break, escaped or not."""
    return _BACKSLASHED.sub("\n", text).replace("\\", "").strip()


def _categories(part: ParsedComponent) -> set[str]:
    """As a set of words between commas: some servers split where a comma was escaped."""
    lists = (split_texts(line.value) for line in part.lines if line.name == "CATEGORIES")
    return {_blurred(word) for names in lists for name in names for word in name.split(",") if word.strip()}
