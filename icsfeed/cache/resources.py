"""What is read of one Plane workspace: the last good value of each list, and what of it is fresh."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from icsfeed.cache.lists import (
    ALWAYS_PRESENT,
    ESSENTIALS,
    OF_PROJECT,
    OPTIONAL,
    OPTIONAL_OF_PROJECT,
    PERIOD_LISTS,
    TTL_NAMES,
    TYPES,
    WORKSPACE_LISTS,
)
from icsfeed.cache.ttl import CachedValue, Ttl, TtlCache
from icsfeed.config.schema import Cache
from icsfeed.errors import PlaneError
from icsfeed.model import Issue, ItemType, Label, Needs, Period, PeriodKind, Person, Project, State
from icsfeed.plane.features import Features
from icsfeed.plane.incremental import IssueList

RESTORED_AGE = timedelta(hours=1)
"""Copies from before a restart that are younger are shown until Plane has been read, without waiting."""


class Resources:
    """The last good value of each resource of one workspace.

    `cache` has the TTLs. `needs`: what its feeds need, taken together. `keys` limits it to some projects, by
    key or id; none: all. `sparing`: nothing is read that the feed at hand does not need.

    `issue_lists`: what incremental reads of the issues go on from. Issues that were last read whole before
    `whole_since` are read whole the next time. `lost`: the projects that Plane no longer lists, and since
    when. Their last values are shown: perhaps the key's owner has only left them. `deleted`: those that
    a webhook says are gone. `unjoined`: ids of those that Plane lists and the key has not joined.
    `restored`: what was loaded from the store and not read since: `projects`, `members`, names of other lists
    of the workspace, ids of projects. `features`: which of the lists that not every edition has this Plane
    has. `list_errors`: why some of them could not be read, by `milestones`, `milestones of PROP` and so on.
    `found`: the ids of the issues that a search finds, by its PQL; its part in `restored` is `search_part`.
    """

    def __init__(
        self,
        cache: Cache,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        needs: Needs = Needs(links=True),  # noqa: B008 - frozen
        *,
        keys: Iterable[str] = (),
        sparing: bool = False,
    ) -> None:
        self.ttls = {name: Ttl(getattr(cache, name), timer, clock) for name in TTL_NAMES}
        self.projects: CachedValue[tuple[Project, ...]] = CachedValue(self.ttls["projects"])
        self.members: CachedValue[Mapping[str, Person]] = CachedValue(self.ttls["members"])
        self.of_project: Mapping[str, TtlCache[str, Any]] = {
            name: TtlCache(self.ttls[name]) for name in OF_PROJECT
        }
        self.of_workspace: Mapping[str, CachedValue[Mapping[str, Period]]] = {
            each.name: CachedValue(self.ttls[each.name]) for each in WORKSPACE_LISTS
        }
        self.essentials = {name: self.of_project[name] for name in ESSENTIALS}
        self.issues: TtlCache[str, tuple[Mapping[str, Issue], int]] = self.of_project["issues"]
        self.states: TtlCache[str, Mapping[str, State]] = self.of_project["states"]
        self.labels: TtlCache[str, Mapping[str, Label]] = self.of_project["labels"]
        self.types: TtlCache[str, Mapping[str, ItemType]] = self.of_project["types"]
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
        self.keys = frozenset(key.casefold() for key in keys)
        self._clock = clock
        self._links = needs.links and not sparing
        self._lists = frozenset() if sparing else needs.lists
        self.list_errors: dict[str, PlaneError] = {}
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

    def _of_whole_workspace(self) -> Sequence[CachedValue[Any]]:
        return [self.projects, self.members, *self.of_workspace.values()]

    def issues_of(self, period: Period) -> CachedValue[frozenset[str]]:
        """The ids of the issues in a cycle, module or milestone."""
        return self._period_issues[period.kind][period.id]

    def periods_of(self, project: Project) -> Iterator[Period]:
        """The cycles, modules and milestones of a project that were read."""
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

    def is_wanted(self, name: str, needs: Needs = Needs()) -> bool:  # noqa: B008 - frozen
        """Whether a list is read for these needs, or for any feed: those that not every edition has."""
        return name not in OPTIONAL or name in self._lists or name in needs.lists

    def is_read(self, name: str) -> bool:
        """Whether a list is read again and again: a feed needs it, and Plane has not refused it."""
        return self.is_wanted(name) and self.features.has(name) is not False

    def list_error(self, name: str) -> PlaneError | None:
        """Why a list that not every edition has could not be read the last time, of any project."""
        errors = (each for noted, each in self.list_errors.items() if noted.partition(" of ")[0] == name)
        return next(errors, None)

    def unwanted(self, lists: frozenset[str]) -> frozenset[str]:
        """Those of these lists that are read for this question only."""
        return lists - self._lists

    def lists_of_project(self, needs: Needs) -> Sequence[str]:
        """What is read of each project for these needs."""
        periods = ALWAYS_PRESENT if self.reads_periods(needs) else ()
        optional = (name for name in OPTIONAL_OF_PROJECT if self.is_wanted(name, needs))
        return (*ESSENTIALS, *periods, *optional)

    def missing_lists(self, project: Project, needs: Needs) -> int:
        """How many lists of a project that not every edition has are not known, and these needs ask for.

        Of a project that Plane no longer lists none can be read any more. What failed is only missed where
        it is required.
        """
        if not needs.lists or project.id in self.lost:
            return 0
        names = needs.lists.intersection(OPTIONAL_OF_PROJECT)
        unread = [name for name in names if self.of_project[name][project.id].value is None]
        failed = self.list_errors.keys()
        return sum(
            name in needs.required or failed.isdisjoint((name, f"{name} of {project.key}")) for name in unread
        )

    def misses_workspace_list(self, needs: Needs) -> bool:
        """Whether one of the whole workspace is not known in this sense."""
        unread = {n for n, each in self.of_workspace.items() if n in needs.lists and each.value is None}
        return not unread <= self.list_errors.keys() - needs.required

    def workspace_lists(self, needs: Needs) -> Sequence[CachedValue[Mapping[str, Period]]]:
        """The lists of the whole workspace that these needs ask for."""
        return [value for name, value in self.of_workspace.items() if name in needs.lists]

    @property
    def has_fresh_lists(self) -> bool:
        """Whether the lists of the whole workspace that were ever read are fresh."""
        return all(each.is_fresh for each in self.of_workspace.values() if each.value is not None)

    def is_open(self, period: Period) -> bool:
        """Whether it has not yet ended in every time zone."""
        # West of UTC the last day lasts up to 12 hours longer.
        return period.end is None or period.end >= self._clock().date() - timedelta(days=1)

    def is_linked(self, period: Period, needs: Needs = Needs()) -> bool:  # noqa: B008 - frozen
        """Whether its issues are read: they show that they are in it, or it shows its progress."""
        is_shown = self.is_wanted("milestones", needs) if period.kind == "milestone" else self._links
        return is_shown and self.is_open(period)

    def periods_to_read(self, project: Project, needs: Needs) -> Sequence[Period]:
        """The project's cycles, modules and milestones whose issues are needed."""
        return [
            period
            for period in self.periods_of(project)
            if self.is_linked(period, needs) or is_asked(period, needs)
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
        return all(self.of_project[name][project.id].value is not None for name in ALWAYS_PRESENT)

    def restored_since(self, since: datetime) -> set[str]:
        """Return what was read since then, and has not been expired; the keys are those of `restored`."""
        values: dict[str, CachedValue[Any]] = {"projects": self.projects, "members": self.members}
        values |= self.of_workspace
        values |= {project.id: self.issues[project.id] for project in self.all_projects}
        current = {key: value.read_at for key, value in values.items() if not value.is_expired}
        return {key for key, read_at in current.items() if read_at is not None and read_at >= since}

    def stale(self, projects: Iterable[Project], needs: Needs) -> set[str]:
        """Return what has to be read for a view of these projects; the keys are those of `restored`."""
        ids = {project.id for project in projects if not self.is_fresh(project, needs)}
        is_fresh = {"projects": self.projects.is_fresh, "members": self.members.is_fresh}
        if needs.pql:
            is_fresh[search_part(needs.pql)] = self.found[needs.pql].is_fresh
        is_fresh |= {name: each.is_fresh for name, each in self.of_workspace.items() if name in needs.lists}
        return ids | {key for key, fresh in is_fresh.items() if not fresh}

    def is_fresh(self, project: Project, needs: Needs) -> bool:
        """Whether nothing of a project has to be read for these needs, or nothing can be."""
        if project.id in self.lost:
            return True  # Plane would answer 403 each time
        needed = self.lists_of_project(needs)
        return all(self.of_project[name][project.id].is_fresh for name in needed) and all(
            self.issues_of(period).is_fresh for period in self.periods_to_read(project, needs)
        )

    def are_fresh(self, projects: Iterable[Project], needs: Needs) -> bool:
        """Whether nothing has to be read for a view of these projects."""
        return self.stale(projects, needs) <= {"projects"}

    def is_read_since(self, since: datetime) -> bool:
        """Whether the projects, the people and every part of every project were read whole since then."""
        moments = [self.projects.read_at, self.members.read_at]
        moments += [value.read_at for name, value in self.of_workspace.items() if self.is_wanted(name)]
        wanted = [values for name, values in self.of_project.items() if self.is_wanted(name)]
        for project in self.all_projects:
            if project.id not in self.lost:
                issues = self.issue_lists.get(project.id)
                moments += [values[project.id].read_at for values in wanted]
                moments.append(issues.whole_at if issues is not None else None)
        return all(moment is not None and moment >= since for moment in moments)

    def unknown_ids(self, project: Project) -> frozenset[str]:
        """The states, labels, people and types that a project's issues refer to and no list has."""
        issues, _ = self.issues[project.id].value or ({}, 0)
        used = {
            id_ for issue in issues.values() for id_ in (issue.state, *issue.labels, *issue.assignees) if id_
        }
        if self.is_wanted(TYPES.name):
            used.update(issue.type for issue in issues.values() if issue.type)
        # Triage states are in no list (v1.3.1).
        return frozenset(used.difference(*(value.value or {} for value in self._names(project))))

    def _names(self, project: Project) -> Sequence[CachedValue[Mapping[str, Any]]]:
        """The lists of what a project's issues refer to."""
        of_project = (self.states[project.id], self.labels[project.id], self.types[project.id])
        return (*of_project, self.members)

    def expire(self, project: Project, names: Container[str]) -> None:
        """Let lists (`names`) of a project be read again, or of its workspace."""
        self.restored.discard(project.id)
        for name, value in self.of_workspace.items():
            if name in names:
                self.restored.discard(name)
                value.expire()
        for name, values in self.of_project.items():
            if name in names:
                values[project.id].expire()
        for period in self.periods_of(project):
            if PERIOD_LISTS[period.kind].name in names:
                self.issues_of(period).expire()

    def expire_names(self, project: Project) -> None:
        """Let the names that a project uses be read again."""
        for value in self._names(project):
            value.expire()

    def expire_all(self) -> None:
        """Let everything be read again."""
        self.restored.clear()
        for value in self._of_whole_workspace():
            value.expire()
        for values in self._by_key():
            for of_key in values.values():
                of_key.expire()

    def expire_as(self, other: "Resources") -> None:
        """Let be read again what `other` knows and has no longer fresh."""
        # After `other` was saved and loaded: stored values do not say that they were expired.
        pairs = list(zip(self._of_whole_workspace(), other._of_whole_workspace(), strict=True))
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
    """Whether a feed needs the issues of this period, ended or not: it can be filtered by."""
    if period.kind not in ("cycle", "module"):
        return False
    return needs.all_periods or not needs.named.isdisjoint((period.name.strip().casefold(), period.id))
