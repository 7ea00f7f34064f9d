"""What is read of one Plane workspace: the table of resources, and the last good value of each."""

from collections import Counter
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

from icsfeed.cache.ttl import CachedValue, Ttl, TtlCache
from icsfeed.model import Issue, Label, Listing, Needs, Period, PeriodKind, Person, Project, State
from icsfeed.plane.features import Features
from icsfeed.plane.incremental import IssueList, Rows
from icsfeed.plane.rate_limit import RequestPriority
from icsfeed.plane.workspace_changes import WorkspaceRows
from icsfeed.text import one_line


class PlaneReader(Protocol):
    """What a workspace is read with: plane/client.py. Every method raises PlaneError."""

    @property
    def answers(self) -> Counter[str]: ...
    def on(self, priority: RequestPriority) -> "PlaneReader": ...
    async def projects(self) -> Listing: ...
    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]: ...
    async def project_members(self, project: Project) -> tuple[Person, ...]: ...
    async def issues(self, project: Project) -> Rows: ...
    async def recent_issues(self, project: Project, since: datetime) -> Rows | None: ...
    async def issue_ids(self, project: Project) -> frozenset[str]: ...
    async def newest_rows(self, since: datetime | None) -> WorkspaceRows | None: ...
    async def found_issues(self, pql: str) -> frozenset[str]: ...
    async def is_searched(self) -> bool: ...
    async def states(self, project: Project) -> tuple[State, ...]: ...
    async def labels(self, project: Project) -> tuple[Label, ...]: ...
    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]: ...
    async def period_issues(self, period: Period) -> frozenset[str]: ...
    async def version(self) -> str | None: ...
    async def whoami(self) -> Person | None: ...


class ProjectList(NamedTuple):
    """A list that is read of each project, whole, at its own TTL.

    `name` is the key of its TTL in the configuration's `cache:`, and its name in webhooks and in stored
    records. What is read has an `id` each.
    """

    name: str
    read: Callable[[PlaneReader, Project], Awaitable[Sequence[Any]]]


NAME_LISTS = (
    ProjectList("states", lambda plane, project: plane.states(project)),
    ProjectList("labels", lambda plane, project: plane.labels(project)),
)
"""What every feed needs of a project, besides its issues (cache/refresh.py reads those incrementally)."""
PERIOD_LISTS: Mapping[PeriodKind, ProjectList] = {
    "cycle": ProjectList("cycles", lambda plane, project: plane.periods(project, "cycle")),
    "module": ProjectList("modules", lambda plane, project: plane.periods(project, "module")),
}
"""What some feeds need besides. The issues of each cycle and module are read separately, at the same TTL."""
ESSENTIALS = ("issues", *(each.name for each in NAME_LISTS))
OF_PROJECT = (*ESSENTIALS, *(each.name for each in PERIOD_LISTS.values()))
RESTORED_AGE = timedelta(hours=1)
"""Copies from before a restart that are younger are shown until Plane has been read, without waiting."""
TTL_NAMES = ("projects", "members", *OF_PROJECT)
"""The keys of the configuration's `cache:` that are times to live of what is read here."""


class Resources:
    """The last good value of each resource of one workspace.

    `ttls`: seconds by each of `TTL_NAMES`. `links`: its feeds show which cycle and module an issue is in.
    `keys` (folded case) limits it to some projects, by key or id; none: all. `sparing`: nothing is read
    that the feed at hand does not need.

    `features`: which optional lists this Plane has. `found`: the ids of the issues that a search finds, by
    its PQL. `issue_lists`: what incremental reads of the issues go on from. Issues that were last read
    whole before `whole_since` are read whole the next time. `lost`: the projects that Plane no longer
    lists, and since when. Their last values are shown: perhaps the key's owner has only left them.
    `deleted`: those that a webhook says are gone. `unjoined`: ids of those that Plane lists and the key has
    not joined. `restored`: what was loaded from the store and not read since: `projects`, `members`, ids of
    projects, and searches (`search_part`).
    """

    def __init__(
        self,
        ttls: Mapping[str, float],
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        *,
        keys: frozenset[str] = frozenset(),
        links: bool = True,
        sparing: bool = False,
    ) -> None:
        self.ttls = {name: Ttl(ttls[name], timer, clock) for name in TTL_NAMES}
        self.projects: CachedValue[tuple[Project, ...]] = CachedValue(self.ttls["projects"])
        self.members: CachedValue[Mapping[str, Person]] = CachedValue(self.ttls["members"])
        self.of_project: Mapping[str, TtlCache[str, Any]] = {
            name: TtlCache(self.ttls[name]) for name in OF_PROJECT
        }
        self.essentials = {name: self.of_project[name] for name in ESSENTIALS}
        self.issues: TtlCache[str, tuple[Mapping[str, Issue], int]] = self.of_project["issues"]
        self.states: TtlCache[str, Mapping[str, State]] = self.of_project["states"]
        self.labels: TtlCache[str, Mapping[str, Label]] = self.of_project["labels"]
        self.periods: Mapping[PeriodKind, TtlCache[str, Mapping[str, Period]]] = {
            kind: self.of_project[each.name] for kind, each in PERIOD_LISTS.items()
        }
        self._period_issues: Mapping[PeriodKind, TtlCache[str, frozenset[str]]] = {
            kind: TtlCache(periods.ttl) for kind, periods in self.periods.items()
        }
        self.found: TtlCache[str, frozenset[str]] = TtlCache(self.ttls["issues"])
        self.features = Features()
        self.issue_lists: dict[str, IssueList] = {}
        self.lost: Mapping[str, datetime] = {}
        self.deleted: set[str] = set()
        self.unjoined: frozenset[str] = frozenset()
        self.restored: set[str] = set()
        self.whole_since = datetime.min.replace(tzinfo=UTC)
        self.keys = keys
        self._clock = clock
        self._links = links and not sparing
        self.sparing = sparing
        self._counts: dict[PeriodKind, tuple[object, int]] = {}

    @property
    def all_projects(self) -> tuple[Project, ...]:
        """The projects as they were last read; none before that."""
        return self.projects.value or ()

    def read_count(self) -> int:
        """How many reads of anything have succeeded."""
        return sum(ttl.reads for ttl in self.ttls.values())

    def _by_key(self) -> Sequence[TtlCache[str, Any]]:
        return [*self.of_project.values(), *self._period_issues.values(), self.found]

    def issues_of(self, period: Period) -> CachedValue[frozenset[str]]:
        """The ids of the issues in a cycle or module."""
        return self._period_issues[period.kind][period.id]

    def periods_of(self, project: Project) -> Iterator[Period]:
        """The cycles and modules of a project that were read."""
        for periods in self.periods.values():
            yield from (periods[project.id].value or {}).values()

    def parts(self, project: Project) -> Iterator[tuple[str, CachedValue[Any]]]:
        """What is read of a project, by its name in stored records: `issues`, `cycles`, `cycle {id}` ..."""
        yield from ((name, values[project.id]) for name, values in self.of_project.items())
        for period in self.periods_of(project):
            yield f"{period.kind} {period.id}", self.issues_of(period)

    def read_times(self, project: Project) -> Mapping[str, datetime]:
        """When each part of a project was last read, by its name."""
        return {part: value.read_at for part, value in self.parts(project) if value.read_at is not None}

    def read_at(self, project: Project) -> datetime | None:
        """When a project's issues were last read."""
        return self.issues[project.id].read_at

    def allowed(self, projects: Iterable[Project]) -> tuple[Project, ...]:
        """The projects that the configuration allows."""
        return tuple(p for p in projects if not self.keys or {p.key.casefold(), p.id} & self.keys)

    def lost_of(self, projects: Iterable[Project]) -> tuple[Project, ...]:
        """The projects that Plane no longer lists."""
        return tuple(project for project in projects if project.id in self.lost)

    def people_of_lost(self) -> Mapping[str, Person]:
        """The assignees of lost projects' issues: newer lists of members may lack them."""
        assigned = {
            person
            for id_ in self.lost
            for issue in (self.issues[id_].value or ({}, 0))[0].values()
            for person in issue.assignees
        }
        return {id_: person for id_, person in (self.members.value or {}).items() if id_ in assigned}

    def reads_periods(self, needs: Needs) -> bool:
        """Whether cycles and modules are read for these needs."""
        return not self.sparing or needs.must_know_periods

    def is_linked(self, period: Period) -> bool:
        """Whether issues show that they are in this period: until it has ended in every time zone."""
        # West of UTC the last day lasts up to 12 hours longer.
        yesterday = self._clock().date() - timedelta(days=1)
        return self._links and (period.end is None or period.end >= yesterday)

    def periods_to_read(self, project: Project, needs: Needs) -> Sequence[Period]:
        """The project's cycles and modules whose issues are needed."""
        return [
            period for period in self.periods_of(project) if self.is_linked(period) or is_asked(period, needs)
        ]

    def linked_periods(self, kind: PeriodKind) -> int:
        """How many cycles or modules have their issues read; counted again when a list of them changes."""
        # Asked at every look of the background refresh, where thousands of periods would be walked.
        versions = sum(self.periods[kind][project.id].version for project in self.all_projects)  # never fall
        stamp = (self.projects.version, versions, self._clock().date())
        if self._counts.get(kind, (None, 0))[0] != stamp:
            to_read = (p for project in self.all_projects for p in self.periods_to_read(project, Needs()))
            self._counts[kind] = stamp, sum(period.kind == kind for period in to_read)
        return self._counts[kind][1]

    def has_essentials(self, project: Project) -> bool:
        """Whether what every feed needs of a project was ever read."""
        return all(values[project.id].value is not None for values in self.essentials.values())

    def has_periods(self, project: Project) -> bool:
        """Whether its cycles and modules were ever read."""
        return all(values[project.id].value is not None for values in self.periods.values())

    def restored_since(self, since: datetime) -> set[str]:
        """Return what was read since then, and has not been expired; the keys are those of `restored`."""
        values: dict[str, CachedValue[Any]] = {"projects": self.projects, "members": self.members}
        values |= {project.id: self.issues[project.id] for project in self.all_projects}
        current = {key: value.read_at for key, value in values.items() if not value.is_expired}
        return {key for key, read_at in current.items() if read_at is not None and read_at >= since}

    def stale(self, projects: Iterable[Project], needs: Needs) -> set[str]:
        """Return what has to be read for a view of these projects; the keys are those of `restored`."""
        ids = {project.id for project in projects if not self.is_fresh(project, needs)}
        is_fresh = {"projects": self.projects.is_fresh, "members": self.members.is_fresh}
        if needs.pql:
            is_fresh[search_part(needs.pql)] = self.found[needs.pql].is_fresh
        return ids | {key for key, fresh in is_fresh.items() if not fresh}

    def is_fresh(self, project: Project, needs: Needs) -> bool:
        """Whether nothing of a project has to be read for these needs, or nothing can be."""
        if project.id in self.lost:
            return True  # Plane would answer 403 each time
        needed = self.of_project if self.reads_periods(needs) else self.essentials
        return all(values[project.id].is_fresh for values in needed.values()) and all(
            self.issues_of(period).is_fresh for period in self.periods_to_read(project, needs)
        )

    def are_fresh(self, projects: Iterable[Project], needs: Needs) -> bool:
        """Whether nothing has to be read for a view of these projects."""
        return self.stale(projects, needs) <= {"projects"}

    def missing(self, projects: Iterable[Project], needs: Needs, since: datetime) -> Iterator[str]:
        """Name the parts of these projects that were neither fresh at `since`, nor read after it, and
        the issues that could not be understood.
        """
        if not self.projects.is_current(since):
            yield "the list of projects"
        if not self.members.is_current(since):
            yield "the members"
        if needs.pql and not self.found[needs.pql].is_current(since):
            yield "the issues that pql finds"
        for project in projects:
            for name, values in self.of_project.items():
                if not values[project.id].is_current(since):
                    yield f"the {name} of {project.key}"
            for period in self.periods_to_read(project, needs):
                if not self.issues_of(period).is_current(since):
                    yield f"the issues of {period.kind} {one_line(period.name)!r} of {project.key}"
            _, unreadable = self.issues[project.id].value or ({}, 0)
            if unreadable:
                yield f"{unreadable} issues of {project.key} that cannot be understood"

    def is_read_since(self, since: datetime) -> bool:
        """Whether the projects, the people and every part of every project were read whole since then."""
        moments = [self.projects.read_at, self.members.read_at]
        for project in self.all_projects:
            if project.id not in self.lost:
                issues = self.issue_lists.get(project.id)
                moments += [values[project.id].read_at for values in self.of_project.values()]
                moments.append(issues.whole_at if issues is not None else None)
        return all(moment is not None and moment >= since for moment in moments)

    def unknown_ids(self, project: Project) -> frozenset[str]:
        """The states, labels and people that a project's issues refer to and no list has."""
        issues, _ = self.issues[project.id].value or ({}, 0)
        used = {
            id_ for issue in issues.values() for id_ in (issue.state, *issue.labels, *issue.assignees) if id_
        }
        # Triage states are in no list (v1.3.1).
        lists = (self.states[project.id].value, self.labels[project.id].value, self.members.value)
        return frozenset(used.difference(*(names or {} for names in lists)))

    def expire(self, project: Project, names: Container[str]) -> None:
        """Let the issues, cycles or modules (`names`) of a project be read again."""
        self.restored.discard(project.id)
        for name, values in self.of_project.items():
            if name in names:
                values[project.id].expire()
        for period in self.periods_of(project):
            if PERIOD_LISTS[period.kind].name in names:
                self.issues_of(period).expire()

    def expire_names(self, project: Project) -> None:
        """Let the names that a project uses be read again."""
        for value in (self.states[project.id], self.labels[project.id], self.members):
            value.expire()

    def expire_all(self) -> None:
        """Let everything be read again."""
        self.restored.clear()
        for value in (self.projects, self.members):
            value.expire()
        for values in self._by_key():
            for of_key in values.values():
                of_key.expire()

    def expire_as(self, other: "Resources") -> None:
        """Let be read again what `other` knows and has no longer fresh."""
        # After `other` was saved and loaded: stored values do not say that they were expired.
        pairs: list[tuple[CachedValue[Any], CachedValue[Any]]] = [
            (self.projects, other.projects),
            (self.members, other.members),
        ]
        for ours, theirs in zip(self._by_key(), other._by_key(), strict=True):
            pairs += [(ours[key], value) for key, value in theirs.items()]
        for value, of_other in pairs:
            if of_other.value is not None and not of_other.is_fresh:
                value.expire()
        self.restored.clear()

    def stretch(self, factor: float) -> None:
        """Let values stay fresh for so many times as long as configured, from their next reading on."""
        for ttl in self.ttls.values():
            ttl.stretch = factor

    async def close(self) -> None:
        """Cancel the reads that are under way."""
        for ttl in self.ttls.values():
            await ttl.close()


def search_part(pql: str) -> str:
    """Return the name of a search among the parts of a workspace that are read."""
    return f"pql {pql}"


def is_asked(period: Period, needs: Needs) -> bool:
    """Whether a feed needs the issues of this period, ended or not."""
    return needs.all_periods or not needs.named.isdisjoint((period.name.strip().casefold(), period.id))
