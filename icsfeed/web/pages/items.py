"""What pages show of a feed: its components, with facts beside them that its `details` let out anyway.

A page says no more than the `.ics` of the same feed: nothing here reads an issue that `details` hides.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal, TypeAlias

from msgspec import Struct

from icsfeed.config.schema import Details
from icsfeed.feeds.calendar import Calendar
from icsfeed.feeds.mapping import PRIORITIES, issue_uid
from icsfeed.ics.component import Component
from icsfeed.model import DONE_GROUPS, Issue, Priority, Snapshot, StateGroup
from icsfeed.text import is_blank, one_line

Kind: TypeAlias = Literal["issue", "cycle", "module", "notice"]

_PRIORITY: Mapping[int | None, Priority] = {number: name for name, number in PRIORITIES.items()}
RANK: Mapping[Priority, int] = {"urgent": 0, "high": 1, "medium": 2, "low": 3, "none": 4}


class Facts(Struct, frozen=True, kw_only=True):
    """What a description says in words. Empty, and `group` None, where the feed does not say it."""

    state: str = ""
    group: StateGroup | None = None
    people: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class PageItem(Struct, frozen=True, kw_only=True):
    """One component for a page. `first` and `last` are its days, both inclusive; both None: undated.

    `done` is as the feed shows it; `color` a CSS3 name. `facts.group` tells what an open item is.
    """

    title: str
    first: date | None
    last: date | None
    kind: Kind = "issue"
    url: str | None = None
    done: bool = False
    priority: Priority = "none"
    color: str | None = None
    facts: Facts = Facts()

    @property
    def order(self) -> tuple[date, date, int, str]:
        """Items of a page come by day, then the shorter, then the more urgent."""
        first = self.first or date.max
        return (first, self.last or date.max, RANK[self.priority], self.title)

    def is_within(self, first: date, last: date) -> bool:
        """Return whether one of its days is one of these."""
        return self.last is not None and self.last >= first and (self.first or self.last) <= last

    def is_overdue(self, today: date) -> bool:
        """Whether it is open, as far as the feed tells, and its last day is over."""
        group = self.facts.group
        return bool(group and group not in DONE_GROUPS and self.last and self.last < today)


def items_of(calendar: Calendar, details: Details) -> tuple[PageItem, ...]:
    """The items of a feed in order. `details` are the feed's: they decide which facts there are."""
    issues = {issue_uid(issue.id): (snapshot, issue) for snapshot, issue in calendar.selection.issues}
    made = [_item(component, issues, details) for component in calendar.components]
    return tuple(sorted(made, key=lambda item: item.order))


def _item(component: Component, issues: Mapping[str, tuple[Snapshot, Issue]], details: Details) -> PageItem:
    found = issues.get(component.uid.replace("-start@", "@"))
    return PageItem(
        title=component.summary,
        first=component.first or component.last,
        last=component.last,
        kind=_kind(component.uid),
        url=component.url,
        done=component.status in ("CANCELLED", "COMPLETED"),
        priority=_PRIORITY[component.priority],
        color=component.color,
        facts=_facts(component, found, details),
    )


def _kind(uid: str) -> Kind:
    kinds: tuple[Kind, ...] = ("issue", "cycle", "module")
    return next((kind for kind in kinds if uid.startswith(f"plane-{kind}-")), "notice")


def _facts(component: Component, found: tuple[Snapshot, Issue] | None, details: Details) -> Facts:
    if found is None or details not in ("full", "brief"):
        return Facts(labels=component.categories)
    snapshot, issue = found
    state = snapshot.state_of(issue)
    named = Facts(state=one_line(state.name) if state else "", group=snapshot.group_of(issue))
    if details == "brief":
        return Facts(state=named.state, group=named.group, labels=component.categories)
    return Facts(
        state=named.state,
        group=named.group,
        people=_names(snapshot.people[who].name for who in issue.assignees if who in snapshot.people),
        labels=_names(snapshot.labels[label].name for label in issue.labels if label in snapshot.labels),
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in map(one_line, names) if not is_blank(name)))
