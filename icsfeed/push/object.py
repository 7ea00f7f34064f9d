"""The wire format of single objects in a CalDAV collection: written with our marks, read back with them.

An object is one component in a VCALENDAR without METHOD, NAME and all else that belongs to a feed
(mapping.md, 4). Two X- properties say whose it is and what it was made of; alarms of ours carry the
first of them too, so that other people's can be told from them.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Literal, TypeAlias
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.schema import Config
from icsfeed.feeds.calendar import workspace_of
from icsfeed.feeds.mapping import is_our_uid
from icsfeed.feeds.tokens import installation
from icsfeed.ics.component import Component
from icsfeed.ics.read import ParsedComponent, read, split_texts, unescape
from icsfeed.ics.write import PRODID, fold, write
from icsfeed.text import one_line

OWNER, HASH = "X-ICSFEED-OWNER", "X-ICSFEED-HASH"
OUR_X_PROPERTIES = frozenset({OWNER, HASH, "X-MICROSOFT-CDO-BUSYSTATUS"})
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

Adopt: TypeAlias = tuple[str, ...] | Literal[False, True]


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
    marks = _folded([f"{OWNER}:{owner}", f"{HASH}:{hash_of(component)}"])
    extras, carried = old.extras if old is not None else (), list[str]()
    # Alarms of others stay, unless one of ours goes off at the same time.
    triggers = {line for line in alarms.decode().split("\r\n") if line.startswith("TRIGGER")}
    for alarm in old.alarms if old is not None else ():
        carried += alarm if triggers.isdisjoint(alarm) else ()
    if marked:
        lines, marked = lines + b"\r\n", marked.removeprefix(b"\r\n")
    return b"".join(
        (_OPENING, lines, marks, _folded(extras), marked, _folded(carried), end, b"END:VCALENDAR\r\n")
    )


def _folded(lines: Iterable[str]) -> bytes:
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
        facts=_digest(parts),
        revision=" ".join(first.value(name) for name in _REVISION),
        extras=tuple(
            line.text
            for line in first.lines
            if line.name.startswith("X-") and line.name not in OUR_X_PROPERTIES
        ),
        alarms=tuple(tuple(part.texts()) for part in first.parts if not part.value(OWNER)),
        project=unquote(found[1]) if (found := _PROJECT.search(first.value("URL"))) else "",
    )


def has_mark(stored: ParsedObject | None, owner: str) -> bool:
    """Whether an object may be replaced and removed by the feed `owner`."""
    return stored is not None and bool(stored.uid) and stored.owner == owner


def _digest(parts: Sequence[ParsedComponent]) -> str:
    """A digest of what people see, however a server escapes, orders and defaults it."""
    seen = []
    for part in parts:
        lists = (split_texts(line.value) for line in part.lines if line.name == "CATEGORIES")
        # A set of words between commas: xandikos 0.2 and Cyrus 3.6 split where a comma was escaped.
        words = {word for names in lists for name in names for word in name.split(",") if word.strip()}
        seen.append(
            [
                part.name,
                *(_normalised(unescape(part.value(name))) for name in _TEXTS),
                *(part.value(name).strip().upper() for name in (*_WORDS, *_VALUES)),
                *(part.value(name).strip().lstrip("0") for name in _NUMBERS),
                *sorted({_normalised(word) for word in words}),
            ]
        )
    return sha256(repr(seen).encode("utf-8", "replace")).hexdigest()


def _normalised(text: str) -> str:
    """Without backslashes: some servers take a backslash before an N for a line break, escaped or not."""
    return _BACKSLASHED.sub("\n", text).replace("\\", "").strip()


class Claim(Struct, frozen=True):
    """Which objects belong to one target's feed.

    `mark` is what it writes: `feed@installation`, because two installations may each have a feed of that
    name. `adopt`: True takes over objects without a mark; a tuple those of these former feeds, which it
    names as `feed` (of this installation, or of a version that marked objects with the feed only) or as
    a whole mark.
    """

    mark: str
    adopt: Adopt = False

    @property
    def feed(self) -> str:
        """The feed's name."""
        return feed_in_mark(self.mark)

    def owns(self, stored: ParsedObject | None) -> bool:
        """Whether an object may be replaced and removed."""
        return has_mark(stored, self.mark)

    def has_former_mark(self, stored: ParsedObject) -> bool:
        """Whether it has the mark that versions without an installation in it wrote for this feed."""
        return stored.owner == self.feed

    def may_adopt(self, stored: ParsedObject | None) -> bool:
        """Whether an object that is not ours may become so, where the feed holds its UID."""
        if stored is None or not stored.uid or self.owns(stored):
            return False
        if not stored.owner:
            return self.adopt is True
        if self.has_former_mark(stored):
            return True
        former = self.adopt if isinstance(self.adopt, tuple) else ()
        feed, _, theirs = stored.owner.partition("@")
        return stored.owner in former or (feed in former and theirs in ("", self.mark.partition("@")[2]))

    def conflict_reason(self, stored: ParsedObject | None) -> str:
        """Why an object with a wanted UID is left alone, and what would take it over."""
        if stored is None:
            return "the object that has this UID cannot be read now"
        if not stored.uid:
            return "an object that holds other events too has this UID"
        if not stored.owner:
            return "another program has written this UID here; `adopt: true` takes it over"
        feed, _, theirs = stored.owner.partition("@")
        if theirs in ("", self.mark.partition("@")[2]):
            former = f"if this feed had that name before, `adopt: [{feed}]` takes it over"
            return f"the feed {feed!r} has written this UID here; {former}"
        former = f"if that is gone, or this one had another `secret`, `adopt: [{stored.owner}]` takes it over"
        return f"the feed {feed!r} of another installation has written this UID here; {former}"


def feed_in_mark(mark: str) -> str:
    """The name of the feed in a mark: feeds have no @ in their names."""
    return mark.partition("@")[0]


def owner_mark(feed: str, config: Config) -> str:
    """What a feed of this installation marks its objects with; equal on replicas and after restarts."""
    if config.secret is not None:
        return f"{feed}@{installation(config.secret.reveal())}"
    # Only public feeds may do without a secret. Those of one Plane have the same UIDs anyway.
    name = workspace_of(config, config.feeds[feed])
    own = config.workspaces[name]
    return f"{feed}@{installation(f'{own.url}/{own.slug or name}')}"
