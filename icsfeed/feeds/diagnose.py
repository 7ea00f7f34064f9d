"""Explain why a feed is empty and which names in it are unknown, for `icsfeed check`."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from msgspec.structs import replace

from icsfeed.config.schema import Feed, Filter
from icsfeed.errors import did_you_mean
from icsfeed.feeds.filters import EPIC, NONE, Hierarchy
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import Selection, person_of, select
from icsfeed.model import Snapshot, View, issue_key


def why_empty(name: str, feed: Feed, view: View, today: date) -> str:
    """Return in one sentence why a feed has no issues. Raises as `select`."""

    def selected(relaxed: Feed) -> Selection:
        return select(name, relaxed, Query(), view.linked, view.people, today, found=view.found)

    if not any(snapshot.issues for snapshot in view.snapshots):
        return "its projects have no issues"
    if feed.pql and not view.found:
        return "Plane finds no issue with its pql"
    everything = selected(replace(feed, where=Filter(), done="keep", window="all"))
    in_scope = everything.issues or everything.undated or everything.start_only or everything.beyond
    if feed.assignee and not in_scope:
        return f"no issue is assigned to {person_of(name, feed.assignee, view.people.values()).name}"
    for changes, reason in (
        ({"window": "all"}, "all matching issues lie outside its window"),
        ({"done": "keep"}, "all matching issues are done, and done issues are dropped"),
        ({"where": Filter()}, "no issue with a due date passes its where filter"),
        ({"pql": None}, "no issue with a due date in its projects is found by its pql"),
        (
            {"where": Filter(), "window": "all", "done": "keep"},
            "where, window and done together leave nothing",
        ),
    ):
        if selected(replace(feed, **changes)).issues:
            return reason
    dates = f"{everything.start_only} have only a start date, {everything.undated} none"
    return f"no issue has a due date ({dates})"


def unknown_names(feed: Feed, view: View) -> Sequence[str]:
    """Return the names in a feed's filters that nothing has, such as `label 'bgu'; did you mean bug?`."""
    snapshots, people = view.snapshots, view.people.values()
    persons = [s for person in people for s in (person.name, person.full_name, person.email, person.id)]
    keys = (issue_key(issue, snapshot) for snapshot in snapshots for issue in snapshot.issues.values())
    known = {
        "project": [s for snap in snapshots for s in (snap.project.key, snap.project.name, snap.project.id)],
        "state": [s for snap in snapshots for x in snap.states.values() for s in (x.name, x.group)],
        "label": [s for snap in snapshots for x in snap.labels.values() for s in (x.name, x.id)],
        "cycle": [*_periods(snapshots, "cycle")],
        "module": [*_periods(snapshots, "module")],
        "assignee": persons,
        "created_by": persons,
        "type": [EPIC, *(s for snap in snapshots for x in snap.types.values() for s in (x.name, x.id))],
        "parent": [*keys, *Hierarchy(snapshots).children],
    }
    return [
        f"{field} {value!r}{did_you_mean(value, filter(None, names))}"
        for match in (feed.where, feed.where.exclude)
        for field, names in known.items()
        for value in getattr(match, field)
        if value.strip().casefold() not in (NONE, *(name.strip().casefold() for name in names))
    ]


def _periods(snapshots: Iterable[Snapshot], kind: str) -> Iterator[str]:
    for snapshot in snapshots:
        for period in snapshot.periods.values():
            if period.kind == kind:
                yield from (period.name, period.id)
