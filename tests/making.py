"""Small builders for the tests of the core: one issue, one snapshot, one component, one feed's bytes."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from icalendar import Calendar as Parsed
from msgspec.structs import replace

from icsfeed.config.schema import Config, Feed, Secret, WorkspaceConfig
from icsfeed.feeds.calendar import Calendar, Day, FeedInput, calendar_of, style_of
from icsfeed.feeds.mapping import Style, issue_components
from icsfeed.feeds.query import Query, narrowed
from icsfeed.feeds.rendered import parts, render
from icsfeed.ics.component import Component
from icsfeed.ics.write import CLOSING, EMPTY, Header, opening, write
from icsfeed.model import Issue, Label, Period, Person, Project, Snapshot, State, StateGroup, View
from icsfeed.text import deflate

CREATED = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
UPDATED = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
TODAY = date(2026, 11, 21)
DUE = date(2026, 12, 1)
BERLIN = ZoneInfo("Europe/Berlin")
WEB = "https://plane.example.com/acme"

PROP = Project(id="prop", key="PROP", name="Property")
OPS = Project(id="ops", key="OPS", name="Operations")
STATE_NAMES: Mapping[StateGroup, str] = {
    "backlog": "Backlog",
    "unstarted": "Todo",
    "started": "In Review",
    "completed": "Done",
    "cancelled": "Cancelled",
}
STATES = tuple(State(id=group, name=name, group=group) for group, name in STATE_NAMES.items())
LABELS = (Label(id="l-bug", name="Bug"), Label(id="l-docs", name="docs"), Label(id="l-law", name="Law, tax"))
ANNA = Person(id="u-anna", name="anna", email="anna@example.com", full_name="Anna Agar")
BOB = Person(id="u-bob", name="bob", email="bob@example.com", full_name="Bob Birch")
PEOPLE = (ANNA, BOB)


def by_id(items: Iterable[Any]) -> dict[str, Any]:
    return {item.id: item for item in items}


def issue(number: int = 1, **changes: Any) -> Issue:
    """An open issue of PROP, due on 1 December 2026. `text` as a person reads it."""
    if "text" in changes:
        changes["text"] = deflate(changes["text"])
    plain = Issue(
        id=f"i{number}",
        project=PROP.id,
        sequence_id=number,
        name=f"Issue {number}",
        created=CREATED,
        updated=UPDATED,
        state="unstarted",
        due=DUE,
    )
    return replace(plain, **changes)


def period(name: str = "Sprint 7", **changes: Any) -> Period:
    """A cycle of PROP, from 23 November to 4 December 2026."""
    plain = Period(
        id="c7",
        kind="cycle",
        project=PROP.id,
        name=name,
        created=CREATED,
        updated=UPDATED,
        start=date(2026, 11, 23),
        end=date(2026, 12, 4),
    )
    return replace(plain, **changes)


def snapshot(*issues: Issue, periods: Iterable[Period] = (), **changes: Any) -> Snapshot:
    """PROP with these issues and periods."""
    plain = Snapshot(
        project=PROP,
        issues=by_id(issues),
        states=by_id(STATES),
        labels=by_id(LABELS),
        people=by_id(PEOPLE),
        periods=by_id(periods),
    )
    return replace(plain, **changes)


def material(*snapshots: Snapshot, people: Iterable[Person] = PEOPLE) -> View:
    """What is known of these snapshots' projects."""
    projects = tuple(snap.project for snap in snapshots)
    return View(projects, by_id(people), snapshots, snapshots, (), NOW)


def components(item: Issue, snap: Snapshot | None = None, **style: Any) -> tuple[Component, ...]:
    """The components of an issue in a feed of this style."""
    return issue_components(item, snap or snapshot(item), Style(web=WEB, **style))


def component(item: Issue, snap: Snapshot | None = None, **style: Any) -> Component:
    """The one component of an issue."""
    (made,) = components(item, snap, **style)
    return made


def unfolded(octets: bytes) -> list[str]:
    """The content lines, as RFC 5545 wants them unfolded."""
    return octets.decode().replace("\r\n ", "").split("\r\n")[:-1]


def lines(made: Component) -> dict[str, str]:
    """A component's content lines: by all before the colon, what is after it. BEGIN, END and alarms go."""
    pairs = (line.split(":", 1) for line in unfolded(write(made).split(b"BEGIN:VALARM")[0]))
    return {name: value for name, value in pairs if name not in ("BEGIN", "END")}


def config(**changes: Any) -> Config:
    """One workspace, `acme`."""
    acme = WorkspaceConfig(url="https://plane.example.com", api_key=Secret("k"))
    return replace(Config(workspaces={"acme": acme}, secret=Secret("s" * 32)), **changes)


def calendar(
    feed: Feed,
    view: View,
    query: Query | None = None,
    *,
    name: str = "property",
    stale_since: datetime | None = None,
    settings: Config | None = None,
) -> Calendar:
    """A feed as it is on 21 November 2026 in Berlin."""
    query, settings = query or Query(), settings or config()
    shown = narrowed(feed, query)
    style = style_of(settings, settings.workspaces["acme"], "acme", name, shown)
    source = FeedInput(name, query, shown, view, Day(TODAY, BERLIN, stale_since))
    return calendar_of(source, style, "Property team")


def body(made: Calendar) -> bytes:
    """A calendar's bytes, rendered for the first time."""
    return render(made.header, parts(made.components), None, "style", NOW)[0].body


def whole(header: Header, components: Iterable[bytes]) -> bytes:
    """A feed of these components, as `write` gave them and in their order."""
    return b"".join((opening(header), b"".join(components) or EMPTY, CLOSING))


def parsed(octets: bytes) -> Parsed:
    """A calendar as icalendar reads it, with no complaint about any part of it."""
    found = Parsed.from_ical(octets)
    assert isinstance(found, Parsed)
    assert not [error for part in found.walk() for error in part.errors]
    return found
