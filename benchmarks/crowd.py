"""500 feeds over 10,000 issues: their memory and CPU should grow with the issues only, not with the feeds."""

from collections.abc import Iterable, Mapping
from time import process_time
from typing import NamedTuple

import corpus
from measure import Row
from msgspec.structs import replace

from icsfeed.config.schema import Feed
from icsfeed.feeds.calendar import Day, FeedInput, calendar_of
from icsfeed.feeds.query import Query
from icsfeed.feeds.rendered import Rendered, RenderedIssues, digest, render
from icsfeed.model import Person, Snapshot, View

PROJECTS, PEOPLE, WHOLE = 50, 200, 250
"""Feeds of each kind: of a project, of a person, of everything."""


class Cost(NamedTuple):
    """MB of components and feeds, what is shared counted once; seconds of CPU."""

    held: float
    seconds: float


def measure(issues: int) -> list[Row]:
    """Return the cost of the automatic feeds, and of 500 feeds, relative to one feed of everything."""
    snapshots = spread(issues)
    whole = {"all": Feed(everything=True)}
    automatic = {f"project-{n}": Feed(project=f"p{n}") for n in range(PROJECTS)}
    automatic |= {f"assignee-{n}": Feed(assignee=f"u{n}") for n in range(PEOPLE)}
    crowd = automatic | {f"all-{n}": Feed(everything=True) for n in range(WHOLE)}
    one, some, many = (cost_of(snapshots, feeds) for feeds in (whole, automatic, crowd))
    auto, all_ = f"{PROJECTS + PEOPLE} automatic feeds", f"{len(crowd)} feeds, half of them of everything"
    return [
        _row(f"{auto} over {issues:,} issues: memory", some.held, one.held, "MB", 3),
        _row(f"{auto}: cold render", some.seconds, one.seconds, "s", 3),
        _row(f"{all_}: memory", many.held, one.held, "MB", 4),
    ]


def spread(issues: int) -> list[Snapshot]:
    """Return the issues of the corpus, spread over 50 projects and assigned to one or two of 200 people."""
    whole = corpus.snapshot(issues)
    people = {f"u{n}": Person(f"u{n}", f"Person {n}") for n in range(PEOPLE)}
    return [_project(whole, n, people) for n in range(PROJECTS)]


def _project(whole: Snapshot, number: int, people: Mapping[str, Person]) -> Snapshot:
    project = replace(whole.project, id=f"p{number}", key=f"P{number}")
    own = list(whole.issues.values())[number::PROJECTS]
    issues = [
        replace(issue, project=project.id, assignees=tuple({f"u{at % PEOPLE}", f"u{at * 7 % PEOPLE}"}))
        for at, issue in enumerate(own, number * 31)
    ]
    return replace(
        whole, project=project, issues={issue.id: issue for issue in issues}, people=people, periods={}
    )


def cost_of(snapshots: list[Snapshot], feeds: Mapping[str, Feed]) -> Cost:
    """Render all of these feeds once and return what they cost."""
    began = process_time()
    parts = {snapshot.project.id: RenderedIssues(snapshot, corpus.style()) for snapshot in snapshots}
    made = [_rendered(name, feed, snapshots, parts) for name, feed in feeds.items()]
    return Cost(_held(made) / 1e6, process_time() - began)


def _rendered(
    name: str, feed: Feed, snapshots: list[Snapshot], parts: Mapping[str, RenderedIssues]
) -> Rendered:
    own = tuple(snapshot for snapshot in snapshots if feed.project in (None, snapshot.project.id))
    projects = tuple(snapshot.project for snapshot in snapshots)
    view = View(projects, snapshots[0].people, own, own, (), corpus.NOW)
    source = FeedInput(name, Query(), feed, view, Day(corpus.TODAY, corpus.ZONE))
    calendar = calendar_of(source, corpus.style(), "Acme")
    return render(calendar.header, calendar.parts(parts), None, digest(name), corpus.NOW)[0]


def _held(made: Iterable[Rendered]) -> int:
    """Return the bytes that these feeds hold, what several share counted once."""
    held: dict[int, int] = {}
    for rendered in made:
        held[id(rendered)] = len(rendered.opening) + 8 * len(rendered.components)
        held |= {id(part): len(part.octets) for part in rendered.components}
    return sum(held.values())


def _row(what: str, ours: float, theirs: float, unit: str, wanted: float) -> Row:
    value, baseline = round(ours / theirs, 2), "one feed of everything"
    return Row(what, baseline, f"{ours:.3g} {unit}", f"{theirs:.3g} {unit}", value, "x", "max", wanted)
