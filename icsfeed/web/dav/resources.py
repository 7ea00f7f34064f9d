"""What a CalDAV account holds: calendars made of rendered feeds, and the address of each thing in it."""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Literal, TypeAlias
from urllib.parse import quote, unquote, urljoin, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.dav.names import SAFE_IN_PATHS, object_name
from icsfeed.feeds.query import Query, both
from icsfeed.feeds.rendered import Rendered, RenderedComponent
from icsfeed.ics.read import read, unescape
from icsfeed.ics.write import CLOSING, OBJECT_OPENING

Kind: TypeAlias = Literal["VEVENT", "VTODO"]

ROOT = "/dav/"
TASKS = "+tasks"
"""What a login name and the name of a task list end in: names of feeds hold no `+`."""
OWN = "link+"
"""What the name of a calendar begins with that a person has narrowed; then comes the id of the link."""

_SAFE_IN_SEGMENTS = SAFE_IN_PATHS.replace("/", "")
_FRAME = OBJECT_OPENING + CLOSING


class CalendarObject(Struct, frozen=True, gc=False):
    """One component of a feed as an object of its own. `etag` includes its quotes."""

    name: str
    etag: str
    part: RenderedComponent

    @property
    def data(self) -> bytes:
        """The object's bytes."""
        return b"".join((OBJECT_OPENING, self.part.octets, CLOSING))


class DavCalendar(Struct, frozen=True):
    """A calendar collection. `token`: a digest of its objects' names and ETags; empty: not read yet."""

    name: str
    kind: Kind
    title: str
    description: str = ""
    color: str = ""
    objects: Mapping[str, CalendarObject] = {}
    token: str = ""
    changed: datetime | None = None

    @property
    def state(self) -> tuple[str, ...]:
        """What differs whenever anything that it shows does."""
        return self.name, self.kind, self.title, self.description, self.color, self.token


class Source(Struct, frozen=True):
    """What a calendar shows: a feed, and how `query` narrows it. `subscriber`: by whose link it is read.

    `query` is None where the filter that a person has made cannot be used (any more).
    """

    feed: str
    subscriber: str = ""
    query: Query | None = Query()

    @property
    def as_tasks(self) -> "Source":
        """The same as tasks. A filter by days stays one of events, as it does for links."""
        return self if self.query is None else replace(self, query=both(self.query, Query(component="vtodo")))


class Place(Struct, frozen=True):
    """A place in an account: the root, the account itself, a calendar, or an object in one."""

    calendar: str = ""
    item: str = ""
    is_root: bool = False


class Account(Struct, frozen=True):
    """Somebody who has logged in. `user`: as typed. `sources`: what its calendars show, by their names.

    `prefix`: the path of `public_url`. `tasks`: whether each calendar of events has a task list, too.
    `link`: the id of the link that a person has made, by which they have logged in.
    """

    user: str
    sources: Mapping[str, Source]
    prefix: str = ""
    tasks: bool = False
    link: str = ""

    @property
    def root(self) -> str:
        """The path above all accounts, quoted."""
        return self.prefix + ROOT

    @property
    def home(self) -> str:
        """The path of the account, quoted: its principal and the home of its calendars."""
        return f"{self.root}{quote(self.user, safe=_SAFE_IN_SEGMENTS)}/"

    def source(self, calendar: str) -> Source:
        """Return what a calendar of the account shows, or its task list."""
        source = self.sources[calendar.removesuffix(TASKS)]
        return source.as_tasks if calendar.endswith(TASKS) else source

    def path(self, calendar: str, item: str = "") -> str:
        """Return the path of a calendar, or of an object in it, quoted."""
        return f"{self.home}{calendar}/{item}"

    def place(self, path: str) -> Place | None:
        """Return what is at an unquoted path without the prefix; None: nothing of this account."""
        if f"{path.rstrip('/')}/" == ROOT:
            return Place(is_root=True)
        own = f"{ROOT}{self.user}/"
        if not f"{path}/".startswith(own):
            return None
        calendar, slash, item = path[len(own) :].partition("/")
        return None if "/" in item or (slash and not calendar) else Place(calendar, item)

    def item(self, calendar: str, href: str) -> str:
        """Return the name of the object of a calendar at a href; empty: it is elsewhere."""
        base = self.path(calendar)
        try:
            path = unquote(urlsplit(urljoin(base, href.strip())).path)
        except ValueError:
            return ""
        folder, _, name = path.rpartition("/")
        return name if f"{folder}/" == unquote(base) else ""


def calendar_of(name: str, kind: Kind, rendered: Rendered) -> DavCalendar:
    """Return a feed as a calendar of objects: names, ETags and the token follow from their bytes."""
    objects = {}
    for part in rendered.components:
        uid = part.place.partition(" ")[2]
        if uid:  # the content of an empty feed has none
            etag = sha256(_FRAME + part.digest).hexdigest()[:32]
            item = object_name(uid)
            objects[item] = CalendarObject(item, f'"{etag}"', part)
    state = "".join(f"{one.name}{one.etag}" for one in objects.values())
    header = read((rendered.opening + CLOSING).decode()).components[0]
    return DavCalendar(
        name,
        kind,
        unescape(header.value("NAME")),
        unescape(header.value("DESCRIPTION")),
        header.value("X-APPLE-CALENDAR-COLOR"),
        objects,
        sha256(state.encode()).hexdigest()[:32],
        rendered.last_modified,
    )
