"""The domain model: projects, issues, periods (cycles, milestones ...), and snapshots of a project.

Plane's JSON does not leave plane/decode.py. Everything here is frozen and refers to other things by Plane's
ids (UUID strings). Times are aware datetimes in UTC; dates are plain dates, never converted between zones.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cached_property
from typing import Literal, TypeAlias

from msgspec import Struct

Priority: TypeAlias = Literal["urgent", "high", "medium", "low", "none"]
StateGroup: TypeAlias = Literal["backlog", "unstarted", "started", "completed", "cancelled"]
PeriodKind: TypeAlias = Literal["cycle", "module", "milestone", "release", "initiative"]
ReleaseStatus: TypeAlias = Literal["unreleased", "released", "cancelled"]

# Structs of which there are many, and which hold no reference cycles, have gc=False: else each full garbage
# collection looks at all of them, and stops the server for as long.

DONE_GROUPS: frozenset[str] = frozenset({"completed", "cancelled"})


class Project(Struct, frozen=True):
    """A project. `key` is Plane's identifier, the PROP of PROP-42; `timezone` an IANA name."""

    id: str
    key: str
    name: str
    timezone: str = "UTC"


class OtherProject(Struct, frozen=True):
    """A project in Plane's list that the owner of the key has not joined, or that is archived."""

    project: Project
    archived: bool


class Listing(Struct, frozen=True):
    """The projects that Plane lists. `joined`: those to read; none of them is archived."""

    joined: tuple[Project, ...]
    others: tuple[OtherProject, ...] = ()


class Person(Struct, frozen=True, gc=False):
    """A member of the workspace. `name` is the display name; unknown texts are empty."""

    id: str
    name: str
    email: str = ""
    full_name: str = ""


class State(Struct, frozen=True, gc=False):
    """A workflow state, and the group that says what it means."""

    id: str
    name: str
    group: StateGroup


class Label(Struct, frozen=True, gc=False):
    """A label of issues."""

    id: str
    name: str


class ItemType(Struct, frozen=True, gc=False):
    """A type of work items, such as Bug; `is_epic`: those that hold other items. Not in Community."""

    id: str
    name: str
    is_epic: bool = False


class Issue(Struct, frozen=True, gc=False):
    """A work item. `text` is its description: html_text.py's plain text, deflated by text.py.

    `creator` is the person who made it. `type` is None in Community.
    """

    id: str
    project: str
    sequence_id: int
    name: str
    created: datetime
    updated: datetime
    text: bytes = b""
    priority: Priority = "none"
    state: str | None = None
    parent: str | None = None
    start: date | None = None
    due: date | None = None
    completed: datetime | None = None
    assignees: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    type: str | None = None
    creator: str | None = None


class Period(Struct, frozen=True):
    """A cycle, module, milestone, release or initiative. `end` is its last day, inclusive.

    Milestones and releases have one day. `project` is empty for what belongs to the whole workspace:
    releases and initiatives. `issues` (ids) is None when it was not read. `total` and `done` are the numbers
    of issues that Plane gives, where it gives any. `status` and `tag` are those of a release.
    """

    id: str
    kind: PeriodKind
    project: str
    name: str
    created: datetime
    updated: datetime
    start: date | None = None
    end: date | None = None
    total: int | None = None
    done: int | None = None
    issues: frozenset[str] | None = None
    status: ReleaseStatus | None = None
    tag: str = ""


class Snapshot(Struct, frozen=True, dict=True):
    """One project as it was last read, complete. Mappings are by id.

    `touched` holds, by id of an issue or period, when its content was first seen changed although Plane's
    `updated_at` was not: see cache/revisions.py. `unreadable` counts the issues of Plane's answer that could
    not be decoded.
    """

    project: Project
    issues: Mapping[str, Issue]
    states: Mapping[str, State]
    labels: Mapping[str, Label]
    people: Mapping[str, Person]
    periods: Mapping[str, Period]
    touched: Mapping[str, datetime] = {}
    unreadable: int = 0
    types: Mapping[str, ItemType] = {}

    @cached_property
    def links(self) -> Mapping[str, Sequence[Period]]:
        """By issue, the cycles and modules that are known to contain it."""
        links: dict[str, list[Period]] = {}
        # Issues do not show their milestones.
        for period in (each for each in self.periods.values() if each.kind != "milestone"):
            for issue in period.issues or ():
                links.setdefault(issue, []).append(period)
        return links

    def state_of(self, issue: Issue) -> State | None:
        """Return the issue's state; None where it has none, or Plane does not list it (triage states)."""
        return self.states.get(issue.state) if issue.state else None

    def group_of(self, issue: Issue) -> StateGroup:
        """Return the group of the issue's state. Without a known state the issue is open: backlog."""
        state = self.state_of(issue)
        return state.group if state else "backlog"

    def is_done(self, issue: Issue) -> bool:
        """Return whether the issue is completed or cancelled."""
        return self.group_of(issue) in DONE_GROUPS

    def type_of(self, issue: Issue) -> ItemType | None:
        """Return the issue's type; None where Plane has no types, or lists no such one."""
        return self.types.get(issue.type) if issue.type else None

    def revised(self, item: Issue | Period) -> datetime:
        """Return when an item last changed: as Plane says, or as was seen here."""
        return max(item.updated, self.touched.get(item.id, item.updated))

    def progress(self, period: Period) -> tuple[int, int] | None:
        """Return how many of a period's issues are completed, and of how many; None where it is not known."""
        if period.issues is not None:
            groups = [self.group_of(issue) for key in period.issues if (issue := self.issues.get(key))]
            if period.kind == "milestone" and not groups:
                return None  # without work items, or Plane does not give them
            return groups.count("completed"), len(groups)
        if period.total is None or period.done is None:
            return None
        return period.done, period.total


class Needs(Struct, frozen=True):
    """What a feed needs to know of its projects beyond their issues. Each costs requests to Plane.

    `links`: the issues of open cycles and modules; `named`: also those of cycles and modules with these
    names (case-folded), ended or not; `all_periods`: those of every one. `periods`: cycles and modules are
    items of the feed. `lists`: which of the lists that only some editions have (`types`, `milestones`,
    `releases`, `initiatives`); `required`: those without which the feed would be empty, or wrong. `pql`:
    which issues Plane finds with this search; empty: with none.
    """

    links: bool = False
    named: frozenset[str] = frozenset()
    all_periods: bool = False
    periods: bool = False
    pql: str = ""
    lists: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()

    @property
    def must_know_periods(self) -> bool:
        """Whether the feed would be wrong without the cycles and modules, and not only less detailed."""
        return self.periods or self.all_periods or bool(self.named)


class View(Struct, frozen=True):
    """What is known of some projects of a workspace, and of all its projects and people.

    `linked` are the snapshots with the issues of those cycles and modules that only this question needed:
    filters read them, and texts do not show them. `unread` are projects that were asked for and may not be
    read: of those that could be read once, the last copy is in the view, of the others nothing. `stamp` is
    the same as long as nothing in the view changes. `read_at`: when the oldest of the issues were last read.
    `found`: ids of the issues that Plane finds with the search that was asked for; None: with none.
    `periods` are the releases and initiatives, where they were asked for.
    """

    projects: tuple[Project, ...]
    people: Mapping[str, Person]
    snapshots: tuple[Snapshot, ...]
    linked: tuple[Snapshot, ...]
    stamp: tuple[object, ...]
    read_at: datetime
    unread: tuple[Project, ...] = ()
    found: frozenset[str] | None = None
    periods: tuple[Period, ...] = ()


def issue_key(issue: Issue, snapshot: Snapshot) -> str:
    """Return the key that Plane shows, such as PROP-42."""
    return f"{snapshot.project.key}-{issue.sequence_id}"


class Abilities(Struct, frozen=True):
    """What a Plane can do. `page_rows`: in its largest page. `can`: by name; None: it did not say."""

    page_rows: int
    can: Mapping[str, bool | None]
