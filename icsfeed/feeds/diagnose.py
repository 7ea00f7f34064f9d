"""Why a feed shows what it shows: for `icsfeed check`."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import NamedTuple

from msgspec.structs import replace

from icsfeed.config.schema import Feed, Filter, Match
from icsfeed.errors import did_you_mean
from icsfeed.feeds.query import Query
from icsfeed.feeds.select import NONE, Selection, person_of, select
from icsfeed.model import Snapshot, View


class Relaxed(NamedTuple):
    """A feed with one of its conditions taken away, and what to say when that finds something."""

    feed: Feed
    reason: str


def why_empty(name: str, feed: Feed, view: View, today: date) -> str:
    """One sentence on why no issue of a feed is in it. Raises as `select`."""

    def found(relaxed: Feed) -> Selection:
        return select(name, relaxed, Query(), view.linked, view.people, today)

    if not any(snapshot.issues for snapshot in view.snapshots):
        return "its projects have no issues"
    if feed.assignee and not _any(found(replace(feed, where=Filter(), done="keep", window="all"))):
        return f"no issue is assigned to {person_of(name, feed.assignee, view.people.values()).name}"
    for relaxed, reason in _relaxations(feed):
        if found(relaxed).issues:
            return reason
    undated = found(replace(feed, where=Filter(), done="keep", window="all"))
    return f"no issue has a due date ({undated.start_only} have only a start date, {undated.undated} none)"


def _any(selection: Selection) -> bool:
    return bool(selection.issues or selection.undated or selection.start_only or selection.beyond)


def _relaxations(feed: Feed) -> Iterator[Relaxed]:
    if feed.window != "all":
        yield Relaxed(replace(feed, window="all"), "all that fits lies outside its window")
    if feed.done == "drop":
        yield Relaxed(replace(feed, done="keep"), "all that fits is done, and done issues are dropped")
    if feed.where != Filter():
        yield Relaxed(replace(feed, where=Filter()), "no issue with a due date passes its where filter")
        yield Relaxed(
            replace(feed, where=Filter(), window="all", done="keep"),
            "where, window and done together leave nothing",
        )


def unknown_names(feed: Feed, view: View) -> Sequence[str]:
    """The names in a feed's filters that nothing has: `label 'bgu'; did you mean bug?`."""
    snapshots, people = view.snapshots, view.people.values()
    known = {
        "state": [s for snap in snapshots for x in snap.states.values() for s in (x.name, x.group)],
        "label": [s for snap in snapshots for x in snap.labels.values() for s in (x.name, x.id)],
        "cycle": [*_periods(snapshots, "cycle")],
        "module": [*_periods(snapshots, "module")],
        "assignee": [s for one in people for s in (one.name, one.full_name, one.email, one.id)],
    }
    return [
        f"{field} {value!r}{did_you_mean(value, filter(None, names))}"
        for match in (feed.where, feed.where.exclude)
        for field, names in known.items()
        for value in _values(match, field)
        if value.casefold() != NONE and not _is_among(value, names)
    ]


def _values(match: Match, field: str) -> tuple[str, ...]:
    values: tuple[str, ...] = getattr(match, field)
    return values


def _is_among(value: str, names: Iterable[str]) -> bool:
    folded = value.strip().casefold()
    return any(name.strip().casefold() == folded for name in names)


def _periods(snapshots: Iterable[Snapshot], kind: str) -> Iterator[str]:
    for snapshot in snapshots:
        for period in snapshot.periods.values():
            if period.kind == kind:
                yield from (period.name, period.id)
