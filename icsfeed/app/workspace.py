"""One Plane workspace read on demand: one flight for all who wait, a deadline, rests after failures."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from cachetools import TTLCache

from icsfeed.adapters.quota import Budget, Errand, Urgency
from icsfeed.adapters.store import Store
from icsfeed.app.freshness import Rest
from icsfeed.app.keeping import Keeping
from icsfeed.app.known import KINDS, Known, View
from icsfeed.app.reading import Plane, by_id, current_issues, gathered
from icsfeed.core.config import Cache
from icsfeed.core.errors import BadAnswer, NoAccess, NotFound, PlaneError
from icsfeed.core.model import Issue, PeriodKind, Person, Project
from icsfeed.core.select import Needs

T = TypeVar("T")

AT_ONCE = 4
"""Projects asked at the same time (design.md)."""
VIEW_KEPT = 1.0
"""Seconds for which a view is handed on without looking at what is fresh: cheap for many readers."""
WATCHED_FOR = 86_400.0
"""Seconds after which a project that nobody asked for is no longer kept fresh."""

OF_A_PART = (NoAccess, NotFound, BadAnswer)
"""Errors that may concern one project, or the members, while Plane is well."""

log = logging.getLogger("icsfeed.workspace")


Choose = Callable[[tuple[Project, ...]], tuple[Project, ...]]


class Workspace:
    """The workspace `name`, read through `plane`. `keys` limits it to some projects; none: all.

    `links` says whether its feeds tell which cycle and module an issue is in. `budget` is that of the
    API key, which other workspaces may share, and `store` where the last good copies are kept.
    """

    def __init__(
        self,
        name: str,
        plane: Plane,
        cache: Cache,
        *,
        store: Store,
        budget: Budget,
        clock: Callable[[], datetime],
        timer: Callable[[], float],
        keys: Iterable[str] = (),
        links: bool = True,
    ) -> None:
        self.name = name
        self.budget = budget
        self._reader = Errand(budget, "reader")
        self.plane = plane.on(self._reader)
        self._cache = cache
        self._clock = clock
        self._timer = timer
        folded = frozenset(key.casefold() for key in keys)
        self.known = Known(cache, clock=clock, timer=timer, keys=folded, links=links)
        self._keeping = Keeping(name, self.known, store, clock)
        self._flights: dict[object, asyncio.Task[None]] = {}
        self._errands: set[Errand] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._missing: frozenset[str] = frozenset()
        self._views: TTLCache[object, View] = TTLCache(maxsize=10_000, ttl=VIEW_KEPT, timer=timer)
        self._watched: TTLCache[str, bool] = TTLCache(maxsize=100_000, ttl=WATCHED_FOR, timer=timer)
        self._rest = Rest(timer)
        self._part_rests: defaultdict[str, Rest] = defaultdict(lambda: Rest(timer))

    async def start(self) -> None:
        """Take in what was kept before this process was started. Plane is not asked."""
        for project in await self._keeping.adopt_roster():
            await self._keeping.adopt(project)
        await self._keeping.adopt_budget(self.budget)

    async def view(self, choose: Choose, needs: Needs, until: float | None = None) -> View | None:
        """What is known of the chosen projects, refreshed when it is not fresh.

        Waits at most the deadline (or `until`, see there) and then gives the newest good copy, or None
        where there is none: `last_error` says why and `retry_after` when to ask again. Raises what
        `choose` raises.
        """
        until = self.until if until is None else until
        if not self.known.projects.is_fresh(""):
            await self._fly("projects", self._refresh_projects, until)
        projects = self.known.projects.get("")
        if projects is None:
            return None
        chosen = choose(projects)
        self.watch(chosen)
        work = (tuple(project.id for project in chosen), needs.named, needs.all_periods)
        view = self._views.get(work)
        if view is None:
            if not self._is_fresh(chosen, needs):
                await self._fly(work, partial(self._refresh, chosen, needs), until)
            view = self.known.view(projects, chosen, needs)
            if view is not None:
                self._views[work] = view
        return view

    @property
    def until(self) -> float:
        """When, by the timer, a reader who comes now has waited long enough."""
        return self._timer() + float(self._cache.deadline)

    @property
    def is_known(self) -> bool:
        """Whether its projects and members have ever been read."""
        return self.known.projects.get("") is not None and self.known.members.get("") is not None

    @property
    def is_ready(self) -> bool:
        """Whether there is a good copy of every one of its projects."""
        projects = self.known.projects.get("")
        return projects is not None and self.known.view(projects, projects, Needs()) is not None

    @property
    def retry_after(self) -> int:
        """Whole seconds until asking Plane again makes sense, at least 1."""
        return int(max(rest.left for rest in self._rests())) + 1

    @property
    def last_error(self) -> PlaneError | None:
        """Why it, or a part of it, could not be read the last time; None when it could."""
        return next((rest.error for rest in self._rests() if rest.error), None)

    def _rests(self) -> Sequence[Rest]:
        parts = ("", *(project.id for project in self.known.projects.get("") or ()))
        return (self._rest, *(self._part_rests[part] for part in parts))

    async def refresh(self, project: Project, urgency: Urgency) -> None:
        """Read what is not fresh of a project; waits at most the deadline."""
        work: object = ((project.id,), frozenset[str](), False)
        await self._fly(work, partial(self._refresh, [project], Needs()), self.until, urgency)

    async def refresh_projects(self, urgency: Urgency) -> None:
        """Read which projects there are, when that is not fresh; waits at most the deadline."""
        if not self.known.projects.is_fresh(""):
            await self._fly("projects", self._refresh_projects, self.until, urgency)

    def watched(self) -> Sequence[Project]:
        """The projects that readers asked for within a day, or never read, that may be read now."""
        if self._rest.left:
            return ()
        projects = self.known.projects.get("") or ()
        wanted = [p for p in projects if p.id in self._watched or self.known.read_at(p) is None]
        return [project for project in wanted if not self._part_rests[project.id].left]

    def watch(self, projects: Iterable[Project]) -> None:
        """Count these projects as asked for."""
        self._watched.update((project.id, True) for project in projects)

    def now(self) -> datetime:
        """The time of day that readings are stamped with."""
        return self._clock()

    async def close(self) -> None:
        """End what is under way."""
        flights = tuple(self._flights.values())
        for task in flights:
            task.cancel()
        closing = (copies.close() for copies in self.known.copies())
        await asyncio.gather(*flights, *closing, return_exceptions=True)

    async def _fly(
        self,
        work: object,
        start: Callable[[Plane], Awaitable[None]],
        until: float,
        urgency: Urgency = "reader",
    ) -> None:
        """Join the flight for this work, or start it; stop waiting (not the work) when time is up.

        Where a reader waits, what is under way in the background has become urgent.
        """
        if urgency == "reader":
            for errand in self._errands:
                errand.hurry()
        task = self._flights.get(work)
        if task is None:
            task = asyncio.create_task(self._guarded(start, urgency))
            self._flights[work] = task
            task.add_done_callback(lambda _: self._flights.pop(work, None))
        await asyncio.wait({task}, timeout=max(0.0, until - self._timer()))

    async def _guarded(self, start: Callable[[Plane], Awaitable[None]], urgency: Urgency) -> None:
        if self._rest.left:
            return
        await self._keeping.adopt_budget(self.budget)
        before = self._reads()
        errand = Errand(self.budget, urgency)
        self._errands.add(errand)
        try:
            await start(self.plane.on(errand))
        except PlaneError as error:
            self._failed(self._rest, error)
        except Exception:
            # A fault of ours must not cost the readers their copy.
            log.exception("workspace %s: unexpected error", self.name)
            self._failed(self._rest, BadAnswer("the workspace", "icsfeed failed; its log says more"))
        else:
            self._heard_after(before)
        finally:
            self._errands.discard(errand)

    def _reads(self) -> int:
        return sum(copies.reads for copies in self.known.copies())

    def _failed(self, rest: Rest, error: PlaneError) -> None:
        if not rest.left:
            rest.failed(error)
            log.warning("workspace %s: %s; asking again in %.0f s", self.name, error, rest.left)

    def _is_fresh(self, projects: Sequence[Project], needs: Needs) -> bool:
        return self.known.members.is_fresh("") and all(
            self.known.is_fresh(project, needs) for project in projects
        )

    async def _refresh_projects(self, plane: Plane) -> None:
        async with self._keeping.shared("roster"):
            await self._keeping.adopt_roster()
            await self.known.projects.look("", partial(self._read_projects, plane))
            await self._keeping.save_roster()
        await self._save_changed()

    async def _save_changed(self) -> None:
        """Keep what new names made of projects, and what was read of one before it failed."""
        for project in self._keeping.changed():
            async with self._keeping.shared(project.id):
                await self._keeping.adopt(project)
                await self._keeping.save(project)

    async def _read_projects(self, plane: Plane) -> tuple[Project, ...]:
        found = await plane.projects()
        if not found and self.known.projects.get(""):
            # The key's owner has lost every project: a refusal, and no reason to empty calendars.
            raise NoAccess(f"workspace {self.name!r}", "the key has joined no project any more")
        return self.known.allowed(found)

    async def _refresh(self, projects: Sequence[Project], needs: Needs, plane: Plane) -> None:
        """Read what is not fresh. One part that fails does not keep the others from being read."""
        members = [("", partial(self._refresh_members, plane))]
        parts = [
            (project.id, partial(self._refresh_project, project, needs, plane))
            for project in projects
            if not self.known.is_fresh(project, needs)
        ]
        # What failed the last time comes last: it may let all that comes after it rest.
        parts.sort(key=lambda part: self.is_failing(part[0]))
        rounds = (parts, members) if self.is_failing("") else (members, parts)
        errors = [
            error for batch in rounds for error in await gathered([self._part(*part) for part in batch])
        ]
        await self._save_changed()
        await self._keeping.keep_budget(self.budget)
        if errors:
            raise errors[0]

    def is_failing(self, part: str) -> bool:
        """Whether this project (members: no id) could not be read the last time."""
        return self._part_rests[part].error is not None

    async def _part(self, part: str, refresh: Callable[[], Awaitable[object]]) -> None:
        """Bring the members or a project up to date. What only concerns it leaves the others alone.

        Any failure lets it rest by itself: where the others can be read, only it is asked less and less.
        """
        rest = self._part_rests[part]
        async with self._slots:
            if rest.left or self._rest.left:
                return
            before = self._reads()
            try:
                await refresh()
            except OF_A_PART as error:
                self._failed(rest, error)
            except PlaneError as error:
                if not rest.left:
                    rest.failed(error)
                self._failed(self._rest, error)
                raise
            else:
                rest.over()
                self._heard_after(before)

    def _heard_after(self, reads: int) -> None:
        """Plane is well, unless nothing had to be read: then nothing was learned of it."""
        if self._reads() > reads and not self._rest.left:
            self._rest.over()

    async def _refresh_members(self, plane: Plane) -> None:
        if not self.known.members.is_fresh(""):
            async with self._keeping.shared("roster"):
                await self._keeping.adopt_roster()
                await self.known.members.look("", partial(self._read_members, plane))
                await self._keeping.save_roster()

    async def _read_members(self, plane: Plane) -> Mapping[str, Person]:
        people = await plane.members(self.known.projects.get("") or ())
        return {person.id: person for person in people}

    async def _refresh_project(self, project: Project, needs: Needs, plane: Plane) -> None:
        """One replica reads a project; the others take in what it has kept."""
        async with self._keeping.shared(project.id):
            await self._keeping.adopt(project)
            await self.known.issues.look(project.id, partial(self._read_issues, project, plane))
            await self._refresh_names(project, plane)
            for kind in KINDS:
                await self._refresh_periods(project, kind, needs, plane)
            if self.known.unknown(project) - self._missing:
                self.known.expire_names(project)
                await self._refresh_names(project, plane)
                await self._refresh_members(plane)
                self._missing |= self.known.unknown(project)
            await self._keeping.save(project)

    async def _read_issues(self, project: Project, plane: Plane) -> tuple[Mapping[str, Issue], int]:
        known, full = self.known.lists.get(project.id), self._cache.full.delta
        found = await current_issues(plane, project, known, self._clock(), full)
        self.known.lists[project.id] = found
        return found.items, found.unreadable

    async def _refresh_names(self, project: Project, plane: Plane) -> None:
        await self.known.states.look(project.id, lambda: by_id(plane.states(project)))
        await self.known.labels.look(project.id, lambda: by_id(plane.labels(project)))

    async def _refresh_periods(self, project: Project, kind: PeriodKind, needs: Needs, plane: Plane) -> None:
        await self.known.periods[kind].look(project.id, lambda: by_id(plane.periods(project, kind)))
        for period in self.known.wanted(project, needs):
            if period.kind == kind:
                await self.known.held[kind].look(period.id, partial(plane.period_issues, period))
