"""What is known of one workspace: the last good copy of each part, joined into snapshots."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from icsfeed.cache.revisions import with_revisions
from icsfeed.cache.ttl import TtlCache
from icsfeed.config.schema import Cache
from icsfeed.model import Issue, Label, Needs, Period, PeriodKind, Person, Project, Snapshot, State, View
from icsfeed.plane.incremental import IssueList
from icsfeed.text import one_line

KINDS: Sequence[PeriodKind] = ("cycle", "module")
PARTS = ("issues", "states", "labels", "cycles", "modules")
"""What is read of a project, in the order of `_of_project`."""


class Snapshots:
    """The copies of one workspace's parts. `links`: its feeds tell which cycle and module an issue is in.

    `keys` (folded case) limits it to some projects, by key or id; none: all. `sparing`: nothing is read that
    the question at hand does without. Issues that were last read
    whole before `whole_since` are read whole the next time.

    `lost`: the projects that Plane lists no more, and since when. Their last copies are shown: the key's
    owner may have left them. `deleted`: those that a webhook says are gone. `unjoined`: ids of those that
    Plane lists, and the key has not joined.
    """

    def __init__(
        self,
        cache: Cache,
        *,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        keys: frozenset[str] = frozenset(),
        links: bool = True,
        sparing: bool = False,
    ) -> None:
        def copies(ttl: int) -> TtlCache[str, Any]:
            return TtlCache(ttl, timer, clock)

        self.projects: TtlCache[str, tuple[Project, ...]] = copies(cache.projects)
        self.members: TtlCache[str, Mapping[str, Person]] = copies(cache.members)
        self.issues: TtlCache[str, tuple[Mapping[str, Issue], int]] = copies(cache.issues)
        self.states: TtlCache[str, Mapping[str, State]] = copies(cache.states)
        self.labels: TtlCache[str, Mapping[str, Label]] = copies(cache.labels)
        ttls = {"cycle": cache.cycles, "module": cache.modules}
        self.periods: Mapping[PeriodKind, TtlCache[str, Mapping[str, Period]]] = {
            kind: copies(ttls[kind]) for kind in KINDS
        }
        self.held: Mapping[PeriodKind, TtlCache[str, frozenset[str]]] = {
            kind: copies(ttls[kind]) for kind in KINDS
        }
        self.lists: dict[str, IssueList] = {}
        self.lost: Mapping[str, datetime] = {}
        self.deleted: set[str] = set()
        self.unjoined: frozenset[str] = frozenset()
        self.whole_since = datetime.min.replace(tzinfo=UTC)
        self._clock = clock
        self.keys = keys
        self._links = links and not sparing
        self._sparing = sparing
        self._snapshots: dict[str, Snapshot] = {}
        self._first: dict[str, Snapshot] = {}
        self._read_at: dict[str, datetime] = {}
        self._stamps: dict[str, tuple[object, ...]] = {}
        self._counts: dict[PeriodKind, tuple[object, int]] = {}

    def lost_of(self, projects: Iterable[Project]) -> tuple[Project, ...]:
        """Those that the key may not read any more."""
        return tuple(project for project in projects if project.id in self.lost)

    def people_of_lost(self) -> Mapping[str, Person]:
        """Who is assigned in the copies of lost projects: lists of members may not have them any more."""
        people = self.members.get("") or {}
        copies = [self.issues.get(id_) or ({}, 0) for id_ in self.lost]
        named = {who for issues, _ in copies for issue in issues.values() for who in issue.assignees}
        return {id_: person for id_, person in people.items() if id_ in named}

    def copies(self) -> Sequence[TtlCache[str, Any]]:
        """All of them."""
        names: list[TtlCache[str, Any]] = [self.projects, self.members, self.issues, self.states, self.labels]
        return [*names, *self.periods.values(), *self.held.values()]

    def allowed(self, projects: Iterable[Project]) -> tuple[Project, ...]:
        """Those that the configuration lets out."""
        return tuple(p for p in projects if not self.keys or {p.key.casefold(), p.id} & self.keys)

    def expire_as(self, other: "Snapshots") -> None:
        """Let be read again what is known to `other` and no longer fresh there."""
        for ours, theirs in zip(self.copies(), other.copies(), strict=True):
            ours.expire_as(theirs)

    def _of_project(self) -> Sequence[TtlCache[str, Any]]:
        return [*self._essentials(), *self.periods.values()]

    def _essentials(self) -> Sequence[TtlCache[str, Any]]:
        return [self.issues, self.states, self.labels]

    def reads_periods(self, needs: Needs) -> bool:
        """Whether cycles and modules are read for these needs."""
        return not self._sparing or needs.must_know_periods

    def is_held(self, period: Period) -> bool:
        """Whether issues tell that they are in this period: while it has not ended anywhere."""
        yesterday = self._clock().date() - timedelta(days=1)
        return self._links and (period.end is None or period.end >= yesterday)

    def is_fresh(self, project: Project, needs: Needs) -> bool:
        """Whether nothing of a project has to be read for these needs, or nothing can be."""
        if project.id in self.lost:
            return True
        parts = self._of_project() if self.reads_periods(needs) else self._essentials()
        return all(part.is_fresh(project.id) for part in parts) and all(
            self.held[period.kind].is_fresh(period.id) for period in self.wanted(project, needs)
        )

    def missing(self, projects: Iterable[Project], needs: Needs, since: datetime) -> tuple[str, ...]:
        """Which parts of these projects were not fresh at `since`, nor read after it, or not understood."""
        found = [] if self.projects.is_current("", since) else ["the list of projects"]
        found += [] if self.members.is_current("", since) else ["the members"]
        for project in projects:
            found += self._missing_of(project, needs, since)
        return tuple(found)

    def _missing_of(self, project: Project, needs: Needs, since: datetime) -> Iterator[str]:
        for name, part in zip(PARTS, self._of_project(), strict=True):
            if not part.is_current(project.id, since):
                yield f"the {name} of {project.key}"
        for period in self.wanted(project, needs):
            if not self.held[period.kind].is_current(period.id, since):
                yield f"the issues of {period.kind} {one_line(period.name)!r} of {project.key}"
        _, unreadable = self.issues.get(project.id) or ({}, 0)
        if unreadable:
            yield f"{unreadable} issues of {project.key} that cannot be understood"

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

    def is_read_since(self, since: datetime) -> bool:
        """Whether the projects, the people and every part of every project were read whole since then."""
        moments = [self.projects.read_at(""), self.members.read_at("")]
        for project in self.projects.get("") or ():
            if project.id in self.lost:
                continue
            issues = self.lists.get(project.id)
            moments += [copies.read_at(project.id) for copies in self._of_project()]
            moments.append(issues.whole_at if issues is not None else None)
        return all(moment is not None and moment >= since for moment in moments)

    def held_count(self, kind: PeriodKind) -> int:
        """Of how many cycles or modules the issues are read; counted anew when a list of them has changed."""
        projects, periods = self.projects.get("") or (), self.periods[kind]
        versions = sum(periods.version(project.id) for project in projects)  # they only grow
        stamp = (self.projects.version(""), versions, self._clock().date())
        if self._counts.get(kind, (None, 0))[0] != stamp:
            wanted = (period for project in projects for period in self.wanted(project, Needs()))
            self._counts[kind] = stamp, sum(period.kind == kind for period in wanted)
        return self._counts[kind][1]

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
        """The chosen projects as they are known; None while a part that is needed was never read."""
        people = self.members.get("")
        snapshots = tuple(filter(None, (self._shown(project, needs) for project in chosen)))
        if people is None or len(snapshots) < len(chosen):
            return None
        asked = [period for snapshot in snapshots for period in _only_asked(snapshot, needs)]
        links = {period.id: self.held[period.kind].get(period.id) for period in asked}
        if None in links.values():
            return None
        linked = tuple(_with_links(snapshot, links) for snapshot in snapshots) if links else snapshots
        now = self._clock()
        read = [self._read_at.get(project.id) or self.read_at(project) or now for project in chosen] or [
            self.projects.read_at("") or now
        ]
        stamp = (
            self.projects.version(""),
            *(self._stamps.get(project.id) or self._first_stamp(project) for project in chosen),
            *(self.held[period.kind].version(period.id) for period in asked),
        )
        return View(projects, people, snapshots, linked, (*stamp, self.members.version("")), min(read))

    def can_show(self, projects: Iterable[Project], needs: Needs) -> bool:
        """Whether there would be a view of these projects; no reader has seen one thereby."""
        known = (self.snapshot(project) or self.first_snapshot(project, needs) for project in projects)
        return self.members.get("") is not None and all(known)

    def has_essentials(self, project: Project) -> bool:
        """Whether what every feed needs of a project was ever read."""
        return all(part.get(project.id) is not None for part in self._essentials())

    def has_periods(self, project: Project) -> bool:
        """Whether its cycles and modules were ever read."""
        return all(self.periods[kind].get(project.id) is not None for kind in KINDS)

    def _shown(self, project: Project, needs: Needs) -> Snapshot | None:
        """The project's snapshot, else what is known before everything of it was read."""
        found = self.snapshot(project)
        if found is None:
            found = self.first_snapshot(project, needs)
            if found is not None:
                self._first[project.id] = found
        return found

    def first_snapshot(self, project: Project, needs: Needs) -> Snapshot | None:
        """A project without what was not read yet: it says less, and nothing that is not so."""
        people, issues = self.members.get(""), self.issues.get(project.id)
        states, labels = self.states.get(project.id), self.labels.get(project.id)
        lists = [self.periods[kind].get(project.id) for kind in KINDS]
        if people is None or issues is None or states is None or labels is None:
            return None
        if None in lists and needs.must_know_periods:
            return None
        periods = {
            period.id: replace(period, issues=self.held[period.kind].get(period.id))
            for periods in lists
            for period in (periods or {}).values()
        }
        new = Snapshot(project, issues[0], states, labels, people, periods, unreadable=issues[1])
        return with_revisions(self._first.get(project.id), new, self._seen(project))

    def _first_stamp(self, project: Project) -> tuple[object, ...]:
        """Equal as long as what is known of a project before everything was read is the same."""
        periods = (period for kind in KINDS for period in (self.periods[kind].get(project.id) or {}).values())
        held = [(period.id, self.held[period.kind].version(period.id)) for period in periods]
        versions = [copies.version(project.id) for copies in self._of_project()]
        return ("first", project, self.members.version(""), *versions, *held)

    def snapshot(self, project: Project) -> Snapshot | None:
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
            before = old or self._first.pop(project.id, None)
            self._snapshots[project.id] = with_revisions(before, new, self._seen(project))
            self._stamps[project.id] = stamp
        self._read_at[project.id] = self.issues.read_at(project.id) or self._clock()
        return self._snapshots[project.id]

    def stamp(self, project: Project) -> tuple[object, ...] | None:
        """Another one whenever the project's snapshot has become another; None: there is none."""
        self.snapshot(project)
        return self._stamps.get(project.id)

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

    def _seen(self, project: Project) -> datetime:
        """When the newest part of a project was read: replicas that share the parts agree on it."""
        roster = (self.projects.read_at(""), self.members.read_at(""))
        return max((*filter(None, roster), *self.reads(project).values()), default=self._clock())

    def reads(self, project: Project) -> Mapping[str, datetime]:
        """When each part of a project was last read: `issues`, `states`, `cycle {id}` ..."""
        moments = {part: copies.read_at(key) for part, copies, key in self.parts(project)}
        return {part: at for part, at in moments.items() if at is not None}

    def parts(self, project: Project) -> Iterable[tuple[str, TtlCache[str, Any], str]]:
        """The parts of a project by name, where their copies are, and under which key."""
        yield from (
            ("issues", self.issues, project.id),
            ("states", self.states, project.id),
            ("labels", self.labels, project.id),
        )
        for kind in KINDS:
            yield f"{kind}s", self.periods[kind], project.id
            for period in self.periods[kind].get(project.id) or {}:
                yield f"{kind} {period}", self.held[kind], period

    def take(self, project: Project, snapshot: Snapshot, read_at: datetime) -> bool:
        """Go on from a snapshot that was made elsewhere, or before; its parts are here already.

        Whether it still is the project's snapshot: some of our parts may be newer, and it is made anew then.
        """
        before = self._snapshots.get(project.id)
        touched = _latest(before.touched, snapshot.touched) if before is not None else snapshot.touched
        self._snapshots[project.id] = replace(snapshot, touched=touched)
        self._stamps[project.id], self._read_at[project.id] = (), read_at
        return self.snapshot(project) == snapshot


def is_asked(period: Period, needs: Needs) -> bool:
    """Whether a question needs the issues of this period, ended or not."""
    return needs.all_periods or not needs.named.isdisjoint((period.name.strip().casefold(), period.id))


def _latest(one: Mapping[str, datetime], other: Mapping[str, datetime]) -> Mapping[str, datetime]:
    """Both together, with the later moment of each."""
    return {**one, **{id_: max(at, one.get(id_, at)) for id_, at in other.items()}}


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
