"""The fixed workspace of the golden files, and the feed behind each of them.

`.venv/bin/python tests/feeds/regolden.py` writes the files again. Check each change against docs/mapping.md.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime

from making import (
    BERLIN,
    CREATED,
    OPS,
    PROP,
    STATES,
    TODAY,
    UPDATED,
    body,
    by_id,
    calendar,
    config,
    material,
)
from msgspec.structs import replace

from icsfeed.config.schema import Alarm, Feed, Filter, Window
from icsfeed.feeds.calendar import Day, style_of, tombstone
from icsfeed.feeds.query import parse_query
from icsfeed.html_text import html_to_text
from icsfeed.model import Issue, Label, Period, Person, Snapshot
from icsfeed.text import MENTION, deflate


def _id(kind: str, number: int) -> str:
    return f"{kind * 8}-0000-4000-8000-{number:012}"


HOUSE = replace(PROP, id=_id("f", 1))
ANNA = Person(id=_id("a", 1), name="Anna", email="anna@example.com", full_name="Anna Ågård")
BOB = Person(id=_id("a", 2), name="Bob", email="bob@example.com")
LABELS = (Label(id=_id("b", 1), name="Law; tax, fees"), Label(id=_id("b", 2), name="Bücher 📚"))
HTML = (
    "<h2>Before we sign</h2><p>Read <a href='https://example.com/lease?a=1&amp;b=2'>the lease</a>; "
    "it is in C:\\New, on the shared drive.</p><ul><li><p>rent</p></li><li><p>deposit</p></li></ul>"
    f"<p>Ask <mention-component entity_identifier='{BOB.id}'></mention-component>.</p>"
    "<script>alert('x')</script>"
)


def _issue(
    number: int, name: str, due: date | None, state: str | None = "unstarted", **changes: object
) -> Issue:
    plain_issue = Issue(
        id=_id("c", number),
        project=HOUSE.id,
        sequence_id=number,
        name=name,
        created=CREATED,
        updated=UPDATED,
        state=state,
        due=due,
    )
    return replace(plain_issue, **changes)


ISSUES = (
    _issue(
        1,
        "Sign the lease",
        date(2026, 12, 1),
        start=date(2026, 11, 24),
        priority="urgent",
        labels=(LABELS[0].id, LABELS[1].id),
        assignees=(BOB.id, ANNA.id),
        text=deflate(html_to_text(HTML)),
    ),
    _issue(
        2,
        "Übergabe der Wohnung im zweiten Obergeschoss mit Protokoll, Zählerständen und Schlüsseln 🔑🔑",
        date(2026, 12, 1),
        "started",
        start=date(2026, 12, 1),
        parent=_id("c", 1),
        priority="medium",
    ),
    _issue(3, "Pay\r\nthe deposit", date(2026, 11, 10), priority="high", assignees=(ANNA.id,)),
    _issue(
        4, "Get the keys", date(2026, 11, 15), "completed", completed=datetime(2026, 11, 14, 9, tzinfo=UTC)
    ),
    _issue(5, "Paint the hall", date(2027, 2, 1), "cancelled", priority="low", parent=_id("c", 1)),
    _issue(6, "Find a name for the house", None, "backlog"),
    _issue(7, "\x07", date(2026, 11, 20), None, text=deflate(f"{MENTION}gone{MENTION}, please")),
)
PERIODS = (
    Period(
        id=_id("d", 1),
        kind="cycle",
        project=HOUSE.id,
        name="Week 48",
        created=CREATED,
        updated=UPDATED,
        start=date(2026, 11, 23),
        end=date(2026, 11, 29),
        issues=frozenset({_id("c", 1), _id("c", 4)}),
    ),
    Period(
        id=_id("e", 1),
        kind="module",
        project=HOUSE.id,
        name="Moving in",
        created=CREATED,
        updated=UPDATED,
        start=date(2026, 11, 1),
        end=date(2026, 12, 31),
        issues=frozenset({_id("c", 1)}),
    ),
)
SNAPSHOT = Snapshot(
    project=HOUSE,
    issues=by_id(ISSUES),
    states=by_id(STATES),
    labels=by_id(LABELS),
    people=by_id((ANNA, BOB)),
    periods=by_id(PERIODS),
    touched={_id("c", 5): datetime(2026, 11, 21, 8, tzinfo=UTC)},
)
PLANS = (
    Period(
        id=_id("f", 1),
        kind="milestone",
        project=HOUSE.id,
        name="Roof is on",
        created=CREATED,
        updated=UPDATED,
        start=date(2026, 12, 4),
        end=date(2026, 12, 4),
        issues=frozenset({_id("c", 1), _id("c", 4)}),
    ),
    Period(
        id=_id("f", 2),
        kind="release",
        project="",
        name="Winter; warm",
        created=CREATED,
        updated=UPDATED,
        start=date(2026, 11, 30),
        end=date(2026, 11, 30),
        status="unreleased",
        tag="v2.0",
    ),
    Period(
        id=_id("f", 3),
        kind="release",
        project="",
        name="v1.9",
        created=CREATED,
        updated=UPDATED,
        start=date(2026, 11, 2),
        end=date(2026, 11, 2),
        status="cancelled",
        tag="v1.9",
    ),
    Period(
        id=_id("f", 4),
        kind="initiative",
        project="",
        name="Übergabe",
        created=CREATED,
        updated=UPDATED,
        start=date(2026, 10, 1),
        end=date(2027, 3, 31),
    ),
)
MATERIAL = replace(material(SNAPSHOT), projects=(SNAPSHOT.project, OPS), people=SNAPSHOT.people)
MORNING, DAY_BEFORE = Alarm(9 * 3600), Alarm(-15 * 3600)


def _feed(query: str = "", stale_since: datetime | None = None, **settings: object) -> Callable[[], bytes]:
    """The bytes of a feed of project PROP with these settings."""
    pairs = [(name, value) for name, _, value in (part.partition("=") for part in query.split("&"))]
    feed = replace(Feed(project="PROP"), **settings)
    return lambda: body(calendar(feed, MATERIAL, parse_query(pairs), stale_since=stale_since))


def _plans() -> bytes:
    """A feed with one milestone, and releases and initiatives of the workspace."""
    feed = Feed(everything=True, include=("milestones", "releases", "initiatives"))
    snap = replace(SNAPSHOT, periods=by_id((*PERIODS, PLANS[0])))
    return body(calendar(feed, replace(material(snap), people=SNAPSHOT.people, periods=PLANS[1:])))


def _revoked() -> bytes:
    feed, settings = Feed(project="PROP"), config()
    style = style_of(settings, settings.workspaces["acme"], "acme", "f", feed)
    return body(tombstone("property", feed, style, Day(TODAY, BERLIN)))


GOLDEN: Mapping[str, Callable[[], bytes]] = {
    "project": _feed(),
    "span": _feed(
        dates="span",
        include=("issues", "cycles", "modules"),
        alarm=(DAY_BEFORE, MORNING),
        color="tomato",
        title="Property, with spans",
        description="Everything\nabout the house",
    ),
    "start-and-due": _feed(dates="start-and-due", done="check", alarm=(DAY_BEFORE,), colors={"urgent": None}),
    "tasks": _feed(component="vtodo", undated=True, alarm=(DAY_BEFORE,)),
    "busy": _feed(
        details="busy",
        dates="start-and-due",
        include=("issues", "cycles"),
        alarm=(DAY_BEFORE,),
        overdue_digest=True,
    ),
    "title": _feed(details="title", summary="{key} {name} · {state}"),
    "brief": _feed(details="brief", done="drop", include=("issues", "modules")),
    "german": _feed(
        language="de",
        alarm=(MORNING,),
        categories=("project", "state", "priority", "labels"),
        dates="start-and-due",
        include=("issues", "cycles"),
        overdue_digest=True,
    ),
    "empty": _feed(where=Filter(label=("nothing has this",))),
    "stale": _feed(
        stale_since=datetime(2026, 11, 19, 23, 30, tzinfo=UTC),
        overdue_digest=True,
        window=Window(ahead=None, past=None),
        where=Filter(priority=("high", "urgent")),
    ),
    "revoked": _revoked,
    "plans": _plans,
    "narrowed": _feed("priority=high,medium&from=2026-11-01&to=2026-12-01&alarm=-P1D&done=keep&utm=1"),
}
