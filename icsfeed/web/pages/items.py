"""What pages show of a feed: its components, with facts that its `details` show anyway.

A page says no more than the `.ics` of the same feed: nothing here reads an issue that `details` hides.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from icsfeed.config.schema import Details
from icsfeed.feeds.calendar import Calendar
from icsfeed.feeds.mapping import PRIORITIES, issue_uid, keyed_title
from icsfeed.ics.component import Component
from icsfeed.model import DONE_GROUPS, Issue, PeriodKind, Priority, Snapshot, StateGroup, issue_key
from icsfeed.text import is_blank, one_line

Kind: TypeAlias = PeriodKind | Literal["issue", "notice"]
KINDS: tuple[Kind, ...] = ("issue", *get_args(PeriodKind))

_PRIORITY: Mapping[int | None, Priority] = {number: name for name, number in PRIORITIES.items()}
RANK: Mapping[Priority, int] = {"urgent": 0, "high": 1, "medium": 2, "low": 3, "none": 4}


class Facts(Struct, frozen=True, kw_only=True):
    """What a description says in words. Empty, and `group` None, where the feed does not show it.

    `key` and `parent` are keys such as PROP-42.
    """

    state: str = ""
    group: StateGroup | None = None
    people: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    key: str = ""
    parent: str = ""
    type: str = ""
    creator: str = ""
    cycles: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


class PageItem(Struct, frozen=True, kw_only=True):
    """One component for a page. `first` and `last` are its days, both inclusive; both None: undated.

    `done` is as the feed shows it; `color` a CSS3 name. `facts.group` says what kind of open item it is.
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
        """Sort by day, then the shorter first, then the more urgent."""
        first = self.first or date.max
        return (first, self.last or date.max, RANK[self.priority], self.title)

    @property
    def name_and_number(self) -> tuple[str, str]:
        """Split a title such as `[PROP-42] Paint the hall`, where the number would hide the name.

        A title that does not begin with the number of its issue is all name.
        """
        number, found, name = self.title.partition("] ")
        key = self.facts.key
        if found and name and key and number[1:] in (key, key.rpartition("-")[2]):
            return name, f"{number}]"
        return self.title, ""

    def is_within(self, first: date, last: date) -> bool:
        """Return whether one of its days is one of these."""
        return self.last is not None and self.last >= first and (self.first or self.last) <= last

    def is_overdue(self, today: date) -> bool:
        """Return whether it is open, as far as the feed shows, and its last day is over."""
        group = self.facts.group
        return bool(group and group not in DONE_GROUPS and self.last and self.last < today)


def items_of(calendar: Calendar, details: Details, *, keyed: bool = False) -> tuple[PageItem, ...]:
    """Return the items of a feed in order. `details` are the feed's: they decide which facts there are.

    `keyed`: of several projects, whose issues have the same numbers: titles show the key, PROP-42.
    """
    keyed = keyed and details in ("full", "brief")
    issues = {issue_uid(issue.id): (snapshot, issue) for snapshot, issue in calendar.selection.issues}
    keys = {issue.id: issue_key(issue, snapshot) for snapshot, issue in issues.values()}
    items = []
    for component in calendar.components:
        kind: Kind = next((kind for kind in KINDS if component.uid.startswith(f"plane-{kind}-")), "notice")
        # With `dates: start-and-due` an issue has two components, one of them for its start.
        issue = issues.get(component.uid.replace("-start@", "@"))
        items.append(
            PageItem(
                title=keyed_title(component.summary, *issue) if issue and keyed else component.summary,
                first=component.first or component.last,
                last=component.last,
                kind=kind,
                url=component.url,
                done=component.status in ("CANCELLED", "COMPLETED"),
                priority=_PRIORITY[component.priority],
                color=component.color,
                facts=_facts(component, issue, details, keys),
            )
        )
    return tuple(sorted(items, key=lambda item: item.order))


def _facts(
    component: Component,
    source: tuple[Snapshot, Issue] | None,
    details: Details,
    keys: Mapping[str, str],
) -> Facts:
    # With less than brief details only categories, which the calendar shows too.
    if source is None or details not in ("full", "brief"):
        return Facts(labels=component.categories)
    snapshot, issue = source
    state, group = snapshot.state_of(issue), snapshot.group_of(issue)
    state_name = one_line(state.name) if state else ""
    if details == "brief":
        return Facts(state=state_name, group=group, labels=component.categories, key=keys[issue.id])
    people, kind = snapshot.people, snapshot.type_of(issue)
    periods = snapshot.links.get(issue.id, ())
    return Facts(
        state=state_name,
        group=group,
        people=_names(people[who].name for who in issue.assignees if who in people),
        labels=_names(snapshot.labels[label].name for label in issue.labels if label in snapshot.labels),
        key=keys[issue.id],
        parent=keys.get(issue.parent, "") if issue.parent else "",
        type=one_line(kind.name) if kind else "",
        creator=one_line(people[who].name) if (who := issue.creator) and who in people else "",
        cycles=_names(period.name for period in periods if period.kind == "cycle"),
        modules=_names(period.name for period in periods if period.kind == "module"),
    )


def _names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(name for name in map(one_line, names) if not is_blank(name)))
