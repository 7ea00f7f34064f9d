"""A timeline: items as bars over eight weeks, in groups, each bar in a lane where its title has room."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Literal, TypeAlias

from msgspec import Struct

from icsfeed.web.pages.items import PageItem
from icsfeed.web.pages.parameters import TIMELINE_DAYS as DAYS

LABEL_DAYS = 10
"""Days that a title needs: a shorter bar keeps so many free for it."""
MAX_LANES, MAX_GROUPS = 10, 15
MAX_BARS, MIN_BARS = 90, 4
"""Bars of a page, and of a group at least: with these, the page of any feed stays below 100 KB."""

By: TypeAlias = Literal["periods", "project", "cycle", "all"]


class TimelineBar(Struct, frozen=True):
    """An item over `days` days, in the `room` days that it has together with its title.

    `start`: the first day of its room, 0 for the first of the timeline. `at_end`: the bar is at the end of
    its room, since there are too few days after it. `before`, `after`: it continues outside the timeline.
    """

    item: PageItem
    lane: int
    start: int
    room: int
    days: int
    at_end: bool
    before: bool
    after: bool


class TimelineGroup(Struct, frozen=True):
    """The bars of a project or cycle (`name`; empty: of none), of all periods, or of all issues.

    `more`: how many items have no bar.
    """

    by: By
    name: str
    bars: tuple[TimelineBar, ...]
    more: int


class Timeline(Struct, frozen=True):
    """The groups, in order. `more`: how many items are in groups that are not shown."""

    groups: tuple[TimelineGroup, ...] = ()
    more: int = 0


def timeline(items: Iterable[PageItem], first: date) -> Timeline:
    """Return the eight weeks from `first`: cycles, modules and the like, then the issues in groups.

    Issues are grouped by project where there are several, and else by cycle where the feed shows any.
    """
    last = date.fromordinal(first.toordinal() + DAYS - 1)
    shown = [item for item in items if item.is_within(first, last)]
    by = _grouping([item for item in shown if _is_issue(item)])
    members: dict[tuple[By, str], list[PageItem]] = {}
    for item in shown:
        key: tuple[By, str] = (by, _name_of(item, by)) if _is_issue(item) else ("periods", "")
        members.setdefault(key, []).append(item)
    # The periods come first, and what is in no cycle last.
    keys = sorted(members, key=lambda key: (key[0] != "periods", not key[1], key[1].casefold()))
    limit = max(MIN_BARS, MAX_BARS // max(1, len(keys[:MAX_GROUPS])))
    return Timeline(
        groups=tuple(_group(*key, members[key], first, limit) for key in keys[:MAX_GROUPS]),
        more=sum(len(members[key]) for key in keys[MAX_GROUPS:]),
    )


def _is_issue(item: PageItem) -> bool:
    return item.kind in ("issue", "notice")


def _grouping(issues: Sequence[PageItem]) -> By:
    if len({_name_of(item, "project") for item in issues}) > 1:
        return "project"
    return "cycle" if any(item.facts.cycles for item in issues) else "all"


def _name_of(item: PageItem, by: By) -> str:
    """Return the name of an issue's group. One in several cycles is drawn once."""
    if by == "project":
        return item.facts.key.rpartition("-")[0]
    return next(iter(item.facts.cycles), "") if by == "cycle" else ""


def _group(by: By, name: str, items: Sequence[PageItem], first: date, limit: int) -> TimelineGroup:
    """Put each item into the first lane that is free on all days of its room: `limit` items at most."""
    taken: list[set[int]] = [set() for _ in range(MAX_LANES)]
    bars: list[TimelineBar] = []
    # What is to do gets the lanes, and of that what begins first.
    for item in sorted(items, key=lambda item: (item.done, item.order)):
        if len(bars) == limit:
            break
        begin, end = _offsets(item, first)
        start, days = max(begin, 0), min(end, DAYS - 1) - max(begin, 0) + 1
        room = max(days, LABEL_DAYS)
        at_end = start + room > DAYS
        left = start + days - room if at_end else start
        occupied = range(left, left + room)
        lane = next((lane for lane, full in enumerate(taken) if full.isdisjoint(occupied)), None)
        if lane is not None:
            taken[lane].update(occupied)
            bars.append(TimelineBar(item, lane, left, room, days, at_end, begin < 0, end >= DAYS))
    bars.sort(key=lambda bar: bar.item.order)
    return TimelineGroup(by, name, tuple(bars), len(items) - len(bars))


def _offsets(item: PageItem, first: date) -> tuple[int, int]:
    """Return the first and the last day of an item that has any, in days from the first of the timeline."""
    last = item.last or first
    return ((item.first or last) - first).days, (last - first).days
