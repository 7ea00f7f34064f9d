"""What is known of one workspace: the last good copy of each part, joined into snapshots, and kept."""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from icsfeed.adapters.store import Store, decode, encode
from icsfeed.app.freshness import Copies
from icsfeed.core.config import Cache
from icsfeed.core.incremental import IssueList
from icsfeed.core.model import Issue, Label, Period, PeriodKind, Person, Project, Snapshot, State
from icsfeed.core.revisions import carried_on
from icsfeed.core.select import Needs

KINDS: Sequence[PeriodKind] = ("cycle", "module")


class View(Struct, frozen=True):
    """What is known of some projects of a workspace, and of all its projects and people.

    `linked` are the snapshots with the issues of those cycles and modules that only this question
    needed. `stamp` is the same as long as nothing in the view changes. `read_at`: when the oldest
    of the issues were last read.
    """

    projects: tuple[Project, ...]
    people: Mapping[str, Person]
    snapshots: tuple[Snapshot, ...]
    linked: tuple[Snapshot, ...]
    stamp: tuple[object, ...]
    read_at: datetime


class Roster(Struct, frozen=True):
    """A record of the store: a workspace's projects and people, and when they were read."""

    projects: tuple[Project, ...]
    projects_at: datetime
    people: Mapping[str, Person]
    people_at: datetime


class Kept(Struct, frozen=True):
    """A record of the store: a project's snapshot (its people are in the roster) and its issue list."""

    snapshot: Snapshot
    issues: IssueList


class Reads(Struct, frozen=True):
    """A record of the store: which `Kept` is the newest, and when each part of it was last read."""

    kept: str
    at: Mapping[str, datetime]


class Known:
    """The copies of one workspace's parts. `links`: its feeds tell which cycle and module an issue is in.

    `keys` (folded case) limits it to some projects, by key or id; none: all.
    """

    def __init__(
        self,
        name: str,
        cache: Cache,
        store: Store,
        *,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        keys: frozenset[str] = frozenset(),
        links: bool = True,
    ) -> None:
        def copies(ttl: int) -> Copies[str, Any]:
            return Copies(ttl, timer, clock)

        self.projects: Copies[str, tuple[Project, ...]] = copies(cache.projects)
        self.members: Copies[str, Mapping[str, Person]] = copies(cache.members)
        self.issues: Copies[str, tuple[Mapping[str, Issue], int]] = copies(cache.issues)
        self.states: Copies[str, Mapping[str, State]] = copies(cache.states)
        self.labels: Copies[str, Mapping[str, Label]] = copies(cache.labels)
        ttls = {"cycle": cache.cycles, "module": cache.modules}
        self.periods: Mapping[PeriodKind, Copies[str, Mapping[str, Period]]] = {
            kind: copies(ttls[kind]) for kind in KINDS
        }
        self.held: Mapping[PeriodKind, Copies[str, frozenset[str]]] = {
            kind: copies(ttls[kind]) for kind in KINDS
        }
        self.lists: dict[str, IssueList] = {}
        self._name = name
        self._store = store
        self._clock = clock
        self._keys = keys
        self._links = links
        self._snapshots: dict[str, Snapshot] = {}
        self._read_at: dict[str, datetime] = {}
        self._stamps: dict[str, tuple[object, ...]] = {}
        self._kept: dict[str, str] = {}
        self._saved: dict[str, tuple[object, ...]] = {}

    def copies(self) -> Sequence[Copies[str, Any]]:
        """All of them."""
        names: list[Copies[str, Any]] = [self.projects, self.members, self.issues, self.states, self.labels]
        return [*names, *self.periods.values(), *self.held.values()]

    def allowed(self, projects: Iterable[Project]) -> tuple[Project, ...]:
        """Those that the configuration lets out."""
        return tuple(p for p in projects if not self._keys or {p.key.casefold(), p.id} & self._keys)

    def _of_project(self) -> Sequence[Copies[str, Any]]:
        return [self.issues, self.states, self.labels, *self.periods.values()]

    def is_held(self, period: Period) -> bool:
        """Whether issues tell that they are in this period: while it has not ended anywhere."""
        yesterday = self._clock().date() - timedelta(days=1)
        return self._links and (period.end is None or period.end >= yesterday)

    def is_fresh(self, project: Project, needs: Needs) -> bool:
        """Whether nothing of a project has to be read for these needs."""
        return all(part.is_fresh(project.id) for part in self._of_project()) and all(
            self.held[period.kind].is_fresh(period.id) for period in self.wanted(project, needs)
        )

    def wanted(self, project: Project, needs: Needs) -> Sequence[Period]:
        """The project's cycles and modules whose issues are wanted."""
        return [
            period
            for periods in self.periods.values()
            for period in (periods.get(project.id) or {}).values()
            if self.is_held(period) or is_asked(period, needs)
        ]

    def expire(self, project: Project, resources: Container[str]) -> None:
        """Let the issues, cycles or modules of a project be read again."""
        if "issues" in resources:
            self.issues.expire(project.id)
        for kind in KINDS:
            if f"{kind}s" in resources:
                self.periods[kind].expire(project.id)
                for period in self.periods[kind].get(project.id) or {}:
                    self.held[kind].expire(period)

    def expire_names(self, project: Project) -> None:
        """Let the names that a project uses be read again."""
        self.states.expire(project.id)
        self.labels.expire(project.id)
        self.members.expire("")

    def read_at(self, project: Project) -> datetime | None:
        """When a project's issues were last read."""
        return self.issues.read_at(project.id)

    def held_count(self, kind: PeriodKind) -> int:
        """Of how many cycles or modules the issues are read."""
        projects = self.projects.get("") or ()
        return sum(period.kind == kind for project in projects for period in self.wanted(project, Needs()))

    def stretch(self, factor: float) -> None:
        """Let copies be fresh for so many times as long as configured, from their next reading on."""
        for copies in self.copies():
            copies.stretch = factor

    def unknown(self, project: Project) -> frozenset[str]:
        """Ids in a project's issues that no list of names has."""
        issues, _ = self.issues.get(project.id) or ({}, 0)
        used = {
            used
            for issue in issues.values()
            for used in (issue.state, *issue.labels, *issue.assignees)
            if used
        }
        known: set[str] = set()
        for names in (self.states.get(project.id), self.labels.get(project.id), self.members.get("")):
            known.update(names or ())
        return frozenset(used - known)

    def view(self, projects: tuple[Project, ...], chosen: Sequence[Project], needs: Needs) -> View | None:
        """The chosen projects as they are known; None while a part was never read."""
        people = self.members.get("")
        snapshots = tuple(filter(None, (self._snapshot(project) for project in chosen)))
        if people is None or len(snapshots) < len(chosen):
            return None
        asked = [period for snapshot in snapshots for period in _only_asked(snapshot, needs)]
        links = {period.id: self.held[period.kind].get(period.id) for period in asked}
        if None in links.values():
            return None
        linked = tuple(_with_links(snapshot, links) for snapshot in snapshots) if links else snapshots
        read = [self._read_at[project.id] for project in chosen] or [
            self.projects.read_at("") or self._clock()
        ]
        stamp = (
            self.projects.version(""),
            *(self._stamps[project.id] for project in chosen),
            *(self.held[period.kind].version(period.id) for period in asked),
        )
        return View(projects, people, snapshots, linked, (*stamp, self.members.version("")), min(read))

    def _snapshot(self, project: Project) -> Snapshot | None:
        """The project's snapshot, made anew only when a part of it has become another.

        The old one where a part was never read: of a new cycle, which issues it holds.
        """
        issues, people = self.issues.get(project.id), self.members.get("")
        states, labels = self.states.get(project.id), self.labels.get(project.id)
        periods = self._linked_periods(project)
        if issues is None or people is None or states is None or labels is None or periods is None:
            return self._snapshots.get(project.id)
        stamp = self._stamp(project, periods)
        old = self._snapshots.get(project.id)
        if old is None or self._stamps[project.id] != stamp:
            new = Snapshot(project, issues[0], states, labels, people, periods, unreadable=issues[1])
            self._snapshots[project.id] = carried_on(old, new, self._clock())
            self._stamps[project.id] = stamp
        self._read_at[project.id] = self.issues.read_at(project.id) or self._clock()
        return self._snapshots[project.id]

    def _stamp(self, project: Project, periods: Mapping[str, Period]) -> tuple[object, ...]:
        """Equal as long as a snapshot of the project would be."""
        held = [
            (period.id, self.held[period.kind].version(period.id))
            for period in periods.values()
            if period.issues is not None
        ]
        versions = [copies.version(project.id) for copies in self._of_project()]
        return (project, self.members.version(""), *versions, *held)

    def _linked_periods(self, project: Project) -> Mapping[str, Period] | None:
        """The project's periods, the open ones with their issues; None while a part was never read."""
        linked: dict[str, Period] = {}
        for kind in KINDS:
            periods = self.periods[kind].get(project.id)
            if periods is None:
                return None
            for period in periods.values():
                held = self.held[kind].get(period.id) if self.is_held(period) else None
                if held is None and self.is_held(period):
                    return None
                linked[period.id] = replace(period, issues=held)
        return linked

    async def save_roster(self) -> None:
        """Keep the projects and people, when both are known."""
        projects, people = self.projects.get(""), self.members.get("")
        at = self.projects.read_at(""), self.members.read_at("")
        if projects is not None and people is not None and at[0] and at[1]:
            await self._store.put_record(self._key("roster"), Roster(projects, at[0], people, at[1]))

    async def adopt_roster(self) -> Sequence[Project]:
        """Take in the projects and people that were kept, where they are newer than ours."""
        roster = await self._store.get_record(self._key("roster"), Roster)
        if roster is not None:
            # What was kept may be from before the configuration was narrowed.
            self.projects.adopt("", self.allowed(roster.projects), roster.projects_at)
            self.members.adopt("", roster.people, roster.people_at)
        return self.projects.get("") or ()

    async def save(self, project: Project) -> None:
        """Keep a project: its snapshot when that has changed, and when its parts were read."""
        snapshot = self._snapshot(project)
        if snapshot is None or project.id not in self.lists:
            return
        if self._saved.get(project.id) != self._stamps[project.id] or project.id not in self._kept:
            record = Kept(replace(snapshot, people={}), self.lists[project.id])
            encoded = await asyncio.to_thread(encode, record)
            self._kept[project.id] = sha256(encoded).hexdigest()
            self._saved[project.id] = self._stamps[project.id]
            await self._store.put(self._key("project", project.id), encoded)
        reads = Reads(self._kept[project.id], dict(self._reads(project)))
        await self._store.put_record(self._key("reads", project.id), reads)

    async def adopt(self, project: Project) -> None:
        """Take in what another replica, or this one before it was restarted, has kept of a project."""
        reads = await self._store.get_record(self._key("reads", project.id), Reads)
        ours = self.issues.read_at(project.id)
        if reads is None or (ours is not None and reads.at.get("issues", ours) <= ours):
            return
        if reads.kept != self._kept.get(project.id):
            value = await self._store.get(self._key("project", project.id))
            if value is None or sha256(value).hexdigest() != reads.kept:
                return
            try:
                kept = await asyncio.to_thread(decode, value, Kept)
            except ValueError:
                return
            self._adopt(project, kept, reads)
        for part, copies in self._parts(project):
            if part in reads.at:
                copies.confirm(_key_of(part, project), reads.at[part])

    def _adopt(self, project: Project, kept: Kept, reads: Reads) -> None:
        snapshot, at = kept.snapshot, reads.at
        now = self._clock()
        self.lists[project.id] = kept.issues
        self.issues.adopt(project.id, (snapshot.issues, snapshot.unreadable), at.get("issues", now))
        self.states.adopt(project.id, snapshot.states, at.get("states", now))
        self.labels.adopt(project.id, snapshot.labels, at.get("labels", now))
        for kind in KINDS:
            own = {id_: period for id_, period in snapshot.periods.items() if period.kind == kind}
            bare = {id_: replace(period, issues=None) for id_, period in own.items()}
            self.periods[kind].adopt(project.id, bare, at.get(f"{kind}s", now))
            for period in own.values():
                if period.issues is not None:
                    self.held[kind].adopt(period.id, period.issues, at.get(f"{kind} {period.id}", now))
        people = self.members.get("")
        periods = self._linked_periods(project)
        if people is not None and periods is not None:
            self._snapshots[project.id] = replace(snapshot, people=people, project=project)
            self._stamps[project.id] = self._stamp(project, periods)
            self._kept[project.id] = reads.kept
            self._saved[project.id] = self._stamps[project.id]

    def _reads(self, project: Project) -> Iterable[tuple[str, datetime]]:
        for part, copies in self._parts(project):
            at = copies.read_at(_key_of(part, project))
            if at is not None:
                yield part, at

    def _parts(self, project: Project) -> Iterable[tuple[str, Copies[str, Any]]]:
        yield from (("issues", self.issues), ("states", self.states), ("labels", self.labels))
        for kind in KINDS:
            yield f"{kind}s", self.periods[kind]
            for period in self.periods[kind].get(project.id) or {}:
                yield f"{kind} {period}", self.held[kind]

    def _key(self, *parts: str) -> str:
        return "/".join((self._name, *parts))


def is_asked(period: Period, needs: Needs) -> bool:
    """Whether a question needs the issues of this period, ended or not."""
    return needs.all_periods or not needs.named.isdisjoint((period.name.strip().casefold(), period.id))


def _key_of(part: str, project: Project) -> str:
    """The key of a part among its copies: `cycle {id}` is of that cycle, all else of the project."""
    _, _, period = part.partition(" ")
    return period or project.id


def _only_asked(snapshot: Snapshot, needs: Needs) -> Iterable[Period]:
    """The snapshot's periods whose issues this question needs and the snapshot does not have."""
    return [
        period for period in snapshot.periods.values() if period.issues is None and is_asked(period, needs)
    ]


def _with_links(snapshot: Snapshot, links: Mapping[str, frozenset[str] | None]) -> Snapshot:
    periods = {
        period.id: replace(period, issues=links.get(period.id, period.issues))
        for period in snapshot.periods.values()
    }
    return replace(snapshot, periods=periods)
