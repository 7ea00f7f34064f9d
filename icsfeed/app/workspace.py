"""One Plane workspace kept fresh: TTLs, one flight for all who wait, a deadline, the last good copy."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar

from cachetools import TTLCache
from msgspec import Struct
from msgspec.structs import replace

from icsfeed.app.freshness import Copies, Rest
from icsfeed.core.config import Cache
from icsfeed.core.errors import BadAnswer, NoAccess, NotFound, PlaneError
from icsfeed.core.model import Issue, Label, Period, PeriodKind, Person, Project, Snapshot, State
from icsfeed.core.revisions import carried_on
from icsfeed.core.select import Needs

T = TypeVar("T")

KINDS: Sequence[PeriodKind] = ("cycle", "module")
AT_ONCE = 4
"""Projects asked at the same time (design.md)."""
VIEW_KEPT = 1.0
"""Seconds for which a view is handed on without looking at what is fresh: cheap for many readers."""

OF_A_PART = (NoAccess, NotFound, BadAnswer)
"""Errors that may concern one project, or the members, while Plane is well."""

log = logging.getLogger("icsfeed.workspace")


class IssueRead(Protocol):
    """One read of all of a project's issues, and how many of them could not be understood."""

    @property
    def items(self) -> tuple[Issue, ...]: ...
    @property
    def unreadable(self) -> int: ...


class Plane(Protocol):
    """What a workspace reads with: adapters/plane.py. Every method raises PlaneError."""

    async def projects(self) -> tuple[Project, ...]: ...
    async def members(self, projects: Iterable[Project]) -> tuple[Person, ...]: ...
    async def issues(self, project: Project) -> IssueRead: ...
    async def states(self, project: Project) -> tuple[State, ...]: ...
    async def labels(self, project: Project) -> tuple[Label, ...]: ...
    async def periods(self, project: Project, kind: PeriodKind) -> tuple[Period, ...]: ...
    async def period_issues(self, period: Period) -> frozenset[str]: ...
    async def version(self) -> str | None: ...
    async def whoami(self) -> Person | None: ...


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


Choose = Callable[[tuple[Project, ...]], tuple[Project, ...]]


class Workspace:
    """The workspace `name`, read through `plane`. `keys` limits it to some projects; none: all.

    `links` says whether its feeds tell which cycle and module an issue is in.
    """

    def __init__(
        self,
        name: str,
        plane: Plane,
        cache: Cache,
        *,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        keys: Iterable[str] = (),
        links: bool = True,
    ) -> None:
        self.name = name
        self.plane = plane
        self._deadline = float(cache.deadline)
        self._keys = frozenset(key.casefold() for key in keys)
        self._links = links
        self._clock = clock
        self._timer = timer
        self._projects: Copies[str, tuple[Project, ...]] = Copies(cache.projects, timer, clock)
        self._members: Copies[str, Mapping[str, Person]] = Copies(cache.members, timer, clock)
        self._issues: Copies[str, tuple[Mapping[str, Issue], int]] = Copies(cache.issues, timer, clock)
        self._states: Copies[str, Mapping[str, State]] = Copies(cache.states, timer, clock)
        self._labels: Copies[str, Mapping[str, Label]] = Copies(cache.labels, timer, clock)
        period_ttls = {"cycle": cache.cycles, "module": cache.modules}
        self._periods: Mapping[PeriodKind, Copies[str, Mapping[str, Period]]] = {
            kind: Copies(period_ttls[kind], timer, clock) for kind in KINDS
        }
        self._held: Mapping[PeriodKind, Copies[str, frozenset[str]]] = {
            kind: Copies(period_ttls[kind], timer, clock) for kind in KINDS
        }
        self._copies: list[Copies[str, Any]] = [self._projects, self._members, self._issues]
        self._copies += [self._states, self._labels, *self._periods.values(), *self._held.values()]
        self._snapshots: dict[str, Snapshot] = {}
        self._read_at: dict[str, datetime] = {}
        self._stamps: dict[str, tuple[object, ...]] = {}
        self._flights: dict[object, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._missing: frozenset[str] = frozenset()
        self._views: TTLCache[object, View] = TTLCache(maxsize=10_000, ttl=VIEW_KEPT, timer=timer)
        self._rest = Rest(timer)
        self._part_rests: defaultdict[str, Rest] = defaultdict(lambda: Rest(timer))

    async def view(self, choose: Choose, needs: Needs, until: float | None = None) -> View | None:
        """What is known of the chosen projects, refreshed when it is not fresh.

        Waits at most the deadline (or `until`, see there) and then gives the newest good copy, or None
        where there is none: `last_error` says why and `retry_after` when to ask again. Raises what
        `choose` raises.
        """
        until = self.until if until is None else until
        if not self._projects.is_fresh(""):
            await self._fly("projects", self._refresh_projects, until)
        projects = self._projects.get("")
        if projects is None:
            return None
        chosen = choose(projects)
        work = (tuple(project.id for project in chosen), needs.named, needs.all_periods)
        view = self._views.get(work)
        if view is None:
            await self._fly(work, lambda: self._refresh(chosen, needs), until)
            view = self._known(projects, chosen, needs)
            if view is not None:
                self._views[work] = view
        return view

    @property
    def until(self) -> float:
        """When, by the timer, a reader who comes now has waited long enough."""
        return self._timer() + self._deadline

    @property
    def is_known(self) -> bool:
        """Whether its projects and members have ever been read."""
        return self._projects.get("") is not None and self._members.get("") is not None

    @property
    def retry_after(self) -> int:
        """Whole seconds until asking Plane again makes sense, at least 1."""
        return int(max(rest.left for rest in self._rests())) + 1

    @property
    def last_error(self) -> PlaneError | None:
        """Why it, or a part of it, could not be read the last time; None when it could."""
        return next((rest.error for rest in self._rests() if rest.error), None)

    def _rests(self) -> Sequence[Rest]:
        parts = ("", *(project.id for project in self._projects.get("") or ()))
        return (self._rest, *(self._part_rests[part] for part in parts))

    async def close(self) -> None:
        """End what is under way."""
        flights = tuple(self._flights.values())
        for task in flights:
            task.cancel()
        await asyncio.gather(*flights, *(copies.close() for copies in self._copies), return_exceptions=True)

    async def _fly(self, work: object, start: Callable[[], Awaitable[None]], until: float) -> None:
        """Join the flight for this work, or start it; stop waiting (not the work) when time is up."""
        task = self._flights.get(work)
        if task is None:
            task = asyncio.create_task(self._guarded(start))
            self._flights[work] = task
            task.add_done_callback(lambda _: self._flights.pop(work, None))
        await asyncio.wait({task}, timeout=max(0.0, until - self._timer()))

    async def _guarded(self, start: Callable[[], Awaitable[None]]) -> None:
        if self._rest.left:
            return
        before = self._reads()
        try:
            await start()
        except PlaneError as error:
            self._failed(self._rest, error)
        except Exception:
            # A fault of ours must not cost the readers their copy.
            log.exception("workspace %s: unexpected error", self.name)
            self._failed(self._rest, BadAnswer("the workspace", "icsfeed failed; its log says more"))
        else:
            # Where nothing had to be read, nothing was learned of Plane.
            if self._reads() > before and not self._rest.left:
                self._rest.over()

    def _reads(self) -> int:
        return sum(copies.reads for copies in self._copies)

    def _failed(self, rest: Rest, error: PlaneError) -> None:
        if not rest.left:
            rest.failed(error)
            log.warning("workspace %s: %s; asking again in %.0f s", self.name, error, rest.left)

    async def _refresh_projects(self) -> None:
        await self._projects.look("", self._read_projects)

    async def _read_projects(self) -> tuple[Project, ...]:
        found = await self.plane.projects()
        return tuple(
            project
            for project in found
            if not self._keys or {project.key.casefold(), project.id} & self._keys
        )

    async def _refresh(self, projects: Sequence[Project], needs: Needs) -> None:
        """Read what is not fresh. One part that fails does not keep the others from being read."""
        await self._part("", self._refresh_members)
        errors = await _gather(
            [self._part(project.id, partial(self._refresh_project, project, needs)) for project in projects]
        )
        if errors:
            raise errors[0]

    async def _part(self, part: str, refresh: Callable[[], Awaitable[object]]) -> None:
        """Bring the members or a project up to date. What only concerns it leaves the others alone."""
        rest = self._part_rests[part]
        async with self._slots:
            if rest.left or self._rest.left:
                return
            try:
                await refresh()
            except OF_A_PART as error:
                self._failed(rest, error)
            except PlaneError as error:
                self._failed(self._rest, error)
                raise
            else:
                rest.over()

    async def _refresh_members(self) -> None:
        await self._members.look("", self._read_members)

    async def _read_members(self) -> Mapping[str, Person]:
        people = await self.plane.members(self._projects.get("") or ())
        return {person.id: person for person in people}

    async def _refresh_project(self, project: Project, needs: Needs) -> None:
        await self._issues.look(project.id, lambda: self._read_issues(project))
        await self._refresh_names(project)
        for kind in KINDS:
            await self._refresh_periods(project, kind, needs)
        if self._unknown(project):
            self._expire_names(project)
            await self._refresh_names(project)
            await self._refresh_members()
            self._missing |= self._unknown(project)

    async def _read_issues(self, project: Project) -> tuple[Mapping[str, Issue], int]:
        read = await self.plane.issues(project)
        return {issue.id: issue for issue in read.items}, read.unreadable

    async def _refresh_names(self, project: Project) -> None:
        await self._states.look(project.id, lambda: _by_id(self.plane.states(project)))
        await self._labels.look(project.id, lambda: _by_id(self.plane.labels(project)))

    def _expire_names(self, project: Project) -> None:
        self._states.expire(project.id)
        self._labels.expire(project.id)
        self._members.expire("")

    def _unknown(self, project: Project) -> frozenset[str]:
        """Ids in the issues that no list of names has, and that were not looked for before."""
        issues, _ = self._issues.get(project.id) or ({}, 0)
        used = {
            used
            for issue in issues.values()
            for used in (issue.state, *issue.labels, *issue.assignees)
            if used
        }
        known: set[str] = set()
        for names in (self._states.get(project.id), self._labels.get(project.id), self._members.get("")):
            known.update(names or ())
        return frozenset(used - known - self._missing)

    async def _refresh_periods(self, project: Project, kind: PeriodKind, needs: Needs) -> None:
        periods = await self._periods[kind].look(
            project.id, lambda: _by_id(self.plane.periods(project, kind))
        )
        for period in periods.values():
            if self._is_held(period) or _is_asked(period, needs):
                await self._held[kind].look(period.id, partial(self.plane.period_issues, period))

    def _is_held(self, period: Period) -> bool:
        """Whether issues tell that they are in this period: while it has not ended anywhere."""
        yesterday = self._clock().date() - timedelta(days=1)
        return self._links and (period.end is None or period.end >= yesterday)

    def _known(self, projects: tuple[Project, ...], chosen: Sequence[Project], needs: Needs) -> View | None:
        people = self._members.get("")
        snapshots = tuple(filter(None, (self._snapshot(project) for project in chosen)))
        if people is None or len(snapshots) < len(chosen):
            return None
        asked = [period for snapshot in snapshots for period in self._only_asked(snapshot, needs)]
        links = {period.id: self._held[period.kind].get(period.id) for period in asked}
        if None in links.values():
            return None
        linked = tuple(_with_links(snapshot, links) for snapshot in snapshots) if links else snapshots
        read = [self._read_at[project.id] for project in chosen] or [
            self._projects.read_at("") or self._clock()
        ]
        stamp = (
            self._projects.version(""),
            *(self._stamps[project.id] for project in chosen),
            *(self._held[period.kind].version(period.id) for period in asked),
        )
        return View(projects, people, snapshots, linked, (*stamp, self._members.version("")), min(read))

    def _only_asked(self, snapshot: Snapshot, needs: Needs) -> Iterable[Period]:
        """The snapshot's periods whose issues this question needs and the snapshot does not have."""
        return [
            period
            for period in snapshot.periods.values()
            if period.issues is None and _is_asked(period, needs)
        ]

    def _snapshot(self, project: Project) -> Snapshot | None:
        """The project's snapshot, made anew only when a part of it has become another.

        The old one where a part was never read: of a new cycle, which issues it holds.
        """
        issues, people = self._issues.get(project.id), self._members.get("")
        states, labels = self._states.get(project.id), self._labels.get(project.id)
        periods = self._linked_periods(project)
        if issues is None or people is None or states is None or labels is None or periods is None:
            return self._snapshots.get(project.id)
        stamp = self._stamp(project, periods)
        old = self._snapshots.get(project.id)
        if old is None or self._stamps[project.id] != stamp:
            new = Snapshot(project, issues[0], states, labels, people, periods, unreadable=issues[1])
            self._snapshots[project.id] = carried_on(old, new, self._clock())
            self._stamps[project.id] = stamp
        self._read_at[project.id] = self._issues.read_at(project.id) or self._clock()
        return self._snapshots[project.id]

    def _stamp(self, project: Project, periods: Mapping[str, Period]) -> tuple[object, ...]:
        """Equal as long as a snapshot of the project would be."""
        of_project: Iterable[Copies[str, Any]] = (
            self._issues,
            self._states,
            self._labels,
            *self._periods.values(),
        )
        held = [
            (period.id, self._held[period.kind].version(period.id))
            for period in periods.values()
            if period.issues is not None
        ]
        versions = [copies.version(project.id) for copies in of_project]
        return (project, self._members.version(""), *versions, *held)

    def _linked_periods(self, project: Project) -> Mapping[str, Period] | None:
        """The project's periods, the open ones with their issues; None while a part was never read."""
        linked: dict[str, Period] = {}
        for kind in KINDS:
            periods = self._periods[kind].get(project.id)
            if periods is None:
                return None
            for period in periods.values():
                held = self._held[kind].get(period.id) if self._is_held(period) else None
                if held is None and self._is_held(period):
                    return None
                linked[period.id] = replace(period, issues=held)
        return linked


def _with_links(snapshot: Snapshot, links: Mapping[str, frozenset[str] | None]) -> Snapshot:
    periods = {
        period.id: replace(period, issues=links.get(period.id, period.issues))
        for period in snapshot.periods.values()
    }
    return replace(snapshot, periods=periods)


def _is_asked(period: Period, needs: Needs) -> bool:
    return needs.all_periods or not needs.named.isdisjoint((period.name.strip().casefold(), period.id))


async def _by_id(reading: Awaitable[Sequence[T]]) -> dict[str, T]:
    return {item.id: item for item in await reading}  # type: ignore[attr-defined]


async def _gather(work: Sequence[Awaitable[object]]) -> list[PlaneError]:
    """Do all of it, and give the errors. Anything that is not Plane's fault is raised."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, PlaneError):
            raise result
    return [result for result in results if isinstance(result, PlaneError)]
