"""Single objects of a CalDAV collection: write them with our marks, parse them, and decide whose they are.

An object is one component in a VCALENDAR. METHOD is left out, which sabre/dav answers with 415 and Cyrus
with 403 (RFC 4791, 4.1 forbids it), and so is everything that belongs to a whole feed. Two X- properties
mark it: the owner, and the hash of its component. Our alarms have the owner mark, too, which distinguishes
them from those that people add.
"""

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Literal, TypeAlias
from urllib.parse import unquote

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.config.addresses import plane_address, slug_of
from icsfeed.config.schema import Config
from icsfeed.feeds.links import installation
from icsfeed.feeds.mapping import is_our_uid
from icsfeed.ics.component import Component
from icsfeed.ics.read import ParsedComponent, read, split_texts, unescape
from icsfeed.ics.write import CLOSING, OBJECT_OPENING, fold, write
from icsfeed.text import one_line

OWNER, HASH = "X-ICSFEED-OWNER", "X-ICSFEED-HASH"
OUR_X_PROPERTIES = frozenset({OWNER, HASH, "X-MICROSOFT-CDO-BUSYSTATUS"})
"""The X- properties that we write; any others in an object are kept when it is updated."""

_TEXTS = ("SUMMARY", "DESCRIPTION", "LOCATION", "URL")
_WORDS = ("STATUS", "TRANSP", "COLOR")
_VALUES = ("DTSTART", "DTEND", "DUE", "DURATION", "RRULE", "COMPLETED")
_NUMBERS = ("PRIORITY", "PERCENT-COMPLETE")
_REVISION = ("DTSTAMP", "LAST-MODIFIED", "SEQUENCE")
_BACKSLASHED = re.compile(r"\\+[nN]")
_PROJECT = re.compile(r"/projects/([^/]+)/")
_ALARM, _ALARM_END = b"\r\nBEGIN:VALARM\r\n", b"\r\nEND:VALARM\r\n"

Adopt: TypeAlias = tuple[str, ...] | Literal[False, True]
"""The setting `adopt`: nothing, objects without a mark, or those of these former feeds."""


class ParsedObject(Struct, frozen=True):
    """The content of an object; only `uids` if the UID is not one of icsfeed's, or there are several.

    `owner`, `hash`: our marks; empty if missing. `facts`: a digest of what people see in a calendar app, the
    same however a server writes it. `revision`: DTSTAMP, LAST-MODIFIED and SEQUENCE. `extras`: content lines
    of X- properties that others have added; `alarms`: the lines of each alarm that others have added.
    `blank`: there is no calendar in it (SOGo 5.8 destroys objects so). `project`: the id of the project in
    the object's URL; empty if there is none. Stored in TargetRecord: fields must keep their names.
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
        """The UID if it is one of icsfeed's, else empty."""
        return self.uids[0] if self.facts else ""

    @property
    def sequence(self) -> int:
        """The value of SEQUENCE; 0 if it is missing or invalid."""
        number = self.revision.rpartition(" ")[2]
        return int(number) if number.isascii() and number.isdigit() else 0


def hash_of(component: Component) -> str:
    """Return the SHA-256 of a component without its times of revision, in hexadecimal.

    A comment in Plane changes those times only and must not cause a write; and replicas that saw a change at
    different times must agree.
    """
    return sha256(write(replace(component, revised=component.created, least_sequence=0))).hexdigest()


def write_object(component: Component, owner: str, old: ParsedObject | None = None) -> bytes:
    """Return the bytes of an object. Alarms and X- properties that others added to the `old` one are kept.

    `old`: the object that it replaces.
    """
    # SOGo 5.8 raises SEQUENCE when a person invites somebody, and answers an update with a lower one with
    # 409. RFC 5546, 2.1.4 does not allow a lower one either.
    if old is not None and old.uid:
        component = replace(component, least_sequence=old.sequence + 1)
    end = f"END:{component.kind}\r\n".encode()
    lines, mark, alarms = write(component).removesuffix(end).partition(_ALARM)
    marked = (mark + alarms).replace(_ALARM_END, f"\r\n{OWNER}:{owner}{_ALARM_END.decode()}".encode())
    marks = _folded([f"{OWNER}:{owner}", f"{HASH}:{hash_of(component)}"])
    extras, carried = old.extras if old is not None else (), list[str]()
    # An alarm of others that goes off at the same time as one of ours would ring twice.
    triggers = {line for line in alarms.decode().split("\r\n") if line.startswith("TRIGGER")}
    for alarm in old.alarms if old is not None else ():
        carried += alarm if triggers.isdisjoint(alarm) else ()
    if marked:
        lines, marked = lines + b"\r\n", marked.removeprefix(b"\r\n")
    return b"".join((OBJECT_OPENING, lines, marks, _folded(extras), marked, _folded(carried), end, CLOSING))


def _folded(lines: Iterable[str]) -> bytes:
    return "".join(f"{fold(one_line(line))}\r\n" for line in lines).encode()


def read_object(data: bytes) -> ParsedObject:
    """Parse an object, as far as possible: one that cannot be parsed has no UIDs."""
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


def _digest(parts: Sequence[ParsedComponent]) -> str:
    """Return a digest of what people see, independent of escaping, order and defaults."""
    visible = []
    for part in parts:
        lists = (split_texts(line.value) for line in part.lines if line.name == "CATEGORIES")
        # xandikos 0.2 and Cyrus 3.6 split categories at escaped commas: compare what is between commas.
        words = {word for names in lists for name in names for word in name.split(",") if word.strip()}
        visible.append(
            [
                part.name,
                *(_normalised(unescape(part.value(name))) for name in _TEXTS),
                *(part.value(name).strip().upper() for name in (*_WORDS, *_VALUES)),
                *(part.value(name).strip().lstrip("0") for name in _NUMBERS),
                *sorted({_normalised(word) for word in words}),
            ]
        )
    return sha256(repr(visible).encode("utf-8", "replace")).hexdigest()


def _normalised(text: str) -> str:
    """Return a text without backslashes: some servers turn an escaped one before an N into a newline."""
    return _BACKSLASHED.sub("\n", text).replace("\\", "").strip()


class Claim(Struct, frozen=True):
    """Which objects belong to one target's feed, and which it may adopt.

    `mark`: the owner mark, `feed@installation`: two installations may push feeds of the same name to one
    calendar, and must not delete each other's objects. `adopt`: True adopts objects without a mark
    (CalPlaneBot's, for example); a tuple names former feeds whose objects are adopted, as `feed` (of this
    installation, or marked before marks named installations) or as a whole mark.
    """

    mark: str
    adopt: Adopt = False

    @property
    def feed(self) -> str:
        """The name of the feed."""
        return feed_in_mark(self.mark)

    def owns(self, stored: ParsedObject | None) -> bool:
        """Return whether an object is ours, so that it may be replaced and deleted."""
        return stored is not None and bool(stored.uid) and stored.owner == self.mark

    def has_former_mark(self, stored: ParsedObject) -> bool:
        """Return whether an object has this feed's mark of versions that did not mark the installation."""
        return stored.owner == self.feed

    def may_adopt(self, stored: ParsedObject | None) -> bool:
        """Return whether an object that is not ours may be adopted, if the feed holds its UID."""
        if stored is None or not stored.uid or self.owns(stored):
            return False
        if not stored.owner:
            return self.adopt is True
        if self.has_former_mark(stored):
            return True
        former = self.adopt if isinstance(self.adopt, tuple) else ()
        feed, _, other_installation = stored.owner.partition("@")
        is_local = other_installation == self.mark.partition("@")[2]
        return stored.owner in former or (feed in former and is_local)

    def conflict_reason(self, stored: ParsedObject | None) -> str:
        """Return why an object with a UID of the feed is left alone, and which setting would adopt it."""
        if stored is None:
            return "the object with this UID cannot be read now"
        if not stored.uid:
            return "an object that holds other events too has this UID"
        if not stored.owner:
            return "another program has written this UID here; `adopt: true` takes it over"
        feed, _, other_installation = stored.owner.partition("@")
        if other_installation in ("", self.mark.partition("@")[2]):
            advice = f"if this feed had that name before, `adopt: [{feed}]` takes it over"
            return f"the feed {feed!r} has written this UID here; {advice}"
        advice = f"if that no longer exists, or `secret` has changed, `adopt: [{stored.owner}]` takes it over"
        return f"the feed {feed!r} of another installation has written this UID here; {advice}"


def feed_in_mark(mark: str) -> str:
    """Return the name of the feed in a mark; names of feeds contain no @."""
    return mark.partition("@")[0]


def owner_mark(feed: str, config: Config) -> str:
    """Return the owner mark of a feed of this installation; equal on replicas and after restarts."""
    if config.secret is not None:
        return f"{feed}@{installation(config.secret.reveal())}"
    # Without a secret, which only public feeds can do: two installations on one Plane workspace then share
    # their marks. They push the same UIDs anyway.
    name = config.workspace_of(config.feeds[feed])
    workspace = config.workspaces[name]
    return f"{feed}@{installation(f'{plane_address(workspace.url).api}/{slug_of(name, workspace)}')}"
